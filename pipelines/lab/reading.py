"""What the runs say: where each cell stops, as numbers and in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pipelines.lab.contestants import CONTESTANTS
from pipelines.lab.options import MemoryLabOptions
from pipelines.lab.problems import PROBLEMS
from pipelines.lab.records import Run

Verdict = Literal["solved", "failed", "not tried", "out of time"]


@dataclass(frozen=True)
class Point:
    """What a cell came to on a problem at a length, over all seeds.

    Attributes:
        verdict: "solved" if more than half of the seeds solved it.
        skill: mean over the seeds that were run; None if none was.
        solved: how many seeds solved it.
        sequences: median that the solving seeds needed; None if none solved it.
    """

    verdict: Verdict
    skill: float | None
    solved: int
    sequences: float | None


class Results:
    """The runs of a lab, by problem, cell and length.

    Args:
        options: of the lab.
        runs: finished or cut.
    """

    def __init__(self, options: MemoryLabOptions, runs: Sequence[Run]) -> None:
        self.options, self.runs = options, runs
        self.lengths = sorted(options.lengths)
        self._points: dict[tuple[str, str], dict[int, Point]] = {
            (problem, cell): self._ladder(problem, cell)
            for problem in options.problems
            for cell in options.cells
        }

    def at(self, problem: str, cell: str, length: int) -> list[Run]:
        """Return the runs of all seeds."""
        asked = (length, problem, cell)
        return [r for r in self.runs if (r.job.length, r.job.problem, r.job.cell) == asked]

    def ladder(self, problem: str, cell: str) -> dict[int, Point]:
        """Return what a cell came to at every length, short to long."""
        return self._points[problem, cell]

    def longest(self, problem: str, cell: str) -> int:
        """Return the longest length solved, with all shorter ones; 0 if there is none."""
        solved = [n for n, p in self.ladder(problem, cell).items() if p.verdict == "solved"]
        return max(solved, default=0)

    def failed_at(self, problem: str, cell: str) -> int | None:
        """Return the length that was tried and not solved, if there is one."""
        failed = [n for n, p in self.ladder(problem, cell).items() if p.verdict == "failed"]
        return min(failed, default=None)

    def _ladder(self, problem: str, cell: str) -> dict[int, Point]:
        points: dict[int, Point] = {}
        stopped = False
        for length in self.lengths:
            points[length] = self._point(self.at(problem, cell, length), stopped)
            stopped = stopped or points[length].verdict == "failed"
        return points

    def _point(self, runs: Sequence[Run], stopped: bool) -> Point:
        complete = [run for run in runs if run.state != "cut"]
        solving = [run for run in complete if run.solved]
        majority = 2 * len(solving) > self.options.seeds
        # A seed that failed at a shorter length was not tried here: it counts as failed.
        known = complete and (majority or not any(run.state == "cut" for run in runs))
        verdict: Verdict = "not tried" if stopped else "out of time"
        if known and not stopped:
            verdict = "solved" if majority else "failed"
        return Point(
            verdict,
            float(np.mean([run.skill for run in runs])) if runs else None,
            len(solving),
            float(np.median([run.sequences for run in solving])) if solving else None,
        )


def summary(results: Results) -> str:
    """Say in one paragraph a problem where each cell stops."""
    paragraphs = [problem_summary(results, name) for name in results.options.problems]
    return "\n\n".join([*paragraphs, *_across(results)])


def problem_summary(results: Results, problem: str) -> str:
    """Say which cells solve how many steps of a problem."""
    by_length: dict[int, list[str]] = {}
    for cell in results.options.cells:
        by_length.setdefault(results.longest(problem, cell), []).append(cell)
    parts = [_group(results, n, by_length[n]) for n in sorted(by_length, reverse=True)]
    cut = _out_of_time(results, problem)
    return f"{PROBLEMS[problem].title}: {'; '.join(parts)}.{cut}"


def _group(results: Results, length: int, cells: Sequence[str]) -> str:
    verb = "solves" if len(cells) == 1 else "solve"
    if not length:
        return f"{join(cells)} {verb} no length, not even {results.lengths[0]:,} steps"
    last = ", the longest tried" if length == results.lengths[-1] else " and no more"
    return f"{join(cells)} {verb} {length:,} steps{last}"


def _out_of_time(results: Results, problem: str) -> str:
    cells = [
        cell
        for cell in results.options.cells
        if any(p.verdict == "out of time" for p in results.ladder(problem, cell).values())
    ]
    if not cells:
        return ""
    return f" Time was up before {join(cells)} had been tried at every length."


def _across(results: Results) -> list[str]:
    """Compare cells with gates to those without, where both were run."""
    cells = results.options.cells
    sides = [[c for c in cells if CONTESTANTS[c].gated is gated] for gated in (True, False)]
    if not all(sides):
        return []
    best = {
        problem: [max(results.longest(problem, cell) for cell in side) for side in sides]
        for problem in results.options.problems
    }
    return [
        "Gates against none, by the best of each: " + "; ".join(map(_compared, best.items())) + "."
    ]


def _compared(item: tuple[str, Sequence[int]]) -> str:
    problem, (gated, plain) = item
    title = PROBLEMS[problem].title.lower()
    if gated == plain:
        return f"{title}, both {_steps(gated)}"
    return f"{title}, {_steps(gated)} with gates and {_steps(plain)} without"


def _steps(length: int) -> str:
    return f"{length:,} steps" if length else "none"


def join(names: Sequence[str]) -> str:
    """Write "a, b and c"."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def not_tried(results: Results) -> list[Mapping[str, object]]:
    """Return every problem, cell and length without a complete run, with the reason."""
    options = results.options
    rows: list[Mapping[str, object]] = []
    for problem in options.problems:
        for cell in options.cells:
            for length, point in results.ladder(problem, cell).items():
                if point.verdict in ("not tried", "out of time"):
                    reason = reason_not_tried(results, problem, cell, length)
                    rows.append(
                        {"problem": problem, "cell": cell, "length": length, "reason": reason}
                    )
    return rows


def reason_not_tried(results: Results, problem: str, cell: str, length: int) -> str:
    """Return "out of time", or at which length the cell failed."""
    if results.ladder(problem, cell)[length].verdict == "out of time":
        return "out of time"
    return f"failed at {results.failed_at(problem, cell):,}"

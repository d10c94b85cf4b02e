"""Cells, encoders and depths at an equal number of trained weights: trained, measured, compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import product
from pathlib import Path
from typing import Any

from pipelines.encoder_config import RECURRENT_ONLY, EncoderConfig
from pipelines.errors import ConfigError
from pipelines.stages import Stages
from pipelines.studies.budget import count_of, units_for
from pipelines.studies.ledger import Found
from pipelines.studies.options import CompareCellsOptions
from pipelines.studies.runs import Clock, Desk, open_desk
from pipelines.task import Task
from pipelines.workspace import Folders, latest_version, new_version


@dataclass(frozen=True)
class Combination:
    """One kind of network: its name, and the settings that make it."""

    name: str
    changes: Mapping[str, Any]


@dataclass(frozen=True)
class Compared:
    """A combination with what its runs found; `failure` says why there are none."""

    combination: Combination
    units: int
    weights: int
    runs: Sequence[Found]
    failure: str = ""

    def values(self, name: str) -> list[float]:
        """Return a number of every run."""
        return [float(run[name]) for run in self.runs]


def combinations(options: CompareCellsOptions, config: Any) -> list[Combination]:
    """Return the grid: every cell of a recurrent encoder and every other encoder, by depth.

    Settings that a recurrent layer alone has go back to their defaults for other encoders.
    """
    choice = isinstance(config, EncoderConfig)
    found = []
    for encoder, depth in product(options.study_encoders, options.study_depths):
        layers = f"{depth} layer{'s' if depth > 1 else ''}"
        if encoder == "rnn":
            found += [
                Combination(f"{cell}, {layers}", {"cell": cell, "depth": depth})
                for cell in options.study_cells
            ]
        elif choice:
            changes = {"encoder": encoder, "depth": depth, **_defaults(config)}
            found.append(Combination(f"{encoder}, {layers}", changes))
    if not found:
        raise ConfigError(
            f"option --study-encoders is {options.study_encoders!r}; this task has rnn alone: "
            "leave the option out"
        )
    return found


def _defaults(config: Any) -> dict[str, Any]:
    kept = {entry.name: entry.default for entry in fields(config) if entry.name in RECURRENT_ONLY}
    direction = "forward" if config.direction == "forward" else "both"
    return kept | {"direction": direction}


def compare_cells(
    task: Task[Any, Any],
    source: str,
    options: CompareCellsOptions,
    *,
    folders: Folders,
    stages: Stages,
) -> Path:
    """Train the grid at equal size and write its page; return the study's folder.

    Raises:
        ConfigError: the settings leave nothing to compare.
        Interrupted: Ctrl-C; finished runs are kept for --resume.
    """
    from pipelines.studies.compare_page import write_comparison

    options.check(task.config)
    grid = combinations(options, task.config)
    name = f"studies/compare-cells-{task.name}"
    with new_version(folders, name) as folder:
        desk = open_desk("compare-cells", task, source, options, folders=folders, stages=stages)
        quality = desk.quality()
        budget = options.study_budget or _own_size(desk)
        stages.line("budget", f"{budget:,} trained weights, embedding tables left out")
        clock = Clock(stages.console, len(grid) * options.study_seeds, quality)
        found = [_compared(desk, entry, budget, options.study_seeds, clock) for entry in grid]
        if not any(entry.runs for entry in found):
            raise ConfigError(f"compare-cells: no combination could be trained: {found[0].failure}")
        write_comparison(folder, desk, quality, budget, found)
    return latest_version(folders, name)


def _own_size(desk: Desk) -> int:
    found = desk.ledger.recall(
        {"budget": "own"}, lambda: {"weights": count_of(desk.task, desk.prepared.artifacts)}
    )
    return int(found["weights"])


def _compared(
    desk: Desk, combination: Combination, budget: int, seeds: int, clock: Clock
) -> Compared:
    key = {"units of": combination.changes, "budget": budget}
    sized = desk.ledger.recall(key, lambda: _sized(desk, combination, budget))
    if "failure" in sized:
        clock.skip(seeds, combination.name, sized["failure"])
        return Compared(combination, 0, 0, [], sized["failure"])
    first = desk.task.config.seed
    runs = []
    for seed in range(first, first + seeds):
        changes = {**combination.changes, "units": sized["units"], "seed": seed}
        runs.append(clock.run(desk, f"{combination.name}, seed {seed}", changes, splits=("test",)))
    failures = [run["failure"] for run in runs if "failure" in run]
    kept = [run for run in runs if "failure" not in run]
    reason = failures[0] if failures else ""
    return Compared(combination, sized["units"], sized["weights"], kept, reason)


def _sized(desk: Desk, combination: Combination, budget: int) -> Found:
    artifacts = desk.prepared.artifacts

    def count(units: int) -> int:
        return count_of(desk.variant({**combination.changes, "units": units}), artifacts)

    try:
        units, weights = units_for(budget, count)
    except ConfigError as error:
        return {"failure": str(error)}
    return {"units": units, "weights": weights}

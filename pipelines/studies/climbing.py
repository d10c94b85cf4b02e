"""A ladder of models, each twice as large as the one below, until validation gains no more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.errors import ConfigError
from pipelines.stages import Stages
from pipelines.studies.ledger import Found
from pipelines.studies.options import LadderOptions
from pipelines.studies.runs import Clock, Desk, open_desk
from pipelines.studies.stopping import PATIENCE, chosen_rung, has_stopped
from pipelines.task import Task
from pipelines.workspace import Folders, latest_version, new_version


@dataclass(frozen=True)
class Rung:
    """One size of the model with what its runs found."""

    units: int
    depth: int
    runs: Sequence[Found]

    @property
    def name(self) -> str:
        """Its size in words."""
        units = "1 unit" if self.units == 1 else f"{self.units} units"
        return f"{units}, {self.depth} layer{'s' * (self.depth > 1)}"

    def values(self, name: str) -> list[float]:
        """Return a number of every run."""
        return [float(run[name]) for run in self.runs]


@dataclass(frozen=True)
class Ladder:
    """All rungs that were climbed, smallest first in each part, and the one chosen.

    Attributes:
        wider: rungs of rising units, one layer.
        deeper: rungs of rising depth, from the units chosen on; the first is that of `wider`.
        ended: whether units gained nothing more, or else --study-most-units was reached.
    """

    wider: Sequence[Rung]
    deeper: Sequence[Rung]
    chosen: Rung
    ended: bool


def doubled(start: int, most: int) -> Iterator[int]:
    """Yield start, twice that and so on up to `most`."""
    while start <= most:
        yield start
        start *= 2


def most_runs(options: LadderOptions) -> int:
    """Return how many trainings there are if validation gains on every rung."""
    wider = len(list(doubled(options.study_start, options.study_most_units)))
    return (wider + len(list(doubled(2, options.study_most_depth)))) * options.study_seeds


def climb(desk: Desk, options: LadderOptions, clock: Clock) -> Ladder:
    """Train rungs of more units, then of more layers, while validation gains.

    Raises:
        ConfigError: no model of the smallest size can be trained.
    """
    better = clock.quality.better
    wider: list[Rung] = []
    ended = False
    for units in doubled(options.study_start, options.study_most_units):
        wider.append(_rung(desk, units, 1, options.study_seeds, clock))
        ended = has_stopped([rung.values("valid") for rung in wider], better, patience=PATIENCE)
        if ended:
            break
    base = wider[chosen_rung([rung.values("valid") for rung in wider], better)]
    deeper = [base]
    for depth in doubled(2, options.study_most_depth):
        deeper.append(_rung(desk, base.units, depth, options.study_seeds, clock))
        if has_stopped([rung.values("valid") for rung in deeper], better, patience=1):
            break
    chosen = deeper[chosen_rung([rung.values("valid") for rung in deeper], better)]
    return Ladder(wider, deeper, chosen, ended)


def _rung(desk: Desk, units: int, depth: int, seeds: int, clock: Clock) -> Rung:
    first = desk.task.config.seed
    runs = []
    for seed in range(first, first + seeds):
        changes = {"units": units, "depth": depth, "seed": seed}
        name = f"{units} units, depth {depth}, seed {seed}"
        runs.append(clock.run(desk, name, changes, splits=("train", "test")))
    kept = [run for run in runs if "failure" not in run]
    if not kept:
        raise ConfigError(f"ladder: no model of {units} units can be trained: {runs[0]['failure']}")
    return Rung(units, depth, kept)


def ladder(
    task: Task[Any, Any],
    source: str,
    options: LadderOptions,
    *,
    folders: Folders,
    stages: Stages,
) -> Path:
    """Climb, and write the page; return the study's folder.

    Raises:
        ConfigError: the settings of the task leave nothing to vary.
        Interrupted: Ctrl-C; finished runs are kept for --resume.
    """
    from pipelines.studies.ladder_page import write_ladder

    options.check(task.config)
    name = f"studies/ladder-{task.name}"
    with new_version(folders, name) as folder:
        desk = open_desk("ladder", task, source, options, folders=folders, stages=stages)
        left = "left if all rungs are climbed, more as runs of larger models take longer"
        clock = Clock(stages.console, most_runs(options), desk.quality(), left=left)
        write_ladder(folder, desk, clock.quality, climb(desk, options, clock))
    return latest_version(folders, name)

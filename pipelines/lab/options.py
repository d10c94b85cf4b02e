"""Options of `make memory-lab`; a field's docstring is its `--help` text. Imports no Keras."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from pipelines.errors import require
from pipelines.lab.contestants import CONTESTANTS, CellName
from pipelines.lab.problems import PROBLEMS

ProblemName = Literal["adding", "copy", "parentheses"]
# What may change between two runs whose results stand side by side.
_NOT_OF_A_RUN = ("problems", "cells", "lengths", "seeds", "seed", "minutes", "workers", "resume")


@dataclass(frozen=True, kw_only=True)
class MemoryLabOptions:
    """What the memory lab tries: every cell on every problem, from short lengths to long ones.

    A cell that does not solve a length is not tried at longer ones.
    """

    problems: tuple[ProblemName, ...] = ("adding", "copy", "parentheses")
    """Problems to learn. Adding: tell the sum of the two marked ones of many numbers. Copy: repeat
    the symbols of the beginning at the end. Parentheses: tell how many brackets are still open."""
    cells: tuple[CellName, ...] = (
        "simple",
        "simple-identity",
        "simple-norm",
        "gru",
        "mingru",
        "lstm",
        "lstm-open",
        "lstm-peephole",
        "minlstm",
        "sru",
    )
    """Cells to compare: an lstm-open is an LSTM whose forget gate is open at the start; a simple
    cell may start at the identity or, simple-norm, be trained to keep the norm of gradients."""
    lengths: tuple[int, ...] = (50, 100, 200, 500, 1000)
    """Steps of a sequence; each is learned from scratch."""
    seeds: int = 1
    """How often everything is learned anew, from other weights and sequences. A length counts as
    solved if most of these runs solve it."""
    units: int = 32
    """Units of the recurrent layer, the same for every cell."""
    depth: int = 1
    """Recurrent layers on top of one another."""
    sequences: int = 80_000
    """Sequences that a run may learn from, the same for every cell and length; it stops earlier
    when the problem is solved."""
    batch: int = 32
    """Sequences of a training step."""
    learning_rate: float | None = None
    """Of Adam, the same for every cell; without it 0.004 for simple cells and 0.01 for others."""
    clip_norm: float = 1.0
    """Largest norm of the gradient; what is longer is shortened to it."""
    solved: float = 0.9
    """Skill at which a length counts as solved: the share of the naive error that is gone."""
    minutes: float = 14.0
    """No run goes on after this time; what was not tried is said. The page takes seconds more."""
    workers: int = 0
    """Runs at the same time, each on one processor; 0 is one for every processor."""
    seed: int = 17
    """Of weights and sequences."""
    resume: bool = False
    """Keep the runs that an interrupted lab of these settings has finished."""

    def __post_init__(self) -> None:
        """Refuse values that cannot work, before anything heavy is loaded."""
        for name in ("problems", "cells", "lengths"):
            value = getattr(self, name)
            require(bool(value), name, value, "at least one")
            require(len(set(value)) == len(value), name, value, "each one once")
        for name in ("seeds", "units", "depth", "batch"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        rate = self.learning_rate
        require(rate is None or rate > 0, "learning_rate", rate, "above 0")
        for name in ("clip_norm", "minutes"):
            require(getattr(self, name) > 0, name, getattr(self, name), "above 0")
        require(0 < self.solved < 1, "solved", self.solved, "between 0 and 1")
        require(self.workers >= 0, "workers", self.workers, "0 or more")
        require(
            self.sequences >= self.batch,
            "sequences",
            self.sequences,
            f"at least --batch, {self.batch}",
        )
        shortest = max(PROBLEMS[name].shortest for name in self.problems)
        require(
            min(self.lengths) >= shortest,
            "lengths",
            self.lengths,
            f"{shortest} or more each, for {' and '.join(self.problems)}",
        )

    def rate_of(self, cell: str) -> float:
        """Return the learning rate of a cell."""
        return self.learning_rate or CONTESTANTS[cell].learning_rate

    @property
    def of_a_run(self) -> dict[str, Any]:
        """The settings that a single run depends on, beside what it is a run of."""
        return {name: v for name, v in asdict(self).items() if name not in _NOT_OF_A_RUN}

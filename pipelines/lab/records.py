"""What a run of the lab came to, and the journal that keeps it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from pipelines.datasets.storage import storage_errors
from pipelines.lab.options import MemoryLabOptions

State = Literal["solved", "failed", "cut"]


@dataclass(frozen=True, order=True)
class Job:
    """One run: a cell learns a problem at a length. Jobs sort by length, so short ones come first.

    Attributes:
        length: steps of a sequence.
        problem: a name of `PROBLEMS`.
        cell: a name of `CONTESTANTS`.
        seed: of the weights and sequences.
    """

    length: int
    problem: str
    cell: str
    seed: int


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        job: what was run.
        state: "solved", "failed" with all sequences seen, or "cut" when time was up.
        error: the problem's error on test sequences.
        skill: share of the naive error that is gone, on the same sequences.
        sequences: learned from.
        seconds: taken, compilation included.
        parameters: of the model.
        curve: (sequences learned from, skill on validation sequences), in order.
    """

    job: Job
    state: State
    error: float
    skill: float
    sequences: int
    seconds: float
    parameters: int
    curve: tuple[tuple[int, float], ...]

    @property
    def solved(self) -> bool:
        """Whether the length is solved."""
        return self.state == "solved"

    def as_json(self) -> dict[str, object]:
        """Return the run as a flat object; `from_json` reads it."""
        content = asdict(self)
        return content.pop("job") | content

    @classmethod
    def from_json(cls, content: dict[str, object]) -> Run:
        """Read what `as_json` gave."""
        values: dict[str, object] = dict(content)
        job = Job(**{name: values.pop(name) for name in ("length", "problem", "cell", "seed")})  # type: ignore[arg-type]
        curve = tuple((int(seen), float(skill)) for seen, skill in values.pop("curve"))  # type: ignore[attr-defined]
        return cls(job=job, curve=curve, **values)  # type: ignore[arg-type]


class Journal:
    """A file of finished runs, one JSON object a line, appended to as they finish.

    Args:
        folder: of journals; each kind of run has its own file, by the settings that it depends on.
        options: of the lab; without `resume` an old journal is emptied.

    Raises:
        DataError: the folder cannot be written.
    """

    def __init__(self, folder: Path, options: MemoryLabOptions) -> None:
        text = json.dumps(options.of_a_run, sort_keys=True)
        self.path = folder / f"{hashlib.sha256(text.encode()).hexdigest()[:12]}.jsonl"
        with storage_errors(self.path):
            folder.mkdir(parents=True, exist_ok=True)
            if not options.resume:
                self.path.write_text("", encoding="utf-8")

    def runs(self) -> list[Run]:
        """Return the runs it holds; a line that was cut off in the writing is passed over."""
        if not self.path.exists():
            return []
        lines = self.path.read_text(encoding="utf-8").splitlines()
        return [Run.from_json(content) for content in _objects(lines)]

    def add(self, run: Run) -> None:
        """Append a run, unless it was cut: that one is to be run again."""
        if run.state == "cut":
            return
        with storage_errors(self.path), self.path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(run.as_json()) + "\n")


def _objects(lines: Iterable[str]) -> Iterable[dict[str, object]]:
    for line in lines:
        try:
            yield json.loads(line)
        except json.JSONDecodeError:  # the machine went down while this line was written
            continue

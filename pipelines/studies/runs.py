"""Many trainings of one task on the same prepared data, each measured on every split it needs."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console

from pipelines import pipeline
from pipelines.config import fingerprint
from pipelines.errors import ConfigError, TrainingError
from pipelines.evaluation.scores import Better
from pipelines.evaluation.wording import duration, number
from pipelines.stages import Stages
from pipelines.studies.budget import trained_weights
from pipelines.studies.ledger import Found, Ledger
from pipelines.studies.options import StudyOptions
from pipelines.task import Prepared, Task
from pipelines.workspace import Folders

if TYPE_CHECKING:
    import keras

    from pipelines.corpus import EncodedCorpus

TIMED_BATCHES = 16


@dataclass(frozen=True)
class Quality:
    """What runs are judged by: the value that chooses epochs."""

    name: str
    better: Better

    @property
    def sign(self) -> float:
        """1 if more is better, else -1."""
        return 1.0 if self.better == "higher" else -1.0


@dataclass(frozen=True)
class Desk:
    """What all runs of a study share.

    Attributes:
        task: with the settings common to all runs.
        prepared: the data, encoded once.
        folders: where checkpoints go while a run lasts.
        console: tells of finished runs.
        ledger: keeps them.
        resume: whether a run that was interrupted is gone on with.
    """

    task: Task[Any, Any]
    prepared: Prepared
    folders: Folders
    console: Console
    ledger: Ledger
    resume: bool = False

    def variant(self, changes: Mapping[str, Any]) -> Task[Any, Any]:
        """Return the task with some settings changed.

        Raises:
            ConfigError: the settings do not go together.
        """
        return type(self.task)(replace(self.task.config, **changes))

    def quality(self) -> Quality:
        """Return what runs are judged by; a model is built to find out."""
        import keras

        model = self.task.build_model(self.prepared.artifacts)
        objective = self.task.objective(model, self.prepared.artifacts)
        keras.backend.clear_session()
        return Quality(objective.monitor, objective.better)


def open_desk(
    kind: str,
    task: Task[Any, Any],
    source: str,
    options: StudyOptions,
    *,
    folders: Folders,
    stages: Stages,
) -> Desk:
    """Prepare the data once, and find what is known of this study.

    The settings common to all runs leave out what other methods fit, and the gradient monitor.
    """
    config = replace(task.config, monitor=False, **options.common(task.config))
    task = type(task)(config)
    task.begin()
    prepared = pipeline.prepare(task, source, folders=folders, stages=stages)
    asked = {name: value for name, value in asdict(options).items() if name not in _HOW}
    parts = [
        asked,
        config.fingerprint(),
        prepared.splits.card.fingerprint,
        prepared.artifacts.fingerprint(),
    ]
    folder = folders.cache / f"{task.name}-{kind}-{fingerprint(parts)}"
    ledger = Ledger(folder / "runs.jsonl", resume=options.resume)
    return Desk(task, prepared, folders, stages.console, ledger, options.resume)


_HOW = ("resume", "data")  # options that change nothing of what is found


def train_once(desk: Desk, changes: Mapping[str, Any], *, splits: tuple[str, ...]) -> Found:
    """Train one variant and measure it; a variant that cannot be trained gives its reason.

    The checkpoint is removed once the run has ended.

    Returns:
        the best epoch's value on "valid", that on each of `splits`, and what it cost; or "failure".

    Raises:
        Interrupted: Ctrl-C; the run can be gone on with.
    """
    import keras

    from pipelines.training import Interrupted

    keras.backend.clear_session()
    quiet = Stages(Console(quiet=True))
    try:
        task = desk.variant(changes)
        model, trained, result = pipeline.fit(
            task, desk.prepared, folders=desk.folders, stages=quiet, resume=desk.resume
        )
    except Interrupted:
        raise
    except (ConfigError, TrainingError) as error:
        return {"failure": str(error)}
    learner, values = measure(task, model, desk.prepared, splits)
    trained.discard()
    return {
        **values,
        "valid": result.best_value,
        "seconds": round(result.seconds, 2),
        "epochs": len(result.history),
        "best_epoch": result.best_epoch,
        "tokens_per_second": round(result.tokens_per_second, 1),
        "rows_per_second": rows_per_second(task, learner, desk.prepared.corpora["test"]),
        "trained_weights": trained_weights(learner),
        "parameters": model.count_params(),
        "bytes": 4 * model.count_params(),  # float32, as exported
    }


def measure(
    task: Task[Any, Any], model: keras.Model, prepared: Prepared, splits: tuple[str, ...]
) -> tuple[keras.Model, dict[str, float]]:
    """Return the trained part, and the value that chooses epochs on each of some splits."""
    from pipelines.optimizing import compile_model

    learner = task.training_model(model)
    objective = task.objective(model, prepared.artifacts)
    compile_model(learner, objective, task.config, 1)
    return learner, {
        name: objective.validate(learner, task.batches(prepared.corpora[name], learner))[
            objective.monitor
        ]
        for name in splits
    }


def rows_per_second(task: Task[Any, Any], learner: keras.Model, corpus: EncodedCorpus) -> float:
    """Return how many rows a second the trained part reads, in batches, once it is warm."""
    plan = task.batches(corpus, learner).epoch(0)
    places = np.unique(np.linspace(0, len(plan) - 1, TIMED_BATCHES).astype(int))
    batches = [plan[int(place)][0] for place in places]
    for inputs in batches:
        learner.predict_on_batch(inputs)
    started = time.perf_counter()
    for inputs in batches:
        learner.predict_on_batch(inputs)
    seconds = time.perf_counter() - started
    rows = sum(len(next(iter(inputs.values()))) for inputs in batches)
    return round(rows / max(seconds, 1e-9), 1)


class Clock:
    """Tells of each finished run, and how long the others will take.

    Args:
        console: told.
        total: runs of the study.
        quality: what runs are judged by.
        left: ends the words on how long the others will take.
    """

    def __init__(
        self, console: Console, total: int, quality: Quality, *, left: str = "left"
    ) -> None:
        self._console, self._total, self.quality, self._left_words = console, total, quality, left
        self._done = self._timed = 0
        self._seconds = 0.0

    def run(self, desk: Desk, name: str, key: Mapping[str, Any], **how: Any) -> Found:
        """Recall a run or do it, and tell of it."""
        known, started = desk.ledger.holds(key), time.perf_counter()
        found = desk.ledger.recall(key, lambda: train_once(desk, key, **how))
        self._done += 1
        if not known and "failure" not in found:
            self._timed += 1
            self._seconds += time.perf_counter() - started
        self._console.print(self._line(name, found, known), highlight=False, soft_wrap=True)
        return found

    def skip(self, runs: int, name: str, reason: str) -> None:
        """Tell of runs that cannot be."""
        self._done += runs
        self._console.print(f"  {name}: left out: {reason}", highlight=False, soft_wrap=True)

    def _line(self, name: str, found: Found, known: bool) -> str:
        of = f"/{self._total}"
        if "failure" in found:
            return f"  run {self._done}{of}  {name}: left out: {found['failure']}"
        value = f"validation {self.quality.name} {number(found['valid'])}"
        cost = "known from before" if known else f"{duration(found['seconds'])} of training"
        return f"  run {self._done}{of}  {name}: {value}, {cost}{self._left()}"

    def _left(self) -> str:
        if not self._timed or self._done >= self._total:
            return ""
        left = (self._total - self._done) * self._seconds / self._timed
        return f"; about {duration(left)} {self._left_words}"

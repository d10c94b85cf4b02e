"""Train a task's model, in one part or several: such as above a frozen encoder, then as a whole."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.config import fingerprint
from pipelines.errors import ConfigError
from pipelines.task import Phase, Prepared, Task
from pipelines.workspace import Folders

if TYPE_CHECKING:
    import keras
    from rich.console import Console

    from pipelines.training import Trainer
    from pipelines.training_result import TrainingResult


@dataclass(frozen=True)
class Trained:
    """What training did, and the states it saved on the way."""

    result: TrainingResult
    trainers: Sequence[Trainer]

    def discard(self) -> None:
        """Remove the saved states of a run that is complete."""
        for trainer in self.trainers:
            trainer.discard()


def fit_phases(
    task: Task[Any, Any],
    model: keras.Model,
    prepared: Prepared,
    *,
    folders: Folders,
    console: Console,
    resume: bool,
) -> Trained:
    """Train the phases one after another; the model keeps the best weights of all.

    A phase that does not better the validation value of those before it is undone.
    """
    from pipelines.trainstate import restore_weights, snapshot_weights

    result: TrainingResult | None = None
    trainers: list[Trainer] = []
    for phase in task.phases(model, prepared):
        before = snapshot_weights(model) if result is not None else []
        trainer = _trainer(task, phase, prepared, folders, console)
        trainers.append(trainer)
        found = trainer.fit(
            task.batches(prepared.corpora["train"], phase.learner, seed=phase.config.seed),
            task.batches(prepared.corpora["valid"], phase.learner),
            resume=resume,
        )
        if result is None:
            result = found
            continue
        improved = phase.objective.improves(found.best_value, result.best_value)
        if not improved:
            restore_weights(model, before)
        result = result.then(found, improved=improved)
    if result is None:
        raise ConfigError(f"{task.name}: `phases` yields none, expected at least one to train")
    return Trained(result, trainers)


def _trainer(
    task: Task[Any, Any], phase: Phase, prepared: Prepared, folders: Folders, console: Console
) -> Trainer:
    from pipelines.progress import TrainingProgress
    from pipelines.training import Trainer

    if phase.name:
        console.print(f"  {phase.name}", highlight=False)
    return Trainer(
        phase.learner,
        phase.objective,
        phase.config,
        checkpoint=checkpoint_path(task, prepared, folders, phase.name),
        progress=TrainingProgress(console),
        callbacks=tensorboard_callbacks(task, folders),
    )


def tensorboard_callbacks(task: Task[Any, Any], folders: Folders) -> list[Any]:
    """Return the callback that writes a TensorBoard log, if one is wanted.

    Raises:
        ConfigError: the tensorboard package is not installed.
    """
    if not task.config.tensorboard:
        return []
    if importlib.util.find_spec("tensorboard") is None:
        raise ConfigError(
            "option --tensorboard needs the tensorboard package, which is not installed; install "
            "it with `.venv/bin/pip install tensorboard`, or leave the option out"
        )
    import keras

    log = folders.cache / f"{task.name}-tensorboard"
    return [keras.callbacks.TensorBoard(log, write_graph=False)]


def checkpoint_path(
    task: Task[Any, Any], prepared: Prepared, folders: Folders, phase: str = ""
) -> Path:
    """Return the training state's file: one for each combination of settings, data and phase."""
    parts = [
        task.config.fingerprint(),
        prepared.splits.card.fingerprint,
        prepared.artifacts.fingerprint(),
    ]
    key = fingerprint([*parts, phase] if phase else parts)
    return folders.cache / f"{task.name}-training-{key}" / "state.npz"

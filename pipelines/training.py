"""The only caller of `fit`: one epoch at a time, so that it can stop and go on anywhere.

The training state (weights, optimizer, random state, best weights, position in the data, history)
is one file, replaced atomically after every epoch, every few minutes and on Ctrl-C. A run that was
killed and resumed ends with the weights of a run that was not.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from pipelines.batching import Batches, EpochPlan
from pipelines.config import RunConfig
from pipelines.errors import TrainingError
from pipelines.evaluation.scores import Better
from pipelines.feeding import as_dataset, evaluate_model
from pipelines.gradients.monitor import CHECK_EVERY, GradientMonitor
from pipelines.gradients.records import EpochGradients
from pipelines.interrupts import DeferInterrupt
from pipelines.layers.gradient_gate import check_unfreezing, unfreeze
from pipelines.layers.recurrent_paths import paths_taken
from pipelines.optimizing import compile_model, is_averaging_due, optimizer_of, plateau_rate
from pipelines.progress import TrainingProgress
from pipelines.training_result import TrainingResult
from pipelines.trainstate import TrainState, Weights, restore_weights, snapshot_weights

__all__ = ["Interrupted", "Objective", "Trainer", "TrainingResult"]


@dataclass(frozen=True)
class Objective:
    """What `fit` minimises, and the validation value that chooses the best epoch.

    Args:
        loss: a Keras loss.
        metrics: Keras metrics, kept while training.
        monitor: the name of the value that chooses, among those `validate` returns.
        better: which way it improves.
        validate: measures the model on the validation split after every epoch.
    """

    loss: Any
    metrics: list[Any]
    monitor: str
    better: Better = "higher"
    validate: Callable[[keras.Model, Batches], dict[str, float]] = evaluate_model

    def improves(self, value: float, best: float | None) -> bool:
        """Tell whether a validation value beats the best so far."""
        if best is None:
            return True
        return value > best if self.better == "higher" else value < best


class Interrupted(TrainingError):
    """Ctrl-C: the training state was saved."""

    exit_code = 130


class Trainer:
    """Trains one model on one corpus, resumably.

    Args:
        model: built, not compiled.
        objective: loss, metrics and the value that early stopping watches.
        config: epochs, patience, learning rate and the like.
        checkpoint: file that holds the training state; removed by `discard`.
    """

    def __init__(
        self,
        model: keras.Model,
        objective: Objective,
        config: RunConfig,
        *,
        checkpoint: Path,
        progress: TrainingProgress | None = None,
        callbacks: list[keras.callbacks.Callback] | None = None,
    ) -> None:
        self.model, self.objective, self.config = model, objective, config
        self.checkpoint = checkpoint
        self.progress = progress or TrainingProgress()
        self._extra = callbacks or []
        self.state = TrainState()

    def fit(self, train: Batches, valid: Batches, *, resume: bool = False) -> TrainingResult:
        """Train until validation stops improving, then restore the best epoch's weights.

        Raises:
            Interrupted: Ctrl-C was pressed; the state is saved and `resume=True` goes on.
            TrainingError: the loss is not finite, or the saved state does not fit the model.
            ConfigError: layers are to be unfrozen, and the model has no gate or too many.
        """
        check_unfreezing(self.model, self.config.unfreeze_every, self.config.epochs)
        compile_model(self.model, self.objective, self.config, len(train))
        self.model.optimizer.build(self.model.trainable_variables)
        if resume and self.checkpoint.exists():
            self.state = TrainState.load(self.checkpoint, self.model)
        self.monitor = GradientMonitor(self.model, self.config, self.checkpoint)
        resumed = self.state.epoch if self.state.epoch or self.state.batch else None
        with (
            self.progress.running(self.config.epochs, train.tokens),
            DeferInterrupt() as interrupt,
        ):
            while not self._finished():
                self._epoch(train, valid, interrupt)
            self._try_average(valid)
        return self._result(train, resumed)

    def _finished(self) -> bool:
        state = self.state
        return state.epoch >= self.config.epochs or state.epochs_waited > self.config.patience

    def _set_out(self) -> None:
        """Set what depends on the epoch, from the saved state alone: frozen layers and the rate."""
        state, config = self.state, self.config
        if config.unfreeze_every:
            opened = unfreeze(self.model, state.epoch, config.unfreeze_every)
            state.patient_from = max(state.patient_from, opened)
        if config.schedule == "plateau":
            rate = plateau_rate(config, self._values(), self.objective.improves)
            optimizer_of(self.model).learning_rate.assign(rate)

    def _values(self) -> list[float]:
        """Return the validation values of all epochs so far."""
        return [row[f"valid_{self.objective.monitor}"] for row in self.state.history]

    def _epoch(self, train: Batches, valid: Batches, interrupt: DeferInterrupt) -> None:
        self._set_out()
        plan = train.epoch(self.state.epoch, start=self.state.batch)
        started = time.perf_counter()
        watcher = _Watcher(self, plan, interrupt)
        first, epoch = self.state.batch, self.state.epoch
        self.model.fit(
            as_dataset(plan),
            epochs=self.state.epoch + 1,
            initial_epoch=self.state.epoch,
            shuffle=False,
            verbose=0,
            callbacks=[watcher, *self._extra],
        )
        loss = float(watcher.loss)
        self.monitor.check(plan, epoch, first, len(plan) - 1)
        if not np.isfinite(loss):
            self.monitor.find(plan, epoch, first, len(plan) - 1)
            raise TrainingError(
                f"epoch {self.state.epoch + 1}: the training loss is {loss}, expected a finite "
                "number; lower --learning-rate or --clip-norm, or check the data for odd values"
            )
        seconds = time.perf_counter() - started
        self._close_epoch(loss, self.objective.validate(self.model, valid), seconds)
        self._close_gradients(valid, seconds)
        if watcher.trained:  # `fit` left the averaged weights in place, which were validated
            restore_weights(self.model, watcher.trained)
        self._trigger_averaging()
        self.state.save(self.checkpoint, self.model)

    def _trigger_averaging(self) -> None:
        optimizer, interval = optimizer_of(self.model), self.config.triggered_averaging
        if not interval or optimizer.averaging:
            return
        if is_averaging_due(interval, self._values(), self.objective.improves):
            optimizer.trigger()
            self.state.averaged_from = self.state.epoch + 1
            self.state.patient_from = self.state.epoch

    def _close_epoch(self, loss: float, validation: dict[str, float], seconds: float) -> None:
        state = self.state
        row = {"epoch": state.epoch + 1, "loss": loss, "seconds": round(seconds, 3)}
        row |= {f"valid_{name}": value for name, value in validation.items()}
        state.history.append(row)
        value = validation[self.objective.monitor]
        if self.objective.improves(value, state.best_value):
            state.best_value, state.best_epoch = value, state.epoch + 1
            state.best_weights, state.averaged = snapshot_weights(self.model), 0
        if self.config.average_epochs > 1:
            state.recent = [*state.recent, snapshot_weights(self.model)]
            state.recent = state.recent[-self.config.average_epochs :]
        state.epoch, state.batch = state.epoch + 1, 0
        state.seconds += seconds
        self.progress.epoch_done(row, self.objective.monitor, state.best_epoch)

    def _close_gradients(self, valid: Batches, seconds: float) -> None:
        state = self.state
        read = self.monitor.read(state.epoch, valid, seconds)
        if read is None:
            return
        state.history[-1] |= read.row()
        state.gradients.append(read.as_json())
        seen = [EpochGradients.from_json(content) for content in state.gradients]
        for remark in self.monitor.new_remarks(seen):
            self.progress.warned(remark.text)

    def _try_average(self, valid: Batches) -> None:
        """Keep the mean of the last epochs' weights if it is better than the best epoch's."""
        state = self.state
        if len(state.recent) < 2:
            return
        mean = [np.mean(values, axis=0) for values in zip(*state.recent, strict=True)]
        restore_weights(self.model, mean)
        value = self.objective.validate(self.model, valid)[self.objective.monitor]
        self.progress.averaged(len(state.recent), self.objective.monitor, value, state.best_value)
        if self.objective.improves(value, state.best_value):
            state.best_value, state.best_weights = value, snapshot_weights(self.model)
            state.averaged = len(state.recent)

    def _result(self, train: Batches, resumed: int | None) -> TrainingResult:
        restore_weights(self.model, self.state.best_weights)
        seconds = self.state.seconds
        return TrainingResult(
            history=self.state.history,
            best_epoch=self.state.best_epoch,
            best_value=float(np.nan if self.state.best_value is None else self.state.best_value),
            seconds=seconds,
            tokens_per_second=train.tokens * len(self.state.history) / max(seconds, 1e-9),
            resumed_from_epoch=resumed,
            averaged_epochs=self.state.averaged,
            averaged_from=self.state.averaged_from,
            gradients=self.state.gradients,
            recurrence=paths_taken(self.model),
            tables=getattr(optimizer_of(self.model), "ways", dict)(),
        )

    def discard(self) -> None:
        """Remove the saved state of a run that is complete."""
        self.checkpoint.unlink(missing_ok=True)


class _Watcher(keras.callbacks.Callback):
    """Shows progress, saves the state now and then, and heeds Ctrl-C between two batches."""

    def __init__(self, trainer: Trainer, plan: EpochPlan, interrupt: DeferInterrupt) -> None:
        super().__init__()
        self._trainer, self._interrupt = trainer, interrupt
        self._saved = self._started = time.monotonic()
        self._first = trainer.state.batch
        self._plan, self._token_counts = plan, plan.token_counts
        self.loss: float = np.nan
        self.trained: Weights = []

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        trainer, now = self._trainer, time.monotonic()
        trainer.state.batch = self._first + batch + 1
        tokens = int(self._token_counts[batch])
        trainer.progress.advance(tokens, lambda: float((logs or {}).get("loss", np.nan)))
        due = now - self._saved > trainer.config.checkpoint_minutes * 60
        due = due or self._interrupt.asked
        if due or batch % CHECK_EVERY == CHECK_EVERY - 1:  # no state is saved of after a bad step
            trainer.monitor.check(self._plan, trainer.state.epoch, self._first, batch)
        if due:
            elapsed = now - self._started
            trainer.state.save(trainer.checkpoint, trainer.model, elapsed=elapsed)
            self._saved = now
        if self._interrupt.asked:
            raise Interrupted(
                f"interrupted in epoch {trainer.state.epoch + 1}; the last good model is untouched "
                "and the training state is saved: run the same command with --resume to go on"
            )

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        del epoch
        self.loss = float((logs or {})["loss"])
        if optimizer_of(self._trainer.model).averaging:  # `fit` puts the average in their place
            self.trained = snapshot_weights(self._trainer.model)

"""The trainer's side of the monitor: it reads, judges, and stops at what is not finite."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras

from pipelines.batching import Batches, EpochPlan
from pipelines.config import RunConfig
from pipelines.gradients.culprit import report_bad_batch
from pipelines.gradients.judging import Remark, remarks
from pipelines.gradients.reading import first_bad_step, has_closed_gate, read_epoch
from pipelines.gradients.records import EpochGradients
from pipelines.gradients.saturation import SaturationProbe

CHECK_EVERY = 25  # steps: reading a flag waits for the device


class GradientMonitor:
    """Watches one run; does nothing where its optimizer measures nothing.

    Args:
        model: compiled, its optimizer built.
        config: of the run.
        checkpoint: the training state's file; a batch that is not finite is saved beside it.
    """

    def __init__(self, model: keras.Model, config: RunConfig, checkpoint: Path) -> None:
        self.model, self.checkpoint = model, checkpoint
        optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
        self.optimizer: Any = optimizer
        self.watching = bool(getattr(optimizer, "monitored_steps", 0))
        self._whole = config.epochs > 3  # epochs enough for curves of layers, a point each
        self._probe = SaturationProbe()
        self._said: set[tuple[str, str]] = set()

    def check(self, plan: EpochPlan, epoch: int, first: int, batch: int) -> None:
        """Stop if a step of this epoch was not finite; call it before a state is saved.

        Args:
            plan: of the epoch, from its batch `first` on.
            epoch: counted from 0.
            first: batch of the epoch with which the plan begins.
            batch: the last one of the plan that was trained on.

        Raises:
            TrainingError: a loss or gradient was not finite; the batch is saved.
        """
        if not self.watching:
            return
        self._settle()
        bad = first_bad_step(self.optimizer)
        if bad >= 0:
            place = min(max(bad - first, 0), batch)
            report_bad_batch(
                plan[place], self.checkpoint, epoch=epoch + 1, number=first + place + 1
            )

    def find(self, plan: EpochPlan, epoch: int, first: int, batch: int) -> None:
        """Look for a batch whose loss is not finite among the last ones, where a loss was not.

        Half precision skips steps that are not finite by itself, and JAX keeps the loss to itself.

        Raises:
            TrainingError: there is one; it is saved.
        """
        if not self.watching:
            return
        self._settle()
        for place in range(max(0, batch - 2 * CHECK_EVERY), batch + 1):
            inputs, targets, weights = plan[place]
            loss = self.model.test_on_batch(inputs, targets, weights, return_dict=True)["loss"]
            self.model.reset_metrics()
            if not keras.ops.isfinite(loss):
                number = first + place + 1
                report_bad_batch(plan[place], self.checkpoint, epoch=epoch + 1, number=number)

    def _settle(self) -> None:
        if keras.backend.backend() == "jax":
            self.model.jax_state_sync()

    def read(self, epoch: int, valid: Batches, seconds: float) -> EpochGradients | None:
        """Return what was measured in an epoch, counted from 1, and begin anew.

        Args:
            epoch: the one that ended.
            valid: of its first batch a few rows are read, to see how gates stand.
            seconds: that training took in this epoch; looking at gates takes a small part of it.
        """
        if not self.watching:
            return None
        frozen = has_closed_gate(self.model)
        read = read_epoch(self.optimizer, epoch, frozen=frozen, whole=self._whole)
        read.gates.update(self._probe.look(self.model, valid, seconds))
        return read

    def new_remarks(self, epochs: list[EpochGradients]) -> list[Remark]:
        """Return the remarks on a run that were not returned before."""
        found = [one for one in remarks(epochs) if (one.kind, one.layer) not in self._said]
        self._said |= {(one.kind, one.layer) for one in found}
        return found

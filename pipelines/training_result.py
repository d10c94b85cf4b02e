"""What a training run did."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from pipelines.gradients.judging import remarks
from pipelines.gradients.records import EpochGradients


@dataclass(frozen=True)
class TrainingResult:
    """What a training run did; the model holds the best epoch's weights.

    With `averaged_epochs` it holds the mean of the weights of so many last epochs instead. The
    weights of epochs from `averaged_from` on are means themselves, where averaging was triggered.
    `gradients` holds an `EpochGradients` of every epoch as plain JSON, if they were monitored.
    `recurrence` tells by which path every recurrent layer was trained, `tables` of every table of
    vectors whether a step updated the "rows" it read or "all".
    """

    history: list[dict[str, float]]
    best_epoch: int
    seconds: float
    tokens_per_second: float
    resumed_from_epoch: int | None
    best_value: float
    averaged_epochs: int = 0
    averaged_from: int | None = None
    gradients: list[dict[str, Any]] = field(default_factory=list)
    recurrence: dict[str, str] = field(default_factory=dict)
    tables: dict[str, str] = field(default_factory=dict)

    def then(self, later: TrainingResult, *, improved: bool) -> TrainingResult:
        """Return the result of this run and one that went on from it, as of one run.

        `improved` tells whether the model holds what the later one found.
        """
        past = len(self.history)
        rows, seen = (
            [{**row, "epoch": past + row["epoch"]} for row in entries]
            for entries in (later.history, later.gradients)
        )
        kept = replace(later, best_epoch=past + later.best_epoch) if improved else self
        seconds = self.seconds + later.seconds
        tokens = sum(run.tokens_per_second * run.seconds for run in (self, later))
        return replace(
            kept,
            history=[*self.history, *rows],
            gradients=[*self.gradients, *seen],
            recurrence=self.recurrence | later.recurrence,
            tables=self.tables | later.tables,
            seconds=seconds,
            tokens_per_second=tokens / max(seconds, 1e-9),
            resumed_from_epoch=self.resumed_from_epoch,
        )

    def as_json(self) -> dict[str, Any]:
        """Return the `training` entry of report.json."""
        seen = [EpochGradients.from_json(epoch) for epoch in self.gradients]
        return {
            "seconds": round(self.seconds, 2),
            "epochs": len(self.history),
            "best_epoch": self.best_epoch,
            "averaged_epochs": self.averaged_epochs,
            "averaged_from": self.averaged_from,
            "tokens_per_second": round(self.tokens_per_second),
            "resumed_from_epoch": self.resumed_from_epoch,
            "recurrence": self.recurrence,
            "tables": self.tables,
            "history": self.history,
            "gradients": {
                "warnings": [remark.text for remark in remarks(seen)],
                "epochs": self.gradients,
            },
        }

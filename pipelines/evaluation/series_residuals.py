"""Quantiles around a point forecast, from what the same rule missed in training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import EvaluationError
from pipelines.evaluation.backtest import members_of

if TYPE_CHECKING:
    from pipelines.datasets.series import WindowRows

Array = NDArray[Any]
Outputs = dict[str, Array]
ROWS_OF_ITS_OWN = 200  # training origins a series needs for quantiles of its own


class StepResiduals:
    """Quantiles and mean of residuals at each step of the horizon.

    A series with enough training origins has its own; the others share those of all series, each
    divided by a scale that its window shows and multiplied by the forecast window's. The residuals'
    median and mean move the forecast, so that a rule that is always too low is not punished for it.

    Args:
        levels: of the quantiles, rising.

    Attributes:
        own_: number of a series -> (quantiles [H, K, Q], means [H, K]) of its residuals.
        shared_: the same of scaled residuals of all series.
    """

    def __init__(self, levels: Sequence[float]) -> None:
        self.levels = np.asarray(levels, float)

    def fit(self, rows: WindowRows, residuals: Array, scale: Array) -> StepResiduals:
        """Learn from residuals of training windows and return self.

        Args:
            rows: the M training windows.
            residuals: actual less forecast, [M, H, K]; NaN where missing.
            scale: of each window, [M, K].

        Raises:
            EvaluationError: a step has no residual.
        """
        if len(rows) == 0 or np.isnan(residuals).all(axis=0).any():
            raise EvaluationError(
                f"spread of a baseline: {len(rows)} training windows, with a step of the horizon "
                "that is observed in none; expected one at least: give a longer training part"
            )
        members = members_of(rows.series)
        self.own_ = {
            number: self._summary(residuals[part])
            for number, part in members
            if _fewest(residuals[part]) >= ROWS_OF_ITS_OWN
        }
        usable = np.where(scale > 0, scale, 1.0)
        self.shared_ = self._summary(residuals / usable[:, None])
        return self

    def _summary(self, residuals: Array) -> tuple[Array, Array]:
        quantiles = np.nanquantile(residuals, self.levels, axis=0)
        return np.moveaxis(quantiles, 0, -1), np.nanmean(residuals, axis=0)

    def outputs(self, rows: WindowRows, points: Array, scale: Array) -> Outputs:
        """Give points [M, H, K] of windows their mean and quantiles."""
        usable = np.where(scale > 0, scale, 1.0)[:, None]
        quantiles = points[..., None] + self.shared_[0] * usable[..., None]
        means = points + self.shared_[1] * usable
        for number, part in members_of(rows.series):
            if number in self.own_:
                spread, shift = self.own_[number]
                quantiles[part] = points[part][..., None] + spread
                means[part] = points[part] + shift
        return {"mean": means, "quantiles": quantiles}


def _fewest(residuals: Array) -> int:
    """Number of residuals at the step that has the fewest."""
    return int((~np.isnan(residuals)).sum(axis=0).min())

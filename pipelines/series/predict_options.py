"""Options of `predict` for a forecaster."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipelines.options import PredictOptions


@dataclass(frozen=True, kw_only=True)
class ForecastOptions(PredictOptions):
    """What to forecast; the forecasts are written as csv."""

    file: str
    """A table with the columns of the training data and the recent past of one or many series, or
    - for csv on standard input; known covariates reach as far as the forecast."""
    quantiles: tuple[float, ...] = ()
    """Levels to print, within those of the model; none given: those of the model."""
    plot: Path | None = None
    """Also draw the forecasts, as a .png, .svg or .pdf."""

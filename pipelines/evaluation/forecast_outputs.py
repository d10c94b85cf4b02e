"""What a forecaster returns, checked against what was to be forecast."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import EvaluationError
from pipelines.evaluation import forecasting_metrics as metrics
from pipelines.evaluation.backtest import Backtest

Array = NDArray[Any]
Outputs = Mapping[str, Array]


@dataclass(frozen=True)
class Forecast:
    """One system's answers in original units.

    Attributes:
        mean: float64[N, H, K].
        median: float64[N, H, K], between the nearest levels where 0.5 is none of them.
        quantiles: float64[N, H, K, Q].
    """

    mean: Array
    median: Array
    quantiles: Array


def read_forecast(outputs: Outputs, backtest: Backtest, system: str = "model") -> Forecast:
    """Check a system's outputs against the back-test.

    Raises:
        EvaluationError: a key is missing, a shape is wrong, a forecast is not a number, or
            quantiles cross.
    """
    expected = {"mean": backtest.actual.shape, "quantiles": _quantile_shape(backtest)}
    for key, shape in expected.items():
        if key not in outputs:
            raise EvaluationError(
                f"{system}: outputs hold {sorted(outputs)} but not {key!r}; a forecaster returns "
                "'mean' and 'quantiles': check the serve signature"
            )
        if np.shape(outputs[key]) != shape:
            raise EvaluationError(
                f"{system}: {key!r} has the shape {np.shape(outputs[key])}; expected {shape} "
                "(rows, steps, targets, levels): forecast every test row once, at the levels of "
                "the back-test"
            )
        _require_numbers(np.asarray(outputs[key]), key, system)
    quantiles = np.asarray(outputs["quantiles"], np.float64)
    _require_rising(quantiles, backtest, system)
    median = metrics.at_level(quantiles, backtest.levels, 0.5)
    return Forecast(np.asarray(outputs["mean"], np.float64), median, quantiles)


def _quantile_shape(backtest: Backtest) -> tuple[int, ...]:
    return (*backtest.actual.shape, len(backtest.levels))


def _require_numbers(values: Array, key: str, system: str) -> None:
    bad = ~np.isfinite(values)
    if bad.any():
        row, step = np.argwhere(bad)[0][:2]
        raise EvaluationError(
            f"{system}: {key!r} of row {row + 1}, step {step + 1} is not a finite number "
            f"({bad.sum():,} of {bad.size:,} are not); expected a forecast for every step: check "
            "how missing values are handled"
        )


def _require_rising(quantiles: Array, backtest: Backtest, system: str) -> None:
    falls = np.diff(quantiles, axis=-1)
    # The rounding of float32 may turn a tie over.
    slack = 1e-5 * np.maximum(np.abs(quantiles[..., 1:]), np.abs(quantiles[..., :-1]))
    crossed = falls < -slack
    if crossed.any():
        row, step, _, place = np.argwhere(crossed)[0]
        raise EvaluationError(
            f"{system}: quantiles of row {row + 1}, step {step + 1} cross: level "
            f"{backtest.levels[place + 1]} lies below level {backtest.levels[place]}; expected "
            "values that do not fall as the level rises: sort them"
        )

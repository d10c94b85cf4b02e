"""What a `SeriesScaling` layer knows of the training series; NumPy only.

Every statistic is of the training part alone. Of a target it is the median over the series of each
series' own location and scale, so that a thousand short series count a thousand times.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from pipelines.errors import DataError

Scaling = Literal["mean", "robust", "standard", "none"]
Floats = npt.NDArray[np.floating[Any]]

NORMAL_IQR = 1.349  # the interquartile range of the normal distribution, in standard deviations
LOG_QUANTILE = 0.1  # of the sizes of training values other than 0: the unit of the logarithm
SAMPLED = 200_000  # values of a series that its median and the like are computed from, at most
FLAT = 1e-6  # a spread below this share of the largest value is rounding


@dataclass(frozen=True)
class SeriesStatistics:
    """Statistics of the training series; K targets, C covariates (past, then known), S statics.

    Args:
        unit: the size around which the logarithm bends, float[K]; 1 without a logarithm.
        signed: whether a target falls below 0, bool[K]: then asinh stands for log1p.
        location: of a target after the logarithm, float[K].
        scale: likewise, above 0.
        level: mean absolute value after the logarithm, above 0, float[K].
        center: means of the covariates, float[C]; of words, unused.
        spread: their standard deviations, above 0, float[C].
        static_center: means of the statics over the series, float[S].
        static_spread: their standard deviations, above 0, float[S].
    """

    unit: Floats
    signed: npt.NDArray[np.bool_]
    location: Floats
    scale: Floats
    level: Floats
    center: Floats
    spread: Floats
    static_center: Floats
    static_spread: Floats


def fit_statistics(
    series: Sequence[npt.NDArray[Any]],
    static: npt.NDArray[Any] | None = None,
    *,
    targets: int,
    scaling: Scaling = "mean",
    log: bool = False,
) -> SeriesStatistics:
    """Measure the training part of every series.

    Args:
        series: a float[n, F] array a series, columns in the order targets, past, known; NaN is
            missing. A memory-mapped array is read a column at a time.
        static: statics of the same series, float[len(series), S]; None for none.
        targets: K.
        scaling: what location and scale are; "none" measures mean and standard deviation.
        log: whether a logarithm comes before.

    Raises:
        DataError: a target has no observed value in any series.
    """
    measured = [_target(series, k, scaling, log) for k in range(targets)]
    unit, signed, location, scale, level = (np.array(part) for part in zip(*measured, strict=True))
    columns = series[0].shape[1]
    center, spread = _moments([_pooled(series, c) for c in range(targets, columns)])
    of_statics = [] if static is None else [_mean_and_deviation([part]) for part in static.T]
    static_center, static_spread = _moments(of_statics)
    return SeriesStatistics(
        unit, signed, location, scale, level, center, spread, static_center, static_spread
    )


def log_transform(values: Floats, unit: float, signed: bool) -> Floats:
    """Return log(1 + values / unit) of values above 0, or asinh(values / unit) of any."""
    if signed:
        return np.arcsinh(values / unit)
    return np.log1p(np.maximum(values, 0) / unit)


def _target(
    series: Sequence[npt.NDArray[Any]], column: int, scaling: Scaling, log: bool
) -> tuple[float, bool, float, float, float]:
    """Return unit, signed, location, scale and level of one target."""
    parts = [_observed(part[:, column]) for part in series]
    parts = [part for part in parts if len(part)]
    if not parts:
        raise DataError(
            f"training part, target {column + 1}: got no observed value in {len(series)} series, "
            "expected at least one to scale by; check the target column, or leave it out"
        )
    signed = any(bool((part < 0).any()) for part in parts)
    unit = _log_unit(parts) if log else 1.0
    if log:
        parts = [log_transform(part, unit, signed) for part in parts]
    rows = np.array([_location_and_scale(part, scaling) for part in parts])
    location, scale, level = np.median(rows, axis=0)
    level = level or 1.0
    return unit, signed, float(location), float(scale or level), float(level)


def _observed(column: npt.NDArray[Any]) -> Floats:
    values = np.asarray(column[:: max(1, len(column) // SAMPLED)], np.float64)
    return values[np.isfinite(values)]


def _log_unit(parts: Sequence[Floats]) -> float:
    sizes = np.abs(np.concatenate(parts))
    sizes = sizes[sizes > 0]
    return float(np.quantile(sizes, LOG_QUANTILE)) if len(sizes) else 1.0


def _location_and_scale(values: Floats, scaling: Scaling) -> tuple[float, float, float]:
    """Return location, scale (0 of constant values) and mean absolute value."""
    level = float(np.mean(np.abs(values)))
    if scaling == "mean":
        return 0.0, level, level
    if scaling == "robust":
        low, location, high = np.quantile(values, (0.25, 0.5, 0.75))
        scale = (high - low) / NORMAL_IQR or float(np.mean(np.abs(values - location)))
    else:
        location, scale = np.mean(values), np.std(values)
    flat = scale <= FLAT * np.max(np.abs(values))
    return float(location), 0.0 if flat else float(scale), level


def _pooled(series: Sequence[npt.NDArray[Any]], column: int) -> tuple[float, float]:
    return _mean_and_deviation([part[:, column] for part in series])


def _mean_and_deviation(parts: Sequence[npt.NDArray[Any]]) -> tuple[float, float]:
    """Merge the moments of the parts (Chan et al., 1983); constant or empty columns give 1."""
    count, mean, squares = 0, 0.0, 0.0
    for part in parts:
        values = np.asarray(part, np.float64)
        values = values[np.isfinite(values)]
        if not len(values):
            continue
        gap, size = values.mean() - mean, len(values)
        squares += ((values - values.mean()) ** 2).sum() + gap**2 * count * size / (count + size)
        mean, count = mean + gap * size / (count + size), count + size
    deviation = np.sqrt(squares / count) if count else 0.0
    return float(mean), float(deviation if deviation > FLAT * abs(mean) else 1.0)


def _moments(pairs: Sequence[tuple[float, float]]) -> tuple[Floats, Floats]:
    table = np.array(pairs, np.float64).reshape(-1, 2)
    return table[:, 0], table[:, 1]

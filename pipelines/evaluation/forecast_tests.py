"""Whether one forecaster is better than another, or luck: paired tests that know of time.

Errors of neighbouring origins resemble each other: their horizons overlap, and weather lasts.
Taking them for independent rows would find differences where there are none.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from pipelines.evaluation import resampling
from pipelines.evaluation.backtest import Backtest

Array = NDArray[Any]
FEWEST_ORIGINS = 20
RESAMPLES = 2000
_BLOCK_WEIGHTS = 4_000_000  # weights held at a time: 32 MB


@dataclass(frozen=True)
class Units:
    """What is resampled: origins in time order, or series where there are few origins.

    Attributes:
        numbers: the unit of each row, int64[N], in 0..count - 1.
        count: number of units.
        overlap: units after an origin whose horizon still shares a step with its own.
        block: units that are drawn together.
        name: of a unit, in the plural.
    """

    numbers: Array
    count: int
    overlap: int
    block: int
    name: str


def units_of(backtest: Backtest) -> Units:
    """Choose origins as units; whole series if there are few origins and more series.

    All rows of one time are one unit. A block spans a season and the horizon at least, so that what
    drawing cuts apart is nearly independent. Thousands of short series may have but a few origins:
    those series are then taken for independent of each other.
    """
    blocks = backtest.blocks
    count = int(blocks.max(initial=-1)) + 1
    series, numbers = np.unique(backtest.series, return_inverse=True)
    if count < FEWEST_ORIGINS and len(series) > count:
        return Units(numbers.astype(np.int64), len(series), 0, 1, "series")
    spacing = _spacing(backtest)
    overlap = max(0, math.ceil(backtest.horizon / spacing) - 1)
    reach = math.ceil(max(backtest.horizon, backtest.season) / spacing)
    block = max(1, min(max(reach, round(count ** (1 / 3))), count // 4))
    return Units(blocks, count, overlap, block, "origins")


def _spacing(backtest: Backtest) -> float:
    """Median distance between neighbouring origins, in steps, one at least."""
    origins = np.unique(backtest.times[:, 0])
    if len(origins) < 2 or backtest.horizon < 2:
        return 1.0
    step = float(np.median(np.diff(backtest.times[:1], axis=1)))
    return max(1.0, float(np.median(np.diff(origins))) / max(step, 1.0))


def diebold_mariano(differences: Array, *, overlap: int = 0) -> float:
    """Two-sided p-value of a mean loss difference of zero (Diebold & Mariano, 1995).

    The variance of the mean allows for autocorrelation with Bartlett weights (Newey & West, 1987)
    up to three times the overlap of horizons, and at least up to 4 (n / 100)^(2/9) neighbours, for
    errors of real forecasts are correlated beyond it. The statistic is corrected for small samples
    and held against Student's t (Harvey, Leybourne & Newbold, 1997), with their h one more than the
    neighbours allowed for. On simulated overlapping errors without a difference, 300 origins at an
    overlap of 0, 3, 11 gave p < 0.05 in 5, 7 and 7 % of cases; once the overlap, as is usual, 11 %.

    Args:
        differences: loss of one forecaster minus that of another, in time order, float[n].
        overlap: h - 1, number of later origins whose horizons share steps with an origin's own.
    """
    count = len(differences)
    gaps = np.asarray(differences, float)
    if count < 2 or np.ptp(gaps) == 0:
        return 1.0 if count < 2 or gaps[0] == 0 else 0.0
    lags = min(max(3 * overlap, int(4 * (count / 100) ** (2 / 9))), count - 1)
    variance = long_run_variance(gaps, lags) / count
    ahead = min(lags + 1, max(1, count // 2))
    shrunk = (count + 1 - 2 * ahead + ahead * (ahead - 1) / count) / count
    statistic = gaps.mean() / math.sqrt(variance) * math.sqrt(shrunk)
    return float(2 * student.sf(abs(statistic), df=count - 1))


def long_run_variance(values: Array, lags: int) -> float:
    """Variance plus twice the autocovariances, with weights that fall to 0 after `lags`."""
    centred = values - values.mean()
    total = float(centred @ centred)
    for lag in range(1, lags + 1):
        total += 2 * (1 - lag / (lags + 1)) * float(centred[lag:] @ centred[:-lag])
    return total / len(values)


def resampled_totals(sums: Array, units: Units, *, seed: int, resamples: int = RESAMPLES) -> Array:
    """Totals of columns in resamples made of whole blocks of neighbouring units.

    Blocks start anywhere and wrap round the end (Politis & Romano, 1992), so that every unit is
    drawn equally often.

    Args:
        sums: what each unit adds to each total, float64[U, C].
        units: of `units_of`.
        seed: of the resampling.
        resamples: number of resamples R.

    Returns:
        float64[R, C].

    Raises:
        EvaluationError: there is no unit.
    """
    resampling.require_rows(len(sums))
    sums, block = _pooled(np.asarray(sums, float), units.block)
    random = np.random.default_rng(seed)
    size = max(1, _BLOCK_WEIGHTS // len(sums))
    parts = [
        block_weights(random, min(size, resamples - start), len(sums), block) @ sums
        for start in range(0, resamples, size)
    ]
    return np.concatenate(parts)


def block_weights(random: np.random.Generator, lines: int, units: int, block: int) -> Array:
    """How often each unit occurs when blocks are drawn with replacement, float64[lines, units]."""
    drawn = random.integers(0, units, size=(lines, max(1, round(units / block))))
    drawn += np.arange(lines)[:, None] * units
    starts = np.bincount(drawn.ravel(), minlength=lines * units).reshape(lines, units)
    wrapped = np.concatenate([starts[:, units - block + 1 :], starts], axis=1)
    added = np.cumsum(np.pad(wrapped, ((0, 0), (1, 0))), axis=1)
    return np.asarray(added[:, block:] - added[:, :-block], float)


def _pooled(sums: Array, block: int) -> tuple[Array, int]:
    """Add up neighbours where there are more units than resampling needs."""
    together = -(-len(sums) // resampling.MAX_UNITS)
    if together == 1:
        return sums, block
    starts = np.arange(0, len(sums), together)
    return np.add.reduceat(sums, starts), max(1, -(-block // together))

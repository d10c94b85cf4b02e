"""Intervals and paired comparisons by resampling the test set (Efron & Tibshirani, 1993).

Everything rests on one idea: drawing N rows with replacement is drawing how often each row occurs.
A statistic is therefore a function of weights, float64[R, U]: one line per resample, one column per
unit. A unit is whatever is exchangeable: a row, a document (`groups=`), or a cell of a contingency
table that stands for all the rows in it. Cells make the cost independent of the number of rows.

Above `resampling.MAX_UNITS` units, units are first pooled at random; resampling the pools
estimates the same sampling variance, so a million rows cost what twenty thousand do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from pipelines.errors import EvaluationError
from pipelines.evaluation.resampling import drawn_rows, pool, require_rows, weights

Array = NDArray[Any]
Statistic = Callable[[Array], Array]

RESAMPLES = 2000
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Interval:
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Difference:
    """First minus second on the same rows, its 95 % interval and the two-sided p-value."""

    value: float
    low: float
    high: float
    p_value: float


def bootstrap_weighted(
    statistic: Statistic,
    counts: Array,
    *,
    seed: int,
    resamples: int = RESAMPLES,
    centred: bool = False,
) -> Interval:
    """Percentile interval of a statistic of unit weights.

    Args:
        statistic: maps weights float64[R, U] to values float64[R].
        counts: rows that each unit stands for, int[U]; all ones when units are rows.
        seed: of the resampling.
        resamples: number of resamples.
        centred: shift the resampled values so that their mean is the measured value; for a sum of
            absolute gaps, which resampling noise can only enlarge.

    Raises:
        EvaluationError: there is no row to resample.
    """
    value = _measured(statistic, counts)
    values = _resampled(statistic, counts, seed, resamples)
    if centred:
        values += value - values.mean()
    low, high = percentiles(values)
    return Interval(value, low, high)


def compare_weighted(
    first: Statistic, second: Statistic, counts: Array, *, seed: int, resamples: int = RESAMPLES
) -> Difference:
    """Paired difference `first - second`: both see the same rows in every resample.

    The p-value is twice the smaller share of resamples on either side of zero, counting the
    measured sample as one of them, so it is never below 1 / (resamples + 1).
    """

    def gap(weights: Array) -> Array:
        return np.asarray(first(weights) - second(weights))

    value = _measured(gap, counts)
    values = _resampled(gap, counts, seed, resamples)
    return Difference(value, *percentiles(values), two_sided(values))


def bootstrap_sums(
    sums: Array,
    statistic: Statistic,
    *,
    groups: Array | None = None,
    seed: int,
    resamples: int = RESAMPLES,
    centred: bool = False,
) -> Interval:
    """Interval of a statistic of column totals: means, ratios, micro F1, corpus BLEU.

    Args:
        sums: what each row adds to each total, float[N, K].
        statistic: maps totals float64[R, K] to values float64[R].
        groups: int[N], the document of each row; documents are then resampled, not rows.
        seed: of the resampling.
        resamples: number of resamples.
        centred: see `bootstrap_weighted`.
    """
    units = pool(sums, groups, seed)
    return bootstrap_weighted(
        lambda weights: statistic(weights @ units),
        np.ones(len(units), np.int64),
        seed=seed,
        resamples=resamples,
        centred=centred,
    )


def compare_sums(
    first: Array,
    second: Array,
    statistic: Statistic,
    *,
    groups: Array | None = None,
    seed: int,
    resamples: int = RESAMPLES,
) -> Difference:
    """Paired difference of one statistic of column totals, over rows or documents.

    Raises:
        EvaluationError: the two do not have the same number of rows.
    """
    if len(first) != len(second):
        raise EvaluationError(
            f"paired comparison: {len(first)} rows against {len(second)}; both systems must be "
            "scored on the same rows: predict every test row with both"
        )
    width = first.shape[1]
    units = pool(np.hstack([first, second]), groups, seed)
    return compare_weighted(
        lambda weights: statistic(weights @ units[:, :width]),
        lambda weights: statistic(weights @ units[:, width:]),
        np.ones(len(units), np.int64),
        seed=seed,
        resamples=resamples,
    )


def bootstrap_mean(
    values: Array, *, groups: Array | None = None, seed: int, resamples: int = RESAMPLES
) -> Interval:
    """Interval of the mean of one value per row, float[N]."""
    return bootstrap_sums(_with_ones(values), _ratio, groups=groups, seed=seed, resamples=resamples)


def compare_means(
    first: Array,
    second: Array,
    *,
    groups: Array | None = None,
    seed: int,
    resamples: int = RESAMPLES,
) -> Difference:
    """Paired difference of two means over the same rows, float[N] each."""
    return compare_sums(
        _with_ones(first),
        _with_ones(second),
        _ratio,
        groups=groups,
        seed=seed,
        resamples=resamples,
    )


def bootstrap_statistic(
    statistic: Callable[[Array], float],
    rows: int,
    *,
    groups: Array | None = None,
    seed: int,
    resamples: int = RESAMPLES,
) -> Interval:
    """Interval of any statistic of row numbers; slow, for what no total or table can express.

    Args:
        statistic: maps row numbers int64[M], with repeats, to a value.
        rows: number of rows N.
        groups: int[N]; whole documents are drawn when given.
        seed: of the resampling.
        resamples: number of resamples; each is one call of `statistic`.
    """
    require_rows(rows)
    values = np.array(
        [statistic(drawn) for drawn in drawn_rows(rows, groups, seed, resamples)], float
    )
    return Interval(float(statistic(np.arange(rows))), *percentiles(values))


def compare_statistic(
    first: Callable[[Array], float],
    second: Callable[[Array], float],
    rows: int,
    *,
    groups: Array | None = None,
    seed: int,
    resamples: int = RESAMPLES,
) -> Difference:
    """Paired difference of two statistics of the same drawn row numbers."""
    require_rows(rows)
    draws = drawn_rows(rows, groups, seed, resamples)
    values = np.array([first(drawn) - second(drawn) for drawn in draws], float)
    everything = np.arange(rows)
    value = float(first(everything) - second(everything))
    return Difference(value, *percentiles(values), two_sided(values))


def proportion_interval(hits: int, count: int) -> Interval:
    """Wilson's interval of a share: unlike the bootstrap's, honest at 0, at 1 and for few rows."""
    require_rows(count)
    interval = binomtest(hits, count).proportion_ci(CONFIDENCE, method="wilson")
    return Interval(hits / count, float(interval.low), float(interval.high))


def mcnemar_p_value(first_only: int, second_only: int) -> float:
    """Exact two-sided McNemar test from the rows that only one of two systems got right."""
    if first_only + second_only == 0:
        return 1.0
    return float(binomtest(first_only, first_only + second_only, 0.5).pvalue)


def _measured(statistic: Statistic, counts: Array) -> float:
    require_rows(int(np.sum(counts)))
    return float(statistic(np.asarray(counts, float)[None, :])[0])


def _resampled(statistic: Statistic, counts: Array, seed: int, resamples: int) -> Array:
    return np.concatenate([statistic(w) for w in weights(counts, seed, resamples)]).astype(float)


def percentiles(values: Array) -> tuple[float, float]:
    """Ends of the 95 % interval of resampled values."""
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(values, [tail, 100 - tail])
    return float(low), float(high)


def two_sided(values: Array) -> float:
    """P-value of resampled differences: twice the smaller share on either side of zero."""
    smaller = min(np.sum(values <= 0), np.sum(values >= 0))
    return float(min(1.0, 2 * (smaller + 1) / (len(values) + 1)))


def _with_ones(values: Array) -> Array:
    return np.column_stack([np.asarray(values, float), np.ones(len(values))])


def _ratio(totals: Array) -> Array:
    return np.asarray(totals[:, 0] / totals[:, 1])

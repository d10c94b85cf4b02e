"""Make scores: a value with its interval, and every baseline held against it on the same rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.evaluation import bootstrap
from pipelines.evaluation.scores import Comparison, Score

Array = NDArray[Any]


def share_score(
    name: str,
    right: Array,
    others: Mapping[str, Array],
    *,
    counted: str = "rows",
    seed: int,
) -> Score:
    """Score the share of right rows, with Wilson's interval and exact McNemar p-values.

    Args:
        name: of the score.
        right: whether the model is right on each row, bool[N].
        others: the same for each baseline.
        counted: what a row is, in the plural.
        seed: of the resampling behind the intervals of the differences.

    Raises:
        EvaluationError: there is no row.
    """
    interval = bootstrap.proportion_interval(int(right.sum()), len(right))
    return Score(
        name=name,
        value=interval.value,
        unit="fraction",
        better="higher",
        count=len(right),
        low=interval.low,
        high=interval.high,
        counted=counted,
        baselines={system: _compare_shares(right, hits, seed) for system, hits in others.items()},
    )


def _compare_shares(right: Array, other_right: Array, seed: int) -> Comparison:
    """Exact McNemar p-value; the interval resamples the 2 × 2 table of who was right."""
    table = np.bincount(2 * right + other_right, minlength=4)
    gain = np.array([0, -1, 1, 0])
    difference = bootstrap.compare_weighted(
        lambda weights: weights @ np.maximum(gain, 0) / table.sum(),
        lambda weights: weights @ np.maximum(-gain, 0) / table.sum(),
        table,
        seed=seed,
    )
    p_value = bootstrap.mcnemar_p_value(int(table[2]), int(table[1]))
    return Comparison(
        value=float(other_right.mean()),
        difference=difference.value,
        low=difference.low,
        high=difference.high,
        p_value=p_value,
    )


def sums_score(
    name: str,
    sums: Array,
    others: Mapping[str, Array],
    statistic: bootstrap.Statistic,
    *,
    count: int,
    counted: str = "rows",
    seed: int,
) -> Score:
    """Score a fraction that is a function of column totals, by resampling rows in pairs.

    Args:
        name: of the score.
        sums: what each row adds to each total, [N, K].
        others: the same for each baseline.
        statistic: maps totals [R, K] to values [R].
        count: number of units the value was measured on.
        counted: what they are, in the plural.
        seed: of the resampling.

    Raises:
        EvaluationError: there is no row.
    """
    interval = bootstrap.bootstrap_sums(sums, statistic, seed=seed)
    return Score(
        name=name,
        value=interval.value,
        unit="fraction",
        better="higher",
        count=count,
        low=interval.low,
        high=interval.high,
        counted=counted,
        baselines={
            system: comparison(
                float(statistic(np.asarray(other, float).sum(axis=0, keepdims=True))[0]),
                bootstrap.compare_sums(sums, other, statistic, seed=seed),
            )
            for system, other in others.items()
        },
    )


def comparison(value: float, difference: bootstrap.Difference) -> Comparison:
    """Put a baseline's value and the model's difference from it into one."""
    return Comparison(
        value=value,
        difference=difference.value,
        low=difference.low,
        high=difference.high,
        p_value=difference.p_value,
    )

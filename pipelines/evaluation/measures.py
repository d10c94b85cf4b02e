"""Scores that are functions of totals over rows, resampled in pairs by row or by document."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.evaluation import bootstrap
from pipelines.evaluation.scores import Better, Comparison, Score
from pipelines.evaluation.scoring import comparison
from pipelines.evaluation.units import TRIALS, Units

Array = NDArray[Any]
Statistic = Callable[[Array], Array]


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A score as a function of totals: what every row adds to them, for each system.

    Attributes:
        name: of the score.
        model: what each row of the model's adds to the totals, [N, K].
        others: the same for each baseline.
        statistic: maps totals [R, K] to values [R].
        better: which way is better.
        unit: of the value.
        target: the best value, where there is one.
        count: number of units the value was measured on.
        counted: what they are, in the plural.
    """

    name: str
    model: Array
    statistic: Statistic
    better: Better
    others: Mapping[str, Array] = field(default_factory=dict)
    unit: str = ""
    target: float | None = None
    count: int
    counted: str = "pairs"


def ratio_measure(
    name: str,
    found: Mapping[str, Array],
    *,
    counted: str,
    unit: str = "",
    better: Better = "lower",
    target: float | None = None,
) -> Measure:
    """Build the measure of one total over another, float[N, 2] of each system."""
    others = {system: sums for system, sums in found.items() if system != "model"}
    return Measure(
        name=name,
        model=found["model"],
        others=others,
        statistic=share,
        better=better,
        target=target,
        unit=unit,
        count=int(found["model"][:, 1].sum()),
        counted=counted,
    )


def share(totals: Array) -> Array:
    """Divide the first total by the second, [R, 2] -> [R]."""
    # Documents can be drawn in which nothing could happen; nothing did, then.
    over = totals[:, 1]
    return np.asarray(np.divide(totals[:, 0], over, out=np.zeros(len(totals)), where=over > 0))


def score_of(measure: Measure, units: Units, *, seed: int) -> Score:
    """Resample a measure's totals, the model's beside each other system's."""
    interval = bootstrap.bootstrap_sums(
        measure.model, measure.statistic, groups=units.groups, seed=seed, resamples=TRIALS
    )
    return Score(
        name=measure.name,
        value=interval.value,
        unit=measure.unit,
        better=measure.better,
        count=measure.count,
        low=interval.low,
        high=interval.high,
        counted=measure.counted,
        target=measure.target,
        baselines={
            system: _compare(measure, sums, units, seed) for system, sums in measure.others.items()
        },
    )


def with_p_values(score: Score, p_value_of: Mapping[str, float]) -> Score:
    """Put sacrebleu's p-values, one a system, in the place of the bootstrap's."""
    entries = {
        system: replace(entry, p_value=p_value_of.get(system, entry.p_value))
        for system, entry in score.baselines.items()
    }
    return replace(score, baselines=entries)


def _compare(measure: Measure, other: Array, units: Units, seed: int) -> Comparison:
    def distance(totals: Array) -> Array:
        found = measure.statistic(totals)
        return found if measure.target is None else np.abs(found - measure.target)

    difference = bootstrap.compare_sums(
        measure.model, other, distance, groups=units.groups, seed=seed, resamples=TRIALS
    )
    totals = np.asarray(other, float).sum(axis=0, keepdims=True)
    return comparison(float(measure.statistic(totals)[0]), difference)

"""What trainings that differ in their seed alone say: means, intervals, and which differ."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from pipelines.evaluation.wording import SIGNIFICANT

ROUNDING = 1e-12  # equal results of several seeds may differ by this


@dataclass(frozen=True)
class Mean:
    """A mean over seeds with its 95 % interval by Student's t; None with one seed."""

    value: float
    low: float | None
    high: float | None


def mean_of(values: Sequence[float]) -> Mean:
    """Return the mean and its interval, from these values' own deviation alone."""
    value, count = float(np.mean(values)), len(values)
    if count < 2:
        return Mean(value, None, None)
    half = float(stats.t.ppf(0.975, count - 1) * np.std(values, ddof=1) / math.sqrt(count))
    return Mean(value, value - half, value + half)


def welch_p_values(
    best: Sequence[float], others: Mapping[str, Sequence[float]]
) -> dict[str, float]:
    """Return two-sided p-values of Welch's t-test of each against `best`, after Holm (1979).

    Holm's correction keeps the chance of any false difference at 5 % however many are compared.
    Fewer than two seeds say nothing: 1.
    """
    raw = {name: _welch(best, values) for name, values in others.items()}
    corrected, highest = {}, 0.0
    for place, name in enumerate(sorted(raw, key=lambda name: raw[name])):
        highest = max(highest, min(1.0, raw[name] * (len(raw) - place)))
        corrected[name] = highest
    return corrected


def _welch(one: Sequence[float], other: Sequence[float]) -> float:
    if min(len(one), len(other)) < 2:
        return 1.0
    errors = [float(np.var(values, ddof=1)) / len(values) for values in (one, other)]
    gap, error = abs(float(np.mean(one)) - float(np.mean(other))), sum(errors)
    # Seeds that agree to the digit, as on few test rows, say nothing of how much others would vary.
    if error <= ROUNDING**2:
        return 1.0
    shares = [e**2 / (len(v) - 1) for e, v in zip(errors, (one, other), strict=True)]
    return float(2 * stats.t.sf(gap / math.sqrt(error), error**2 / sum(shares)))


def is_clear(p_value: float) -> bool:
    """Tell whether a difference with this corrected p-value is called one."""
    return p_value < SIGNIFICANT

"""Errors of forecasts, in NumPy, with NaN wherever the actual value is missing.

A loss is an array of the shape of the actual values, [N, H, K] (rows, steps, targets); whatever is
reported is a mean of one over what was observed: over everything, by step, by hour, by series.
Definitions are those of utilsforecast 0.2.17 where it has the same figure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def absolute_error(actual: Array, point: Array) -> Array:
    """Distance of forecasts from what came, in units."""
    return np.abs(actual - point)


def squared_error(actual: Array, point: Array) -> Array:
    """Squared distance, in squared units."""
    return np.square(actual - point)


def scaled_error(actual: Array, point: Array, scale: Array) -> Array:
    """Absolute error over the row's MASE denominator; NaN where that is missing or 0.

    Args:
        actual: what came, [N, H, K].
        point: the forecast, [N, H, K].
        scale: error of the seasonal naive forecast on the series' training part, [N, K].
    """
    usable = np.where(np.asarray(scale) > 0, scale, np.nan)
    return absolute_error(actual, point) / usable[:, None, :]


def symmetric_error(actual: Array, point: Array) -> Array:
    """Absolute error over the sum of both sizes, in 0..1; 0 where both are 0."""
    total = np.abs(actual) + np.abs(point)
    ratio = absolute_error(actual, point) / np.where(total == 0, 1.0, total)
    return np.where(total == 0, 0.0, ratio)


def pinball(actual: Array, quantile: Array, level: float) -> Array:
    """Quantile loss of one level (Koenker & Bassett, 1978), in units."""
    gap = actual - quantile
    return np.maximum(level * gap, (level - 1) * gap)


def crps_of_quantiles(actual: Array, quantiles: Array, levels: Sequence[float]) -> Array:
    """Continuous ranked probability score from quantiles: twice the mean quantile loss.

    That is the integral form of the score (Laio & Tamea, 2007) as a sum over the levels, each
    weighted alike; it needs levels that are spread evenly, as 0.1 ... 0.9 are. Tails beyond the
    outer levels count as the levels nearest to them.

    Args:
        actual: what came, [N, H, K].
        quantiles: [N, H, K, Q].
        levels: the Q levels.

    Returns:
        [N, H, K], in units.
    """
    # One level at a time: all at once would need Q times the memory.
    total = np.zeros(np.shape(actual))
    for place, level in enumerate(levels):
        total += pinball(actual, quantiles[..., place], level)
    return 2 * total / len(levels)


def crps_of_samples(actual: Array, samples: Array) -> Array:
    """Score of the empirical distribution of samples, exactly: E|X - y| - E|X - X'| / 2.

    Args:
        actual: what came, [...].
        samples: [..., S].
    """
    ordered = np.sort(samples, axis=-1)
    count = ordered.shape[-1]
    ranks = 2 * np.arange(1, count + 1) - count - 1
    spread = (ordered * ranks).sum(axis=-1) / count**2
    return np.asarray(np.abs(samples - actual[..., None]).mean(axis=-1) - spread)


def covered(actual: Array, low: Array, high: Array) -> Array:
    """1 where the value came to lie in the interval, ends included, else 0; NaN if missing."""
    inside = (actual >= low) & (actual <= high)
    return np.where(np.isnan(actual), np.nan, inside.astype(float))


def interval_width(actual: Array, low: Array, high: Array) -> Array:
    """Width of intervals in units, NaN where the actual value is missing."""
    return np.where(np.isnan(actual), np.nan, high - low)


def mean(losses: Array) -> float:
    """Mean over all that was observed; NaN if nothing was."""
    return float(losses[~np.isnan(losses)].mean()) if (~np.isnan(losses)).any() else float("nan")


def by_step(losses: Array) -> Array:
    """Mean for every step of the horizon, float64[H]."""
    return by_group(losses, np.arange(losses.shape[1])[None, :], losses.shape[1])


def by_group(losses: Array, groups: Array, count: int) -> Array:
    """Mean for every group, float64[count]; NaN for a group without an observed value.

    Args:
        losses: [N, H, K].
        groups: group numbers of rows [N] or of steps [N, H] or [1, H].
        count: number of groups.
    """
    sums, counts = group_sums(losses, groups, count)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def group_sums(losses: Array, groups: Array, count: int) -> tuple[Array, Array]:
    """Sum and number of observed values in every group, float64[count] and int64[count]."""
    groups = np.asarray(groups)
    numbers = np.broadcast_to(groups.reshape(*groups.shape, *[1] * (3 - groups.ndim)), losses.shape)
    seen = ~np.isnan(losses)
    sums = np.bincount(numbers[seen], losses[seen], minlength=count)
    return sums, np.bincount(numbers[seen], minlength=count)


def hours(times: Array) -> Array:
    """Hour of the day, 0..23, of wall-clock seconds of any shape."""
    return np.asarray(times, np.int64) // 3_600 % 24


def weekdays(times: Array) -> Array:
    """Day of the week of wall-clock seconds of any shape; 0 is Monday (1970 began on Thursday)."""
    return (np.asarray(times, np.int64) // 86_400 + 3) % 7


def at_level(quantiles: Array, levels: Sequence[float], level: float) -> Array:
    """Quantile of a level, straight between the nearest levels, [N, H, K]; the outer ones bound."""
    place = float(np.interp(level, levels, np.arange(len(levels))))
    left = int(place)
    right, share = min(left + 1, len(levels) - 1), place - left
    if share < 1e-9:
        return np.asarray(quantiles[..., left])
    return np.asarray((1 - share) * quantiles[..., left] + share * quantiles[..., right])


def central_intervals(levels: Sequence[float]) -> list[tuple[float, int, int]]:
    """Pairs of levels that leave equal tails, the widest first: nominal share and both places."""
    places = {round(level, 6): place for place, level in enumerate(levels)}
    pairs = []
    for level, place in places.items():
        mirrored = places.get(round(1 - level, 6))
        if level < 0.5 and mirrored is not None:
            pairs.append((round(1 - 2 * level, 6), place, mirrored))
    return sorted(pairs, reverse=True)


def mae(actual: Array, point: Array) -> float:
    """Mean absolute error."""
    return mean(absolute_error(actual, point))


def rmse(actual: Array, point: Array) -> float:
    """Root of the mean squared error."""
    return float(np.sqrt(mean(squared_error(actual, point))))


def mase(actual: Array, point: Array, scale: Array) -> float:
    """Mean absolute scaled error: every observed value counts once, over its series' own scale.

    1.0 equals the in-sample error of repeating the value one season ago (Hyndman & Koehler, 2006).
    Series that have no scale are left out.
    """
    return mean(scaled_error(actual, point, scale))


def smape(actual: Array, point: Array) -> float:
    """Mean symmetric error in 0..1: half of the definition that reaches 2 (200 %)."""
    return mean(symmetric_error(actual, point))


def crps(actual: Array, quantiles: Array, levels: Sequence[float]) -> float:
    """Mean of `crps_of_quantiles`."""
    return mean(crps_of_quantiles(actual, quantiles, levels))


def weighted_quantile_loss(actual: Array, quantiles: Array, levels: Sequence[float]) -> float:
    """Twice the quantile losses, averaged over levels, over the sum of the actual sizes."""
    losses = crps_of_quantiles(actual, quantiles, levels)
    return float(np.nansum(losses) / np.nansum(np.abs(actual)))


def coverage(actual: Array, low: Array, high: Array) -> float:
    """Share of values that came to lie in their interval."""
    return mean(covered(actual, low, high))

"""Functions of Student's t and the negative binomial that `keras.ops` lacks, in float32.

Stated errors hold over the stated ranges and are tested against scipy.stats.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from keras import ops
from numpy.polynomial import chebyshev

# Interpolation points over the squared normal score, and over 1 / degrees of freedom.
SCORE_POINTS, FREEDOM_POINTS = 14, 12
LARGEST_SCORE = 4.8  # of the levels 1e-6 and 1 - 1e-6
SHIFT = 12  # the approximation of the incomplete beta function starts at parameters above this
NEAR = 0.1  # below this, 1 + x and its logarithm lose digits that a series keeps


def log_gamma_step(x: Any) -> Any:
    """Return log Γ(x + 1/2) - log Γ(x) for x >= 1, within 1e-6.

    Four steps of the recurrence, then the asymptotic series (Tricomi & Erdélyi, 1951): unlike a
    difference of two log Γ it keeps its digits where x is large.
    """
    y = x + 4.0
    series = 0.5 * ops.log(y) - 1.0 / (8.0 * y) + 1.0 / (192.0 * y**3) - 1.0 / (640.0 * y**5)
    return series - sum(ops.log1p(0.5 / (x + step)) for step in range(4))


def student_t_score(scores: Any, freedom: Any) -> Any:
    """Return the quantile of Student's t at the level whose normal quantile is `scores`.

    A polynomial in the squared score and in 1 / freedom of log(t quantile / normal quantile), both
    smooth: relative error below 5e-6 for levels in [1e-6, 1 - 1e-6] and freedom above 2.

    Args:
        scores: normal quantiles, within ± 4.8; float32[...].
        freedom: degrees of freedom above 2; broadcast with `scores`.
    """
    scores = ops.clip(scores, -LARGEST_SCORE, LARGEST_SCORE)
    by_score = _chebyshev(2.0 * (scores / LARGEST_SCORE) ** 2 - 1.0, SCORE_POINTS)
    by_freedom = _chebyshev(4.0 / freedom - 1.0, FREEDOM_POINTS)
    weights = ops.matmul(by_score, ops.convert_to_tensor(_student_t_table(), "float32"))
    return scores * ops.exp(ops.sum(weights * by_freedom, axis=-1))


def _chebyshev(x: Any, count: int) -> Any:
    """Return the first `count` Chebyshev polynomials at x in [-1, 1], [..., count]."""
    values = [ops.ones_like(x), x]
    while len(values) < count:
        values.append(2.0 * x * values[-1] - values[-2])
    return ops.stack(values, axis=-1)


@cache
def _student_t_table() -> np.ndarray:
    """Return the coefficients [SCORE_POINTS, FREEDOM_POINTS] that interpolate exact quantiles."""
    from scipy import special  # when a layer is made; a saved graph holds the numbers

    across, down = (
        np.cos(np.pi * (np.arange(count) + 0.5) / count) for count in (SCORE_POINTS, FREEDOM_POINTS)
    )
    scores = LARGEST_SCORE * np.sqrt((across[:, None] + 1) / 2)
    exact = -special.stdtrit(4 / (down + 1), special.ndtr(-scores))
    logs = np.log(exact / scores)
    left = chebyshev.chebvander(across, SCORE_POINTS - 1)
    right = chebyshev.chebvander(down, FREEDOM_POINTS - 1)
    return np.linalg.solve(left, logs) @ np.linalg.inv(right).T


def negative_binomial_log_probability(counts: Any, mean: Any, dispersion: Any) -> Any:
    """Return log P(X = counts), variance mean + dispersion × mean²; within 1e-4.

    By deviances and Stirling errors (Loader, 2000), which do not cancel for large counts.

    Args:
        counts: whole numbers from 0 on, below 2^24.
        mean: above 0.
        dispersion: in [1e-4, 1e3].
    """
    size = 1.0 / dispersion
    total, share = size + counts, mean / (size + mean)
    some = ops.maximum(counts, 1.0)
    log_p = _stirling_error(size + some) - _stirling_error(size) - _stirling_error(some)
    log_p -= _deviance(size, (size + some) * (size / (size + mean)))
    log_p -= _deviance(some, (size + some) * share)
    log_p += 0.5 * ops.log(size / (2.0 * np.pi * some * total))
    return ops.where(counts == 0, -size * ops.log1p(mean / size), log_p)


def _stirling_error(x: Any) -> Any:
    """Return log Γ(x + 1) minus Stirling's (x + 1/2) log x - x + log(2 π) / 2, for x > 0."""
    near = ops.minimum(x, 8.0)
    y = ops.where(x < 8.0, near + 8.0, x)
    square = 1.0 / (y * y)
    series = (1 / 12 - square * (1 / 360 - square * (1 / 1260 - square / 1680))) / y
    steps = sum(ops.log(near + step) for step in range(1, 9))
    moved = (near + 8.5) * ops.log(near + 8.0) - (near + 0.5) * ops.log(near) - 8.0 - steps
    return ops.where(x < 8.0, series + moved, series)


def _deviance(x: Any, mean: Any) -> Any:
    """Return x log(x / mean) + mean - x, for x and mean above 0."""
    gap = (x - mean) / mean
    return mean * gap * gap * _half_curvature(gap)


def _half_curvature(gap: Any) -> Any:
    """Return ((1 + gap) log(1 + gap) - gap) / gap², for gap > -1: 1/2 at 0."""
    small = ops.abs(gap) < NEAR
    d = ops.where(small, gap, 0.0)
    series = 0.5 - d * (1 / 6 - d * (1 / 12 - d * (1 / 20 - d * (1 / 30 - d / 42))))
    wide = ops.maximum(ops.where(small, 1.0, gap), -1.0 + 1e-7)
    return ops.where(small, series, ((1.0 + wide) * ops.log1p(wide) - wide) / (wide * wide))


def negative_binomial_cdf(counts: Any, mean: Any, dispersion: Any) -> Any:
    """Return P(X <= counts), within 3e-5; arguments as above, counts also -1 or less (then 0).

    The regularised incomplete beta function I_p(a, b) at a = 1 / dispersion and b = counts + 1. Its
    recurrences raise a and b by `SHIFT`, where the normal approximation of Peizer & Pratt (1968)
    holds: the smaller of a and b sets its error.
    """
    a, known = 1.0 / dispersion, ops.maximum(counts, 0.0)
    p, q, b = a / (a + mean), mean / (a + mean), known + 1.0
    log_p = negative_binomial_log_probability(known, mean, dispersion)
    term, total = ops.exp(log_p) * q * (a + known) / a, 0.0
    for _ in range(SHIFT):
        total, term, a = total + term, term * p * (a + b) / (a + 1.0), a + 1.0
    term = term * a / b
    for _ in range(SHIFT):
        total, term, b = total - term, term * q * (a + b) / (b + 1.0), b + 1.0
    cdf = total + 0.5 * ops.erfc(-_peizer_pratt(a, b, p, q) / np.sqrt(2.0))
    return ops.where(counts < 0, 0.0, ops.clip(cdf, 0.0, 1.0))


def _peizer_pratt(a: Any, b: Any, p: Any, q: Any) -> Any:
    """Return z with I_p(a, b) near Φ(z), q = 1 - p; both given, as each may be tiny."""
    trials = a + b - 1.0
    wins, losses = trials * p, trials * q
    # Of two equal gaps, the one between the smaller numbers has more digits.
    gap = ops.where(b < a, losses - (b - 0.5), (a - 0.5) - wins)
    shift = 0.02 * (q / a - p / b + (q - 0.5) / (trials + 1.0))
    spread = _half_curvature(gap / wins) / wins + _half_curvature(-gap / losses) / losses
    return -(gap + 1 / 6 - p / 3 + shift) * ops.sqrt(2.0 * spread / (1.0 + 1.0 / (6.0 * trials)))


def negative_binomial_quantile(levels: Any, mean: Any, dispersion: Any) -> Any:
    """Return the smallest whole number whose cdf, within 3e-5, reaches a level.

    By bisection; Cantelli's inequality gives the upper end. Exact but where the level is within
    3e-5 of a step of the cdf: then one number off. No gradient.

    Args:
        levels: in [1e-4, 1 - 1e-4], cut to it; float32[...].
        mean: above 0; broadcast with `levels`, like `dispersion`.
        dispersion: in [1e-4, 1e3].
    """
    levels = ops.clip(levels, 1e-4, 1.0 - 1e-4)
    mean, dispersion = mean + 0.0 * levels, dispersion + 0.0 * levels
    deviation = ops.sqrt(mean + dispersion * mean * mean)
    high = ops.ceil(mean + deviation * ops.sqrt(levels / (1.0 - levels)))

    def apart(low: Any, high: Any) -> Any:
        return ops.any(high - low > 1.0)

    def halve(low: Any, high: Any) -> tuple[Any, Any]:
        middle = ops.floor(0.5 * (low + high))
        reached = negative_binomial_cdf(middle, mean, dispersion) >= levels
        return ops.where(reached, low, middle), ops.where(reached, middle, high)

    start = (ops.zeros_like(high) - 1.0, high)
    _, found = ops.while_loop(apart, halve, start, maximum_iterations=64)
    return ops.stop_gradient(found)

"""Quantiles that cannot cross, and the pinball loss.

A family of forecasts, here and in `distributions`, is plain mathematics on the numbers a network
gives for one target of one step (`ForecastHead`): every method takes params [..., P] and works on
the axes before the last, whatever they are. Values are in the scaled space of `SeriesScaling`.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist
from typing import Any

import keras
import numpy as np
from keras import ops

from pipelines.errors import ConfigError

DEFAULT_LEVELS = tuple(round(0.1 * tenth, 1) for tenth in range(1, 10))
EDGE = 1e-6  # levels nearer to 0 or 1 than this are not told apart in float32
SMALLEST_STEP = 1e-6


class QuantileFamily:
    """Quantiles at fixed levels: a median, and positive steps up and down from it.

    Between its levels, and beyond the outermost, the quantile is linear in the normal score of the
    level, as if the distribution were a normal one bent at the levels.

    Args:
        levels: increasing, in (0, 1).

    Raises:
        ConfigError: the levels are not.
    """

    def __init__(self, levels: Sequence[float] = DEFAULT_LEVELS) -> None:
        self.levels = require_levels(levels)
        self.size = len(self.levels)
        self.scores = normal_scores(self.levels)
        self._middle = int(np.argmin(np.abs(np.array(self.levels) - 0.5)))

    def initial(self, center: float) -> list[float]:
        """Return a bias that makes the first forecast N(center, 1)."""
        steps = np.diff(self.scores)
        bias = list(np.log(np.expm1(steps)))  # softplus of it is the step
        middle = center + float(self.scores[self._middle])
        return [*bias[: self._middle], middle, *bias[self._middle :]]

    def parameters(self, raw: Any, scale: Any = None) -> Any:
        """Return the quantiles at `levels`, increasing along the last axis."""
        del scale
        m = self._middle
        middle, steps = raw[..., m : m + 1], ops.softplus(raw) + SMALLEST_STEP
        down = ops.flip(middle - ops.cumsum(ops.flip(steps[..., :m], -1), -1), -1)
        return ops.concatenate([down, middle, middle + ops.cumsum(steps[..., m + 1 :], -1)], -1)

    def moved(self, params: Any, start: Any, spread: Any) -> Any:
        """Return the quantiles of start + spread × the variable."""
        return start[..., None] + spread[..., None] * params

    def quantiles(self, params: Any, levels: Sequence[float]) -> Any:
        """Return quantiles at any levels, [..., Q]."""
        if tuple(levels) == self.levels:
            return params
        return interpolate(params[..., None, :], normal_scores(levels), self.scores)

    def mean(self, params: Any) -> Any:
        """Return the mean of the interpolated distribution, [...]."""
        levels = (np.arange(1000) + 0.5) / 1000
        # Interpolation is linear in the quantiles: the mean is a weighted sum of them.
        weights = _interpolated(np.eye(self.size), normal_scores(levels), self.scores).mean(1)
        return ops.sum(params * ops.convert_to_tensor(weights, "float32"), axis=-1)

    def loss(self, targets: Any, params: Any) -> Any:
        """Return twice the pinball loss averaged over the levels, [...]."""
        return mean_pinball(targets, params, self.levels)

    def sample(self, params: Any, uniforms: Any) -> Any:
        """Return the quantile at level u for every u of uniforms [...]."""
        return interpolate(params, normal_score(uniforms), self.scores)


def require_levels(levels: Sequence[float]) -> tuple[float, ...]:
    """Return quantile levels as a tuple.

    Raises:
        ConfigError: they do not increase within (0, 1).
    """
    chosen = tuple(float(level) for level in levels)
    inside = all(EDGE <= level <= 1 - EDGE for level in chosen)
    if not chosen or not inside or any(np.diff(chosen) <= 0):
        raise ConfigError(
            f"quantile levels: got {list(chosen)}, expected numbers above 0 and below 1 in "
            "increasing order; such as 0.1 0.5 0.9"
        )
    return chosen


def normal_scores(levels: Sequence[float] | np.ndarray) -> np.ndarray:
    """Return the standard normal quantiles of levels, float64[Q]."""
    return np.array([NormalDist().inv_cdf(float(level)) for level in levels])


def normal_score(uniforms: Any) -> Any:
    """Return the standard normal quantiles of a tensor of levels, cut to [1e-6, 1 - 1e-6]."""
    bounded = ops.clip(uniforms, EDGE, 1 - EDGE)
    return np.sqrt(2.0) * ops.erfinv(2.0 * bounded - 1.0)


def interpolate(quantiles: Any, scores: Any, known: np.ndarray) -> Any:
    """Return quantiles at normal scores, linear between the known ones and beyond the outermost.

    Args:
        quantiles: at the known scores, [..., Q].
        scores: what to find, [...], or broadcast with it.
        known: increasing scores float[Q].
    """
    scores = ops.convert_to_tensor(scores, "float32")
    result = quantiles[..., 0] + 0.0 * scores
    for number in range(len(known) - 1):
        low = -np.inf if number == 0 else known[number]
        high = np.inf if number == len(known) - 2 else known[number + 1]
        slope = (quantiles[..., number + 1] - quantiles[..., number]) / (
            known[number + 1] - known[number]
        )
        result += slope * (ops.clip(scores, low, high) - known[number])
    return result


def _interpolated(quantiles: np.ndarray, scores: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Do what `interpolate` does for every row of [N, Q] in NumPy: [N, len(scores)]."""
    if len(known) == 1:
        return np.repeat(quantiles, len(scores), axis=1)
    left = np.clip(np.searchsorted(known, scores) - 1, 0, len(known) - 2)
    share = (scores - known[left]) / (known[left + 1] - known[left])
    return quantiles[:, left] * (1 - share) + quantiles[:, left + 1] * share


def mean_pinball(targets: Any, quantiles: Any, levels: Sequence[float]) -> Any:
    """Return twice the pinball loss averaged over levels: of the median alone, the absolute error.

    With many levels it is the continuous ranked probability score (Gneiting & Raftery, 2007).

    Args:
        targets: [...], without NaN.
        quantiles: [..., Q].
        levels: Q levels.
    """
    level = ops.convert_to_tensor(np.array(levels), quantiles.dtype)
    over = targets[..., None] - quantiles
    return 2.0 * ops.mean(ops.maximum(level * over, (level - 1.0) * over), axis=-1)


def targets_and_weights(y_true: Any) -> tuple[Any, Any]:
    """Split y_true into values without NaN, and weights that are 0 where nothing was observed.

    Args:
        y_true: float32[B, H, K], or float32[B, H, K, 2] with a weight beside every value.
    """
    weighted = len(y_true.shape) == 4
    values = y_true[..., 0] if weighted else y_true
    weights = y_true[..., 1] if weighted else ops.ones_like(values)
    real = ops.logical_and(ops.isfinite(values), ops.isfinite(weights))
    return ops.where(real, values, 0.0), ops.where(real, weights, 0.0)


def mean_per_window(losses: Any, weights: Any) -> Any:
    """Return the weighted loss of each window, float32[B], from [B, H, K].

    Divided by the batch's mean number of observed values in a window, so that the mean over windows
    (Keras' default reduction) is the weighted sum over all values divided by their number.
    """
    observed = ops.sum(ops.cast(weights > 0, "float32"), axis=(1, 2))
    # 0 × inf is NaN: what is not observed has no loss at all.
    kept = ops.where(weights > 0, losses * weights, 0.0)
    return ops.sum(kept, axis=(1, 2)) / ops.maximum(ops.mean(observed), 1.0)


@keras.saving.register_keras_serializable(package="pipelines")
class PinballLoss(keras.losses.Loss):
    """Twice the mean pinball loss of quantiles in raw units, times the weights.

    With the weight 1 / (MASE denominator of the series) it is in units of MASE, and series of any
    size count alike. y_true is float32[B, H, K, 2] (value, weight) or float32[B, H, K], NaN where
    missing; y_pred the quantiles float32[B, H, K, Q] in the unit of y_true.
    """

    def __init__(
        self, levels: Sequence[float] = DEFAULT_LEVELS, name: str = "pinball", **kwargs: Any
    ) -> None:
        super().__init__(name=name, **kwargs)
        self.levels = require_levels(levels)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of each window, float32[B]."""
        values, weights = targets_and_weights(ops.cast(y_true, "float32"))
        losses = mean_pinball(values, ops.cast(y_pred, "float32"), self.levels)
        return mean_per_window(losses, weights)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return super().get_config() | {"levels": list(self.levels)}

"""Split-conformal calibration: intervals as wide as validation says they must be.

Conformalised quantile regression (Romano et al., 2019) with the width of each forecast as its unit:
the score of an observation is the factor by which its interval must be stretched about the center
to reach it just so. The factor that covers the nominal share of n validation scores, counted by the
(n + 1) rule, covers it on exchangeable new data. Factors are multiples of the forecast's own width:
they need no unit, and a certain forecast stays narrower than a doubtful one.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from pipelines.errors import DataError
from pipelines.layers.quantiles import DEFAULT_LEVELS, require_levels

Floats = npt.NDArray[np.floating[Any]]

GROUPS = 4  # of horizon steps, at most, each with factors of its own
ENOUGH = 400  # scores of a group from which on it stands alone
LEAST = 20  # fewer scores tell nothing: such a target is left as it is
LARGEST_FACTOR = 10.0


@keras.saving.register_keras_serializable(package="pipelines")
class ConformalQuantiles(keras.layers.Layer):
    """Stretches quantiles [B, H, K, Q] about their center so that intervals cover what they say.

    Levels l and 1 - l make a central interval and share a factor; a level without its mirror image
    is calibrated alone. The center is the median, or lies between the levels next to 0.5. Outer
    quantiles are never inside inner ones, whatever the factors. Before `fit` nothing changes.

    Args:
        levels: Q increasing levels.
    """

    def __init__(self, levels: Sequence[float] = DEFAULT_LEVELS, **kwargs: Any) -> None:
        super().__init__(**kwargs | {"trainable": False, "dtype": "float32"})
        self.levels = require_levels(levels)
        self._center = _center_weights(self.levels)

    def build(self, input_shape: tuple[Any, ...]) -> None:
        """Create the factors float32[H, K, Q], all 1."""
        self.factors = self.add_weight(tuple(input_shape[1:]), "ones", name="factors")
        self.built = True

    def call(self, quantiles: Any) -> Any:
        """Return the calibrated quantiles, [B, H, K, Q]."""
        quantiles = ops.cast(quantiles, "float32")
        weights = ops.convert_to_tensor(self._center, "float32")
        center = ops.sum(quantiles * weights, axis=-1, keepdims=True)
        return center + _ordered(self.levels, (quantiles - center) * self.factors)

    def fit(self, actual: Floats, quantiles: Floats) -> None:
        """Set the factors from validation forecasts that training did not see.

        Args:
            actual: what came, float[N, H, K]; NaN is missing.
            quantiles: uncalibrated forecasts in the same unit, float[N, H, K, Q].

        Raises:
            DataError: the arrays do not belong together.
        """
        if quantiles.shape != (*actual.shape, len(self.levels)):
            raise DataError(
                f"calibration of layer {self.name!r}: got quantiles {quantiles.shape} for values "
                f"{actual.shape}, expected {(*actual.shape, len(self.levels))}; forecast the same "
                "windows at the layer's levels"
            )
        if not self.built:
            self.build(quantiles.shape)
        self.factors.assign(conformal_factors(actual, quantiles, self.levels))

    def compute_output_shape(self, input_shape: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return [B, H, K, Q]."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return super().get_config() | {"levels": list(self.levels)}


def conformal_factors(actual: Floats, quantiles: Floats, levels: Sequence[float]) -> Floats:
    """Return the factors [H, K, Q] of `ConformalQuantiles`; arguments as of its `fit`."""
    center = quantiles @ _center_weights(levels)
    factors = np.ones(quantiles.shape[1:])
    for k in range(actual.shape[2]):
        for steps in _groups(np.isfinite(actual[:, :, k]).sum(0)):
            group = (actual[:, steps, k], center[:, steps, k], quantiles[:, steps, k])
            factors[steps, k] = _factors(*group, levels)
    return factors


def _groups(counts: npt.NDArray[np.integer[Any]]) -> list[slice]:
    """Cut the horizon, of so many scores a step, into few runs with enough scores each."""
    groups = int(np.clip(counts.sum() // ENOUGH, 1, min(GROUPS, len(counts))))
    edges = np.linspace(0, len(counts), groups + 1).round().astype(int)
    return [slice(first, last) for first, last in pairwise(edges)]


def _factors(actual: Floats, center: Floats, quantiles: Floats, levels: Sequence[float]) -> Floats:
    """Return a factor for each level, [Q], from one group: values [N, h], quantiles [N, h, Q]."""
    seen = np.isfinite(actual)
    over, widths = (actual - center)[seen], (quantiles - center[..., None])[seen]
    factors = np.ones(len(levels))
    if len(over) < LEAST:
        return factors
    for low, high, share in _intervals(levels):
        sides = [side for side in (low, high) if side is not None]
        scores = np.max([_stretch(over, widths[:, side]) for side in sides], axis=0)
        factors[sides] = np.clip(_conformal_quantile(scores, share), 0.0, LARGEST_FACTOR)
    return factors


def _intervals(levels: Sequence[float]) -> list[tuple[int | None, int | None, float]]:
    """Return (lower, upper, share covered) of every interval; one side of it may be missing."""
    mirror = {round(1 - level, 9): number for number, level in enumerate(levels)}
    found: list[tuple[int | None, int | None, float]] = []
    for number, level in enumerate(levels):
        other = mirror.get(round(level, 9))
        if level < 0.5:
            share = 1 - level if other is None else 1 - 2 * level
            found.append((number, other, share))
        elif level > 0.5 and other is None:
            found.append((None, number, level))
    return found


def _stretch(over: Floats, width: Floats) -> Floats:
    """Return the factors at which a bound, `width` from the center, reaches values `over` it.

    0 on the other side of the center; infinite where a bound lies at the center.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        factors = over / width
    beyond = np.where(over == 0, 0.0, np.inf)
    return np.maximum(np.where(width == 0, beyond, factors), 0.0)


def _conformal_quantile(scores: Floats, share: float) -> float:
    """Return the ceil((n + 1) share)-th smallest score; the largest if there are not so many."""
    rank = int(np.ceil((len(scores) + 1) * share - 1e-9))
    return float(np.sort(scores)[min(max(rank, 1), len(scores)) - 1])


def _center_weights(levels: Sequence[float]) -> Floats:
    """Return weights [Q] that make the center of quantiles, by interpolation at 0.5."""
    return np.array([np.interp(0.5, levels, row) for row in np.eye(len(levels))])


def _ordered(levels: Sequence[float], offsets: Any) -> Any:
    """Push every offset from the center, [..., Q], out to those further in."""
    parts = ops.unstack(offsets, axis=-1)
    below = [number for number, level in enumerate(levels) if level < 0.5]
    above = [number for number, level in enumerate(levels) if level > 0.5]
    for inner, outer in pairwise(reversed(below)):
        parts[outer] = ops.minimum(parts[outer], parts[inner])
    for inner, outer in pairwise(above):
        parts[outer] = ops.maximum(parts[outer], parts[inner])
    return ops.stack(parts, axis=-1)

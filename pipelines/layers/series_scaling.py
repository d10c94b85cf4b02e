"""Scaling of series inside the model: raw units in, raw units out.

Every window has its own location and scale per target, measured on its observed history, so that
one network serves series of any size (Salinas et al., 2020, sec. 3.3). Below `ENOUGH` observed
values they are drawn towards those of the training series. A change of unit of a window changes
nothing in what the network sees of its shape; of the training series as well, nothing at all.

A window's scaling is a tensor float32[B, K, 4]: location, scale, unit of the logarithm and kind of
the logarithm (0 none, 1 log1p, 2 asinh). `to_scaled` and `to_raw` are functions of it alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from pipelines.errors import ConfigError
from pipelines.layers.series_statistics import FLAT, NORMAL_IQR, Scaling, SeriesStatistics

ENOUGH = 8  # observed values from which on a window's own statistics are taken as they are
CLIP = 100.0  # the network sees no value further than this from the location, in scales
LEVEL_CLIP = 10.0
LARGEST_EXPONENT = 60.0  # e to this power is still finite in float32 after any sane unit
EXTENDED = 4  # numbers that describe the scaling of one target


@keras.saving.register_keras_serializable(package="pipelines")
class SeriesScaling(keras.layers.Layer):
    """Turns raw history, known future and statics into what the network sees.

    The result is a dict of float32 tensors, all finite whatever is missing:

    - "history" [B, T, history_width]: the K scaled targets, 0 where missing; K flags, 1 where
      observed; then for every covariate in order, of numbers the scaled value, of words a one-hot
      code of those known (all zeros where missing or unknown); then a flag for every covariate.
    - "known" [B, H, known_width]: the covariates known of the horizon, likewise (if there are any).
    - "static" [B, static_width]: for every target asinh of its window's location, counted in
      training scales from the training location, and log of its scale over the training scale (both
      within ± 10; all zeros for scaling "none"); then the statics, as above.
    - "window" [B, K, 4]: the scaling itself; see the module.

    Targets are scaled by their window; covariates and statics of numbers are standardised by the
    training mean and standard deviation. All are cut at ± 100.

    Args:
        targets: K.
        past: of each past covariate the number of its words, 0 for numbers.
        known: the same of the known covariates.
        static: the same of the statics.
        scaling: "mean" (location 0, scale mean |y|), "robust" (median; interquartile range / 1.349,
            or the mean distance from the median where the quartiles agree), "standard" (mean,
            standard deviation), or "none" (those of the training series, the same for all windows).
        log: take log1p(y / unit) first, or asinh(y / unit) of a target with values below 0.
    """

    def __init__(
        self,
        targets: int,
        *,
        past: Sequence[int] = (),
        known: Sequence[int] = (),
        static: Sequence[int] = (),
        scaling: Scaling = "mean",
        log: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs | {"trainable": False, "dtype": "float32"})
        self.targets, self.scaling, self.log = targets, scaling, log
        self.past, self.known, self.static = list(past), list(known), list(static)
        covariates = len(self.past) + len(self.known)
        self.history_width = 2 * targets + _width(self.past) + _width(self.known)
        self.known_width = _width(self.known)
        self.static_width = 2 * targets + _width(self.static)
        self._make_statistics(covariates)

    def _make_statistics(self, covariates: int) -> None:
        """Create the weights `set_statistics` fills; before that, they change nothing."""
        sizes = {
            "unit": self.targets,
            "signed": self.targets,
            "location": self.targets,
            "scale": self.targets,
            "level": self.targets,
            "center": covariates,
            "spread": covariates,
            "static_center": len(self.static),
            "static_spread": len(self.static),
        }
        zeros = {"signed", "location", "center", "static_center"}
        for name, size in sizes.items():
            initial = "zeros" if name in zeros else "ones"
            setattr(self, f"_{name}", self.add_weight((size,), initial, name=name, trainable=False))
        self._names = tuple(sizes)

    def set_statistics(self, statistics: SeriesStatistics) -> None:
        """Set what `fit_statistics` measured on the training series.

        Raises:
            ConfigError: the statistics are of another number of columns.
        """
        for name in self._names:
            weight, value = getattr(self, f"_{name}"), np.asarray(getattr(statistics, name))
            if value.shape != tuple(weight.shape):
                raise ConfigError(
                    f"statistics of layer {self.name!r}: {name!r} has {value.size} value(s), "
                    f"expected {weight.shape[0]}; measure the columns the layer was made for"
                )
            weight.assign(value.astype("float32"))

    def call(self, history: Any, known: Any = None, static: Any = None) -> dict[str, Any]:
        """Return "history", "window", "static" and, of known covariates, "known".

        Args:
            history: raw values, float32[B, T, F]; columns in the order targets, past, known.
            known: raw known covariates of the horizon, float32[B, H, G].
            static: float32[B, S].
        """
        split = self.targets
        window = self.measure(history[..., :split])
        scaled = to_scaled(history[..., :split], window)
        number = len(self.past)
        result = {
            "history": ops.concatenate(
                [
                    *_numbers(scaled),
                    *_encoded(history[..., split:], self.past + self.known, *self._covariates()),
                ],
                axis=-1,
            ),
            "window": window,
            "static": ops.concatenate(self._static(window, static), axis=-1),
        }
        if self.known:
            center, spread = self._covariates()
            parts = _encoded(known, self.known, center[number:], spread[number:])
            result["known"] = ops.concatenate(parts, axis=-1)
        return result

    def _covariates(self) -> tuple[Any, Any]:
        return ops.convert_to_tensor(self._center), ops.convert_to_tensor(self._spread)

    def _static(self, window: Any, static: Any) -> list[Any]:
        away = ops.arcsinh((window[..., 0] - self._location) / self._scale)
        size = ops.log(window[..., 1] / self._scale)
        parts = [ops.clip(part, -LEVEL_CLIP, LEVEL_CLIP) for part in (away, size)]
        if self.static:
            parts += _encoded(
                static,
                self.static,
                ops.convert_to_tensor(self._static_center),
                ops.convert_to_tensor(self._static_spread),
            )
        return parts

    def measure(self, targets: Any) -> Any:
        """Return the scaling of windows, float32[B, K, 4], of raw targets float32[B, T, K]."""
        like = ops.zeros_like(targets[:, 0])
        unit, kind = like + self._unit, like + (1.0 + self._signed if self.log else 0.0)
        location, scale = like + self._location, like + self._scale
        if self.scaling != "none":
            start = ops.stack([like, like + 1.0, unit, kind], axis=-1)
            location, scale = self._measured(to_scaled(targets, start))
        return ops.stop_gradient(ops.stack([location, scale, unit, kind], axis=-1))

    def _measured(self, values: Any) -> tuple[Any, Any]:
        """Return location and scale [B, K] of values after the logarithm, [B, T, K]."""
        seen = ops.isfinite(values)
        values = ops.where(seen, values, 0.0)
        count = ops.sum(ops.cast(seen, "float32"), axis=1)
        # Sums are of shares of the largest value, so that no unit overflows.
        largest = ops.max(ops.abs(values), axis=1)
        size = ops.where(largest > 0, largest, 1.0)
        location, scale, level = _window_statistics(self.scaling, values / size[:, None], seen)
        flat = scale <= (0.0 if self.scaling == "mean" else FLAT)
        scale = ops.where(flat, level * self._scale / self._level, scale) * size
        scale = ops.where(scale > 0, scale, ops.broadcast_to(self._scale, ops.shape(scale)))
        trust = ops.minimum(count / ENOUGH, 1.0)
        scale *= ops.power(self._scale / scale, 1.0 - trust)
        return trust * location * size + (1.0 - trust) * self._location, scale

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        names = ("targets", "past", "known", "static", "scaling", "log")
        return super().get_config() | {name: getattr(self, name) for name in names}


def to_scaled(values: Any, window: Any) -> Any:
    """Return raw targets float32[B, H, K] scaled; NaN stays NaN.

    Args:
        values: float32[B, H, K].
        window: scaling of their windows, float32[B, K, 4].
    """
    location, scale, unit, kind = _parts(values, window)
    # `kind == 0` of a symbolic tensor is the bool False: Python compares identities.
    known = ops.where(ops.isnan(values), 0.0, values)
    ratio = known / unit
    logged = ops.where(ops.equal(kind, 1.0), ops.log1p(ops.maximum(ratio, 0.0)), ops.arcsinh(ratio))
    scaled = (ops.where(ops.equal(kind, 0.0), known, logged) - location) / scale
    return ops.where(ops.isnan(values), values, scaled)


def to_raw(values: Any, window: Any) -> Any:
    """Return scaled values, such as quantiles, in the series' own unit; the inverse of `to_scaled`.

    Increasing, so that quantiles stay quantiles; finite where the values are.

    Args:
        values: float32[B, H, K] or float32[B, H, K, Q].
        window: scaling of their windows, float32[B, K, 4].
    """
    location, scale, unit, kind = _parts(values, window)
    shifted = values * scale + location
    least = ops.where(ops.equal(kind, 1.0), 0.0, -LARGEST_EXPONENT)
    bounded = ops.minimum(ops.maximum(shifted, least), LARGEST_EXPONENT)
    # Each branch gets harmless values where the other is taken: no gradient becomes NaN.
    grown = ops.where(ops.equal(kind, 1.0), ops.expm1(bounded), ops.sinh(bounded)) * unit
    return ops.where(ops.equal(kind, 0.0), shifted, grown)


def _parts(values: Any, window: Any) -> list[Any]:
    """Return location, scale, unit and kind, to be broadcast over [B, H, K] or [B, H, K, Q]."""
    parts = [window[:, None, :, part] for part in range(EXTENDED)]
    return parts if len(values.shape) == 3 else [part[..., None] for part in parts]


def _width(categories: Sequence[int]) -> int:
    return sum((count or 1) + 1 for count in categories)


def _numbers(scaled: Any) -> tuple[Any, Any]:
    """Return values without NaN, and flags."""
    seen = ops.isfinite(scaled)
    return ops.clip(ops.where(seen, scaled, 0.0), -CLIP, CLIP), ops.cast(seen, "float32")


def _encoded(values: Any, categories: Sequence[int], center: Any, spread: Any) -> list[Any]:
    """Return the columns of float32[B, ..., N] as the network sees them, and their flags."""
    columns = []
    for number, count in enumerate(categories):
        column = values[..., number : number + 1]
        if count:
            # NaN equals no code, and neither does the code of a word unknown in training.
            columns.append(ops.cast(column == ops.arange(count, dtype="float32"), "float32"))
        else:
            columns.append(_numbers((column - center[number]) / spread[number])[0])
    return [*columns, ops.cast(ops.isfinite(values), "float32")]


def _window_statistics(scaling: str, values: Any, seen: Any) -> tuple[Any, Any, Any]:
    """Return location, scale and mean absolute value [B, K] of observed values [B, T, K]."""
    real = ops.cast(seen, "float32")
    count = ops.maximum(ops.sum(real, axis=1), 1.0)

    def mean(of: Any) -> Any:
        return ops.sum(of * real, axis=1) / count

    level = mean(ops.abs(values))
    if scaling == "mean":
        return ops.zeros_like(level), level, level
    if scaling == "standard":
        location = mean(values)
        return location, ops.sqrt(mean((values - location[:, None]) ** 2)), level
    ordered = ops.sort(ops.where(seen, values, np.inf), axis=1)
    low, location, high = (_quantile(ordered, count, share) for share in (0.25, 0.5, 0.75))
    quartiles = (high - low) / NORMAL_IQR
    distance = mean(ops.abs(values - location[:, None]))
    return location, ops.where(quartiles > FLAT, quartiles, distance), level


def _quantile(ordered: Any, count: Any, share: float) -> Any:
    """Return an interpolated quantile [B, K] of the first `count` of ordered values [B, T, K]."""
    place = share * (count - 1.0)
    below = ops.floor(place)
    picked = []
    for index in (below, ops.minimum(below + 1.0, count - 1.0)):
        value = ops.take_along_axis(ordered, ops.cast(index, "int32")[:, None], axis=1)[:, 0]
        picked.append(ops.where(ops.isfinite(value), value, 0.0))
    return picked[0] + (picked[1] - picked[0]) * (place - below)

"""From features of the horizon to a distribution of every target at every step.

    features [B, H, D] -> ForecastHead -> params [B, H, K, P] -> ForecastOutput -> mean, quantiles

Params are in the scaled space of `SeriesScaling`; `ForecastOutput` returns raw units. A model is
trained on `ForecastOutput`'s quantiles by `PinballLoss`, or on `with_window(params, window)` by
`ScaledLoss`. Which distribution: see `family_of`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol

import keras
import numpy as np
from keras import ops

from pipelines.errors import ConfigError, did_you_mean
from pipelines.layers.distributions import Gaussian, NegativeBinomial, StudentT
from pipelines.layers.quantiles import (
    DEFAULT_LEVELS,
    QuantileFamily,
    mean_per_window,
    require_levels,
    targets_and_weights,
)
from pipelines.layers.series_scaling import EXTENDED, to_raw, to_scaled

PACKAGE = "pipelines"
Head = Literal["quantiles", "gaussian", "student-t", "negative-binomial"]
# Means of logarithms are not logarithms of means: with one, raw quantiles at these are averaged.
MEAN_LEVELS = tuple((np.arange(40) + 0.5) / 40)


class Family(Protocol):
    """A family of distributions of one number; params [..., P], results [...]."""

    size: int
    """Numbers the network gives."""

    def initial(self, center: float) -> list[float]:
        """Return a bias for the `size` numbers: the first forecasts are N(center, 1), or near."""
        ...

    def parameters(self, raw: Any, scale: Any) -> Any:
        """Return params [..., P] of the network's numbers [..., size].

        `scale` [...] is that of the window: what counts in raw units needs it.
        """
        ...

    def moved(self, params: Any, start: Any, spread: Any) -> Any:
        """Return the params of start + spread × the variable; both [...]."""
        ...

    def quantiles(self, params: Any, levels: Sequence[float]) -> Any:
        """Return quantiles [..., Q], increasing."""
        ...

    def mean(self, params: Any) -> Any:
        """Return means."""
        ...

    def loss(self, targets: Any, params: Any) -> Any:
        """Return the loss of each target; NaN has no place here."""
        ...

    def sample(self, params: Any, uniforms: Any) -> Any:
        """Return the quantile at level u for every u of uniforms: the inverse transform."""
        ...


def family_of(name: str, levels: Sequence[float] = DEFAULT_LEVELS) -> Family:
    """Return the family of a name.

    Args:
        name: "quantiles" (no shape assumed), "gaussian", "student-t" (heavy tails, more than 2
            degrees of freedom) or "negative-binomial" (counts).
        levels: of "quantiles".

    Raises:
        ConfigError: no such family.
    """
    families: dict[str, Callable[[], Family]] = {
        "quantiles": lambda: QuantileFamily(levels),
        "gaussian": Gaussian,
        "student-t": StudentT,
        "negative-binomial": NegativeBinomial,
    }
    if name not in families:
        raise ConfigError(
            f"forecast head {name!r} is unknown{did_you_mean(name, families)}; expected one of "
            f"{', '.join(families)}"
        )
    return families[name]()


def require_scaling(family: str, scaling: str, log: bool) -> None:
    """Refuse a scaling under which a family has no meaning.

    Raises:
        ConfigError: counts under a logarithm, or with a location.
    """
    if family == "negative-binomial" and (log or scaling != "mean"):
        raise ConfigError(
            f"forecast head 'negative-binomial': got the scaling {scaling!r} with log={log}, "
            "expected 'mean' without a logarithm (counts stay counts when only divided); set "
            "these, or choose the head 'quantiles'"
        )


@keras.saving.register_keras_serializable(package=PACKAGE)
class ForecastHead(keras.layers.Layer):
    """Maps features [B, H, D] and a window's scaling [B, K, 4] to params float32[B, H, K, P].

    Args:
        family: see `family_of`.
        targets: K.
        levels: of the family "quantiles".
        center: where the first forecasts lie, in the scaled space: 1 suits the scaling "mean".
        seed: of the initial weights.
    """

    def __init__(
        self,
        family: Head = "quantiles",
        *,
        targets: int,
        levels: Sequence[float] = DEFAULT_LEVELS,
        center: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.settings: dict[str, Any] = {
            "family": family, "targets": targets, "levels": list(levels), "center": center,
            "seed": seed,
        }  # fmt: skip
        self.family = family_of(family, levels)
        # Half precision would cost digits of the forecast itself.
        self._dense = keras.layers.Dense(
            targets * self.family.size,
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.01, seed=seed),
            bias_initializer=self._initial_bias,
            dtype="float32",
            name="numbers",
        )

    def build(
        self,
        features_shape: tuple[Any, ...],
        window_shape: Any = None,
        start_shape: Any = None,
        spread_shape: Any = None,
    ) -> None:
        """Create the weights; the first forecasts are N(center, 1) in the scaled space."""
        del window_shape, start_shape, spread_shape
        self._dense.build(features_shape)
        self.built = True

    def _initial_bias(self, shape: Any, dtype: Any = None) -> Any:
        bias = np.array(self.family.initial(self.settings["center"]))
        del shape
        return ops.convert_to_tensor(np.tile(bias, self.settings["targets"]), dtype)

    def call(self, features: Any, window: Any, start: Any = None, spread: Any = None) -> Any:
        """Return params float32[B, H, K, P].

        Args:
            features: of every step, float[B, H, D].
            window: scaling of the windows, float32[B, K, 4].
            start: scaled forecasts float32[B, H, K] that the distribution is moved by.
            spread: how far these usually err, float32[B, H, K]: the unit the network forecasts in.
        """
        targets, steps = self.settings["targets"], ops.shape(features)[1]
        raw = ops.reshape(self._dense(features), (-1, steps, targets, self.family.size))
        scale = ops.cast(window[:, None, :, 1], "float32") + ops.zeros_like(raw[..., 0])
        params = self.family.parameters(raw, scale)
        return params if start is None else self.family.moved(params, start, spread)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return super().get_config() | self.settings


@keras.saving.register_keras_serializable(package=PACKAGE)
class ForecastOutput(keras.layers.Layer):
    """Maps params [B, H, K, P] and a window's scaling [B, K, 4] to raw units.

    Returns {"mean": float32[B, H, K], "quantiles": float32[B, H, K, Q]}. It has no weights.

    Args:
        family: that of the `ForecastHead`.
        head_levels: the head's levels, of the family "quantiles"; None: those of `levels`.
        levels: quantiles to return.
        log: whether the scaling takes a logarithm.
    """

    def __init__(
        self,
        family: Head = "quantiles",
        *,
        levels: Sequence[float] = DEFAULT_LEVELS,
        head_levels: Sequence[float] | None = None,
        log: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs | {"dtype": "float32"})
        self.settings: dict[str, Any] = {
            "family": family,
            "levels": list(require_levels(levels)),
            "head_levels": list(head_levels or levels),
            "log": log,
        }
        self.family = family_of(family, head_levels or levels)

    def call(self, params: Any, window: Any) -> dict[str, Any]:
        """Return "mean" and "quantiles"."""
        quantiles = to_raw(self.family.quantiles(params, self.settings["levels"]), window)
        return {"mean": self._mean(params, window), "quantiles": quantiles}

    def _mean(self, params: Any, window: Any) -> Any:
        if not self.settings["log"]:
            return to_raw(self.family.mean(params), window)
        return ops.mean(to_raw(self.family.quantiles(params, MEAN_LEVELS), window), axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return super().get_config() | self.settings


def with_window(params: Any, window: Any) -> Any:
    """Join params [B, H, K, P] with their scaling [B, K, 4]: [B, H, K, P + 4], for `ScaledLoss`."""
    spread = window[:, None] + ops.zeros_like(params[..., :1])
    return ops.concatenate([params, spread], axis=-1)


@keras.saving.register_keras_serializable(package=PACKAGE)
class ScaledLoss(keras.losses.Loss):
    """The family's own loss in the scaled space: negative log-likelihood in nats, or pinball.

    y_true is float32[B, H, K] or [B, H, K, 2] (value, weight) in raw units, NaN where missing;
    y_pred what `with_window` gives.

    Args:
        family: that of the `ForecastHead`.
        levels: the head's, of the family "quantiles".
    """

    def __init__(
        self,
        family: Head,
        levels: Sequence[float] = DEFAULT_LEVELS,
        name: str = "scaled_loss",
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        self.settings = {"family": family, "levels": list(levels)}
        self.family = family_of(family, levels)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of each window, float32[B]."""
        values, weights = targets_and_weights(ops.cast(y_true, "float32"))
        params, window = y_pred[..., :-EXTENDED], y_pred[:, 0, :, -EXTENDED:]
        return mean_per_window(self.family.loss(to_scaled(values, window), params), weights)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return super().get_config() | self.settings

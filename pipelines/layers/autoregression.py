"""Forecasting a step at a time, each from the one before (DeepAR: Salinas et al., 2020).

Training reads true values: at every step the stack sees the value one step earlier and what is
known of the step, and its head gives the distribution of the step's value (teacher forcing). A
forecast does not know the values of the horizon: it draws them. N paths are drawn from fixed
uniforms, so that the same input gives the same paths in every call and every process; quantiles
and means are those of the paths.

    previous = lagged(scaled)                          [B, S, 2 K]
    params = decoder(previous, known, window)          [B, S, K, P]     training, S = T + H steps
    state = decoder.read(previous, known)              the state after the history
    paths = decoder.paths(last, future, window, state) [B, N, H, K]     forecasting
    forecast_of(paths, window, levels)                 mean, quantiles in raw units
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from pipelines.layers.forecast_heads import ForecastHead, Head
from pipelines.layers.horizon_decoders import decoder_stack
from pipelines.layers.quantiles import DEFAULT_LEVELS
from pipelines.layers.series_scaling import CLIP, to_raw


def lagged(scaled: Any) -> Any:
    """Return what each step knows of the step before: values and flags, float[B, S, 2 K].

    Args:
        scaled: scaled targets, NaN where missing, float32[B, S, K]; before the first is nothing.
    """
    before = ops.pad(scaled[:, :-1], ((0, 0), (1, 0), (0, 0)), constant_values=np.nan)
    return value_and_flag(before)


def value_and_flag(scaled: Any) -> Any:
    """Return scaled values [..., K] without NaN, and flags: [..., 2 K]."""
    seen = ops.isfinite(scaled)
    values = ops.clip(ops.where(seen, scaled, 0.0), -CLIP, CLIP)
    return ops.concatenate([values, ops.cast(seen, values.dtype)], axis=-1)


def fixed_uniforms(paths: int, horizon: int, targets: int, *, seed: int) -> np.ndarray:
    """Return the uniforms paths are drawn from, float32[N, H, K].

    A Latin hypercube (McKay et al., 1979): at every step the N of them lie one in each N-th of
    (0, 1), in the middle, so that few paths give smooth quantiles.
    """
    draws = np.random.default_rng(seed)
    ranks = draws.permuted(np.tile(np.arange(paths), (horizon * targets, 1)), axis=1)
    return ((ranks.T + 0.5) / paths).reshape(paths, horizon, targets).astype("float32")


@keras.saving.register_keras_serializable(package="pipelines")
class AutoregressiveDecoder(keras.layers.Layer):
    """A recurrent stack and a head that forecast one step at a time; see the module.

    Args:
        stack: settings of the `RecurrentStack`; it reads forward, without `fast`.
        family: of the head.
        targets: K.
        horizon: H.
        paths: N, drawn for each window.
        levels: of the family "quantiles".
        center: see `ForecastHead`.
        seed: of the uniforms and the head.
    """

    def __init__(
        self,
        *,
        stack: dict[str, Any],
        family: Head = "student-t",
        targets: int,
        horizon: int,
        paths: int = 100,
        levels: Sequence[float] = DEFAULT_LEVELS,
        center: float = 0.0,
        seed: int = 17,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._stack = decoder_stack(stack)
        self._head = ForecastHead(
            family, targets=targets, levels=levels, center=center, seed=seed, name="head"
        )
        self.settings: dict[str, Any] = {
            "stack": dict(stack), "family": family, "targets": targets, "horizon": horizon,
            "paths": paths, "levels": list(levels), "center": center, "seed": seed,
        }  # fmt: skip
        self._uniforms = fixed_uniforms(paths, horizon, targets, seed=seed)

    def build(self, previous_shape: tuple[Any, ...], known_shape: Any = None, *_: Any) -> None:
        """Create the weights."""
        known = known_shape[-1] if known_shape is not None else 0
        self._stack.build((None, None, previous_shape[-1] + known))
        self._head.build((None, None, self._stack.width))
        self.built = True

    def call(
        self,
        previous: Any,
        known: Any,
        window: Any,
        initial_state: Any = None,
        training: bool = False,
    ) -> Any:
        """Return the params of every step's distribution given the true values before it.

        Args:
            previous: what `lagged` gives, float[B, S, 2 K].
            known: what is known of every step itself, float[B, S, E], or None.
            window: scaling, float32[B, K, 4].
            initial_state: such as an encoder's, of the same stack; None is 0.
            training: whether dropout acts.
        """
        states, _ = self._stack.run(_joined(previous, known), None, initial_state, training)
        return self._head(states, window)

    def read(self, previous: Any, known: Any, initial_state: Any = None) -> list[Any]:
        """Return the state after S steps whose values are known; arguments as of `call`."""
        return self._stack.run(_joined(previous, known), None, initial_state)[1]

    def paths(self, last: Any, future: Any, window: Any, state: Any) -> Any:
        """Draw N paths through the horizon, scaled: float32[B, N, H, K].

        Args:
            last: `value_and_flag` of the last step of the history, float[B, 2 K].
            future: what is known of the horizon, float[B, H, E], or None.
            window: scaling, float32[B, K, 4].
            state: after the history, or of an encoder of the same stack.
        """
        count, targets = self.settings["paths"], self.settings["targets"]
        rows = ops.shape(last)[0]
        uniforms = ops.convert_to_tensor(self._uniforms)
        window, last, *state = (ops.repeat(part, count, axis=0) for part in (window, last, *state))

        steps = ops.arange(self.settings["horizon"])[None, :, None]

        def step(number: Any, carried: Any) -> Any:
            drawn, before, *old = carried
            known = None if future is None else ops.repeat(future[:, number], count, axis=0)
            output, new = self._stack.step(_joined(before, known), old)
            params = self._head(output[:, None], window)[:, 0]
            levels = ops.tile(uniforms[:, number], (rows, 1))
            values = ops.clip(self._head.family.sample(params, levels), -CLIP, CLIP)
            drawn = ops.where(steps == number, values[:, None], drawn)
            return drawn, ops.cast(value_and_flag(values), before.dtype), *new

        nothing = ops.zeros_like(window[:, None, :, 0]) + ops.zeros((self.settings["horizon"], 1))
        start = (nothing, ops.cast(last, self.compute_dtype), *state)
        drawn = ops.fori_loop(0, self.settings["horizon"], step, start)[0]  # [B N, H, K]
        return ops.reshape(drawn, (-1, count, self.settings["horizon"], targets))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return super().get_config() | self.settings


@keras.saving.register_keras_serializable(package="pipelines")
class SampledForecast(keras.layers.Layer):
    """Mean and quantiles of paths drawn on from an encoder's final state.

    Args:
        levels: of the quantiles.
        decoder: settings of the `AutoregressiveDecoder`.
    """

    def __init__(self, levels: Sequence[float], *, decoder: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.levels, self.decoder = list(levels), AutoregressiveDecoder(**decoder)

    def build(self, last_shape: Any, future_shape: Any, *_: Any) -> None:
        """Create the decoder's weights."""
        self.decoder.build((None, None, last_shape[-1]), future_shape)
        self.built = True

    def call(self, last: Any, future: Any, window: Any, state: Any) -> dict[str, Any]:
        """Return "mean" and "quantiles" in raw units; arguments as of the decoder's `paths`."""
        return forecast_of(self.decoder.paths(last, future, window, state), window, self.levels)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return super().get_config() | {"levels": self.levels, "decoder": self.decoder.settings}


def forecast_of(
    paths: Any, window: Any, levels: Sequence[float] = DEFAULT_LEVELS
) -> dict[str, Any]:
    """Return mean float32[B, H, K] and quantiles float32[B, H, K, Q] of paths, in raw units.

    Args:
        paths: scaled, float32[B, N, H, K].
        window: scaling, float32[B, K, 4].
        levels: increasing, in (0, 1); interpolated between paths.
    """
    raw = to_raw(ops.transpose(paths, (0, 2, 3, 1)), window)
    count, ordered = raw.shape[-1], ops.sort(raw, axis=-1)
    # The i-th of N values stands for the level (i + 1/2) / N, as in `fixed_uniforms`.
    place = np.clip(np.array(levels) * count - 0.5, 0, count - 1)
    below = np.floor(place).astype(int)
    low, high = (
        ops.take(ordered, index, axis=-1) for index in (below, np.minimum(below + 1, count - 1))
    )
    share = ops.convert_to_tensor(place - below, "float32")
    return {"mean": ops.mean(raw, axis=-1), "quantiles": low + (high - low) * share}


def _joined(previous: Any, known: Any) -> Any:
    return previous if known is None else ops.concatenate([previous, known], axis=-1)

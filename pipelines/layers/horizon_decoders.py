"""From what was read of the history to features of every step of the horizon, float[B, H, D].

- `DirectDecoder`: all steps at once, from a context vector and what is known of each step.
- `RecurrentDecoder`: reads what is known of the horizon on from the encoder's final state.

A `ForecastHead` makes distributions of the features. `autoregression` forecasts by sampled paths.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from pipelines.config import RunConfig
from pipelines.errors import ConfigError
from pipelines.layers.recurrent import RecurrentStack
from pipelines.layers.recurrent_settings import NAMES, stack_settings

PACKAGE = "pipelines"


@keras.saving.register_keras_serializable(package=PACKAGE)
class DirectDecoder(keras.layers.Layer):
    """A small network for every step of the horizon, the same but for the step's own vector.

    The first layer adds up what comes from the context, from the step's vector, from the known
    future and, if asked for, from the encoder's states, weighed by attention: every step has a
    learned query over them (Luong et al., 2015, scaled dot products).

    Args:
        horizon: H.
        units: D, of every layer.
        depth: layers.
        attention: weigh the encoder's states for every step.
        dropout: share of features dropped after every layer.
        seed: of weights and dropout.
    """

    def __init__(
        self,
        horizon: int,
        *,
        units: int = 64,
        depth: int = 2,
        attention: bool = False,
        dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.settings: dict[str, Any] = {
            "horizon": horizon, "units": units, "depth": depth, "attention": attention,
            "dropout": dropout, "seed": seed,
        }  # fmt: skip
        self._of_context = self._dense("context", 0)
        self._of_future = self._dense("future", 1, use_bias=False)
        self._hidden = [self._dense(f"hidden_{n}", 10 + n) for n in range(1, depth)]
        self._dropout = keras.layers.Dropout(dropout, seed=seed)
        if attention:
            self._keys = self._dense("keys", 2, use_bias=False)
            self._values = self._dense("values", 3, use_bias=False)

    def _dense(self, name: str, number: int, **options: Any) -> keras.layers.Dense:
        seed = self.settings["seed"]
        initial = keras.initializers.GlorotUniform(None if seed is None else seed * 1000 + number)
        return keras.layers.Dense(
            self.settings["units"], kernel_initializer=initial, name=name, **options
        )

    def build(
        self, context_shape: tuple[Any, ...], future_shape: Any = None, states_shape: Any = None
    ) -> None:
        """Create the weights."""
        units, shape = self.settings["units"], (None, None, self.settings["units"])
        initial = keras.initializers.RandomNormal(stddev=0.05, seed=self.settings["seed"])
        size = (self.settings["horizon"], units)
        self._steps = self.add_weight(size, initial, name="steps")
        self._of_context.build(context_shape)
        if future_shape is not None:
            self._of_future.build(future_shape)
        if self.settings["attention"]:
            self._queries = self.add_weight(size, initial, name="queries")
            for layer in (self._keys, self._values):
                layer.build(states_shape)
        for layer in self._hidden:
            layer.build(shape)
        self.built = True

    def call(
        self,
        context: Any,
        future: Any = None,
        states: Any = None,
        states_mask: Any = None,
        training: bool = False,
    ) -> Any:
        """Return features [B, H, D].

        Args:
            context: what was read of the history, float[B, C].
            future: what is known of every step, float[B, H, E].
            states: of the encoder, float[B, T, S]; for attention.
            states_mask: bool[B, T], False on steps to leave out; None for none.
            training: whether dropout acts.
        """
        sums = self._of_context(context)[:, None] + ops.convert_to_tensor(self._steps)
        if future is not None:
            sums += self._of_future(future)
        if self.settings["attention"]:
            sums += self._attended(states, states_mask)
        features = self._dropout(ops.gelu(sums), training=training)
        for layer in self._hidden:
            features = self._dropout(ops.gelu(layer(features)), training=training)
        return features

    def _attended(self, states: Any, mask: Any) -> Any:
        keys, values = self._keys(states), self._values(states)
        queries = ops.cast(self._queries, keys.dtype) / self.settings["units"] ** 0.5
        scores = ops.einsum("hd,btd->bht", queries, keys)
        if mask is not None:
            scores = ops.where(mask[:, None], scores, -1e4)
        return ops.matmul(ops.softmax(scores), values)

    def compute_output_shape(
        self, context_shape: tuple[Any, ...], *_: Any, **__: Any
    ) -> tuple[Any, ...]:
        """Return [B, H, D]."""
        return (context_shape[0], self.settings["horizon"], self.settings["units"])

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return super().get_config() | self.settings


@keras.saving.register_keras_serializable(package=PACKAGE)
class RecurrentDecoder(keras.layers.Layer):
    """Reads the known future, a step at a time, on from where the encoder stopped.

    An encoder-decoder (Sutskever et al., 2014; Cho et al., 2014) whose inputs are covariates, not
    its own outputs: nothing sampled is fed back and the whole horizon is one run. Inputs of a step
    are a vector of its own and what is known of it.

    The encoder's final state, of any stack, becomes the decoder's: as it is where sizes agree
    (same cell, units and depth, forward), else through a dense layer with tanh.

    Args:
        horizon: H.
        stack: settings of the decoder's `RecurrentStack`; it reads forward, without `fast`.
        step_size: width of a step's own vector.
        seed: of the weights made here.
    """

    def __init__(
        self,
        horizon: int,
        *,
        stack: dict[str, Any],
        step_size: int = 8,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._stack = decoder_stack(stack)
        self.settings: dict[str, Any] = {
            "horizon": horizon, "stack": dict(stack), "step_size": step_size, "seed": seed,
        }  # fmt: skip
        self._bridge: keras.layers.Dense | None = None

    @classmethod
    def from_run_config(cls, config: RunConfig, horizon: int, **options: Any) -> RecurrentDecoder:
        """Build the decoder a task's settings describe."""
        return cls(horizon, stack=stack_settings(config), seed=config.seed, **options)

    def build(self, state_shape: Any, future_shape: Any = None) -> None:
        """Create the weights."""
        initial = keras.initializers.RandomNormal(stddev=0.05, seed=self.settings["seed"])
        size = self.settings["step_size"]
        self._steps = self.add_weight((self.settings["horizon"], size), initial, name="steps")
        known = future_shape[-1] if future_shape is not None else 0
        self._stack.build((None, self.settings["horizon"], size + known))
        given = [shape[-1] for shape in state_shape]
        if given != self._stack.state_sizes:
            glorot = keras.initializers.GlorotUniform(self.settings["seed"])
            self._bridge = keras.layers.Dense(
                sum(self._stack.state_sizes), "tanh", kernel_initializer=glorot, name="bridge"
            )
            self._bridge.build((None, sum(given)))
        self.built = True

    def call(self, state: Any, future: Any = None, training: bool = False) -> Any:
        """Return features [B, H, D], D the stack's units.

        Args:
            state: the encoder's final state, a flat list of tensors [B, units].
            future: what is known of every step, float[B, H, E].
            training: whether dropout acts.
        """
        steps = ops.cast(self._steps, self.compute_dtype) + ops.zeros_like(state[0][:, None, :1])
        inputs = steps if future is None else ops.concatenate([steps, future], axis=-1)
        return self._stack.run(inputs, None, self._bridged(state), training)[0]

    def _bridged(self, state: Any) -> list[Any]:
        if self._bridge is None:
            return list(state)
        whole = self._bridge(ops.concatenate(list(state), axis=-1))
        parts, first = [], 0
        for size in self._stack.state_sizes:
            parts.append(whole[:, first : first + size])
            first += size
        return parts

    def compute_output_shape(self, state_shape: Any, *_: Any, **__: Any) -> tuple[Any, ...]:
        """Return [B, H, D]."""
        return (state_shape[0][0], self.settings["horizon"], self._stack.width)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return super().get_config() | self.settings


def decoder_stack(settings: dict[str, Any]) -> RecurrentStack:
    """Return a stack that can be stepped, of settings that leave direction and speed aside.

    Raises:
        ConfigError: a setting is not one of `RecurrentStack`.
    """
    unknown = sorted(set(settings) - set(NAMES))
    if unknown:
        raise ConfigError(
            f"stack of a decoder: got the setting(s) {', '.join(unknown)}, expected some of "
            f"{', '.join(NAMES)}; pass `RecurrentStack.settings`"
        )
    fixed = {"direction": "forward", "fast": False, "return_state": False, "name": "decoder"}
    return RecurrentStack(**settings | fixed)

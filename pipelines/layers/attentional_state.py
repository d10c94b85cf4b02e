"""What a decoder has in mind at a step: its state and what it looks at."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from pipelines.errors import ConfigError
from pipelines.layers.attention import Attention
from pipelines.layers.attention_history import History
from pipelines.layers.decoder_settings import DecoderAttention
from pipelines.layers.decoder_state import Prepared, repeated
from pipelines.layers.dense_layers import by_rows


class AttentionalState(keras.layers.Layer):
    """Maps states h_t to features a_t = tanh(W [c_t; h_t]) (Luong et al., 2015, equation 5).

    c_t is what attention finds, or the summary in a decoder without attention, or absent.

    Args:
        kind: of `Attention`, or "none".
        size: width of a_t.
        units: of the attention.
        dropout: of attention weights.
        history: whether attention knows what it looked at before.
        gate: scale c_t by beta_t = sigmoid(w · q + b), of the state q that asked for it (Xu et
            al., 2015, sec. 4.2.1): some words, such as "of", are not to be seen anywhere.
        seed: of weights and dropout.
    """

    def __init__(
        self,
        kind: DecoderAttention,
        *,
        size: int,
        units: int,
        dropout: float,
        history: bool,
        gate: bool = False,
        seed: int | None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.attention: Attention | None = None
        if kind != "none":
            self.attention = Attention(
                kind, units=units, dropout=dropout, history=history, seed=seed, name="attention"
            )
        self.size = size
        initial = [
            keras.initializers.GlorotUniform(None if seed is None else seed * 1000 + number)
            for number in (11, 12)
        ]
        self._combine = keras.layers.Dense(
            size, activation="tanh", use_bias=False, kernel_initializer=initial[0], name="combine"
        )
        self._gate: keras.layers.Dense | None = None
        if gate:
            self._gate = keras.layers.Dense(
                1, activation="sigmoid", kernel_initializer=initial[1], name="gate"
            )

    def build(self, states_shape: Any, memory_shape: Any = None, summary_shape: Any = None) -> None:
        """Create the weights."""
        context = 0 if summary_shape is None else summary_shape[-1]
        if self.attention is not None:
            self.attention.build(states_shape, None, memory_shape)
            context = memory_shape[-1]
        if self._gate is not None:
            self._gate.build(states_shape)
        self._combine.build((*states_shape[:-1], context + states_shape[-1]))
        self.built = True

    def start(self, memory: Any) -> dict[str, History]:
        """Return what was looked at before the first token, as a part of a decoder's state.

        Args:
            memory: float[B, S, D]; may be None where attention has no history.

        Raises:
            ConfigError: attention has a history and there is no memory.
        """
        if self.attention is None or not self.attention.settings["history"]:
            return {}
        if memory is None:
            raise ConfigError(
                f"decoder part {self.name!r}: start() got no memory, expected the one that "
                "`prepare` got, as attention has a history over it; call start(..., memory=memory)"
            )
        return {"history": self.attention.start(memory)}

    def call(
        self,
        states: Any,
        prepared: Prepared,
        noise: Any = None,
        history: Any = None,
        training: bool = False,
    ) -> tuple[Any, Any, Any]:
        """Return features float[B, N, E], attention float32[B, N, S] or None, and the history.

        Args:
            states: float[B, N, H]; with a history they are hypotheses of one step, else steps.
            prepared: what all steps share.
            noise: of `Attention.draw_noise`, within a loop.
            history: of `Attention.start` or the step before.
            training: whether dropout acts.
        """
        context, weights, history = self.find(states, prepared, noise, history, training)
        return self.combine(context, states), weights, history

    def find(
        self,
        queries: Any,
        prepared: Prepared,
        noise: Any = None,
        history: Any = None,
        training: bool = False,
    ) -> tuple[Any, Any, Any]:
        """Return contexts float[B, N, D] or None, attention and the history, as `call`.

        Args:
            queries: the states that ask, float[B, N, H]; the rest as of `call`.
            prepared: what all steps share.
            noise: of `Attention.draw_noise`, within a loop.
            history: of `Attention.start` or the step before.
            training: whether dropout acts.
        """
        weights, context = None, None
        if self.attention is not None:
            given = (queries, prepared.keys, prepared.memory, prepared.mask)
            if history is None:
                context, weights = self.attention(*given, noise=noise, training=training)
            else:
                context, weights, history = self.attention.step(*given, history)
        elif prepared.summary is not None:
            context = repeated(prepared.summary, queries)
        if self._gate is not None:
            context = self._gate(queries) * context
        return context, weights, history

    def combine(self, context: Any, states: Any) -> Any:
        """Return features float[B, N, E] of contexts float[B, N, D] or None, and states."""
        both = [states] if context is None else [context, states]
        return by_rows(self._combine, ops.concatenate(both, axis=-1))


def unevenness(weights: Any, steps: Any, places: Any = None) -> Any:
    """Return how far a text is from looking at every place once, a float32 scalar.

    The mean over places s of (1 - sum_t w_ts)², of which the mean over rows is taken: the penalty
    of doubly stochastic attention (Xu et al., 2015, equation 14), which sums over places.

    Args:
        weights: attention, float32[B, T, S].
        steps: bool[B, T], True on real steps; a row without any does not count.
        places: bool[B, S], True on what is real; None is all of it.
    """
    seen = ops.sum(ops.where(steps[..., None], weights, 0.0), axis=1)
    real = ops.ones_like(seen) if places is None else ops.cast(places, "float32")
    rows = ops.cast(ops.any(steps, axis=1), "float32")
    far = ops.sum(ops.square(1.0 - seen) * real, axis=-1) / ops.maximum(ops.sum(real, axis=-1), 1.0)
    return ops.sum(far * rows) / ops.maximum(ops.sum(rows), 1.0)

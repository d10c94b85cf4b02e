"""A recurrent language model as one layer: it reads tokens from a state to a state."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from pipelines.layers.recurrent import RecurrentStack
from pipelines.layers.token_input import TokenInput

State = list[Any]


@keras.saving.register_keras_serializable(package="pipelines")
class LanguageModel(keras.layers.Layer):
    """Scores of the token after each token (Mikolov et al., 2010, with gated cells).

    Called on tokens int32[B, T] it gives logits float32[B, T, V], each row read from the start. A
    text is read on from any place by `read` (many tokens) and `step` (one): a state is a flat list
    of tensors [B, ...] that says all of what was read.

    Args:
        vocabulary_size: V, reserved tokens included.
        embedding_size: dimensions of a token's vector; 0 for one-hot input.
        stack: settings of the `RecurrentStack`; it reads forward.
        tied: score tokens against their own input vectors (Press & Wolf, 2017), through a
            projection where the widths differ.
        word_dropout: share of token types whose vectors are dropped (Gal & Ghahramani, 2016).
        locked_dropout: share of channels of the token vectors dropped, the same ones at every step.
        output_dropout: share of values dropped before the output layer.
        seed: of weights and dropouts made here.
    """

    def __init__(
        self,
        vocabulary_size: int,
        *,
        embedding_size: int,
        stack: dict[str, Any],
        tied: bool = False,
        word_dropout: float = 0.0,
        locked_dropout: float = 0.0,
        output_dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.settings: dict[str, Any] = {
            "vocabulary_size": vocabulary_size, "embedding_size": embedding_size,
            "stack": dict(stack), "tied": tied, "word_dropout": word_dropout,
            "locked_dropout": locked_dropout, "output_dropout": output_dropout, "seed": seed,
        }  # fmt: skip
        self.input_layer = TokenInput(
            vocabulary_size,
            embedding_size,
            word_dropout=word_dropout,
            locked_dropout=locked_dropout,
            seed=seed,
            name="input",
        )
        forward = {"bidirectional": False, "return_state": False, "name": "stack"}
        self.stack = RecurrentStack(**dict(stack) | forward)
        self._dropout = keras.layers.Dropout(output_dropout, seed=seed)
        self.projection = None
        if tied and self.stack.width != embedding_size:
            self.projection = keras.layers.Dense(embedding_size, name="projection")
        self.output_layer = keras.layers.Dense(vocabulary_size, dtype="float32", name="output")

    def build(self, tokens_shape: Any = None) -> None:
        """Create the weights."""
        del tokens_shape
        width = self.stack.width
        self.input_layer.build((None, None))
        self.stack.build((None, None, self.input_layer.width))
        if self.projection is not None:
            self.projection.build((None, None, width))
        if self.settings["tied"]:
            size = self.settings["vocabulary_size"]
            self.bias = self.add_weight((size,), "zeros", name="bias", dtype="float32")
        else:
            self.output_layer.build((None, None, width))
        self.built = True

    @property
    def width(self) -> int:
        """H, the width of the states that the output layer sees."""
        return int(self.stack.width)

    def call(self, tokens: Any, training: bool = False) -> Any:
        """Return the scores of the token after each, float32[B, T, V]."""
        return self.read(tokens, self.start(ops.shape(tokens)[0]), training)[0]

    def start(self, rows: Any) -> State:
        """Return the state of B rows before anything was read."""
        return list(self.stack.zero_state(rows))

    def read(
        self, tokens: Any, state: State, training: bool = False, mask: Any = None
    ) -> tuple[Any, State]:
        """Read tokens on from a state.

        Args:
            tokens: int32[B, T], T at least 1.
            state: what `start`, `read` or `step` returned.
            training: whether dropout acts.
            mask: bool[B, T], False on padding at the end of a row, which leaves its state alone;
                None is all True.

        Returns:
            logits of the token after each, float32[B, T, V], and the state after the last.
        """
        states, after = self.states(tokens, state, training, mask)
        return self.logits(states, training), after

    def states(
        self, tokens: Any, state: State, training: bool = False, mask: Any = None
    ) -> tuple[Any, State]:
        """Return what the output layer sees, float32[B, T, H], and the state after; see `read`."""
        vectors = self.input_layer(tokens, training=training)
        states, after = self.stack.run(vectors, mask, state, training)
        return states, after

    def step(self, tokens: Any, state: State) -> tuple[Any, State]:
        """Read one token a row, int32[B]: logits float32[B, V] and the state after."""
        states, after = self.stack.step(self.input_layer.step(tokens), state)
        return self.logits(states), after

    def logits(self, states: Any, training: bool = False) -> Any:
        """Return the scores of the next token, float32[..., V], by states float32[..., H]."""
        states = self._dropout(states, training=training)
        if not self.settings["tied"]:
            return self.output_layer(states)
        if self.projection is not None:
            states = self.projection(states)
        matrix = ops.transpose(ops.convert_to_tensor(self.input_layer.matrix))
        return ops.cast(ops.matmul(states, matrix), "float32") + self.bias

    def compute_output_spec(self, tokens: Any, *_: Any, **__: Any) -> Any:
        """Return [B, T, V]."""
        return keras.KerasTensor((*tokens.shape, self.settings["vocabulary_size"]), dtype="float32")

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return super().get_config() | self.settings


@keras.saving.register_keras_serializable(package="pipelines")
class CarriedReader(keras.layers.Layer):
    """A language model that keeps the state of S streams from one batch to the next.

    Truncated back-propagation through time (Williams & Peng, 1990): gradients end where a window
    begins, what was read does not. Maps tokens int32[S, T] and keep float32[S], 0 where a stream
    begins anew and else 1, to logits float32[S, T, V].

    Args:
        inner: the language model; shared with whatever else uses it.
        streams: S.
    """

    def __init__(self, inner: LanguageModel, streams: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.inner, self.streams = inner, streams

    def build(self, tokens_shape: Any = None, keep_shape: Any = None) -> None:
        """Create the carried state."""
        del tokens_shape, keep_shape
        if not self.inner.built:
            self.inner.build()
        self.carried = [
            self.add_weight(
                tensor.shape,
                "zeros",
                dtype=keras.backend.standardize_dtype(tensor.dtype),
                trainable=False,
                name=f"carried_{number}",
            )
            for number, tensor in enumerate(self.inner.start(self.streams))
        ]
        self.built = True

    def call(self, tokens: Any, keep: Any, training: bool = False) -> Any:
        """Read a window of every stream, and keep the state after it."""
        logits, after = self.inner.read(tokens, self._before(keep), training)
        for variable, value in zip(self.carried, after, strict=True):
            variable.assign(ops.stop_gradient(ops.cast(value, variable.dtype)))
        return logits

    def _before(self, keep: Any) -> State:
        """Return the carried state, 0 in the streams that begin anew."""
        values = [ops.convert_to_tensor(variable) for variable in self.carried]
        return [value * ops.cast(keep[:, None], value.dtype) for value in values]

    def compute_output_spec(self, tokens: Any, *_: Any, **__: Any) -> Any:
        """Return [S, T, V]."""
        return self.inner.compute_output_spec(tokens)

"""A recurrent language model as one layer: it reads tokens from a state to a state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from pipelines.layers.match_memory import Matches, MatchMemory
from pipelines.layers.ngram_connections import NgramConnections
from pipelines.layers.recurrent import RecurrentStack
from pipelines.layers.token_input import TokenInput

State = list[Any]
SMALLEST = 1e-12  # added to probabilities of a mixture before their logarithm


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
        ngram_orders: lengths of the n-grams that are connected to the output directly; none if ().
        ngram_buckets: most rows of the table of an order; see `NgramConnections`.
        match_span: tokens of the text's own past that are searched for what came after the same
            tokens (`MatchMemory`); a learned gate says at each step how far to believe it. 0: none.
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
        ngram_orders: Sequence[int] = (),
        ngram_buckets: int = 65_536,
        match_span: int = 0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.settings: dict[str, Any] = {
            "vocabulary_size": vocabulary_size, "embedding_size": embedding_size,
            "stack": dict(stack), "tied": tied, "word_dropout": word_dropout,
            "locked_dropout": locked_dropout, "output_dropout": output_dropout,
            "ngram_orders": list(ngram_orders), "ngram_buckets": ngram_buckets,
            "match_span": match_span, "seed": seed,
        }  # fmt: skip
        self.input_layer = TokenInput(
            vocabulary_size,
            embedding_size,
            word_dropout=word_dropout,
            locked_dropout=locked_dropout,
            seed=seed,
            name="input",
        )
        forward = {"direction": "forward", "return_state": False, "name": "stack"}
        self.stack = RecurrentStack(**dict(stack) | forward)
        self._dropout = keras.layers.Dropout(output_dropout, seed=seed)
        self.projection = None
        if tied and self.stack.width != embedding_size:
            self.projection = keras.layers.Dense(embedding_size, name="projection")
        self.output_layer = keras.layers.Dense(vocabulary_size, dtype="float32", name="output")
        self.ngrams: Any = None
        self.matches: Any = None
        if ngram_orders:
            self.ngrams = NgramConnections(
                ngram_orders, ngram_buckets, vocabulary_size, name="ngrams"
            )
        if match_span:
            self.matches = MatchMemory(match_span, vocabulary_size, dtype="float32", name="matches")
            self.gate = keras.layers.Dense(1, "sigmoid", dtype="float32", name="gate")

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
        if self.ngrams is not None:
            self.ngrams.build()
        if self.matches is not None:
            self.gate.build((None, None, width + len(self.matches.levels)))
        self.built = True

    @property
    def width(self) -> int:
        """H, the width of the states that the output layer sees."""
        return int(self.stack.width)

    def call(self, tokens: Any, training: bool = False) -> Any:
        """Return the scores of the token after each, float32[B, T, V]."""
        return self.read(tokens, self.start(ops.shape(tokens)[0]), training)[0]

    @property
    def memory(self) -> int:
        """S, the number of last tokens that a state holds."""
        parts = (self.ngrams, self.matches)
        return max((part.memory for part in parts if part is not None), default=0)

    def start(self, rows: Any) -> State:
        """Return the state of B rows before anything was read.

        It is that of the stack and, with n-grams or a match memory, the last tokens int32[B, S].
        """
        state = list(self.stack.zero_state(rows))
        return [*state, ops.zeros((rows, self.memory), dtype="int32")] if self.memory else state

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
        return self.scores(tokens, states, state, training), after

    def states(
        self, tokens: Any, state: State, training: bool = False, mask: Any = None
    ) -> tuple[Any, State]:
        """Return what the stack makes of tokens, float32[B, T, H], and the state after: `read`."""
        past, recurrent = self._split(state)
        vectors = self.input_layer(tokens, training=training)
        states, after = self.stack.run(vectors, mask, recurrent, training)
        return states, [*after, *self._remembered(tokens, past, mask)]

    def step(self, tokens: Any, state: State) -> tuple[Any, State]:
        """Read one token a row, int32[B]: logits float32[B, V] and the state after."""
        past, recurrent = self._split(state)
        states, after = self.stack.step(self.input_layer.step(tokens), recurrent)
        logits = self._logits(states, False)
        if self.ngrams is not None:
            logits = logits + self.ngrams.step(tokens, _last(past, self.ngrams.memory))[0]
        if self.matches is not None:
            found = self.matches.step(tokens, _last(past, self.matches.memory))
            logits = self._mixed(logits, states, found)
        return logits, [*after, *self._remembered(tokens[:, None], past, None)]

    def scores(self, tokens: Any, states: Any, state: State, training: bool = False) -> Any:
        """Return the scores of the token after each, float32[B, T, V].

        Args:
            tokens: int32[B, T].
            states: what `states` returned for them, float32[B, T, H].
            state: before the first of them.
            training: whether dropout acts.
        """
        past, _ = self._split(state)
        logits = self._logits(states, training)
        if self.ngrams is not None:
            logits = logits + self.ngrams(tokens, _last(past, self.ngrams.memory))
        if self.matches is None:
            return logits
        found = self.matches(tokens, _last(past, self.matches.memory))
        return self._mixed(logits, states, found)

    def _mixed(self, logits: Any, states: Any, found: Matches) -> Any:
        """Return the scores [..., V] with what matches say believed as far as the gate tells."""
        believed = self.gate(ops.concatenate([states, found.counts], axis=-1))
        # Where nothing matches, nothing is believed.
        believed = believed * ops.sum(found.probability, axis=-1, keepdims=True)
        mixed = (1.0 - believed) * ops.softmax(logits) + believed * found.probability
        return ops.log(mixed + SMALLEST)

    def _logits(self, states: Any, training: bool) -> Any:
        """Return the network's own scores of the next token, float32[B, T, V]."""
        states = self.features(states, training)
        if not self.settings["tied"]:
            return self.output_layer(states)
        matrix = ops.transpose(ops.convert_to_tensor(self.input_layer.matrix))
        return ops.cast(ops.matmul(states, matrix), "float32") + self.bias

    def features(self, states: Any, training: bool = False) -> Any:
        """Return what the output weights are applied to, by states float32[B, T, H]."""
        states = self._dropout(states, training=training)
        return states if self.projection is None else self.projection(states)

    def _split(self, state: State) -> tuple[Any, State]:
        """Return the last tokens, or None, and the state of the stack."""
        return (state[-1], state[:-1]) if self.memory else (None, state)

    def _remembered(self, tokens: Any, past: Any, mask: Any) -> State:
        """Return the last tokens after some more: a list of one tensor, or of none."""
        if past is None:
            return []
        joined = ops.concatenate([past, ops.cast(tokens, "int32")], axis=1)
        if mask is None:
            kept = joined[:, tokens.shape[1] or ops.shape(tokens)[1] :]
            # Loops over a state need its static shape, which the slice has lost.
            return [ops.reshape(kept, (past.shape[0] or -1, self.memory))]
        read = ops.sum(ops.cast(mask, "int32"), axis=1)
        places = read[:, None] + ops.arange(self.memory, dtype="int32")
        return [ops.take_along_axis(joined, places, axis=1)]

    def compute_output_spec(self, tokens: Any, *_: Any, **__: Any) -> Any:
        """Return [B, T, V]."""
        return keras.KerasTensor((*tokens.shape, self.settings["vocabulary_size"]), dtype="float32")

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return super().get_config() | self.settings


def _last(past: Any, count: int) -> Any:
    return past if past.shape[1] == count else past[:, past.shape[1] - count :]

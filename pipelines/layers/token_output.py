"""From what a decoder has in mind at a step to the logits of its next token."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from pipelines.layers.dense_layers import by_rows


class TokenOutput(keras.layers.Layer):
    """Logits of features against token vectors: E (a_t + g sum_s w_ts v_s) + b.

    The second term, of a lexical decoder, is what the tokens that are looked at mean by
    themselves: v_s is the vector of source token s, w_ts attention, g a learned scalar. A rare word
    is then translated by its vector alone (after Nguyen & Chiang, 2018, sec. 3.2, whose lexical
    term has a layer and an output matrix of its own).

    Args:
        embedding: of the tokens written; its matrix, or the output matrix beside it, is E.
        dropout: share of values of a_t dropped in training.
        lexical: whether there is the second term.
        seed: of the dropout.
    """

    def __init__(
        self,
        embedding: keras.layers.ReversibleEmbedding,
        *,
        dropout: float = 0.0,
        lexical: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.embedding, self.lexical = embedding, lexical
        self._dropout = keras.layers.Dropout(dropout, seed=seed)

    def build(self, features_shape: Any = None) -> None:
        """Create the bias b, float32[V], and g."""
        del features_shape
        self.bias = self.add_weight((self.embedding.input_dim,), "zeros", name="bias")
        if self.lexical:
            self.gate = self.add_weight((1,), "ones", name="gate")
        self.built = True

    def call(
        self, features: Any, weights: Any = None, vectors: Any = None, training: bool = False
    ) -> Any:
        """Return logits, float32[B, N, V].

        Args:
            features: a_t, float[B, N, E].
            weights: attention, float32[B, N, S]; for a lexical decoder.
            vectors: of source tokens, float[B, S, E]; likewise.
            training: whether dropout acts.
        """
        features = self._dropout(features, training=training)
        if self.lexical:
            meant = ops.matmul(ops.cast(weights, vectors.dtype), vectors)
            features = features + ops.cast(self.gate, meant.dtype) * meant
        logits = by_rows(self.embedding, features, reverse=True)
        return logits + ops.cast(self.bias, "float32")

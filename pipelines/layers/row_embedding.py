"""Vectors of tokens, in a table of which an optimizer may update the rows that were read alone."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from pipelines.lazy_tables import read_by_rows, read_rows


@keras.saving.register_keras_serializable(package="pipelines")
class RowEmbedding(keras.layers.Embedding):
    """An `Embedding` for large vocabularies: see `pipelines.lazy_tables`.

    Maps ids int[...] to float[..., D]. Its table must be read by this layer alone: one that scores
    tokens too has a dense gradient, and gains nothing.
    """

    def build(self, input_shape: Any = None) -> None:
        """Create the table, float32[V, D]."""
        super().build(input_shape)
        read_by_rows(self.embeddings)

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Return the vectors of ids; in training as an optimizer that moves all rows has them."""
        ids = ops.cast(inputs, "int32")
        vectors = read_rows(self.embeddings, ids, training=training)
        return ops.cast(vectors, self.compute_dtype)

    def compute_output_spec(self, inputs: Any, training: bool = False) -> Any:
        """Return the vectors' shape and type."""
        del training
        return super().compute_output_spec(inputs)

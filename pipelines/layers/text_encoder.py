"""From token ids to what a decoder attends to."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from pipelines.layers.noise import WordDropout
from pipelines.layers.recurrent import RecurrentStack, SequencePooling
from pipelines.layers.row_embedding import RowEmbedding


@keras.saving.register_keras_serializable(package="pipelines")
class TextEncoder(keras.layers.Layer):
    """Embeds tokens and reads them with a recurrent stack.

    Maps ids int32[B, S], right-padded with 0, to (memory float[B, S, D], mask bool[B, S], summary
    float[B, D]), in the order in which `AttentionDecoder` takes them. Memory is 0 on padding; the
    summary is the final state of each direction of the top layer. Every row needs a real token.
    With `return_vectors` the vectors of the tokens, float[B, S, E], follow.

    Args:
        vocabulary_size: ids are below it.
        embedding_size: dimensions of a token's vector.
        stack: settings of the `RecurrentStack`; `fast` is heeded.
        word_dropout: share of tokens replaced by the unknown token in training.
        embedding_dropout: share of vector values dropped in training.
        output_dropout: share of memory values dropped in training.
        return_vectors: also return the token vectors.
        seed: of weights and dropouts made here.
    """

    def __init__(
        self,
        vocabulary_size: int,
        *,
        embedding_size: int,
        stack: dict[str, Any],
        word_dropout: float = 0.0,
        embedding_dropout: float = 0.0,
        output_dropout: float = 0.0,
        return_vectors: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.settings: dict[str, Any] = {
            "vocabulary_size": vocabulary_size, "embedding_size": embedding_size,
            "stack": dict(stack), "word_dropout": word_dropout,
            "embedding_dropout": embedding_dropout, "output_dropout": output_dropout,
            "return_vectors": return_vectors, "seed": seed,
        }  # fmt: skip
        initial = keras.initializers.RandomNormal(stddev=embedding_size**-0.5, seed=seed)
        self.embedding = RowEmbedding(
            vocabulary_size, embedding_size, embeddings_initializer=initial, name="embedding"
        )
        self._stack = RecurrentStack(**dict(stack) | {"return_state": False, "name": "stack"})
        self._final = SequencePooling(("last",), backward=self._stack.backward)
        self._word_dropout = WordDropout(word_dropout, seed=seed)
        self._embedding_dropout = keras.layers.Dropout(embedding_dropout, seed=seed)
        self._output_dropout = keras.layers.Dropout(output_dropout, seed=seed)

    @property
    def width(self) -> int:
        """Return D, the width of memory and summary."""
        return int(self._stack.width)

    def build(self, tokens_shape: tuple[Any, ...]) -> None:
        """Create the weights."""
        self.embedding.build(tokens_shape)
        self._stack.build((*tokens_shape, self.settings["embedding_size"]))
        self._final.build((*tokens_shape, self.width))
        self.built = True

    def call(self, tokens: Any, training: bool = False) -> tuple[Any, ...]:
        """Return memory, mask and summary, and the token vectors if they are asked for."""
        mask = ops.not_equal(tokens, 0)
        vectors = self.embedding(self._word_dropout(tokens, training=training))
        dropped = self._embedding_dropout(vectors, training=training)
        states = self._stack(dropped, mask=mask, training=training)
        summary = self._final(states, mask)
        read = self._output_dropout(states, training=training), mask, summary
        return (*read, vectors) if self.settings["return_vectors"] else read

    def compute_output_spec(self, tokens: Any, *_: Any, **__: Any) -> tuple[Any, ...]:
        """Return [B, S, D], [B, S] and [B, D], and [B, S, E] if it is asked for."""
        rows, steps = tokens.shape
        shapes = [(rows, steps, self.width), (rows, self.width)]
        if self.settings["return_vectors"]:
            shapes.append((rows, steps, self.settings["embedding_size"]))
        memory, *rest = (keras.KerasTensor(shape, dtype=self.compute_dtype) for shape in shapes)
        return memory, keras.KerasTensor((rows, steps), dtype="bool"), *rest

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return super().get_config() | self.settings

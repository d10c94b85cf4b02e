"""From tokens to what a recurrent language model reads."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from pipelines.errors import ConfigError
from pipelines.layers.noise import drop_types
from pipelines.layers.row_embedding import RowEmbedding
from pipelines.lazy_tables import read_as_a_whole


@keras.saving.register_keras_serializable(package="pipelines")
class TokenInput(keras.layers.Layer):
    """Vectors of tokens: learned ones, or one-hot ones where the vocabulary is small.

    Maps int32[B, T] to float[B, T, D]. In training, whole token types are dropped (Gal &
    Ghahramani, 2016, sec. 4.1): the vector of a type is 0 wherever it stands in a row; then
    channels, the same ones at every step of a row (locked dropout). What is kept is divided by the
    share kept.

    Args:
        vocabulary_size: V; ids are below it.
        embedding_size: D; 0 for one-hot vectors, D = V.
        word_dropout: share of token types dropped in a row.
        locked_dropout: share of channels dropped.
        seed: of weights and dropouts.
    """

    def __init__(
        self,
        vocabulary_size: int,
        embedding_size: int = 0,
        *,
        word_dropout: float = 0.0,
        locked_dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.settings: dict[str, Any] = {
            "vocabulary_size": vocabulary_size, "embedding_size": embedding_size,
            "word_dropout": word_dropout, "locked_dropout": locked_dropout, "seed": seed,
        }  # fmt: skip
        self.width = embedding_size or vocabulary_size
        self.embedding = None
        if embedding_size:
            initial = keras.initializers.RandomNormal(stddev=embedding_size**-0.5, seed=seed)
            self.embedding = RowEmbedding(
                vocabulary_size,
                embedding_size,
                embeddings_initializer=initial,
                dtype=self.dtype_policy,
                name="embedding",
            )
        self._seeds = keras.random.SeedGenerator(seed) if word_dropout else None
        self._locked = None
        if locked_dropout:
            self._locked = keras.layers.SpatialDropout1D(
                locked_dropout, seed=seed, dtype=self.dtype_policy
            )

    def build(self, tokens_shape: Any = None) -> None:
        """Create the vectors, if they are learned."""
        if self.embedding is not None:
            self.embedding.build(tokens_shape)
        self.built = True

    @property
    def matrix(self) -> keras.Variable:
        """Vectors of all tokens, float32[V, D]: the output layer may share them.

        Raises:
            ConfigError: the vectors are one-hot.
        """
        if self.embedding is None:
            raise ConfigError(
                f"token input {self.name!r} has no vectors to share with the output layer: got "
                "embedding_size=0 (one-hot input), expected learned vectors; set an embedding "
                "size, or leave the weights of input and output apart"
            )
        matrix: keras.Variable = read_as_a_whole(self.embedding.embeddings)
        return matrix

    def call(self, tokens: Any, training: bool = False) -> Any:
        """Return the vectors of int32[B, T], with dropout in training: float[B, T, D]."""
        vectors = self.step(tokens)
        if training and self._seeds is not None:
            vectors = drop_types(vectors, tokens, self.settings["word_dropout"], self._seeds)
        if training and self._locked is not None:
            vectors = self._locked(vectors, training=True)
        return vectors

    def step(self, tokens: Any) -> Any:
        """Return the vectors of int32[...] at inference: float[..., D]."""
        if self.embedding is not None:
            return self.embedding(tokens)
        return ops.one_hot(tokens, self.width, dtype=self.compute_dtype)

    def compute_output_shape(self, tokens_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return [B, T, D]."""
        return (*tokens_shape, self.width)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return super().get_config() | self.settings

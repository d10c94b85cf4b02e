"""Hashed n-grams of words: the features of a linear text model, made in the graph."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from pipelines.errors import ConfigError
from pipelines.text import units


class HashedNgrams(keras.layers.Layer):
    """Number the distinct n-grams of a text by hashing; no vocabulary is learned.

    Numbers run from 1 to `buckets`; 0 is padding. Different n-grams may share a number; each number
    occurs once a text, and no row is empty.

    Args:
        buckets: how many numbers there are.
        min_n: units (words or characters) in the shortest n-gram.
        max_n: units in the longest n-gram.
        lowercase: whether to lower-case (all of Unicode) first.

    Raises:
        ConfigError: `buckets`, `min_n` or `max_n` is out of range.
    """

    def __init__(
        self, buckets: int, *, min_n: int, max_n: int, lowercase: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if buckets < 1 or not 1 <= min_n <= max_n:
            raise ConfigError(
                f"{type(self).__name__} cannot have buckets={buckets}, min_n={min_n}, "
                f"max_n={max_n}; expected buckets >= 1 and 1 <= min_n <= max_n"
            )
        self.buckets, self.min_n, self.max_n, self.lowercase = buckets, min_n, max_n, lowercase
        self._convert_input_args = False  # strings reach `call` as they are
        self._allow_non_tensor_positional_args = True
        self.built = True

    def encode(self, texts: Any) -> tf.RaggedTensor:
        """Number the n-grams of texts, string[B]: int32 ragged [B, (N)], no row empty."""
        texts = tf.convert_to_tensor(texts, tf.string)
        return self.encode_words(units.words(texts, lowercase=self.lowercase))

    def encode_words(self, words: tf.RaggedTensor) -> tf.RaggedTensor:
        """Number the n-grams of words that are already cut and normalised, string [B, (T)]."""
        raise NotImplementedError

    def call(self, texts: Any) -> tf.Tensor:
        """Number the n-grams of texts, string[B]: int32[B, N], padded on the right with 0."""
        return self.encode(texts).to_tensor(0)

    def compute_output_spec(self, texts: Any) -> keras.KerasTensor:
        """Give the symbolic result of `call`: int32[B, N], N unknown."""
        return keras.KerasTensor((texts.shape[0], None), dtype="int32")

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "buckets": self.buckets,
            "min_n": self.min_n,
            "max_n": self.max_n,
            "lowercase": self.lowercase,
        }


@keras.saving.register_keras_serializable(package="pipelines")
class WordNgrams(HashedNgrams):
    """Word n-grams, in order of first occurrence, shorter ones before longer ones.

    A text without words has the one number of the empty string.
    """

    def __init__(self, buckets: int, *, min_n: int = 1, max_n: int = 2, **kwargs: Any) -> None:
        super().__init__(buckets, min_n=min_n, max_n=max_n, **kwargs)

    def encode_words(self, words: tf.RaggedTensor) -> tf.RaggedTensor:
        """Number the n-grams of words that are already cut and normalised, string [B, (T)]."""
        widths = list(range(self.min_n, self.max_n + 1))
        grams = _with_one_each(tf.strings.ngrams(words, widths, separator=" "))
        hashed = tf.strings.to_hash_bucket_fast(grams.flat_values, self.buckets) + 1
        # `unique` keeps the order of first occurrence, and the row is part of the key.
        stride = tf.constant(self.buckets + 1, tf.int64)
        distinct, _ = tf.unique(grams.value_rowids() * stride + hashed)
        return tf.RaggedTensor.from_value_rowids(
            tf.cast(distinct % stride, tf.int32), distinct // stride, nrows=grams.nrows()
        )


def _with_one_each(grams: tf.RaggedTensor) -> tf.RaggedTensor:
    """Give each empty row the empty string."""
    empty = tf.cast(grams.row_lengths() == 0, tf.int64)
    filler = tf.fill([tf.reduce_sum(empty)], "")
    return tf.concat([grams, tf.RaggedTensor.from_row_lengths(filler, empty)], axis=1)

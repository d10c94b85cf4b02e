"""Hashed character n-grams of words: word parts as features of a linear text model."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from pipelines.errors import ConfigError
from pipelines.text import units


@keras.saving.register_keras_serializable(package="pipelines")
class CharNgrams(keras.layers.Layer):
    """Number the distinct character n-grams of a text's words by hashing.

    A word is taken with one blank on either side, so that its beginning and end are told from its
    middle (Bojanowski et al., 2017, sec. 3.2). Numbers run from 1 to `buckets`; 0 is padding. Each
    number occurs once a text. A text without words has the n-grams of two blanks.

    Args:
        buckets: how many numbers there are.
        min_n: characters in the shortest n-gram.
        max_n: characters in the longest n-gram.
        lowercase: whether to lower-case (all of Unicode) first.

    Raises:
        ConfigError: `buckets`, `min_n` or `max_n` is out of range.
    """

    def __init__(
        self,
        buckets: int,
        *,
        min_n: int = 2,
        max_n: int = 5,
        lowercase: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if buckets < 1 or not 1 <= min_n <= max_n:
            raise ConfigError(
                f"CharNgrams cannot have buckets={buckets}, min_n={min_n}, max_n={max_n}; expected "
                "buckets >= 1 and 1 <= min_n <= max_n"
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
        # Cutting each distinct word once saves most of the work: words repeat within a batch.
        distinct, where = tf.unique(words.flat_values)
        of_word = tf.gather(self._grams(tf.strings.join([" ", distinct, " "])), where)
        rows = tf.repeat(words.value_rowids(), of_word.row_lengths())
        empty = tf.cast(tf.where(words.row_lengths() == 0)[:, 0], rows.dtype)
        filler = tf.reshape(self._hash(tf.constant(["  "])), [1])
        rows = tf.concat([rows, empty], 0)
        hashed = tf.concat([of_word.flat_values, tf.repeat(filler, tf.size(empty))], 0)
        stride = tf.constant(self.buckets + 1, tf.int64)
        kept = tf.sort(tf.unique(rows * stride + hashed)[0])
        return tf.RaggedTensor.from_value_rowids(
            tf.cast(kept % stride, tf.int32), kept // stride, nrows=words.nrows()
        )

    def _grams(self, words: tf.Tensor) -> tf.RaggedTensor:
        """Return the hashed n-grams of each word, int64 [W, (G)]."""
        widths = list(range(self.min_n, self.max_n + 1))
        chars = tf.strings.unicode_split(words, "UTF-8")
        grams = tf.strings.ngrams(chars, widths, separator="")
        return grams.with_flat_values(self._hash(grams.flat_values))

    def _hash(self, grams: tf.Tensor) -> tf.Tensor:
        return tf.strings.to_hash_bucket_fast(grams, self.buckets) + 1

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

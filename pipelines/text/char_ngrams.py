"""Hashed character n-grams of words: word parts as features of a linear text model."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from pipelines.text.ngrams import HashedNgrams


@keras.saving.register_keras_serializable(package="pipelines")
class CharNgrams(HashedNgrams):
    """Character n-grams within words.

    A word is taken with one blank on either side, so that its beginning and end are told from its
    middle (Bojanowski et al., 2017, sec. 3.2). A text without words has the n-gram of two blanks.
    """

    def __init__(self, buckets: int, *, min_n: int = 2, max_n: int = 5, **kwargs: Any) -> None:
        super().__init__(buckets, min_n=min_n, max_n=max_n, **kwargs)

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

"""Texts as bytes: cut, placed and numbered as they are, well-formed or not."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from pipelines.text.units import Tokens
from pipelines.text.vocabulary import RESERVED

# What token numbers stand for; the reserved ones by name.
STRINGS = (*(name.encode() for name in RESERVED), *(bytes([value]) for value in range(256)))
# Bytes 0x80 to 0xBF continue a character of UTF-8; every other begins one.
BEGINS_CHARACTER = tuple(not 0x80 <= value < 0xC0 for value in range(256))


def byte_numbers(texts: Any, *, lowercase: bool) -> tf.RaggedTensor:
    """Number the bytes of texts, string[B]: int32 ragged [B, (T)], byte b as b + 4.

    `lowercase` folds A to Z alone, so that each byte keeps its place.
    """
    texts = tf.convert_to_tensor(texts, tf.string)
    lengths = tf.cast(tf.strings.length(texts), tf.int64)
    # Decoding asks for strings of one length, so all are decoded as one.
    values = tf.io.decode_raw(tf.strings.reduce_join(lower(texts) if lowercase else texts), "uint8")
    return tf.RaggedTensor.from_row_lengths(
        tf.cast(values, tf.int32) + len(RESERVED), lengths, validate=False
    )


def byte_tokens(texts: Any, *, lowercase: bool) -> Tokens:
    """Cut texts, string[B], into bytes, each with the place of the character it belongs to."""
    texts = tf.convert_to_tensor(texts, tf.string)
    ids = byte_numbers(texts, lowercase=False)
    place = tf.ragged.range(tf.cast(ids.row_lengths(), tf.int32), row_splits_dtype=tf.int64)
    character = _characters(texts, ids)
    pieces = tf.gather(tf.constant(STRINGS), ids)
    normalised = lower(pieces.flat_values) if lowercase else pieces.flat_values
    return Tokens(
        pieces=pieces,
        normalised=pieces.with_flat_values(normalised),
        byte_starts=place,
        byte_limits=place.with_flat_values(place.flat_values + 1),
        char_starts=character,
        char_limits=character.with_flat_values(character.flat_values + 1),
        space_before=ids.with_flat_values(tf.zeros_like(ids.flat_values, tf.bool)),
    )


def lower(strings: tf.Tensor) -> tf.Tensor:
    """Fold A to Z, leaving every other byte, and the number of bytes, alone."""
    return tf.strings.lower(strings)


def _characters(texts: tf.Tensor, ids: tf.RaggedTensor) -> tf.RaggedTensor:
    """Number, in each text, the character that every byte of it belongs to: int32 [B, (T)]."""
    codes, offsets = tf.strings.unicode_decode_with_offsets(texts, "UTF-8")
    at = offsets.flat_values + tf.gather(ids.row_starts(), offsets.value_rowids())
    begins = tf.scatter_nd(
        at[:, tf.newaxis], tf.ones_like(at, tf.int32), [tf.size(ids.flat_values, tf.int64)]
    )
    before = tf.cast(tf.gather(codes.row_starts(), ids.value_rowids()), tf.int32)
    return ids.with_flat_values(tf.cumsum(begins) - 1 - before)

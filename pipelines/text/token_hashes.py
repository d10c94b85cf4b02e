"""Hashed features of tokens, in the graph: affixes to embed, and clues for a linear part.

A feature is a number from 2 to the number of buckets minus 1; 0 is none, and 1 is the edge of a
row. Names of features are hashed with their values, so that "prefix re" and "suffix re" are two.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import tensorflow as tf

from pipelines.text import units
from pipelines.text.feature_sizes import AFFIX_BUCKETS, AFFIX_LENGTHS

# Odd, so that multiplying by it modulo a power of two maps features one for one.
_SPREAD = {-2: 0x9E3779B1, -1: 0x85EBCA77, 1: 0xC2B2AE3D, 2: 0x27D4EB2F}
_SHAPE = (
    (r"[\p{Lu}\p{Lt}]{2,}", "XX"), (r"[\p{Lu}\p{Lt}]", "X"),
    (r"[\p{Ll}\p{Lo}\p{Lm}\p{M}]{2,}", "xx"), (r"[\p{Ll}\p{Lo}\p{Lm}\p{M}]", "x"),
    (r"\p{Nd}{2,}", "dd"), (r"\p{Nd}", "d"),
)  # fmt: skip


def affixes(tokens: tf.Tensor) -> tf.Tensor:
    """Hash the prefixes and suffixes of tokens, string[N]: int32[N, AFFIXES]."""
    return of_distinct(_affixes, tokens)


def of_distinct(function: Callable[[tf.Tensor], tf.Tensor], tokens: tf.Tensor) -> tf.Tensor:
    """Apply a function of strings [N] to each distinct one once: several times faster on text."""
    distinct, where = tf.unique(tokens)
    return tf.gather(function(distinct), where)


def _affixes(tokens: tf.Tensor) -> tf.Tensor:
    return tf.stack(sized_affixes(units.lower(tokens), AFFIX_LENGTHS, AFFIX_BUCKETS), axis=1)


def sized_affixes(
    words: tf.Tensor, lengths: Mapping[str, tuple[int, ...]], buckets: int
) -> list[tf.Tensor]:
    """Hash the prefixes and suffixes of words, string[N], each int32[N].

    Args:
        words: in lower case.
        lengths: of "prefix" and of "suffix", in code points; 0 stands where a word is shorter.
        buckets: numbers are below it.
    """
    sizes = tf.strings.length(words, unit="UTF8_CHAR")
    columns = []
    for name, wanted in lengths.items():
        for size in wanted:
            long_enough = sizes >= size
            # substr refuses to start outside a string
            safe = tf.where(long_enough, words, "\x00" * size)
            start = 0 if name == "prefix" else -size
            affix = tf.strings.substr(safe, start, size, unit="UTF8_CHAR")
            columns.append(tf.where(long_enough, hashed(affix, f"{name}{size}", buckets), 0))
    return columns


def hashed(values: tf.Tensor, name: str, buckets: int) -> tf.Tensor:
    """Hash values, string[N], of the feature `name`: int32[N] in 2..buckets-1."""
    named = tf.strings.join([f"{name}=", values])
    return tf.cast(tf.strings.to_hash_bucket_fast(named, buckets - 2), tf.int32) + 2


def shape(tokens: tf.Tensor) -> tf.Tensor:
    """Write tokens, string[N], as shapes: "iPhone-4" is "xXxx-d"."""
    for pattern, letter in _SHAPE:
        tokens = tf.strings.regex_replace(tokens, pattern, letter)
    return tokens


def neighbours(ids: tf.RaggedTensor, offset: int, *, buckets: int) -> tf.RaggedTensor:
    """Return at each place the features of the token `offset` places away, as other features.

    Args:
        ids: int32 ragged [B, (T), F].
        offset: -2, -1, 1 or 2.
        buckets: a power of two.

    Returns:
        int32 ragged [B, (T), F]; beyond the ends of a row a feature that says so.
    """
    flat = tf.cast(ids.flat_values, tf.int64)
    spread = tf.cast(tf.math.floormod(flat * _SPREAD[offset], buckets), tf.int32)
    moved = tf.roll(spread, -offset, axis=0)
    place = tf.ragged.range(ids.row_lengths()).flat_values
    lengths = tf.gather(ids.row_lengths(), ids.value_rowids())
    inside = (place + offset >= 0) & (place + offset < lengths)
    edge = _SPREAD[offset] % buckets  # where feature 1, the edge, would go
    return ids.with_flat_values(tf.where(inside[:, tf.newaxis], moved, edge))

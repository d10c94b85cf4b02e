"""Whether a hyphen inside a word separates: training data decides, since corpora differ."""

from __future__ import annotations

import re
from collections.abc import Iterable

import tensorflow as tf

from pipelines.datasets.tagged import TaggedSentence
from pipelines.text.units import Tokens

_INSIDE = re.compile(r"[^\W_]-[^\W_]")
_EDGE = r"[\p{L}\p{M}\p{N}]"
_HYPHEN = "-"


def joins_hyphens(sentences: Iterable[TaggedSentence]) -> bool:
    """Tell whether words such as "well-made" are mostly one token of these sentences.

    A hyphen that is a token of its own counts against it where the sentence is known as written and
    has no space around it.
    """
    joined = apart = 0
    for sentence in sentences:
        tokens = sentence.surfaces or sentence.tokens
        joined += sum(bool(_INSIDE.search(token)) for token in tokens)
        for before, token, after in zip(tokens, tokens[1:], tokens[2:], strict=False):
            apart += token == _HYPHEN and f"{before[-1:]}-{after[:1]}" in sentence.text
    return joined > apart


def join_hyphens(tokens: Tokens) -> Tokens:
    """Put "well", "-" and "made" together where no space is between them; `normalised` likewise."""
    rows = tokens.pieces.value_rowids()
    flat = tokens.pieces.flat_values
    glued = _glued_to_the_one_before(tokens, rows)
    # A hyphen joins when it and what follows are glued, and letters or digits stand on both sides.
    before, after = tf.roll(flat, 1, 0), tf.roll(flat, -1, 0)
    joins = (flat == _HYPHEN) & glued & tf.roll(glued, -1, 0)
    joins &= tf.strings.regex_full_match(before, f"(?s).*{_EDGE}")
    joins &= tf.strings.regex_full_match(after, f"(?s){_EDGE}.*")
    word = tf.cumsum(tf.cast(~(joins | tf.roll(joins, 1, 0)), tf.int32)) - 1
    count = tf.reduce_max(tf.concat([word, [-1]], 0)) + 1
    first = tf.math.unsorted_segment_min(tf.range(tf.size(flat)), word, count)
    last = tf.math.unsorted_segment_max(tf.range(tf.size(flat)), word, count)
    new_rows = tf.gather(rows, first)

    def ragged(values: tf.Tensor) -> tf.RaggedTensor:
        return tf.RaggedTensor.from_value_rowids(values, new_rows, tokens.pieces.nrows())

    pieces = ragged(tf.strings.reduce_join(tf.RaggedTensor.from_value_rowids(flat, word), axis=1))
    ends = {
        name: ragged(tf.gather(part.flat_values, last if name.endswith("limits") else first))
        for name, part in tokens._asdict().items()
        if name not in ("pieces", "normalised")
    }
    return Tokens(pieces=pieces, normalised=pieces, **ends)


def _glued_to_the_one_before(tokens: Tokens, rows: tf.Tensor) -> tf.Tensor:
    """Tell of each token whether one of its own row stands right before it, bool[N]."""
    same_row = tf.concat([[False], rows[1:] == rows[:-1]], 0)[: tf.size(rows)]
    return same_row & ~tokens.space_before.flat_values

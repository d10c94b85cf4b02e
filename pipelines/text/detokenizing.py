"""From token numbers back to text, in the graph."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from pipelines.text.units import SPACE_MARK, SPACELESS
from pipelines.text.vocabulary import BOS, EOS, PAD, RESERVED, UNK, Vocabulary

_WIDE_MARK = r"[\x{3001}-\x{303F}\x{FF00}-\x{FF65}]"
_CLOSING = r"[.!?]{2,}|[,.;:!?%)\]}…»”’']|''|[/-]|°"
_OPENING = r"[(\[{«“\x{2018}„¿¡#$£]|``|[/-]"


class WordSpacing(NamedTuple):
    """For every token number: does a space belong on its left and right?

    Attributes:
        tight_left: bool[V], no space before it, as with a comma.
        tight_right: bool[V], no space after it, as with an opening bracket.
        spaceless: bool[V], of a script without spaces: none between two such tokens.
        quote: bool[V], a straight double quote: opening and closing in turn.
    """

    tight_left: np.ndarray
    tight_right: np.ndarray
    spaceless: np.ndarray
    quote: np.ndarray


@lru_cache(maxsize=8)
def word_spacing(vocabulary: Vocabulary) -> WordSpacing:
    """Derive from each token's own characters how it is spaced.

    The result is plain arrays: in a traced function it becomes constants, not matching by pattern
    in every call.
    """
    tokens = list(vocabulary.tokens)

    def full(pattern: str) -> np.ndarray:
        return tf.strings.regex_full_match(tokens, pattern).numpy()

    with tf.init_scope():
        wide = full(_WIDE_MARK)
        spaceless = full(rf"[{SPACELESS}]\p{{M}}*") | wide
        return WordSpacing(full(_CLOSING) | wide, full(_OPENING) | wide, spaceless, full('"'))


def visible(ids: tf.Tensor) -> tf.Tensor:
    """Tell which of ids, int32[B, T], are text: before the first EOS, and neither PAD nor BOS."""
    ended = tf.cumsum(tf.cast(ids == EOS, tf.int32), axis=1) > 0
    return ~ended & (ids != PAD) & (ids != BOS)


def join_words(ids: tf.Tensor, tokens: tf.Tensor, spacing: WordSpacing) -> tf.Tensor:
    """Join words with spaces where a Western text or a script without spaces has them.

    A hyphen or slash is set without spaces, as in "well-made"; how it stood is not in the tokens.
    """
    shown = tf.ragged.boolean_mask(ids, visible(ids)).to_tensor(PAD)
    quote = tf.gather(spacing.quote, shown)
    opens = quote & (tf.cumsum(tf.cast(quote, tf.int32), axis=1) % 2 == 1)
    tight_left = tf.gather(spacing.tight_left, shown) | (quote & ~opens)
    tight_right = tf.gather(spacing.tight_right, shown) | opens
    spaceless = tf.gather(spacing.spaceless, shown)
    tight = tight_left[:, 1:] | tight_right[:, :-1] | (spaceless[:, 1:] & spaceless[:, :-1])
    nothing = tf.fill([tf.shape(shown)[0], 1], "")
    space = tf.concat([nothing, tf.where(tight, "", " ")], axis=1)
    text = tf.strings.join([space[:, : tf.shape(shown)[1]], tf.gather(tokens, shown)])
    return tf.strings.reduce_join(tf.where(shown == PAD, "", text), axis=1)


def join_plainly(ids: tf.Tensor, tokens: tf.Tensor) -> tf.Tensor:
    """Join tokens as they are: characters, bytes, or pieces that kept their whitespace."""
    return tf.strings.reduce_join(tf.where(visible(ids), tf.gather(tokens, ids), ""), axis=1)


def join_pieces(ids: tf.Tensor, tokens: tf.Tensor) -> tf.Tensor:
    """Join subword pieces; U+2581 becomes a space, and an unknown word stands apart."""
    pieces = tf.where(ids == UNK, SPACE_MARK + RESERVED[UNK], tf.gather(tokens, ids))
    joined = tf.strings.reduce_join(tf.where(visible(ids), pieces, ""), axis=1)
    return tf.strings.regex_replace(
        tf.strings.regex_replace(joined, f"^{SPACE_MARK}", ""), SPACE_MARK, " "
    )

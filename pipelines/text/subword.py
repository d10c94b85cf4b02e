"""Cutting words into subword pieces in the graph, by greedy longest match.

A word is the normalised word with U+2581 before it where whitespace (or the start of the text)
stands before it, so joining pieces and turning U+2581 into a space restores the text up to its
whitespace. Pieces carry no continuation prefix: the same piece serves inside and at the start.
Where whitespace is kept, words hold their own spaces, runs of whitespace are words too, and nothing
is marked: joining pieces restores the text exactly.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from pipelines.text import units
from pipelines.text.subword_learning import MAX_WORD_CHARS
from pipelines.text.units import SPACE_MARK, Tokens
from pipelines.text.vocabulary import UNK

# Every substring of so many words is looked up at once: at most some 300 MB, however long the text.
_BLOCK_WORDS = 2048

Lookup = Callable[[tf.Tensor], tf.Tensor]


class WordPieces(NamedTuple):
    """Pieces of words, ragged [W, (P)]: int32 numbers and int32 lengths in code points."""

    ids: tf.RaggedTensor
    chars: tf.RaggedTensor


def match_pieces(
    words: tf.Tensor, lookup: Lookup, *, widest: int, whole_unknown: bool = True
) -> WordPieces:
    """Cut words by greedy longest match, exactly as the library's WordPiece model does.

    Args:
        words: string[W], distinct for speed; they need not be.
        lookup: maps string[N] to int32[N], UNK for a piece that is not in the vocabulary.
        widest: code points of the longest piece in the vocabulary.
        whole_unknown: whether a word that holds an unmatched character is a single UNK, as in the
            library; else only that character is.

    Returns:
        The pieces of every word. One of more than `MAX_WORD_CHARS` characters is a single UNK.
    """
    length = tf.strings.length(words, unit="UTF8_CHAR")
    whole = lookup(words)
    # A word that is itself a piece is its own longest match; most running words are.
    is_known = (whole != UNK) & (length <= MAX_WORD_CHARS)
    searched = tf.where(is_known | (length > MAX_WORD_CHARS), "", words)
    chars = tf.strings.unicode_split(searched, "UTF-8")
    found = _walk(_longest_matches(chars, lookup, widest), chars.row_splits)
    single = is_known | (length > MAX_WORD_CHARS)
    if whole_unknown:
        single |= tf.reduce_any(found.ids == UNK, 1)
    ids = tf.where(is_known, whole, UNK)
    return WordPieces(_choose(single, ids, found.ids), _choose(single, length, found.chars))


def _longest_matches(chars: tf.RaggedTensor, lookup: Lookup, widest: int) -> tf.Tensor:
    """Find the longest piece at every character: length << 32 | id as int64[sum of lengths].

    Where nothing matches, the value is 1 << 32 | UNK.
    """

    def step(start: tf.Tensor, found: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        limit = start + _BLOCK_WORDS
        block = _longest_in_block(chars[start:limit], lookup, widest)
        return limit, tf.concat([found, block], 0)

    _, best = tf.while_loop(
        lambda start, _: start < chars.nrows(),
        step,
        (tf.constant(0, tf.int64), tf.zeros([0], tf.int64)),
        shape_invariants=(tf.TensorShape([]), tf.TensorShape([None])),
    )
    return best


def _longest_in_block(chars: tf.RaggedTensor, lookup: Lookup, widest: int) -> tf.Tensor:
    candidates = tf.strings.ngrams(chars, list(range(1, widest + 1)), separator="")
    length = tf.cast(chars.row_lengths(), tf.int64)[:, tf.newaxis]
    widths = tf.range(1, widest + 1, dtype=tf.int64)
    # `ngrams` lists a row's substrings by width, then by position.
    counts = tf.reshape(tf.maximum(length - widths + 1, 0), [-1])
    position = tf.ragged.range(counts).flat_values
    group = tf.repeat(tf.range(tf.size(counts, tf.int64)), counts)
    at = tf.gather(chars.row_splits, group // widest) + position
    ids = tf.cast(lookup(candidates.flat_values), tf.int64)
    code = tf.where(
        ids == UNK, tf.constant(0, tf.int64), tf.bitwise.left_shift(group % widest + 1, 32) | ids
    )
    best = tf.math.unsorted_segment_max(code, at, tf.size(chars.flat_values, tf.int64))
    return tf.maximum(best, tf.constant(1 << 32 | UNK, tf.int64))


def _walk(best: tf.Tensor, row_splits: tf.Tensor) -> WordPieces:
    """Follow the longest matches from the start of every word to its end."""
    end = row_splits[1:]

    def step(cursor: tf.Tensor, taken: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        inside = cursor < end
        code = tf.gather(best, tf.where(inside, cursor, tf.zeros_like(cursor)))
        code = tf.where(inside, code, tf.zeros_like(code))
        return cursor + tf.bitwise.right_shift(code, 32), tf.concat([taken, code[:, None]], 1)

    start = row_splits[:-1]
    nothing = tf.zeros([tf.size(start), 0], tf.int64)
    _, taken = tf.while_loop(
        lambda cursor, _: tf.reduce_any(cursor < end),
        step,
        (start, nothing),
        shape_invariants=(start.shape, tf.TensorShape([None, None])),
    )
    codes = tf.ragged.boolean_mask(taken, taken > 0)
    ids = codes.with_flat_values(tf.cast(codes.flat_values & 0xFFFFFFFF, tf.int32))
    chars = tf.cast(tf.bitwise.right_shift(codes.flat_values, 32), tf.int32)
    return WordPieces(ids, codes.with_flat_values(chars))


def _choose(single: tf.Tensor, value: tf.Tensor, several: tf.RaggedTensor) -> tf.RaggedTensor:
    """Take `value`, [W], as the only entry of a row where `single` holds, else the row itself."""
    alone = tf.ragged.boolean_mask(value[:, tf.newaxis], single[:, tf.newaxis])
    return tf.concat([alone, tf.ragged.boolean_mask(several, _spread(~single, several))], 1)


def _spread(rows: tf.Tensor, like: tf.RaggedTensor) -> tf.RaggedTensor:
    return like.with_flat_values(tf.gather(rows, like.value_rowids()))


def match_repeated(
    words: tf.Tensor, lookup: Lookup, *, widest: int, whole_unknown: bool = True
) -> WordPieces:
    """Do as `match_pieces`, cutting each distinct word once."""
    distinct, where = tf.unique(words)
    pieces = match_pieces(distinct, lookup, widest=widest, whole_unknown=whole_unknown)
    return WordPieces(tf.gather(pieces.ids, where), tf.gather(pieces.chars, where))


def piece_numbers(
    words: tf.RaggedTensor, lookup: Lookup, *, widest: int, keep_whitespace: bool = False
) -> tf.RaggedTensor:
    """Number the pieces of marked or spaced words, string [B, (W)]: int32 ragged [B, (T)]."""
    flat, whole_unknown = words.flat_values, not keep_whitespace
    return _in_texts(
        match_repeated(flat, lookup, widest=widest, whole_unknown=whole_unknown).ids, words
    )


def piece_tokens(
    words: Tokens, lookup: Lookup, *, widest: int, keep_whitespace: bool = False
) -> Tokens:
    """Cut word tokens into piece tokens with their places in the text."""
    pieces = words.pieces.flat_values
    has_mark = words.space_before.flat_values | (words.char_starts.flat_values == 0)
    if keep_whitespace:
        has_mark = tf.zeros_like(has_mark)
    marked = tf.strings.join([tf.where(has_mark, SPACE_MARK, ""), words.normalised.flat_values])
    chars = match_repeated(marked, lookup, widest=widest, whole_unknown=not keep_whitespace).chars
    word = chars.value_rowids()
    is_first = tf.ragged.range(chars.row_lengths()).flat_values == 0
    on_mark = tf.cast(is_first & tf.gather(has_mark, word), tf.int32)
    # Lower-casing keeps the number of code points, so only the mark separates the two.
    own = chars.with_flat_values(chars.flat_values - on_mark)
    texts = _substrings(pieces, own)
    placed = units.place(texts, space_before=is_first)
    byte_shift = tf.gather(words.byte_starts.flat_values, word)
    char_shift = tf.gather(words.char_starts.flat_values, word)
    whole = Tokens(
        pieces=texts,
        normalised=_substrings(marked, chars),
        byte_starts=texts.with_flat_values(placed.byte_starts.flat_values + byte_shift),
        byte_limits=texts.with_flat_values(placed.byte_limits.flat_values + byte_shift),
        char_starts=texts.with_flat_values(placed.char_starts.flat_values + char_shift),
        char_limits=texts.with_flat_values(placed.char_limits.flat_values + char_shift),
        space_before=texts.with_flat_values(
            is_first & tf.gather(words.space_before.flat_values, word)
        ),
    )
    return Tokens(*(_in_texts(part, words.pieces) for part in whole))


def _substrings(strings: tf.Tensor, lengths: tf.RaggedTensor) -> tf.RaggedTensor:
    """Cut string[W] into consecutive parts of the given lengths, int32 [W, (P)] code points."""
    repeated = tf.gather(strings, lengths.value_rowids())
    begin = units.starts(lengths).flat_values
    parts = tf.strings.substr(repeated, begin, lengths.flat_values, unit="UTF8_CHAR")
    return lengths.with_flat_values(parts)


def _in_texts(pieces: tf.RaggedTensor, words: tf.RaggedTensor) -> tf.RaggedTensor:
    """Regroup values of words' pieces, [W, (P)], by text: [B, (T)]."""
    splits = tf.gather(pieces.row_splits, words.row_splits)
    return tf.RaggedTensor.from_row_splits(pieces.flat_values, splits, validate=False)

"""Fitting a vocabulary to a stream of texts in bounded memory."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable

import tensorflow as tf

from pipelines.config import Level
from pipelines.errors import ConfigError
from pipelines.text import units
from pipelines.text.subword_learning import MAX_WORD_CHARS, learn_pieces
from pipelines.text.vocabulary import Vocabulary

LARGEST_COUNTER = 2_000_000  # distinct tokens, about 300 MB

_log = logging.getLogger(__name__)


def fit_vocabulary(
    text_chunks: Iterable[list[str]],
    *,
    level: Level = "word",
    lowercase: bool = True,
    min_count: int = 2,
    max_size: int | None = None,
    keep_whitespace: bool = False,
) -> Vocabulary:
    """Count tokens over chunks of texts (a few thousand each) and keep the frequent ones.

    Memory does not grow with the corpus: when more than `LARGEST_COUNTER` distinct tokens are
    counted, the rarest are forgotten, and the log says so; counts near that bound are then low.
    At the level "byte" nothing is counted: all 256 are numbered, whatever the texts.

    Args:
        text_chunks: lists of texts, from the training split alone.
        level: as for `Tokenizer`.
        lowercase: as for `Tokenizer`.
        min_count: tokens seen less often are left out; for "subword", so are merges.
        max_size: the largest length, reserved tokens included; for "subword", 8,000 if None.
        keep_whitespace: as for `Tokenizer`.

    Raises:
        ConfigError: level "byte" and a size that leaves bytes out.
        DataError: level "subword" and no word in any text.
    """
    if level == "byte":
        return _bytes(max_size)
    counts: Counter[str] = Counter()
    for texts in text_chunks:
        counts.update(_count(texts, level, lowercase, keep_whitespace))
        if len(counts) > LARGEST_COUNTER:
            counts = _without_rare(counts, LARGEST_COUNTER // 2)
    if level == "subword":
        return learn_pieces(counts, min_count=min_count, max_size=max_size or 8000)
    return Vocabulary.from_counts(counts, min_count=min_count, max_size=max_size)


def _bytes(max_size: int | None) -> Vocabulary:
    vocabulary = Vocabulary.of_bytes()
    if max_size is not None and max_size < len(vocabulary):
        raise ConfigError(
            f"a vocabulary of at most {max_size} entries cannot number bytes; expected at least "
            f"{len(vocabulary)}, 256 bytes and the reserved tokens; raise the vocabulary size"
        )
    return vocabulary


def _count(
    texts: list[str], level: Level, lowercase: bool, keep_whitespace: bool
) -> dict[str, int]:
    strings = tf.constant(texts, tf.string, shape=[len(texts)])
    if level == "char":
        return _count_characters(strings, lowercase)
    if level == "word":
        tokens = units.words(strings, lowercase=lowercase).flat_values
    elif keep_whitespace:
        tokens = units.spaced_words(strings, longest=MAX_WORD_CHARS).flat_values
    else:
        tokens = units.space_marked_words(strings, lowercase=lowercase).flat_values
    distinct, _, counts = tf.unique_with_counts(tokens)
    # Words that keep their whitespace are cut before lower-casing, as the tokenizer does.
    lowercase_now = lowercase and keep_whitespace
    return _counted(units.lower(distinct) if lowercase_now else distinct, counts)


def _count_characters(strings: tf.Tensor, lowercase: bool) -> dict[str, int]:
    codes = tf.strings.unicode_decode(units.valid_text(strings), "UTF-8").flat_values
    distinct, _, counts = tf.unique_with_counts(codes)
    characters = units.characters(distinct)
    return _counted(units.lower(characters) if lowercase else characters, counts)


def _counted(distinct: tf.Tensor, counts: tf.Tensor) -> dict[str, int]:
    counted: Counter[str] = Counter()
    for token, count in zip(distinct.numpy(), counts.numpy().tolist(), strict=True):
        counted[token.decode()] += count
    return counted


def _without_rare(counts: Counter[str], size: int) -> Counter[str]:
    """Forget every token as rare as the first that does not fit among the `size` most frequent."""
    threshold = sorted(counts.values(), reverse=True)[size]
    kept = Counter({token: count for token, count in counts.items() if count > threshold})
    _log.warning(
        "%d distinct tokens do not fit in memory: forgot the %d seen %d times or less so far",
        len(counts),
        len(counts) - len(kept),
        threshold,
    )
    return kept

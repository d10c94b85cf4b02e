"""Fitting a vocabulary to a stream of texts in bounded memory."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable

import tensorflow as tf

from pipelines.text import units
from pipelines.text.subword_learning import learn_pieces
from pipelines.text.tokenizer import Level
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
) -> Vocabulary:
    """Count tokens over chunks of texts (a few thousand each) and keep the frequent ones.

    Memory does not grow with the corpus: when more than `LARGEST_COUNTER` distinct tokens are
    counted, the rarest are forgotten, and the log says so; counts near that bound are then low.

    Args:
        text_chunks: lists of texts, from the training split alone.
        level: as for `Tokenizer`.
        lowercase: as for `Tokenizer`.
        min_count: tokens seen less often are left out; for "subword", so are merges.
        max_size: the largest length, reserved tokens included; for "subword", 8,000 if None.

    Raises:
        DataError: level "subword" and no word in any text.
    """
    counts: Counter[str] = Counter()
    for texts in text_chunks:
        counts.update(_count(texts, level, lowercase))
        if len(counts) > LARGEST_COUNTER:
            counts = _without_rare(counts, LARGEST_COUNTER // 2)
    if level == "subword":
        return learn_pieces(counts, min_count=min_count, max_size=max_size or 8000)
    return Vocabulary.from_counts(counts, min_count=min_count, max_size=max_size)


def _count(texts: list[str], level: Level, lowercase: bool) -> dict[str, int]:
    strings = tf.constant(texts, tf.string, shape=[len(texts)])
    if level == "char":
        tokens = tf.strings.unicode_split(units.valid_text(strings), "UTF-8").flat_values
    elif level == "word":
        tokens = units.words(strings, lowercase=lowercase).flat_values
    else:
        tokens = units.space_marked_words(strings, lowercase=lowercase).flat_values
    distinct, _, counts = tf.unique_with_counts(tokens)
    if level == "char" and lowercase:
        distinct = units.lower(distinct)
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

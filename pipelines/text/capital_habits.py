"""How often each word is written with a capital: the best clue to names that text alone gives.

Learned from running text without labels. Words that begin a sentence tell nothing, nor does text
that is capitalised throughout (headlines, shouting).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np

from pipelines.text.vocabulary import Vocabulary

UNSEEN = 1  # 0 is padding
_RATIOS, _COUNTS = 5, (3, 10)  # bins of the share of capitals, and of how often it was seen
HABITS = UNSEEN + 1 + _RATIOS * (len(_COUNTS) + 1)
_SENTENCE_ENDS = frozenset(".!?:\"'") | {"...", "!!", "``", "''", "-"}


def capital_habits(
    sentences: Iterable[Sequence[str]], vocabulary: Vocabulary, *, lowercase: bool = True
) -> np.ndarray:
    """Class every word of a vocabulary by its share of capitals and by how often it was seen.

    Args:
        sentences: running text as tokens, in its original case.
        vocabulary: of words; classes are looked up by their ids.
        lowercase: whether the vocabulary is in lower case.

    Returns:
        int32[V], each 0 (reserved tokens), 1 (no evidence) or 2..HABITS-1.
    """
    upper: dict[str, int] = {}
    lower: dict[str, int] = {}
    for tokens in sentences:
        _count(tokens, upper, lower)
    habits = np.full(len(vocabulary), UNSEEN, np.int32)
    habits[: len(vocabulary.reserved)] = 0
    for number, word in enumerate(vocabulary.tokens):
        key = word if lowercase else lowered(word)
        capitals, all_seen = upper.get(key, 0), upper.get(key, 0) + lower.get(key, 0)
        if number >= len(vocabulary.reserved) and all_seen:
            share = min(int(_RATIOS * capitals / all_seen), _RATIOS - 1)
            often = sum(all_seen >= bound for bound in _COUNTS)
            habits[number] = UNSEEN + 1 + share * (len(_COUNTS) + 1) + often
    return habits


def lowered(word: str) -> str:
    """Lower-case a word as `units.lower` does in the graph, one code point for one."""
    return word.replace("İ", "i").lower()


def _count(tokens: Sequence[str], upper: dict[str, int], lower: dict[str, int]) -> None:
    capitals = sum(token[:1].isupper() for token in tokens)
    if 2 * capitals > sum(token[:1].isalpha() for token in tokens):
        return
    for before, token in pairwise(tokens):
        if token[:1].isalpha() and before not in _SENTENCE_ENDS and before[:1] != "@":
            counts = upper if token[0].isupper() else lower
            counts[lowered(token)] = counts.get(lowered(token), 0) + 1

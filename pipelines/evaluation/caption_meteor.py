"""METEOR of captions with exact and stem matches, without Java and without downloads.

Parameters are those of Banerjee & Lavie (2005): recall weighs 9 times precision, and half of the
score can be lost by word order. Words match if equal, else if their stems are (Porter's revised
English stemmer, which Denkowski & Lavie's version 1.5 uses as well). Left out are its matches by
WordNet synonyms and by paraphrase tables, its discount of function words and its tuned parameters
(Denkowski & Lavie, 2014): figures are therefore not comparable with those of version 1.5, which
COCO's evaluation states. Stems are English ones; elsewhere they match little but equal words.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

import snowballstemmer

ALPHA, BETA, GAMMA = 0.9, 3.0, 0.5
_STEMMER = snowballstemmer.stemmer("english")
Place = tuple[int, str]  # of a word, and the word


def meteor(caption: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """Return the best METEOR of a caption over its references, 0 to 1."""
    return max(_single(tuple(caption), tuple(reference)) for reference in references)


@lru_cache(maxsize=1 << 16)
def stem(word: str) -> str:
    """Return the stem of an English word."""
    return str(_STEMMER.stemWord(word))


@lru_cache(maxsize=1 << 14)
def _single(caption: tuple[str, ...], reference: tuple[str, ...]) -> float:
    matches = _align(caption, reference)
    if not matches:
        return 0.0
    precision, recall = len(matches) / len(caption), len(matches) / len(reference)
    mean = precision * recall / (ALPHA * precision + (1 - ALPHA) * recall)
    chunks = 1 + sum((b[0] - a[0], b[1] - a[1]) != (1, 1) for a, b in pairwise(matches))
    return mean * (1 - GAMMA * (chunks / len(matches)) ** BETA)


def _align(caption: Sequence[str], reference: Sequence[str]) -> list[tuple[int, int]]:
    """Match equal words first, then words of one stem; (place, place) in the caption's order."""
    own, other = list(enumerate(caption)), list(enumerate(reference))
    exact, own, other = _match(own, other)
    stems, _, _ = _match(
        [(place, stem(word)) for place, word in own],
        [(place, stem(word)) for place, word in other],
    )
    return sorted(exact + stems)


def _match(
    own: list[Place], other: list[Place]
) -> tuple[list[tuple[int, int]], list[Place], list[Place]]:
    """Pair words from the last backwards, as NLTK does, and return what is left of both."""
    places: defaultdict[str, list[int]] = defaultdict(list)
    for place, word in other:
        places[word].append(place)
    found = [(place, places[word].pop()) for place, word in reversed(own) if places[word]]
    taken, given = {pair[0] for pair in found}, {pair[1] for pair in found}
    return (
        found,
        [entry for entry in own if entry[0] not in taken],
        [entry for entry in other if entry[0] not in given],
    )

"""What can be counted in single translations: repetition, copies, unknown words; and bins of rows.

Words are those of `words.WORD` in lower case; punctuation is none.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.evaluation.slices import Slice, quantile_slices
from pipelines.evaluation.words import WORD
from pipelines.text.vocabulary import RESERVED, UNK

Array = NDArray[Any]
UNKNOWN = RESERVED[UNK]
LONGEST_LOOP = 20  # words that repeat together
COPY_LETTERS = 4  # shorter words are often spelt alike by chance
RARE = 5  # occurrences in training
_WORD = re.compile(WORD)


def words_of(text: str) -> list[str]:
    """Return the words of a text in lower case; the mark of an unknown word is none."""
    return _WORD.findall(text.replace(UNKNOWN, " ").casefold())


def loops(words: Sequence[str]) -> set[int]:
    """Return the lengths n of runs of n words that repeat at once.

    A run of two words or more counts from its second time on, a single word from its third, since
    "very, very" is language.
    """
    numbers: dict[str, int] = {}
    ids = np.array([numbers.setdefault(word, len(numbers)) for word in words])
    found = set()
    for size in range(1, min(LONGEST_LOOP, len(ids) // 2) + 1):
        same = ids[size:] == ids[:-size]
        if _longest_run(same) >= max(size, 2):
            found.add(size)
    return found


def _longest_run(flags: Array) -> int:
    """Most neighbouring True values."""
    gaps = np.flatnonzero(np.concatenate([[True], ~flags, [True]]))
    return int(np.diff(gaps).max()) - 1


def repeats(translation: str, reference: str) -> bool:
    """Tell whether a translation loops in a way that its reference does not."""
    found = loops(words_of(translation))
    return bool(found) and bool(found - loops(words_of(reference)))


def copied(source: str, translation: str, reference: str) -> tuple[int, int]:
    """Count source words left as they were, and those that could have been.

    They could have been if they have four letters or more and the reference does not hold them,
    as it does names. Each word counts once a row.
    """
    words = {word for word in words_of(source) if len(word) >= COPY_LETTERS}
    foreign = words - set(words_of(reference))
    return len(foreign & set(words_of(translation))), len(foreign)


def unknown(translation: str) -> tuple[int, int]:
    """Count marks of unknown words, and words and marks together."""
    marks = translation.count(UNKNOWN)
    return marks, marks + len(words_of(translation))


def word_counts(texts: Iterable[str]) -> Counter[str]:
    """Count the words of training sources, for `rarity_slices`."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(words_of(text))
    return counts


def length_slices(sources: Sequence[str], bins: int = 6) -> list[Slice]:
    """Bin rows by the number of words in their source, about equally many rows a bin."""
    return quantile_slices(np.array([len(words_of(text)) for text in sources]), bins)


def rarity_slices(sources: Sequence[str], counts: Mapping[str, int]) -> list[Slice]:
    """Bin rows by the rarest word of their source, by how often training holds it."""
    rarest = np.array(
        [min((counts.get(word, 0) for word in words_of(text)), default=0) for text in sources]
    )
    empty = np.array([not words_of(text) for text in sources])
    bins = [
        Slice("a word never seen", (rarest == 0) & ~empty),
        Slice(f"a word seen 1–{RARE} times", (rarest > 0) & (rarest <= RARE)),
        Slice("frequent words alone", (rarest > RARE) | empty),
    ]
    return [part for part in bins if part.rows.any()]

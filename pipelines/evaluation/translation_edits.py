"""sacrebleu's translation edit rate, several times faster and equal to the edit.

TER tries hundreds of ways to shift words in every row, and asks of each only how many edits remain.
sacrebleu answers by filling a table cell by cell; here the columns of that table are bits of one
whole number (Myers, 1999; Hyyrö, 2003). Which shifts are tried, and what is chosen, is sacrebleu's.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sacrebleu.metrics.lib_ter import _MAX_SHIFT_CANDIDATES, BeamEditDistance, _shift
from sacrebleu.metrics.ter import TER

# sacrebleu looks at table cells up to 25 off the diagonal. A path of D edits between lengths that
# differ by L strays at most (D + L) / 2 from it, so up to here its distance is the true one.
_SAFE = 2 * (25 - 1)
_State = tuple[int, int, int]

# Measured with sacrebleu's own: 6 ms for a row of 30 words a side, 0.7 s for one of 100.
_USUAL_WORDS, _USUAL_SECONDS = 60, 0.006
_ROW_SECONDS, _ALL_SECONDS = 1.0, 40.0


class FastTER(TER):
    """sacrebleu's TER of one reference a row, remembering rows it has seen."""

    def _compute_segment_statistics(
        self, hypothesis: str, ref_kwargs: dict[str, Any]
    ) -> list[float]:
        (reference,) = ref_kwargs["ref_words"]
        return [edits(tuple(hypothesis.split()), tuple(reference)), len(reference)]


@lru_cache(maxsize=20_000)
def edits(words: tuple[str, ...], reference: tuple[str, ...]) -> int:
    """Count shifts, insertions, deletions and substitutions from words to reference."""
    if not reference:
        return len(words)
    distance, now, shifts, tried = _Distance(reference), list(words), 0, 0
    while True:
        gain, moved, tried = _shift(now, list(reference), distance, tried)
        if tried >= _MAX_SHIFT_CANDIDATES or gain <= 0:
            return shifts + distance(now)[0]
        shifts, now = shifts + 1, moved


class _Distance:
    """Stands in for sacrebleu's edit distance to one reference."""

    def __init__(self, reference: Sequence[str]) -> None:
        self._length = len(reference)
        self._mask = (1 << self._length) - 1
        self._last = 1 << (self._length - 1)
        self._places: dict[str, int] = {}
        for place, word in enumerate(reference):
            self._places[word] = self._places.get(word, 0) | 1 << place
        self._table = BeamEditDistance(list(reference))
        self._base: list[str] = []
        self._states: list[_State] = [(self._mask, 0, self._length)]

    def __call__(self, words: list[str]) -> _Found:
        return _Found(self, words)

    def with_trace(self, words: list[str]) -> tuple[int, str]:
        """Return the distance and the edits; shifts of these words will be asked for next."""
        self._base = words
        self._states = list(self._run(words, self._states[0]))
        return self._table(words)

    def distance(self, words: list[str]) -> int:
        """Return the distance alone, from where the words first differ from the last traced."""
        same = 0
        for own, base in zip(words, self._base, strict=False):
            if own != base:
                break
            same += 1
        *_, (_, _, found) = self._run(words[same:], self._states[same])
        if found + abs(len(words) - self._length) <= _SAFE:
            return found
        return int(self._table(words)[0])

    def _run(self, words: Sequence[str], state: _State) -> Iterator[_State]:
        """Yield the state given, and that after each word: bits up, bits down, distance."""
        mask, last, places = self._mask, self._last, self._places
        up, down, distance = state
        yield state
        for word in words:
            equal = places.get(word, 0)
            vertical = equal | down
            level = (((equal & up) + up) ^ up) | equal
            rises, falls = down | (mask & ~(level | up)), up & level
            distance += bool(rises & last) - bool(falls & last)
            rises, falls = rises << 1 | 1, falls << 1
            up = (falls | ~(vertical | rises)) & mask
            down = rises & vertical & mask
            yield up, down, distance


class _Found:
    """A distance that is computed when asked for, with its trace only if that is, too."""

    def __init__(self, of: _Distance, words: list[str]) -> None:
        self._of, self._words = of, words

    def __getitem__(self, place: int) -> int:
        if place:
            raise IndexError(place)
        return self._of.distance(self._words)

    def __iter__(self) -> Iterator[int | str]:
        yield from self._of.with_trace(self._words)


def affordable(systems: Iterable[Sequence[str]], references: Sequence[str]) -> NDArray[np.bool_]:
    """Choose rows that TER can judge in well under a minute, bool[N]; of usual test sets, all.

    Its cost grows with about the fourth power of the words in a row. Rows that would take seconds
    each are left out, and of the others every second, third, ... is kept where all take too long.

    Args:
        systems: translations [N] of each system.
        references: their references [N].
    """
    own = np.array([text.count(" ") + 1 for text in references])
    words = [own + np.array([text.count(" ") + 1 for text in texts]) for texts in systems]
    seconds = _USUAL_SECONDS * (np.array(words) / _USUAL_WORDS) ** 4
    kept: NDArray[np.bool_] = np.max(seconds, axis=0) <= _ROW_SECONDS
    fraction = float(seconds[:, kept].sum()) / _ALL_SECONDS
    places = np.flatnonzero(kept)
    kept[np.delete(places, np.s_[:: max(1, math.ceil(fraction))])] = False
    return kept

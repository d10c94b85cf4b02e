"""What of a generated text stands in the training text, and where.

The samples are indexed, not the training text: a suffix automaton of the samples reads the training
text, a block at a time, so memory does not grow with it. Most of it is passed over: only places
whose next twelve characters occur in a sample can begin a run of twelve or more, and shorter runs
are looked for only on behalf of texts that have none of these.

Source: Blumer et al. (1985), the smallest automaton recognizing the subwords of a text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

_SEEDS = (12, 6, 3, 1)  # characters of the shortest run looked for, each if there is none so long
_BLOCK = 1 << 20  # characters of training text read at a time
_TABLE_BITS = 24
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_BETWEEN = -1  # stands between samples and occurs in no text


@dataclass(frozen=True)
class Copies:
    """Runs of one text that stand in the training text.

    Attributes:
        longest: characters of the longest run; 0 where no character occurs.
        start: where the longest begins; the first of equally long ones.
        runs: (start, end) of every run of at least the length asked for that cannot be made longer
            at either end, by start; they may overlap.
    """

    longest: int
    start: int
    runs: tuple[tuple[int, int], ...]

    def marked(self) -> list[tuple[int, int]]:
        """Join runs that overlap, so that a text can be marked: (start, end), in order."""
        joined: list[tuple[int, int]] = []
        for start, end in self.runs:
            if joined and start < joined[-1][1]:
                joined[-1] = joined[-1][0], max(end, joined[-1][1])
            else:
                joined.append((start, end))
        return joined


def copied_runs(
    texts: Sequence[str], training: Sequence[str], *, shortest: int = 20
) -> list[Copies]:
    """Find the runs of each text that occur in some training text, character by character.

    Args:
        texts: generated texts.
        training: texts of the training documents; a run never spans two of them.
        shortest: characters of the shortest run to list, at least 12.
    """
    codes = [_codes(text) for text in texts]
    lengths = [np.zeros(len(code), np.int64) for code in codes]
    waiting = [number for number, code in enumerate(codes) if len(code)]
    for seed in _SEEDS:
        found = _match_lengths([codes[number] for number in waiting], training, seed)
        for number, own in zip(waiting, found, strict=True):
            lengths[number] = own
        waiting = [number for number in waiting if lengths[number].max() < seed]
    return [_copies(own, shortest) for own in lengths]


def _match_lengths(texts: Sequence[Array], training: Sequence[str], seed: int) -> list[Array]:
    """Length of the longest run that ends at each place; right where it is `seed` or more."""
    if not texts:
        return []
    automaton = _Automaton(texts)
    table = np.zeros(1 << _TABLE_BITS, bool)
    for text in texts:
        table[_places(text, seed)] = True
    for block in _blocks(training, max(map(len, texts))):
        for start, end in _candidates(block, table, seed):
            automaton.read(block[start:end].tolist())
    return automaton.match_lengths()


class _Automaton:
    """Every substring of some texts; each state is a set that ends at the same places.

    Attributes:
        following: state -> character -> state.
        link: state of the longest suffix that ends at more places.
        length: of the longest substring of each state.
        seen: of each state, the longest substring that was read.
        ends: state at each place of the texts.
    """

    def __init__(self, texts: Sequence[Array]) -> None:
        self.following: list[dict[int, int]] = [{}]
        self.link, self.length = [-1], [0]
        self.ends: list[list[int]] = []
        last = 0
        for text in texts:
            ends = []
            for code in text.tolist():
                last = self._extend(last, code)
                ends.append(last)
            self.ends.append(ends)
            last = self._extend(last, _BETWEEN)
        self.seen = [0] * len(self.link)

    def _extend(self, last: int, code: int) -> int:
        new = self._state({}, 0, self.length[last] + 1)
        state = last
        while state != -1 and code not in self.following[state]:
            self.following[state][code] = new
            state = self.link[state]
        if state != -1:
            self.link[new] = self._split(state, code)
        return new

    def _split(self, state: int, code: int) -> int:
        """Return the state that continues `state` by one character and no further."""
        known = self.following[state][code]
        length = self.length[state] + 1
        if self.length[known] == length:
            return known
        copy = self._state(dict(self.following[known]), self.link[known], length)
        while state != -1 and self.following[state].get(code) == known:
            self.following[state][code] = copy
            state = self.link[state]
        self.link[known] = copy
        return copy

    def _state(self, following: dict[int, int], link: int, length: int) -> int:
        self.following.append(following)
        self.link.append(link)
        self.length.append(length)
        return len(self.link) - 1

    def read(self, codes: Sequence[int]) -> None:
        """Note, for each state, the longest of its substrings that occurs in `codes`."""
        following, link, length, seen = self.following, self.link, self.length, self.seen
        state = matched = 0
        for code in codes:
            while state and code not in following[state]:
                state = link[state]
                matched = length[state]
            after = following[state].get(code)
            if after is None:
                continue
            state = after
            matched += 1
            if matched > seen[state]:
                seen[state] = matched

    def match_lengths(self) -> list[Array]:
        """Length of the longest run read that ends at each place of each text, int64."""
        longest = list(self.seen)
        order = sorted(range(1, len(longest)), key=self.length.__getitem__)
        # Whoever has seen a substring has seen all its suffixes.
        for state in reversed(order):
            if longest[state]:
                longest[self.link[state]] = self.length[self.link[state]]
        for state in order:
            longest[state] = longest[state] or longest[self.link[state]]
        return [np.array([longest[state] for state in ends], np.int64) for ends in self.ends]


def _copies(lengths: Array, shortest: int) -> Copies:
    """Read off the runs from the length of the longest run that ends at each place."""
    if len(lengths) == 0 or lengths.max() == 0:
        return Copies(0, 0, ())
    goes_on = np.append(lengths[1:] == lengths[:-1] + 1, False)
    ends = np.flatnonzero((lengths >= shortest) & ~goes_on)
    best = int(lengths.argmax())
    runs = [(int(end + 1 - lengths[end]), int(end + 1)) for end in ends]
    return Copies(int(lengths[best]), int(best + 1 - lengths[best]), tuple(runs))


def _codes(text: str) -> Array:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


def _blocks(training: Sequence[str], overlap: int) -> Iterator[Array]:
    """Code points of the training texts, long ones in blocks that share their ends."""
    for text in training:
        for start in range(0, max(1, len(text) - overlap), _BLOCK):
            yield _codes(text[start : start + _BLOCK + overlap])


def _places(codes: Array, seed: int) -> Array:
    """Place in the table of each window of `seed` characters; overflow is meant."""
    windows = max(0, len(codes) - seed + 1)
    found = np.zeros(windows, np.uint64)
    for offset in range(seed):
        found = (found + codes[offset : offset + windows]) * _MULTIPLIER
    return np.asarray(found >> np.uint64(64 - _TABLE_BITS))


def _candidates(block: Array, table: Array, seed: int) -> list[tuple[int, int]]:
    """Stretches whose every window of `seed` characters may occur in a text: (start, end)."""
    known = np.concatenate([[False], table[_places(block, seed)], [False]])
    edges = np.flatnonzero(known[1:] != known[:-1])
    return list(zip(edges[::2].tolist(), (edges[1::2] + seed - 1).tolist(), strict=True))

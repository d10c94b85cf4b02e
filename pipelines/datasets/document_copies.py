"""Find documents that are near-copies of each other, so that no split holds a copy of another's."""

from __future__ import annotations

import heapq
import zlib
from collections import Counter

import numpy as np
import numpy.typing as npt

from pipelines.datasets.splits import IntArray

LINE_CHARACTERS = 24  # a shorter line, such as "return None" or "[Exit.]", recurs anywhere
SKETCH_LINES = 32
COMMON_DOCUMENTS = 50  # a line of more documents is a licence or an idiom
_LEAST_SHARED = 4


class CopyFinder:
    """Groups documents of which half the lines or more, by a small sample, are the same.

    The sample are the lines of the smallest hashes (a bottom-k sketch: Broder 1997, On the
    resemblance and containment of documents); memory holds a few hundred bytes a document.
    """

    def __init__(self) -> None:
        self._sketches: list[list[int]] = []

    def add(self, text: str) -> None:
        """Take the next document."""
        lines = {line.strip() for line in text.split("\n")}
        hashes = {zlib.crc32(line.encode()) for line in lines if len(line) >= LINE_CHARACTERS}
        self._sketches.append(heapq.nsmallest(SKETCH_LINES, hashes))

    def groups(self) -> IntArray:
        """Return a number for each document, int64[N]; near-copies have the same."""
        parents = list(range(len(self._sketches)))
        holders: dict[int, list[int]] = {}
        for number, sketch in enumerate(self._sketches):
            for other, shared in self._shared(sketch, holders).items():
                smaller = min(len(sketch), len(self._sketches[other]))
                if shared >= max(smaller / 2, _LEAST_SHARED):
                    parents[_root(parents, number)] = _root(parents, other)
            for line in sketch:
                holders.setdefault(line, []).append(number)
        return np.array([_root(parents, number) for number in range(len(parents))], np.int64)

    @staticmethod
    def _shared(sketch: list[int], holders: dict[int, list[int]]) -> Counter[int]:
        """Count, for each earlier document, the lines it shares with a sketch."""
        found: Counter[int] = Counter()
        for line in sketch:
            others = holders.get(line, ())
            if len(others) < COMMON_DOCUMENTS:
                found.update(others)
        return found


def _root(parents: list[int], number: int) -> int:
    while parents[number] != number:
        parents[number] = parents[parents[number]]
        number = parents[number]
    return number


def merged(groups: IntArray, names: list[str]) -> IntArray:
    """Join the groups of documents that have the same name of a group; "" names none.

    Args:
        groups: int64[N].
        names: N names.
    """
    joined: npt.NDArray[np.int64] = groups.copy()
    for name in sorted(set(names) - {""}):
        members = [number for number, it in enumerate(names) if it == name]
        joined[np.isin(joined, joined[members])] = joined[members[0]]
    return joined

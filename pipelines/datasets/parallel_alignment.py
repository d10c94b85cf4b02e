"""Find the line from which two texts, line for line translations of each other, are shifted.

A line and its translation have lengths in proportion (Gale & Church, 1993, "A program for aligning
sentences in bilingual corpora") and share numbers, names and words of the same first letters
(Simard, Foster & Isabelle, 1992, "Using cognates to align sentences in bilingual corpora"). Every
line of the source is scored against the target's line of the same number and of its neighbours;
the likeliest sequence of offsets, each change of which costs something, tells where one begins.
"""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections.abc import Iterable
from itertools import islice, pairwise
from typing import NamedTuple

import numpy as np

from pipelines.datasets.findings import Finding

MOST_OFFSET = 3  # lines; a larger shift is found where the counts of lines tell it
MOST_LINES = 1_000_000  # of each side; about 50 bytes a line are held
CHANGE_COST = 15.0  # in nats: what a change of offset must gain to be believed
_BLOCK_LINES = 50_000
_WORD = re.compile(r"[^\W_]+")
_MOST_WORDS = 60
_PREFIX = 4  # letters that cognates share (Simard et al.)
_MASK_WORDS, _MASK_BITS = 4, 256
_LEAST_MARGIN = 0.5  # nats above chance that lines must reach on average, or they fit nothing
_SHOWN = 10
_CLEAR_WITHIN = 5  # lines of a stretch among which the clearest is shown
_QUESTION, _EXCLAMATION = ("?", "\uff1f", "\u061f"), ("!", "\uff01")  # also fullwidth, Arabic


class Shift(NamedTuple):
    """A stretch of lines that fit the other side's lines `offset` further on better.

    `line` and `end` are the source's first and last line of it, from 1. Its first lines may fit
    nothing, as where lines are missing; `fits` is one near the beginning that clearly fits. `gain`
    is by how much all of them fit better (natural logarithm of a likelihood ratio).
    """

    line: int
    fits: int
    end: int
    offset: int
    gain: float


class _Features(NamedTuple):
    """What is known of N lines: characters float64[N]; marks uint8[N]; masks uint64[N, 4]."""

    lengths: np.ndarray
    marks: np.ndarray
    words: np.ndarray
    numbers: np.ndarray


def first_shift(source: Iterable[str], target: Iterable[str]) -> Shift | None:
    """Return the first stretch of lines that looks shifted, or None.

    Args:
        source: lines of one side; of more than a million only the first million are looked at.
        target: lines of the other side, as many or not.
    """
    sides = (_features(source), _features(target))
    excess = len(sides[1].lengths) - len(sides[0].lengths)
    return next(iter(_shifts(*sides, further=excess)), None)


def shifted_stretches(pairs: Iterable[tuple[str, str]]) -> list[Shift]:
    """Return every stretch of pairs, in their order in the files, that looks shifted.

    Args:
        pairs: source and target texts; at most a million are looked at, in blocks.
    """
    stretches: list[Shift] = []
    rows, start = islice(pairs, MOST_LINES), 0
    while block := list(islice(rows, _BLOCK_LINES)):
        sides = [_features(texts) for texts in zip(*block, strict=True)]
        stretches += [_moved(it, start) for it in _shifts(sides[0], sides[1])]
        start += len(block)
    return stretches


def _moved(shift: Shift, lines: int) -> Shift:
    return Shift(shift.line + lines, shift.fits + lines, shift.end + lines, *shift[3:])


def check_alignment(pairs: Iterable[tuple[str, str]]) -> Finding:
    """Say whether the lines of both sides look like translations of each other, or shifted.

    Args:
        pairs: source and target texts in the order of their files.
    """
    title, stretches = "Alignment", shifted_stretches(pairs)
    if not stretches:
        return Finding("ok", title, "no stretch of lines looks shifted against its translation")
    lines = sum(it.end - it.line + 1 for it in stretches)
    table = tuple(
        (f"{it.line:,}", f"{it.end:,}", f"{it.offset:+d}", f"{it.gain:.0f}")
        for it in stretches[:_SHOWN]
    )
    return Finding(
        "warning",
        title,
        f"{lines:,} pairs in {len(stretches)} stretch(es) fit the target's lines before or after "
        "better than their own: one side lacks a line, or has one twice; mend the files there",
        (("from pair", "to pair", "fits target at", "gain (nats)"), *table),
    )


def _features(texts: Iterable[str]) -> _Features:
    """Describe lines by numbers, so that a million of them fit in memory."""
    lengths, marks = [], bytearray()
    masks = (bytearray(), bytearray())
    for text in islice(texts, MOST_LINES):
        lengths.append(len(text.strip()))
        marks.append(_final_mark(text))
        for mask, bits in zip(masks, _word_masks(text), strict=True):
            mask += bits.to_bytes(_MASK_BITS // 8, "little")
    words, numbers = (np.frombuffer(bytes(it), np.uint64).reshape(-1, _MASK_WORDS) for it in masks)
    return _Features(np.array(lengths, np.float64), np.array(marks, np.uint8), words, numbers)


def _final_mark(text: str) -> int:
    """Return 1 for a question, 2 for an exclamation, 0 for all else."""
    tail = text.rstrip().rstrip("»\"'”’)` ")[-1:]
    return 1 if tail in _QUESTION else 2 if tail in _EXCLAMATION else 0


def _word_masks(text: str) -> tuple[int, int]:
    """Return the sets of cognate prefixes and of numbers, each hashed to 256 bits."""
    plain = text if text.isascii() else unicodedata.normalize("NFKD", text)
    if not plain.isascii():
        plain = "".join(it for it in plain if not unicodedata.combining(it))
    words = numbers = 0
    for word in islice(_WORD.findall(plain.casefold()), _MOST_WORDS):
        if word.isdecimal():
            numbers |= 1 << zlib.crc32(str(int(word)).encode()) % _MASK_BITS
        elif len(word) >= _PREFIX:
            words |= 1 << zlib.crc32(word[:_PREFIX].encode()) % _MASK_BITS
    return words, numbers


def _shifts(source: _Features, target: _Features, further: int = 0) -> list[Shift]:
    """Return stretches at an offset other than 0, the likeliest sequence of offsets being sought.

    Args:
        source: of N lines.
        target: of M lines.
        further: an offset to try besides those up to `MOST_OFFSET`.
    """
    if min(len(source.lengths), len(target.lengths)) < 2:
        return []
    offsets = [0, *(sign * it for it in range(1, MOST_OFFSET + 1) for sign in (1, -1))]
    if abs(further) > MOST_OFFSET:
        offsets.append(further)
    scores = _scores(source, target, offsets)
    path = _likeliest_path(scores)
    edges = np.flatnonzero(np.diff(path, prepend=0, append=0))
    shifts, lost = [], 0
    for start, limit in pairwise(edges.tolist()):
        state = int(path[start])
        if 0 < state < len(offsets):
            gains = scores[start:limit, state] - scores[start:limit, 0]
            fits = start + int(gains[:_CLEAR_WITHIN].argmax()) + 1
            line = start - lost + 1
            shifts.append(Shift(line, fits, limit, offsets[state], float(gains.sum())))
        lost = limit - start if state == len(offsets) else 0
    return shifts


def _scores(source: _Features, target: _Features, offsets: list[int]) -> np.ndarray:
    """Score how well each source line fits the target's line at each offset.

    Returns:
        float64[N, offsets + 1]; the last column is what a line that fits nothing scores.
    """
    count, ratio = len(source.lengths), target.lengths.sum() / max(source.lengths.sum(), 1.0)
    pairings = [_paired(count, len(target.lengths), it) for it in offsets]
    gaps = [_length_gaps(source.lengths[a], target.lengths[b], ratio) for a, b in pairings]
    far = _paired(count, len(target.lengths), len(target.lengths) // 2)
    apart = _length_gaps(source.lengths[far[0]], target.lengths[far[1]], ratio)
    # The true offset varies least; its spread serves as the unit, however much is shifted.
    unit = max(min(_spread(gap) for gap in gaps if len(gap)), 0.1)
    weight = max(0.0, 1.0 - (unit / max(_spread(apart), unit)) ** 2)

    def score(gap: np.ndarray, a: slice, b: slice) -> np.ndarray:
        length = -0.5 * weight * np.minimum((gap / unit) ** 2, 9.0)
        return np.asarray(length + _shared(source, target, a, b))

    found = [score(gap, a, b) for gap, (a, b) in zip(gaps, pairings, strict=True)]
    chance = float(score(apart, *far).mean())
    best = max(float(it.mean()) for it in found if len(it))
    least = chance + max(_LEAST_MARGIN, (best - chance) / 2)
    scores = np.full((count, len(offsets) + 1), least)
    for column, ((a, _), values) in enumerate(zip(pairings, found, strict=True)):
        scores[a, column] = values
    return scores


def _paired(source_count: int, target_count: int, offset: int) -> tuple[slice, slice]:
    """Return the source's lines that have a counterpart at the offset, and those counterparts."""
    start = max(0, -offset)
    limit = max(start, min(source_count, target_count - offset))
    return slice(start, limit), slice(start + offset, limit + offset)


def _length_gaps(source: np.ndarray, target: np.ndarray, ratio: float) -> np.ndarray:
    """Return the gap between expected and found length in its own unit (Gale & Church, sec. 3)."""
    return (target - ratio * source) / np.sqrt(np.maximum(target + ratio * source, 1.0) / 2)


def _spread(gaps: np.ndarray) -> float:
    """Return a standard deviation that a few odd lines do not move."""
    return float(1.4826 * np.median(np.abs(gaps))) if len(gaps) else 1.0


def _shared(source: _Features, target: _Features, a: slice, b: slice) -> np.ndarray:
    """Score shared words, numbers and final marks, each against what chance would share."""
    ones = [_count(it) for it in (source.words[a], target.words[b])]
    words = _count(source.words[a] & target.words[b]) - ones[0] * ones[1] / _MASK_BITS
    numbers = [_count(it) for it in (source.numbers[a], target.numbers[b])]
    common = _count(source.numbers[a] & target.numbers[b])
    differing = numbers[0] + numbers[1] - 2 * common
    marks = np.where(source.marks[a] == target.marks[b], (source.marks[a] > 0) * 1.0, -0.7)
    score = 0.7 * np.clip(words, -2.0, 4.0) + 2.0 * np.minimum(common, 2) - np.minimum(differing, 2)
    return np.asarray(score + marks)


def _count(masks: np.ndarray) -> np.ndarray:
    """Return the number of bits set in each row."""
    return np.bitwise_count(masks).sum(axis=1, dtype=np.float64)


def _likeliest_path(scores: np.ndarray) -> np.ndarray:
    """Return the state of each line that maximises scores less the cost of changes (Viterbi).

    Args:
        scores: float64[N, states]; a text begins in state 0.
    """
    count, states = scores.shape
    back = np.empty((count, states), np.int8)
    best = [0.0] + [-CHANGE_COST] * (states - 1)
    indices = range(states)
    for line, row in enumerate(scores.tolist()):
        top = max(indices, key=best.__getitem__)
        floor = best[top] - CHANGE_COST
        back[line] = [state if best[state] >= floor else top for state in indices]
        best = [max(best[state], floor) + row[state] for state in indices]
    path = np.empty(count, np.int64)
    state = max(indices, key=best.__getitem__)
    for line in range(count - 1, -1, -1):
        path[line] = state
        state = int(back[line, state])
    return path

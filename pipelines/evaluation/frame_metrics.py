"""Measures of one label per frame: of frames, and of the segments that equal labels form.

A segment is a maximal run of frames with one label. The segmental measures are those of Lea et al.
(2017, "Temporal convolutional networks for action segmentation and detection", sec. 4): the edit
score asks for the right order of segments whatever their lengths, F1@k for an overlap, and both
punish over-segmentation, which frame accuracy hardly sees.

Labels are codes int[T]. Shares are fractions, where the paper has hundredths.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import EvaluationError
from pipelines.evaluation import metrics

Array = NDArray[Any]
OVERLAPS = (0.10, 0.25, 0.50)


@dataclass(frozen=True)
class Segments:
    """Maximal runs of one stream: their labels, first frames, and first frames after, int64[S]."""

    labels: Array
    starts: Array
    limits: Array

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def middles(self) -> Array:
        """The frame in the middle of each segment, int64[S]."""
        return np.asarray((self.starts + self.limits - 1) // 2)


@dataclass(frozen=True)
class Edits:
    """One shortest way from predicted to gold segments.

    Attributes:
        wrong: whether each gold segment is missed or has another label, bool[S].
        extra: whether each predicted segment has to go, bool[P].
    """

    wrong: Array
    extra: Array

    @property
    def distance(self) -> int:
        """Levenshtein's distance of the segments' labels."""
        return int(self.wrong.sum() + self.extra.sum())


def segments_of(labels: Array) -> Segments:
    """Cut the labels of a stream, [T], into maximal runs."""
    labels = np.asarray(labels)
    if not len(labels):
        empty = np.zeros(0, np.int64)
        return Segments(labels, empty, empty)
    changes = np.flatnonzero(labels[1:] != labels[:-1]) + 1
    starts = np.concatenate([[0], changes])
    return Segments(labels[starts], starts, np.append(changes, len(labels)))


def frame_accuracy(gold: Array, predicted: Array) -> float:
    """Share of frames with the right label."""
    return metrics.accuracy(gold, predicted)


def macro_f1(gold: Array, predicted: Array) -> float:
    """Unweighted mean of F1 over the classes that occur in `gold`.

    A class that is only ever predicted has no F1 of its own; it lowers the precision of none and
    the recall of those it was said instead of.
    """
    metrics.check_lengths(gold, predicted, "macro F1")
    classes = np.unique(gold)
    return float(f1_by_class(class_counts(gold, predicted, classes)[None])[0].mean())


def class_counts(gold: Array, predicted: Array, classes: Array) -> Array:
    """Count right, predicted and gold frames of every class, int64[3, C]."""
    is_gold = gold[None, :] == classes[:, None]
    is_predicted = predicted[None, :] == classes[:, None]
    both = is_gold & is_predicted
    return np.stack([flags.sum(axis=1) for flags in (both, is_predicted, is_gold)])


def f1_by_class(counts: Array) -> Array:
    """F1 of counts [R, 3, C] of right, predicted and gold frames, [R, C]; 0 where undefined."""
    present = counts[:, 1] + counts[:, 2]
    return np.asarray(2 * counts[:, 0] / np.maximum(present, 1))


def edit_score(gold: Sequence[Array], predicted: Sequence[Array]) -> float:
    """Mean over streams of 1 - edit distance / number of segments (Lea et al., 2017).

    The distance is Levenshtein's between the labels of the segments, the number that of the side
    which has more. 1 is the right order of labels, however long each lasts.

    Args:
        gold: labels of each stream, int[T].
        predicted: the same of a system.

    Raises:
        EvaluationError: the two do not describe the same frames, or there are none.
    """
    _check_streams(gold, predicted, "edit score")
    pairs = [(segments_of(one), segments_of(two)) for one, two in zip(gold, predicted, strict=True)]
    scores = [
        1 - edits(one.labels, two.labels).distance / max(len(one), len(two)) for one, two in pairs
    ]
    return float(np.mean(scores))


def overlap_f1(gold: Sequence[Array], predicted: Sequence[Array], overlap: float) -> float:
    """F1 of segments over all streams: right are those that overlap well (Lea et al., 2017).

    Args:
        gold: labels of each stream, int[T].
        predicted: the same of a system.
        overlap: smallest intersection over union with a gold segment of the same label.

    Raises:
        EvaluationError: the two do not describe the same frames, or there are none.
    """
    _check_streams(gold, predicted, "segment F1")
    right = total = 0
    for one, two in zip(gold, predicted, strict=True):
        wanted, found = segments_of(one), segments_of(two)
        right += int((matches(wanted, found, overlap) >= 0).sum())
        total += len(wanted) + len(found)
    return 2 * right / total


def matches(gold: Segments, predicted: Segments, overlap: float) -> Array:
    """Match predicted segments with gold ones, first come, first served.

    A predicted segment claims the gold segment of its label with the largest intersection over
    union, if that is at least `overlap` and the segment was not claimed before.

    Returns:
        The gold segment that each predicted one got, int64[P]; -1 where none.
    """
    found = np.full(len(predicted), -1)
    taken = np.zeros(len(gold), bool)
    first = np.searchsorted(gold.limits, predicted.starts, side="right")
    last = np.searchsorted(gold.starts, predicted.limits, side="left")
    for place in range(len(predicted)):
        near = slice(int(first[place]), int(last[place]))
        shares = _overlaps(gold, near, int(predicted.starts[place]), int(predicted.limits[place]))
        shares *= gold.labels[near] == predicted.labels[place]
        best = int(np.argmax(shares)) if len(shares) else 0
        if len(shares) and shares[best] >= overlap and not taken[near.start + best]:
            found[place] = near.start + best
            taken[near.start + best] = True
    return found


def _overlaps(gold: Segments, near: slice, start: int, limit: int) -> Array:
    """Intersection over union of some gold segments with one run of frames, float64[S]."""
    starts, limits = gold.starts[near], gold.limits[near]
    shared = np.minimum(limits, limit) - np.maximum(starts, start)
    return np.asarray(shared / (np.maximum(limits, limit) - np.minimum(starts, start)))


def edits(gold: Array, predicted: Array) -> Edits:
    """Find which labels differ in one shortest way from `predicted` [P] to `gold` [S].

    Of equally short ways, the one that changes labels rather than adds and drops them, from the
    last segment to the first.
    """
    came = _steps(gold, predicted)
    wrong, extra = np.zeros(len(gold), bool), np.zeros(len(predicted), bool)
    row, column = len(gold), len(predicted)
    while row or column:
        step = came[row, column]
        if step == _EXTRA:
            column -= 1
            extra[column] = True
            continue
        row -= 1
        if step == _MISSED:
            wrong[row] = True
            continue
        column -= 1
        wrong[row] = gold[row] != predicted[column]
    return Edits(wrong, extra)


_CHANGED, _MISSED, _EXTRA = 0, 1, 2


def _steps(gold: Array, predicted: Array) -> Array:
    """Last step of a shortest way to every pair of prefixes, int8[S + 1, P + 1]."""
    places = np.arange(len(predicted) + 1)
    came = np.full((len(gold) + 1, len(predicted) + 1), _EXTRA, np.int8)
    came[1:, 0] = _MISSED
    before = places
    for row, label in enumerate(gold, start=1):
        changed = before[:-1] + (predicted != label)
        reached = np.concatenate([[row], np.minimum(changed, before[1:] + 1)])
        # Dropping predicted segments goes along the row: a running minimum after taking off places.
        now = np.minimum.accumulate(reached - places) + places
        came[row, 1:][now[1:] == before[1:] + 1] = _MISSED
        came[row, 1:][now[1:] == changed] = _CHANGED
        before = now
    return came


def _check_streams(gold: Sequence[Array], predicted: Sequence[Array], metric: str) -> None:
    if len(gold) != len(predicted) or not len(gold):
        raise EvaluationError(
            f"{metric}: {len(gold)} streams against {len(predicted)}; both must be the same "
            "streams, at least 1: label every test stream, in order"
        )
    for one, two in zip(gold, predicted, strict=True):
        metrics.check_lengths(one, two, metric)

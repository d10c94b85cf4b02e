"""Scores of a frame labeller beside its baselines, of frames and of segments.

Values are those of whole streams, as published: streams are not cut. To resample recordings, what
was counted on whole streams is handed to the recording it belongs to: a right, missed or renamed
gold segment to that in which the middle of the gold segment lies, a spurious predicted segment to
that of its own middle. The totals of all recordings are therefore the published counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipelines.evaluation import frame_metrics
from pipelines.evaluation.frame_rows import (
    LabelledStreams,
    Labelling,
    Outputs,
    labelled_streams,
    read_labelling,
)
from pipelines.evaluation.scores import Score
from pipelines.evaluation.scoring import sums_score

if TYPE_CHECKING:
    from pipelines.datasets.frames import FrameRows

Array = NDArray[Any]
HEADLINE = "frame_accuracy"
SEGMENT_SCORES = {f"f1_{round(100 * share)}": share for share in frame_metrics.OVERLAPS}


@dataclass(frozen=True)
class _Plan:
    """How one score is computed: what each unit adds, the statistic of totals, what is counted."""

    sums: Callable[[LabelledStreams, Labelling], Array]
    statistic: Callable[[Array], Array]
    counted: str


def score_frames(
    rows: FrameRows, outputs: Outputs, baselines: Mapping[str, Outputs], *, seed: int = 17
) -> list[Score]:
    """Score labels of frames; each score with its interval and every baseline beside it.

    `frame_accuracy` and `macro_f1` (over the classes in the test streams) are of frames, `edit` and
    `f1_10`, `f1_25`, `f1_50` of segments (see `frame_metrics`). Intervals and paired p-values
    resample recordings, never frames; gold segments where fewer than 20 recordings are known. With
    n of them no p-value is below that of n signs that agree, 2 / 2 ** n.

    Args:
        rows: the test streams.
        outputs: the exported model's "labels" and "confidence", [N, T].
        baselines: outputs of other systems on the same streams.
        seed: of the resampling.

    Raises:
        EvaluationError: no frames, or outputs that do not fit them.
    """
    streams = labelled_streams(rows)
    model = read_labelling(outputs, rows, "model")
    others = {name: read_labelling(entry, rows, name) for name, entry in baselines.items()}
    return [_score(name, plan, streams, model, others, seed=seed) for name, plan in plans(streams)]


def plans(streams: LabelledStreams) -> list[tuple[str, _Plan]]:
    """Return every score's name and how it is computed, the headline first."""
    overlaps = [
        (name, _Plan(_overlap_counter(share), segment_f1, "segments"))
        for name, share in SEGMENT_SCORES.items()
    ]
    return [
        (HEADLINE, _Plan(accuracy_sums, share_of, "frames")),
        ("macro_f1", _Plan(class_sums, mean_f1_of(len(streams.classes)), "frames")),
        ("edit", _Plan(edit_sums, mean_edit_of(len(streams.names)), "segments")),
        *overlaps,
    ]


def _score(
    name: str,
    plan: _Plan,
    streams: LabelledStreams,
    model: Labelling,
    others: Mapping[str, Labelling],
    *,
    seed: int,
) -> Score:
    segments = sum(map(len, streams.truth.segments))
    score = sums_score(
        name,
        plan.sums(streams, model),
        {system: plan.sums(streams, other) for system, other in others.items()},
        plan.statistic,
        count=streams.frames if plan.counted == "frames" else segments,
        counted=plan.counted,
        seed=seed,
    )
    return _no_surer_than(streams.unit_count, score)


def _no_surer_than(units: int, score: Score) -> Score:
    """Raise p-values that so few units cannot bear out; one unit bears out no interval either."""
    least = 2.0 ** (1 - min(units, 60))
    entries = {
        system: replace(entry, p_value=max(entry.p_value, least))
        for system, entry in score.baselines.items()
    }
    if units > 1:
        return replace(score, baselines=entries)
    entries = {system: replace(entry, low=-1.0, high=1.0) for system, entry in entries.items()}
    return replace(score, baselines=entries, low=None, high=None)


def accuracy_sums(streams: LabelledStreams, system: Labelling) -> Array:
    """Right frames and frames of every unit, [U, 2]."""
    right = system.flat == streams.truth.flat
    return np.column_stack([streams.by_unit(right), streams.by_unit(np.ones(len(right)))])


def share_of(totals: Array) -> Array:
    """Divide the first total by the second, [R, 2] -> [R]."""
    return np.asarray(totals[:, 0] / np.maximum(totals[:, 1], 1))


def class_sums(streams: LabelledStreams, system: Labelling) -> Array:
    """Right, predicted and gold frames of every unit and class, [U, 3 * C]."""
    gold, said, units = streams.truth.flat, system.flat, np.concatenate(streams.units)
    classes = len(streams.classes)

    def table(codes: Array, among: Array) -> Array:
        cells = np.bincount(
            units[among] * classes + codes[among], minlength=streams.unit_count * classes
        )
        return cells.reshape(-1, classes)

    everything = np.ones(len(gold), bool)
    return np.hstack([table(gold, gold == said), table(said, everything), table(gold, everything)])


def mean_f1_of(classes: int) -> Callable[[Array], Array]:
    """Return macro F1 as a function of the totals of `class_sums`; over classes that are drawn."""

    def statistic(totals: Array) -> Array:
        counts = totals.reshape(len(totals), 3, classes)
        there = counts[:, 2] > 0
        f1 = frame_metrics.f1_by_class(counts) * there
        return np.asarray(f1.sum(axis=1) / np.maximum(there.sum(axis=1), 1))

    return statistic


def edit_sums(streams: LabelledStreams, system: Labelling) -> Array:
    """Edits, gold and predicted segments of every unit, held apart by stream, [U, 3 * N]."""
    sums = np.zeros((streams.unit_count, 3, len(streams.names)))
    for place, units in enumerate(streams.units):
        gold, found = streams.truth.segments[place], system.segments[place]
        needed = frame_metrics.edits(gold.labels, found.labels)
        at_gold, at_found = units[gold.middles], units[found.middles]
        np.add.at(sums[:, 0, place], at_gold, needed.wrong)
        np.add.at(sums[:, 0, place], at_found, needed.extra)
        np.add.at(sums[:, 1, place], at_gold, 1)
        np.add.at(sums[:, 2, place], at_found, 1)
    return sums.reshape(len(sums), -1)


def mean_edit_of(streams: int) -> Callable[[Array], Array]:
    """Return the edit score as a function of the totals of `edit_sums`, over streams drawn."""

    def statistic(totals: Array) -> Array:
        counts = totals.reshape(len(totals), 3, streams)
        longer = np.maximum(counts[:, 1], counts[:, 2])
        drawn = longer > 0
        # A resample can hold more edits than segments of either side.
        scores = np.maximum(1 - counts[:, 0] / np.maximum(longer, 1), 0.0) * drawn
        return np.asarray(scores.sum(axis=1) / np.maximum(drawn.sum(axis=1), 1))

    return statistic


def _overlap_counter(share: float) -> Callable[[LabelledStreams, Labelling], Array]:
    def sums(streams: LabelledStreams, system: Labelling) -> Array:
        return overlap_sums(streams, system, share)

    return sums


def overlap_sums(streams: LabelledStreams, system: Labelling, share: float) -> Array:
    """Right, spurious and missed segments of every unit, [U, 3]."""
    sums = np.zeros((streams.unit_count, 3))
    for place, units in enumerate(streams.units):
        gold, found = streams.truth.segments[place], system.segments[place]
        matched = frame_metrics.matches(gold, found, share)
        hit = np.zeros(len(gold), bool)
        hit[matched[matched >= 0]] = True
        np.add.at(sums[:, 0], units[gold.middles], hit)
        np.add.at(sums[:, 1], units[found.middles], matched < 0)
        np.add.at(sums[:, 2], units[gold.middles], ~hit)
    return sums


def segment_f1(totals: Array) -> Array:
    """F1 of right, spurious and missed segments, [R, 3] -> [R]."""
    right, spurious, missed = totals.T
    return np.asarray(2 * right / np.maximum(2 * right + spurious + missed, 1))

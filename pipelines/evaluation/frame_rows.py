"""Streams, the labels that systems give their frames, and what intervals draw anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import EvaluationError
from pipelines.evaluation.classification import label_codes
from pipelines.evaluation.frame_metrics import Segments, segments_of
from pipelines.evaluation.units import MIN_DOCUMENTS

if TYPE_CHECKING:
    from pipelines.datasets.frames import FrameRows

Array = NDArray[Any]
Outputs = Mapping[str, Array]


@dataclass(frozen=True)
class Labelling:
    """One system's answers, stream by stream: codes int64[T], and how sure it was, float64[T]."""

    codes: Sequence[Array]
    confidences: Sequence[Array]

    @cached_property
    def flat(self) -> Array:
        """The codes of all streams in one line, int64[F]."""
        return np.concatenate(self.codes)

    @cached_property
    def segments(self) -> list[Segments]:
        """The segments of each stream."""
        return [segments_of(codes) for codes in self.codes]


@dataclass(frozen=True)
class LabelledStreams:
    """Streams with their gold labels as codes, and the units that resampling draws.

    Args:
        names: of N streams.
        groups: what each is of, such as the subject.
        classes: names of the C codes.
        gold: codes of each stream, int64[T].
        pieces: first frames of the recordings of each stream, int64[R].
        rate: frames a second, None where unknown.
    """

    names: Sequence[str]
    groups: Sequence[str]
    classes: Sequence[str]
    gold: Sequence[Array]
    pieces: Sequence[Array]
    rate: float | None

    @cached_property
    def truth(self) -> Labelling:
        """The gold labels, in the form of a system's."""
        return Labelling(self.gold, [np.ones(len(codes)) for codes in self.gold])

    @property
    def frames(self) -> int:
        """Frames of all streams."""
        return sum(map(len, self.gold))

    @cached_property
    def stream_of(self) -> Array:
        """Number of each frame's stream, int64[F]."""
        return np.repeat(np.arange(len(self.gold)), [len(codes) for codes in self.gold])

    @cached_property
    def by_recording(self) -> bool:
        """Whether recordings are drawn; where too few are known, gold segments are."""
        recordings = sum(map(len, self.pieces))
        return recordings >= min(MIN_DOCUMENTS, sum(map(len, self.truth.segments)))

    @cached_property
    def units(self) -> list[Array]:
        """Number of the unit that each frame of each stream belongs to, int64[T] each."""
        if self.by_recording:
            starts = [np.asarray(first, np.int64) for first in self.pieces]
        else:
            starts = [segments.starts for segments in self.truth.segments]
        found, before = [], 0
        for first, codes in zip(starts, self.gold, strict=True):
            places = np.searchsorted(first, np.arange(len(codes)), side="right") - 1
            found.append(places + before)
            before += len(first)
        return found

    @property
    def unit_count(self) -> int:
        """How many units there are."""
        return int(self.units[-1][-1]) + 1

    def by_unit(self, flags: Array) -> Array:
        """Add up values of frames, [F], by unit, float64[U]."""
        return np.bincount(np.concatenate(self.units), weights=flags, minlength=self.unit_count)

    def sentence(self) -> str:
        """Say what intervals resample, and what they cannot know."""
        name = "recordings" if self.by_recording else "gold segments"
        reason = "since the frames of one are alike"
        if not self.by_recording:
            reason = "as too few recordings are known; frames of one segment are alike"
        groups = len(set(self.groups))
        return (
            f"Intervals and p-values resample the {self.unit_count:,} {name} of the test streams, "
            f"never frames, {reason}. They hold for new recordings of {_these(groups)}; "
            "for other ones the true intervals are wider."
        )


def _these(groups: int) -> str:
    return "this subject or source" if groups == 1 else f"these {groups} subjects or sources"


def labelled_streams(rows: FrameRows) -> LabelledStreams:
    """Read the gold labels of streams.

    Raises:
        EvaluationError: there is no frame, or one has no label or an unknown one.
    """
    streams = [stream for stream in rows if len(stream)]
    if not streams:
        raise EvaluationError(
            f"frame labelling: {len(rows)} test streams hold 0 frames; at least 1 is needed: check "
            "that the test split is not empty"
        )
    gold = [
        label_codes(stream.labels, rows.classes, f"gold labels of {stream.name!r}")
        for stream in streams
    ]
    return LabelledStreams(
        [stream.name for stream in streams],
        [stream.group for stream in streams],
        rows.classes,
        gold,
        [stream.pieces for stream in streams],
        rows.rate,
    )


def read_labelling(outputs: Outputs, rows: FrameRows, system: str) -> Labelling:
    """Check a system's outputs against the streams and cut them to their lengths.

    Args:
        outputs: "labels" [N, T] and "confidence" [N, T], padded to at least the longest stream.
        rows: the N streams.
        system: the name of what answered, for messages.

    Raises:
        EvaluationError: a key is missing, a shape is wrong, or a label is not one of the classes.
    """
    for key in ("labels", "confidence"):
        if key not in outputs:
            raise EvaluationError(
                f"{system}: outputs hold {sorted(outputs)} but not {key!r}; a frame labeller "
                "returns 'labels' and 'confidence': check the serve signature"
            )
    longest = int(max(rows.lengths, default=0))
    labels, confidence = np.asarray(outputs["labels"]), np.asarray(outputs["confidence"])
    if labels.ndim != 2 or len(labels) != len(rows) or labels.shape[1] < longest:
        raise EvaluationError(
            f"{system}: labels of shape {labels.shape}; expected ({len(rows)}, {longest}) or "
            "longer: label every frame of every test stream"
        )
    if confidence.shape != labels.shape:
        raise EvaluationError(
            f"{system}: confidence of shape {confidence.shape} beside labels of shape "
            f"{labels.shape}; every label needs one: check the serve signature"
        )
    codes, sure = [], []
    for place, stream in enumerate(rows):
        if frames := len(stream):
            where = f"{system}: labels of {stream.name!r}"
            codes.append(label_codes(labels[place, :frames], rows.classes, where))
            sure.append(confidence[place, :frames].astype(float))
    return Labelling(codes, sure)

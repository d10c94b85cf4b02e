"""Sensor streams with a label for every frame, held in memory, and how they are read."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import overload

import numpy as np
import numpy.typing as npt

from pipelines.datasets.rows import Rows
from pipelines.datasets.splits import require_shares
from pipelines.errors import require

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
LabelArray = npt.NDArray[np.object_]


@dataclass(frozen=True, kw_only=True)
class FrameOptions:
    """How to read and split labelled frames; an empty value means to find it out."""

    label_column: str = "label"
    """Column of the label of each frame."""
    channels: tuple[str, ...] = ()
    """Columns of measured values; none given: every column without another role."""
    stream_column: str | None = None
    """Column that tells streams apart; none given: a file is a stream."""
    group_column: str | None = None
    """Column of what splits must not divide, such as the subject; none given: the stream."""
    time_column: str | None = None
    """Column of the time of each frame, in seconds or as a time stamp; tells the rate."""
    rate: float | None = None
    """Frames a second, where no time column tells."""
    valid_share: float = 0.2
    """Share of the streams to set aside for validation, if the source brings no such split."""
    test_share: float = 0.3
    """The same for the test."""
    split_seed: int = 17
    """Draws the split, and the order in which recordings of one subject are joined."""
    encoding: str = "utf-8"
    """Of text files; a byte-order mark is skipped."""
    delimiter: str = ""
    """Of csv and txt; empty means to find it in the first line."""

    def __post_init__(self) -> None:
        """Refuse values that cannot work, before any data is read."""
        require_shares(self.valid_share, self.test_share)
        good = self.rate is None or 0 < self.rate < float("inf")
        require(good, "rate", self.rate, "above 0 frames a second")


@dataclass(frozen=True, eq=False)  # arrays have no single truth; `key` compares values
class FrameStream:
    """What one sensor measured, frame by frame, and what happened meanwhile.

    Args:
        name: "subject 3", a file's stem, or the value of the stream column.
        group: what a split keeps together: the subject; the name where none is known.
        values: float32[T, K] in the file's own units; NaN where missing.
        labels: object str[T]; "" where unlabelled, in streams to label only.
        pieces: frames at which recordings that were joined begin, the first 0; int64[R].
    """

    name: str
    group: str
    values: FloatArray
    labels: LabelArray
    pieces: IntArray

    def __len__(self) -> int:
        return len(self.values)

    def key(self) -> int:
        """Return a number that streams of equal values share."""
        content = np.where(np.isnan(self.values), np.float32(np.nan), self.values)
        digest = hashlib.blake2b(np.ascontiguousarray(content).tobytes(), digest_size=8)
        digest.update(str(self.values.shape).encode())
        return int.from_bytes(digest.digest(), "big")

    def cut(self, first: int, limit: int) -> FrameStream:
        """Return the frames from `first` to before `limit`; a piece begins with the first."""
        inside = self.pieces[(self.pieces > first) & (self.pieces < limit)]
        return replace(
            self,
            values=self.values[first:limit],
            labels=self.labels[first:limit],
            pieces=np.concatenate([[0], inside - first]).astype(np.int64),
        )


class FrameRows(Rows[FrameStream]):
    """Streams in memory, all of the same channels.

    Args:
        streams: N of them.
        channels: names of the K columns of values.
        rate: frames a second; None: unknown.
        classes: all labels, sorted; those of every split, not of these streams alone.
    """

    def __init__(
        self,
        streams: Iterable[FrameStream],
        *,
        channels: Sequence[str],
        rate: float | None,
        classes: Sequence[str],
    ) -> None:
        self.example_type = FrameStream
        self.streams = tuple(streams)
        self.channels, self.classes = tuple(channels), tuple(classes)
        self.rate = rate

    def __len__(self) -> int:
        return len(self.streams)

    @overload
    def __getitem__(self, index: int) -> FrameStream: ...
    @overload
    def __getitem__(self, index: slice) -> FrameRows: ...
    def __getitem__(self, index: int | slice) -> FrameStream | FrameRows:
        if isinstance(index, slice):
            return self.with_streams(self.streams[index])
        return self.streams[index]

    def __iter__(self) -> Iterator[FrameStream]:
        return iter(self.streams)

    def select(self, indices: np.ndarray) -> FrameRows:
        """Return the streams of the given numbers, kept in stored order."""
        numbers = np.sort(np.asarray(indices, np.int64))
        return self.with_streams(self.streams[number] for number in numbers)

    def with_streams(self, streams: Iterable[FrameStream]) -> FrameRows:
        """Return other streams of the same channels, rate and classes."""
        return FrameRows(streams, channels=self.channels, rate=self.rate, classes=self.classes)

    @property
    def lengths(self) -> IntArray:
        """Frames of each stream, int64[N]."""
        return np.array([len(stream) for stream in self.streams], np.int64)

    def frames_of(self) -> Mapping[str, int]:
        """Return label -> frames, of these streams; every class is named."""
        counts = dict.fromkeys(self.classes, 0)
        for stream in self.streams:
            labels, numbers = np.unique(stream.labels.astype(str), return_counts=True)
            for label, number in zip(labels.tolist(), numbers.tolist(), strict=True):
                counts[label] = counts.get(label, 0) + number
        return counts

"""What every reader of streams is told and gives, and what streams must have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pipelines.datasets.frames_streams import FrameOptions, FrameStream, LabelArray
from pipelines.datasets.series_read_files import PACKED
from pipelines.errors import DataError, did_you_mean

Place = Callable[[int], str]
SHOWN = 12
_MISSING = ("nan", "<na>")  # as tools write what is not there; "null" and "none" may be labels


@dataclass(frozen=True)
class Wanted:
    """What is wanted of a source.

    Args:
        options: how to read it.
        channels: of a trained model; empty: those of the options, or those found.
        classes: of a trained model; empty: any label.
        labelled: whether every frame needs a label.
    """

    options: FrameOptions
    channels: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    labelled: bool = True

    @property
    def named(self) -> tuple[str, ...]:
        """Channels that must be there, if any are named."""
        return self.channels or self.options.channels


@dataclass(frozen=True)
class Clock:
    """What the times of one stream tell.

    Args:
        rate: frames a second.
        steps: from frame to frame.
        irregular: of these, how many are not within half the usual step of it.
        gaps: how many are so long that a recording must have been interrupted.
        longest: the longest step, in seconds.
    """

    rate: float
    steps: int
    irregular: int
    gaps: int
    longest: float


@dataclass
class ReadFrames:
    """The streams of one source, N of them, in the order of its files.

    Args:
        streams: as read.
        channels: names of their columns.
        splits: train, valid or test of each stream, where the source says so.
        rates: frames a second, as each of the files or streams tells.
        clocks: of streams with a time column.
        notes: what a reader of a score should know.
    """

    streams: list[FrameStream]
    channels: tuple[str, ...]
    splits: list[str | None] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    clocks: list[Clock] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def listed(names: Sequence[object], most: int = SHOWN) -> str:
    """Return names joined by commas; of many, the first and how many there are."""
    shown = ", ".join(str(name) for name in names[:most])
    return shown if len(names) <= most else f"{shown}, ... ({len(names):,} in all)"


def stem_of(path: Path) -> str:
    """Return a file's name without its extension, and without that of what it is packed in."""
    name = Path(path.name)
    return (Path(name.stem) if name.suffix.lower() in PACKED else name).stem or path.name


def known_word(word: str) -> str:
    """Return a word without white space around it; "" if it says that there is none."""
    word = word.strip()
    return "" if word.lower() in _MISSING else word


def require_labels(labels: LabelArray, wanted: Wanted, place: Place) -> None:
    """Refuse frames without a label, and labels that the model does not know.

    Raises:
        DataError: the message names the first such frame.
    """
    if not wanted.labelled:
        return
    empty = labels == ""
    if empty.any():
        raise DataError(
            f"{place(int(np.argmax(empty)))}: no label ({int(empty.sum()):,} of {len(labels):,} "
            "frames have none); expected one for every frame; write a name such as 'none' for "
            "frames where nothing happens, or leave them out"
        )
    if not wanted.classes:
        return
    unknown = ~np.isin(labels.astype(str), wanted.classes)
    if unknown.any():
        row = int(np.argmax(unknown))
        label = str(labels[row])
        raise DataError(
            f"{place(row)}: label {label!r} is not among those the model was trained on"
            f"{did_you_mean(label, wanted.classes)}; expected one of {listed(wanted.classes)}; "
            "mend the label, leave such frames out, or train with them"
        )


def require_finite(values: np.ndarray, channels: Sequence[str], place: Place) -> None:
    """Refuse infinite values, and those that are too large for float32.

    Raises:
        DataError: the message names the first such frame.
    """
    infinite = np.isinf(values)
    if infinite.any():
        row, column = np.argwhere(infinite)[0]
        raise DataError(
            f"{place(int(row))}: channel {channels[int(column)]!r} holds an infinite value, or one "
            "above 3.4e38; expected a finite number; mend it, or leave it empty (NaN) if the value "
            "is missing"
        )


def joined(parts: Sequence[ReadFrames]) -> ReadFrames:
    """Put what was read of several files, which have the same channels, together."""
    return ReadFrames(
        [stream for part in parts for stream in part.streams],
        parts[0].channels,
        [split for part in parts for split in part.splits],
        [rate for part in parts for rate in part.rates],
        [clock for part in parts for clock in part.clocks],
        list(dict.fromkeys(note for part in parts for note in part.notes)),
    )

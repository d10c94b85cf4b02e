"""Deal streams out to train, validation and test by group, or cut them in time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from pipelines.datasets.frames_reading import ReadFrames, listed
from pipelines.datasets.frames_streams import FrameOptions, FrameStream
from pipelines.datasets.splits import SPLIT_NAMES, group_split
from pipelines.errors import DataError

Parts = dict[str, list[FrameStream]]
COPY = "stream with the values of another one"
_CUT = (
    "a cut in time tells how well later parts of the same recordings are labelled, not those of "
    "someone new"
)


@dataclass
class PlacedStreams:
    """Streams of train, valid and test, what was left out, and how they were split."""

    parts: Parts
    dropped: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def distinct(read: ReadFrames) -> tuple[list[int], dict[str, int]]:
    """Return the numbers of streams that repeat no other, and how many do.

    Of copies in given splits, the one in test stays, else that in valid; else the first.
    """
    rank = {"test": 0, "valid": 1}
    order = sorted(range(len(read.streams)), key=lambda it: rank.get(read.splits[it] or "", 2))
    first: dict[int, int] = {}
    for number in order:
        first.setdefault(read.streams[number].key(), number)
    kept = sorted(first.values())
    gone = len(order) - len(kept)
    return kept, {COPY: gone} if gone else {}


def place_streams(source: str, read: ReadFrames, options: FrameOptions) -> PlacedStreams:
    """Keep the splits that streams came with, and draw the others.

    Whole groups are dealt out where there is one for every split. Of two groups one is the test,
    and the other is cut in time; a single group is cut in time, stream by stream.

    Args:
        source: named in messages.
        read: the streams.
        options: shares and seed.

    Raises:
        DataError: a stream is too short to be cut.
    """
    kept, dropped = distinct(read)
    placed = PlacedStreams({name: [] for name in SPLIT_NAMES}, dropped)
    fresh: list[FrameStream] = []
    for number in kept:
        split = read.splits[number]
        (placed.parts[split] if split else fresh).append(read.streams[number])
    if any(read.splits):
        fresh += placed.parts.pop("train")
        _note_shared(placed)
    if not fresh:
        raise DataError(
            f"{source}: no stream is left to learn from: all {dropped.get(COPY, 0)} repeat one of "
            "valid or test; expected recordings of their own in train; give some"
        )
    given = {name for name, streams in placed.parts.items() if streams}
    shares = {"valid": options.valid_share, "test": options.test_share}
    wanted = {name: 0.0 if name in given else share for name, share in shares.items()}
    drawn = _draw(source, fresh, wanted, options.split_seed, placed.notes)
    placed.parts = {name: drawn[name] or placed.parts.get(name, []) for name in SPLIT_NAMES}
    for name, streams in placed.parts.items():
        groups = list(dict.fromkeys(stream.group for stream in streams))
        placed.notes.append(f"{name}: {listed(groups)}{' (given)' if name in given else ''}")
    return placed


def _note_shared(placed: PlacedStreams) -> None:
    """Say which splits were given."""
    given = [name for name, streams in placed.parts.items() if streams]
    placed.notes.append(f"{' and '.join(given)} are the files of that name")


def _draw(
    source: str, streams: list[FrameStream], shares: dict[str, float], seed: int, notes: list[str]
) -> Parts:
    """Deal streams out to train and to the splits whose share is above 0."""
    fractions = (1.0 - shares["valid"] - shares["test"], shares["valid"], shares["test"])
    groups = [stream.group for stream in streams]
    needed = sum(share > 0 for share in fractions)
    known = len(set(groups))
    if known >= needed:
        drawn = group_split(groups, seed, fractions)
        if needed > 1:
            notes.append(f"split by group: {known} groups, each in one split, drawn by seed {seed}")
        pairs = zip(SPLIT_NAMES, drawn, strict=True)
        return {name: [streams[number] for number in numbers] for name, numbers in pairs}
    if known == 2:
        return _draw_two(source, streams, fractions, seed, notes)
    notes.append(
        f"a single group ({groups[0]}): each stream is cut in time, {_percents(fractions)}; {_CUT}"
    )
    return _cut_all(source, streams, fractions)


def _draw_two(
    source: str,
    streams: list[FrameStream],
    fractions: tuple[float, float, float],
    seed: int,
    notes: list[str],
) -> Parts:
    """Keep one of two groups for the test; cut the other in time."""
    rest, _, test = group_split(
        [it.group for it in streams], seed, (1 - fractions[2], 0.0, fractions[2])
    )
    learned = fractions[0] / (fractions[0] + fractions[1])
    parts = _cut_all(source, [streams[number] for number in rest], (learned, 1 - learned, 0.0))
    parts["test"] = [streams[number] for number in test]
    notes.append(
        "two groups: one is the test; each stream of the other is cut in time, the first "
        f"{learned:.0%} to learn from, the rest to validate"
    )
    return parts


def _percents(fractions: Sequence[float]) -> str:
    ways = ("to learn from", "to validate", "to test")
    pairs = zip(fractions, ways, strict=True)
    return ", then ".join(f"{share:.0%} {way}" for share, way in pairs if share > 0)


def _cut_all(
    source: str, streams: Sequence[FrameStream], fractions: tuple[float, float, float]
) -> Parts:
    parts: Parts = {name: [] for name in SPLIT_NAMES}
    edges = np.cumsum([0.0, *fractions])
    for stream in streams:
        bounds = np.round(edges * len(stream)).astype(int).tolist()
        for name, share, first, limit in zip(
            SPLIT_NAMES, fractions, bounds, bounds[1:], strict=False
        ):
            if share <= 0:
                continue
            if limit <= first:
                raise DataError(
                    f"{source}: stream {stream.name!r} of {len(stream)} frames is too short to be "
                    "cut into train, valid and test; expected several groups, or hundreds of "
                    "frames; give more recordings, and --group-column if they are of several people"
                )
            parts[name].append(stream.cut(first, limit))
    return parts

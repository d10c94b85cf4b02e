"""What a careful person would look at in labelled frames before training on them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import cast

import numpy as np

from pipelines.datasets.common_checks import label_table, left_out_finding, spelling_finding
from pipelines.datasets.findings import Finding, Level, Table
from pipelines.datasets.frames_order_checks import counter_finding, leak_finding, order_finding
from pipelines.datasets.frames_streams import FrameRows, FrameStream, IntArray
from pipelines.datasets.frames_value_checks import constant_finding, missing_finding, scale_finding
from pipelines.datasets.splits import SPLIT_NAMES, DataCard, Splits

FEW_GROUPS = 3  # fewer in the test tell little of someone new
FLICKER_SECONDS, FLICKER_FRAMES = 0.1, 3  # shorter segments are hardly meant; frames: no rate
MUCH_FLICKER = 0.05
SHORT_SECONDS, SHORT_FRAMES = 1.0, 20
SLOW = 1.0  # Hz; below it, times were probably in milliseconds
SHOWN = 40


def check_frames(splits: Splits[FrameStream]) -> list[Finding]:
    """Look at sizes, classes, segments, missing and constant values, scales, rates and order.

    Args:
        splits: as `load_frames` returns them.

    Returns:
        findings in the order a person would ask; levels "ok", "note", "warning" and "error".
    """
    parts = {name: cast(FrameRows, rows) for name, rows in splits.named()}
    train, test = parts["train"], parts["test"]
    everything = [stream for rows in parts.values() for stream in rows]
    return [
        _sizes(parts),
        _groups(parts),
        _classes(parts),
        spelling_finding(train.classes, "label"),
        _segments(train, everything),
        missing_finding(train.channels, everything),
        constant_finding(train, everything),
        scale_finding(train, test),
        leak_finding(train.channels, everything),
        counter_finding(train.channels, everything),
        order_finding(train, test),
        _rate(train.rate, splits.card),
        _short(train.rate, everything),
        left_out_finding(splits.card, "streams", ()),
    ]


def segments(labels: np.ndarray) -> Iterator[tuple[str, int]]:
    """Yield label and frames of each maximal run of equal labels."""
    edges = np.flatnonzero(labels[1:] != labels[:-1]) + 1
    bounds = [0, *edges.tolist(), len(labels)]
    for first, limit in itertools.pairwise(bounds):
        yield str(labels[first]), limit - first


def _duration(frames: int, rate: float | None) -> str:
    if rate is None:
        return f"{frames:,} frames"
    seconds = frames / rate
    return f"{seconds / 60:,.1f} min" if seconds >= 60 else f"{seconds:,.1f} s"


def _sizes(parts: dict[str, FrameRows]) -> Finding:
    table: Table = (
        ("part", "streams", "groups", "frames", "duration"),
        *(
            (
                name,
                f"{len(rows):,}",
                f"{len({stream.group for stream in rows}):,}",
                f"{int(rows.lengths.sum()):,}",
                _duration(int(rows.lengths.sum()), rows.rate),
            )
            for name, rows in parts.items()
        ),
    )
    total = sum(int(rows.lengths.sum()) for rows in parts.values())
    groups = len({stream.group for stream in parts["test"]})
    detail = f"{total:,} frames of {len(parts['train'].channels)} channels"
    if groups >= FEW_GROUPS:
        return Finding("ok", "Sizes", detail, table)
    detail += (
        f"; the test holds {groups} group(s): so few tell little of others; give recordings of "
        f"{FEW_GROUPS} or more, or a larger --test-share"
    )
    return Finding("warning", "Sizes", detail, table)


def _groups(parts: dict[str, FrameRows]) -> Finding:
    """Look for groups on both sides of a split."""
    held = {name: {stream.group for stream in rows} for name, rows in parts.items()}
    shared = sorted(held["test"] & (held["train"] | held["valid"]))
    if not shared:
        return Finding("ok", "Groups", "no group of the test is in train or valid")
    detail = (
        f"in train or valid and in test: {', '.join(shared[:8])}; the scores are those of people "
        "or devices that are known already; give recordings of others, and --group-column"
    )
    return Finding("warning", "Groups", detail)


def _classes(parts: dict[str, FrameRows]) -> Finding:
    """Count the frames of each class, and look for classes that a split lacks."""
    counts = {name: dict(parts[name].frames_of()) for name in SPLIT_NAMES}
    lacking = {
        name: [label for label, count in counts[name].items() if not count] for name in SPLIT_NAMES
    }
    table = label_table(counts, "label", SHOWN)
    count = len(parts["train"].classes)
    if lacking["train"]:
        detail = (
            f"no training frame of {_quoted(lacking['train'])}: a model cannot learn what it never "
            "sees; give more recordings, or another --split-seed"
        )
        return Finding("error", "Classes", detail, table)
    absent = [
        f"{name} lacks {_quoted(lacking[name])}" for name in ("valid", "test") if lacking[name]
    ]
    if absent:
        detail = f"{'; '.join(absent)}: nothing is measured of these; try another --split-seed"
        return Finding("warning", "Classes", detail, table)
    return Finding("ok", "Classes", f"{count} classes, each in every part", table)


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(map(repr, list(names)[:8]))


def _segments(train: FrameRows, streams: list[FrameStream]) -> Finding:
    """Look at how long labels last; very short runs are flicker in the labelling."""
    lengths: dict[str, list[int]] = {}
    for stream in streams:
        for label, frames in segments(stream.labels):
            lengths.setdefault(label, []).append(frames)
    table: Table = (
        ("label", "segments", "shortest", "median", "longest"),
        *(
            (
                label,
                f"{len(lengths[label]):,}",
                *(_duration(int(it), train.rate) for it in _spread(lengths[label])),
            )
            for label in sorted(lengths)[:SHOWN]
        ),
    )
    every = np.array([it for runs in lengths.values() for it in runs], np.int64)
    least = FLICKER_FRAMES if train.rate is None else max(2, round(FLICKER_SECONDS * train.rate))
    flicker = int((every < least).sum())
    detail = f"{len(every):,} segments of one label, median {_duration(_median(every), train.rate)}"
    if len(every) == len(streams):
        detail += "; every stream has a single label, so nothing is learned of where labels change"
        return Finding("note", "Segments", detail, table)
    if flicker:
        detail += (
            f"; {flicker:,} ({flicker / len(every):.1%}) are shorter than {least} frames: the "
            "labels may flicker; smooth them if nothing lasts so short"
        )
    level: Level = "warning" if flicker > MUCH_FLICKER * len(every) else "note" if flicker else "ok"
    return Finding(level, "Segments", detail, table)


def _median(lengths: IntArray) -> int:
    return int(np.median(lengths)) if len(lengths) else 0


def _spread(lengths: list[int]) -> tuple[int, int, int]:
    return min(lengths), int(np.median(lengths)), max(lengths)


def _rate(rate: float | None, card: DataCard) -> Finding:
    odd = [note.removeprefix("time: ") for note in card.notes if note.startswith("time: ")]
    if rate is None:
        detail = (
            "not known, so durations are in frames; give --rate, or --time-column if a column tells"
        )
        return Finding("note", "Rate", "; ".join([detail, *odd]))
    detail = f"{rate:g} frames a second"
    if rate < SLOW:
        odd.append("so slow a rate is rare: if the times are milliseconds, give --rate instead")
    return Finding("warning" if odd else "ok", "Rate", "; ".join([detail, *odd]))


def _short(rate: float | None, streams: list[FrameStream]) -> Finding:
    """Look for streams too short to tell anything by."""
    least = SHORT_FRAMES if rate is None else SHORT_SECONDS * rate
    short = [stream.name for stream in streams if len(stream) < least]
    lengths = np.array([len(stream) for stream in streams], np.int64)
    detail = (
        f"{_duration(int(lengths.min(initial=lengths.max(initial=0))), rate)} to "
        f"{_duration(int(lengths.max(initial=0)), rate)}"
    )
    if not short:
        return Finding("ok", "Stream lengths", detail)
    detail += (
        f"; {len(short):,} streams are shorter than "
        f"{'a second' if rate else f'{SHORT_FRAMES} frames'}: {_quoted(short)}; join recordings "
        "that belong together, or check --stream-column"
    )
    return Finding("warning", "Stream lengths", detail)

"""Looks at the values of channels: missing ones, constant ones, scales that differ."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pipelines.datasets.findings import Finding, Table
from pipelines.datasets.frames_streams import FloatArray, FrameRows, FrameStream

MUCH_MISSING = 0.2
RATIO = 2.0  # of the spread in test to that in train
SHIFT = 1.0  # standard deviations between the means
SHOWN = 40
Array = npt.NDArray[np.float64]


def missing_finding(channels: Sequence[str], streams: Sequence[FrameStream]) -> Finding:
    """Count missing values by channel, and find the longest run of them."""
    counts = np.zeros(len(channels), np.int64)
    longest = np.zeros(len(channels), np.int64)
    for stream in streams:
        missing = np.isnan(stream.values)
        counts += missing.sum(axis=0)
        if missing.any():
            runs = [_longest_run(missing[:, column]) for column in range(len(channels))]
            longest = np.maximum(longest, runs)
    if not counts.any():
        return Finding("ok", "Missing", "every frame has a value of every channel")
    frames = sum(len(stream) for stream in streams)
    order = [number for number in np.argsort(-counts, kind="stable") if counts[number]][:SHOWN]
    table: Table = (
        ("channel", "missing", "share", "longest run"),
        *(
            (channels[it], f"{counts[it]:,}", f"{counts[it] / frames:.1%}", f"{longest[it]:,}")
            for it in order
        ),
    )
    worst = order[0]
    share = counts[worst] / frames
    detail = (
        f"{counts.sum() / (frames * len(channels)):.1%} of all values, most of "
        f"{channels[worst]!r}: {share:.1%}; the model is told where a value is missing"
    )
    return Finding("warning" if share > MUCH_MISSING else "note", "Missing", detail, table)


def _longest_run(missing: npt.NDArray[np.bool_]) -> int:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], missing, [False]]).astype(np.int8)))
    return int((edges[1::2] - edges[::2]).max(initial=0))


def constant_finding(train: FrameRows, streams: Sequence[FrameStream]) -> Finding:
    """Look for channels that never change, in all training frames or within single streams."""
    low, high = _bounds(train)
    never = [
        name for name, one, other in zip(train.channels, low, high, strict=True) if one >= other
    ]
    stuck = [
        f"{channel!r} in {stream.name!r}"
        for stream in streams
        if len(stream) > 1
        for channel, least, most in zip(train.channels, *_extremes(stream), strict=True)
        if channel not in never and least == most
    ]
    parts = []
    if never:
        parts.append(f"the same in all of train: {', '.join(map(repr, never[:8]))}; leave them out")
    if stuck:
        parts.append(
            f"without any change within a stream: {', '.join(stuck[:5])} ({len(stuck):,} in all); "
            "a sensor may have failed"
        )
    if not parts:
        return Finding("ok", "Constant", "every channel changes, in every stream")
    return Finding("warning", "Constant", "; ".join(parts))


def _bounds(rows: FrameRows) -> tuple[list[float], list[float]]:
    """Return the least and the largest value of each channel, over all streams."""
    low = np.full(len(rows.channels), np.inf)
    high = np.full(len(rows.channels), -np.inf)
    for stream in rows:
        least, most = _extremes(stream)
        low, high = np.fmin(low, least), np.fmax(high, most)
    return low.tolist(), high.tolist()


def _extremes(stream: FrameStream) -> tuple[FloatArray, FloatArray]:
    """Return the least and the largest value of each channel; NaN if all are missing."""
    return np.fmin.reduce(stream.values, axis=0), np.fmax.reduce(stream.values, axis=0)


def scale_finding(train: FrameRows, test: FrameRows) -> Finding:
    """Compare mean and spread of each channel between train and test, and tell odd streams."""
    before, after = _moments(list(train)), _moments(list(test))
    table: list[tuple[str, ...]] = [("channel", "train", "test", "shift", "ratio of spread")]
    moved = []
    for number, name in enumerate(train.channels):
        shift, ratio = _differ(before[:, number], after[:, number])
        table.append(
            (
                name,
                *(
                    f"{mean:.3g} ± {spread:.3g}"
                    for mean, spread in (before[:, number], after[:, number])
                ),
                f"{shift:+.2f}",
                f"{ratio:.2f}",
            )
        )
        if abs(shift) > SHIFT or not 1 / RATIO < ratio < RATIO:
            moved.append(name)
    if not moved:
        detail = "mean and spread of every channel are alike in train and test"
        return Finding("ok", "Scales", detail, tuple(table[: SHOWN + 1]))
    detail = (
        f"another scale in test than in train: {', '.join(map(repr, moved[:8]))}; compare units, "
        "the way the sensor was worn, and what was recorded"
    )
    return Finding("warning", "Scales", detail, tuple(table[: SHOWN + 1]))


def _moments(streams: Sequence[FrameStream]) -> Array:
    """Return mean and standard deviation of each channel, float64[2, K]; of nothing, NaN."""
    values = [stream.values for stream in streams]
    count = np.sum([(~np.isnan(it)).sum(axis=0) for it in values], axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.sum([np.nansum(it, axis=0, dtype=np.float64) for it in values], axis=0) / count
        square = [np.nansum((it - mean) ** 2, axis=0, dtype=np.float64) for it in values]
        return np.stack([mean, np.sqrt(np.sum(square, axis=0) / count)])


def _differ(before: Array, after: Array) -> tuple[float, float]:
    """Return the shift of the mean in standard deviations, and the ratio of spreads."""
    spread = before[1]
    if not np.isfinite([*before, *after]).all() or not spread:
        return 0.0, 1.0
    return float((after[0] - before[0]) / spread), float(after[1] / spread)

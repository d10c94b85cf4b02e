"""Leave frames that a model has learned from out of those it is scored on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import cast

import numpy as np
import numpy.typing as npt

from pipelines.datasets.frames_streams import FrameRows, FrameStream
from pipelines.datasets.splits import Splits, replaced_test

WINDOW = 16  # frames that must be equal in all channels to be the same measurement
LEAST_FRAMES = 50  # of what remains of a stream; less is not worth a score
Hashes = npt.NDArray[np.uint64]


def without_known_frames(
    rows: Splits[FrameStream], training: Splits[FrameStream]
) -> Splits[FrameStream]:
    """Leave out of the test what stands in train or valid of the data a model was made from.

    Whole streams are found, and parts of them, such as the beginning of a stream that was cut in
    time; stretches in which no channel changes tell nothing and stay. What remains of a stream is
    joined; a piece begins at each join.

    Args:
        rows: to be scored, as `load_frames_to_score` returns them.
        training: as `load_frames` returned it.

    Raises:
        DataError: nothing remains.
    """
    test = cast(FrameRows, rows.test)
    known = _known_windows([*training.train, *training.valid])
    pairs = [(stream, _unknown(stream, known)) for stream in test]
    kept = [rest for stream, rest in pairs if rest is stream or len(rest) >= LEAST_FRAMES]
    fresh = test.with_streams(kept)
    gone = int(test.lengths.sum() - fresh.lengths.sum())
    split = replaced_test(rows, fresh, "stream the model was trained on")
    if not gone:
        return split
    note = f"{gone:,} frames the model was trained on, or validated with, are left out"
    counts = {"test": fresh.frames_of()}
    card = replace(split.card, notes=(*split.card.notes, note), label_counts=counts)
    return replace(split, card=card)


def _known_windows(streams: Iterable[FrameStream]) -> Hashes:
    """Return the hashes of windows that lie end to end in each stream, and of its last."""
    hashes = [_hashes(stream) for stream in streams]
    parts = [part for it in hashes for part in (it[::WINDOW], it[-1:])]
    return np.concatenate([np.zeros(0, np.uint64), *parts])


def _hashes(stream: FrameStream) -> Hashes:
    """Hash the window that begins at each frame, uint64[T - WINDOW + 1]; constant ones are 0.

    A sensor at rest gives the same values in recordings that have nothing to do with each other.
    """
    if len(stream) < WINDOW:
        return np.zeros(0, np.uint64)
    draw = np.random.default_rng(0)
    values = np.where(np.isnan(stream.values), np.float32(np.nan), stream.values)
    bits = np.ascontiguousarray(values).view(np.uint32).astype(np.uint64)
    mixing = draw.integers(1, 1 << 63, bits.shape[1], np.uint64) | np.uint64(1)
    frames = (bits * mixing).sum(axis=1, dtype=np.uint64)
    frames ^= frames >> np.uint64(29)
    count = len(frames) - WINDOW + 1
    windows = np.zeros(count, np.uint64)
    for shift, factor in enumerate(draw.integers(1, 1 << 63, WINDOW, np.uint64).tolist()):
        windows += frames[shift : shift + count] * np.uint64(factor | 1)
    changes = np.concatenate([[0], np.cumsum(frames[1:] != frames[:-1])])
    windows[changes[WINDOW - 1 :] == changes[:count]] = 0
    return windows


def _unknown(stream: FrameStream, known: Hashes) -> FrameStream:
    """Return what of a stream is in no known window; the stream itself if all of it."""
    windows = _hashes(stream)
    starts = np.flatnonzero(np.isin(windows, known) & (windows != 0))
    if not len(starts):
        return stream
    steps = np.zeros(len(stream) + 1, np.int64)
    np.add.at(steps, starts, 1)
    np.add.at(steps, starts + WINDOW, -1)
    fresh = np.flatnonzero(np.cumsum(steps)[:-1] == 0)
    begins = np.zeros(len(stream), bool)
    begins[stream.pieces] = True
    recordings = np.cumsum(begins)[fresh]
    joins = (np.diff(fresh) != 1) | (np.diff(recordings) != 0)
    return replace(
        stream,
        values=stream.values[fresh],
        labels=stream.labels[fresh],
        pieces=np.concatenate([[0], np.flatnonzero(joins) + 1]).astype(np.int64),
    )

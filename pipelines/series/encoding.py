"""Encode windows: the values of a stretch of series once, and where each window begins in it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pipelines.corpus import Chunk, Windows
from pipelines.datasets.series import WindowRows
from pipelines.evaluation.backtest import members_of
from pipelines.series.artifacts import SeriesArtifacts
from pipelines.series.calendar import Calendar

BLOCK_ROWS = 16_384  # windows encoded at once


def encode_windows(rows: WindowRows, artifacts: SeriesArtifacts) -> Iterator[Chunk]:
    """Yield `history`, `calendar`, `known`, `static` and `target` of windows, in row order."""
    calendar = Calendar(artifacts.layout.frequency, artifacts.settings["zone_changes"])
    for first in range(0, len(rows), BLOCK_ROWS):
        limit = min(first + BLOCK_ROWS, len(rows))
        yield _encode_block(rows.select(np.arange(first, limit)), calendar)


def _encode_block(rows: WindowRows, calendar: Calendar) -> Chunk:
    """Write each series' stretch once, however many windows look at it."""
    past, future = rows.history, rows.horizon
    starts, values, times, written = np.zeros(len(rows), np.int64), [], [], 0
    for number, members in members_of(rows.series):
        origins = rows.origins[members]
        low, limit = int(origins.min()) + 1 - past, int(origins.max()) + 1 + future
        starts[members] = written + origins + 1 - past - low
        values.append(stretch(rows.store.series(number), low, limit))
        times.append(rows.store.times(number, low, limit))
        written += limit - low
    flat = np.concatenate(values)
    layout = rows.store.layout
    marks = np.asarray(calendar(np.concatenate(times)[None]))[0]
    chunk: dict[str, np.ndarray | Windows] = {
        "history": Windows(flat, starts, past),
        "calendar": Windows(marks, starts, past + future),
        "target": Windows(flat[:, : layout.K], starts + past, future),
    }
    if layout.G:
        chunk["known"] = Windows(flat[:, layout.K + layout.P :], starts + past, future)
    if layout.statics:
        chunk["static"] = rows.store.static[rows.series]
    return chunk


def stretch(values: np.ndarray, low: int, limit: int) -> np.ndarray:
    """Return steps `low` to `limit` of a series, float32[limit - low, F]; NaN outside it."""
    found = np.full((limit - low, values.shape[1]), np.nan, np.float32)
    first, last = max(low, 0), min(limit, len(values))
    if first < last:
        found[first - low : last - low] = values[first:last]
    return found

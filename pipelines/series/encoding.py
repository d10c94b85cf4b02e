"""Encode windows: the values of a stretch of series once, and where each window begins in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import numpy.typing as npt

from pipelines.corpus import Chunk, Windows
from pipelines.datasets.series import WindowRows
from pipelines.evaluation.backtest import members_of
from pipelines.series.artifacts import SeriesArtifacts
from pipelines.series.calendar import Calendar

Array = npt.NDArray[np.float32]
BLOCK_ROWS = 16_384  # windows encoded at once


def encode_windows(rows: WindowRows, artifacts: SeriesArtifacts) -> Iterator[Chunk]:
    """Yield `history`, `calendar`, `known`, `static` and `target` of windows, in row order."""
    calendar = Calendar(artifacts.layout.frequency, artifacts.settings["zone_changes"])
    weights = error_weights(artifacts, rows.store.names)
    for first in range(0, len(rows), BLOCK_ROWS):
        limit = min(first + BLOCK_ROWS, len(rows))
        yield _encode_block(rows.select(np.arange(first, limit)), calendar, weights)


def _encode_block(rows: WindowRows, calendar: Calendar, weights: Mapping[str, Array]) -> Chunk:
    """Write each series' stretch once, however many windows look at it."""
    past, future, count = rows.history, rows.horizon, rows.store.layout.K
    starts, written = np.zeros(len(rows), np.int64), 0
    values: list[np.ndarray] = []
    targets: list[np.ndarray] = []
    times: list[np.ndarray] = []
    for number, members in members_of(rows.series):
        origins = rows.origins[members]
        low, limit = int(origins.min()) + 1 - past, int(origins.max()) + 1 + future
        starts[members] = written + origins + 1 - past - low
        values.append(stretch(rows.store.series(number), low, limit))
        targets.append(_weighted(values[-1][:, :count], weights[rows.store.names[number]]))
        times.append(rows.store.times(number, low, limit))
        written += limit - low
    flat = np.concatenate(values)
    layout = rows.store.layout
    marks = np.asarray(calendar(np.concatenate(times)[None]))[0]
    chunk: dict[str, np.ndarray | Windows] = {
        "history": Windows(flat, starts, past),
        "calendar": Windows(marks, starts, past + future),
        "target": Windows(np.concatenate(targets), starts + past, future),
    }
    if layout.G:
        chunk["known"] = Windows(flat[:, layout.K + layout.P :], starts + past, future)
    if layout.statics:
        chunk["static"] = rows.store.static[rows.series]
    return chunk


def error_weights(artifacts: SeriesArtifacts, names: Iterable[str]) -> dict[str, Array]:
    """Return what an error of each series and target counts, float32[K] by name.

    Quantiles learn in units of MASE: one over the series' seasonal-naive error. A series that has
    none, such as a constant or a new one, counts as the median series. Likelihoods count alike.
    """
    count = artifacts.layout.K
    if not artifacts.settings["weighted"]:
        return dict.fromkeys(names, np.ones(count, np.float32))
    scales = np.array(list(artifacts.scales.values()), np.float64).reshape(-1, count)
    usual = np.ones(count)
    for target, column in enumerate(scales.T):
        usable = column[np.isfinite(column) & (column > 0)]
        usual[target] = np.median(usable) if len(usable) else 1.0
    weights = {}
    for name in names:
        scale = np.array(artifacts.scales.get(name, usual), np.float64)
        sound = np.where(np.isfinite(scale) & (scale > 0), scale, usual)
        weights[name] = (1 / sound).astype(np.float32)
    return weights


def _weighted(values: np.ndarray, weights: Array) -> np.ndarray:
    """Put its weight beside every value: float32[n, K] -> float32[n, K, 2]."""
    return np.stack([values, np.broadcast_to(weights, values.shape)], axis=-1)


def stretch(values: np.ndarray, low: int, limit: int) -> np.ndarray:
    """Return steps `low` to `limit` of a series, float32[limit - low, F]; NaN outside it."""
    found = np.full((limit - low, values.shape[1]), np.nan, np.float32)
    first, last = max(low, 0), min(limit, len(values))
    if first < last:
        found[first - low : last - low] = values[first:last]
    return found

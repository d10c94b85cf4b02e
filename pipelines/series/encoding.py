"""Encode windows: the values of a stretch of series once, and where each window begins in it."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import numpy.typing as npt

from pipelines.corpus import Chunk, Windows
from pipelines.datasets.series import SeriesLayout, WindowRows
from pipelines.series.artifacts import SeriesArtifacts, seen_codes
from pipelines.series.calendar import Calendar

Array = npt.NDArray[np.float32]
BLOCK_STEPS = 65_536  # encoded at once


def encode_windows(rows: WindowRows, artifacts: SeriesArtifacts) -> Iterator[Chunk]:
    """Yield `history`, `calendar`, `known`, `static` and `target` of windows, in row order."""
    calendar = Calendar(artifacts.layout.frequency, artifacts.settings["zone_changes"])
    weights = error_weights(artifacts, rows.store.names)
    reach = rows.history + rows.horizon
    added = _added_steps(rows)
    # A block is cut where the steps before fill it, so that memory is bounded for any windows.
    blocks = (np.cumsum(added) - added) // BLOCK_STEPS
    edges = [*np.flatnonzero(np.diff(blocks, prepend=-1)).tolist(), len(rows)]
    for first, limit in itertools.pairwise(edges):
        pieces = np.append(0, 1 + np.flatnonzero(added[first + 1 : limit] == reach))
        block = rows.select(np.arange(first, limit))
        yield _encode_block(block, pieces, artifacts.layout, calendar, weights)


def _added_steps(rows: WindowRows) -> npt.NDArray[np.int64]:
    """Return the steps that each window adds to those before it, int64[M]; a new piece adds all."""
    reach = rows.history + rows.horizon
    further = np.diff(rows.origins, prepend=0)
    same = np.diff(rows.series, prepend=-1) == 0
    return np.where(same & (further >= 0) & (further < reach), further, reach)


def _encode_block(
    rows: WindowRows,
    pieces: npt.NDArray[np.int64],
    trained: SeriesLayout,
    calendar: Calendar,
    weights: Mapping[str, Array],
) -> Chunk:
    """Write each stretch of a series once, however many windows look at it.

    Args:
        rows: of the block.
        pieces: rows at which a stretch begins: another series, or far from the row before.
        trained: the columns, with the words that training has.
        calendar: makes features of stamps.
        weights: of errors, by series.
    """
    store, past, future = rows.store, rows.history, rows.horizon
    seen = seen_codes(trained.columns)
    layout, origins = store.layout, rows.origins
    starts, written = np.zeros(len(rows), np.int64), 0
    values: list[np.ndarray] = []
    targets: list[np.ndarray] = []
    times: list[np.ndarray] = []
    for first, after in itertools.pairwise([*pieces.tolist(), len(rows)]):
        number = int(rows.series[first])
        low, limit = int(origins[first]) + 1 - past, int(origins[after - 1]) + 1 + future
        starts[first:after] = written + origins[first:after] + 1 - past - low
        values.append(only_seen(stretch(store.series(number), low, limit), seen))
        targets.append(_weighted(values[-1][:, : layout.K], weights[store.names[number]]))
        times.append(store.times(number, low, limit))
        written += limit - low
    flat = np.concatenate(values)
    marks = np.asarray(calendar(np.concatenate(times)[None]))[0]
    chunk: dict[str, np.ndarray | Windows] = {
        "history": Windows(flat, starts, past),
        "calendar": Windows(marks, starts, past + future),
        "target": Windows(np.concatenate(targets), starts + past, future),
    }
    if layout.G:
        chunk["known"] = Windows(flat[:, layout.K + layout.P :], starts + past, future)
    if layout.statics:
        chunk["static"] = only_seen(store.static[rows.series], seen_codes(trained.statics))
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


def only_seen(values: np.ndarray, seen: Mapping[int, Array]) -> np.ndarray:
    """Take words that training never had for missing, as `ForecastServing` does."""
    if not seen:
        return values
    values = np.array(values)
    for place, codes in seen.items():
        values[~np.isin(values[:, place], codes), place] = np.nan
    return values


def stretch(values: np.ndarray, low: int, limit: int) -> np.ndarray:
    """Return steps `low` to `limit` of a series, float32[limit - low, F]; NaN outside it."""
    found = np.full((limit - low, values.shape[1]), np.nan, np.float32)
    first, last = max(low, 0), min(limit, len(values))
    if first < last:
        found[first - low : last - low] = values[first:last]
    return found

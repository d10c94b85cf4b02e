"""Windows over regular series, cut when they are read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import overload

import numpy as np
import numpy.typing as npt

from pipelines.datasets.rows import Rows
from pipelines.datasets.series_frequency import Frequency
from pipelines.datasets.series_store import (
    Column,
    FloatArray,
    IntArray,
    SeriesLayout,
    SeriesStore,
)

__all__ = ["Column", "Frequency", "SeriesLayout", "SeriesStore", "Window", "WindowRows"]

READ_WINDOWS = 256  # cut at once when windows are read in turn


@dataclass(frozen=True)
class Window:
    """What a forecast is made from at one origin, and what then came.

    Args:
        series: name.
        time: stamp of the last history step, the origin.
        history: float32[T, F]; NaN is missing, or before the series' first step.
        known: known covariates of the H steps after the origin, float32[H, G].
        static: float32[statics].
        target: what came, float32[H, K]; NaN is missing.
    """

    series: str
    time: int
    history: FloatArray
    known: FloatArray
    static: FloatArray
    target: FloatArray


class WindowRows(Rows[Window]):
    """Windows over a store: only (series, origin) pairs are held.

    Args:
        store: of the values.
        series: of each window, the number of its series, int[M].
        origins: of each window, the step of its series that is the last of its history, int[M].
        history: steps T.
        horizon: steps H.
        span: stamps of the part of the data the targets lie in: its first, and the first after it.
    """

    def __init__(
        self,
        store: SeriesStore,
        series: npt.ArrayLike,
        origins: npt.ArrayLike,
        *,
        history: int,
        horizon: int,
        span: tuple[int, int] | None = None,
    ) -> None:
        self.example_type = Window
        self.store, self.history, self.horizon = store, history, horizon
        self.series = np.asarray(series, np.int32)
        self.origins = np.asarray(origins, np.int64)
        self.span = span or _whole_span(store)

    def __len__(self) -> int:
        return len(self.series)

    @overload
    def __getitem__(self, index: int) -> Window: ...
    @overload
    def __getitem__(self, index: slice) -> WindowRows: ...
    def __getitem__(self, index: int | slice) -> Window | WindowRows:
        if isinstance(index, slice):
            return self.select(np.arange(len(self))[index])
        if not -len(self) <= index < len(self):
            raise IndexError(f"row {index} of {len(self)}")
        return self._cut(np.array([index % len(self)]))[0]

    def __iter__(self) -> Iterator[Window]:
        for first in range(0, len(self), READ_WINDOWS):
            yield from self._cut(np.arange(first, min(first + READ_WINDOWS, len(self))))

    def _cut(self, rows: IntArray) -> list[Window]:
        names = [self.store.names[number] for number in self.series[rows]]
        it = self.gather(rows)
        columns = (it["time"].tolist(), it["history"], it["known"], it["static"], it["target"])
        return [Window(*cells) for cells in zip(names, *columns, strict=True)]

    def gather(self, rows: npt.ArrayLike) -> dict[str, np.ndarray]:
        """Return windows by number as arrays with the fields' names and a first axis B."""
        chosen = np.asarray(rows, np.int64)
        series, origins = self.series[chosen], self.origins[chosen]
        layout = self.store.layout
        past = np.arange(1 - self.history, 1)
        ahead = np.arange(1, self.horizon + 1)
        values = self.store.values
        known = values[:, len(layout.columns) - layout.G :]
        return {
            "time": layout.frequency.time(self.store.starts[series], origins),
            "history": _steps(self.store, values, series, origins, past),
            "known": _steps(self.store, known, series, origins, ahead),
            "static": self.store.static[series],
            "target": _steps(self.store, values[:, : layout.K], series, origins, ahead),
        }

    def select(self, indices: np.ndarray) -> WindowRows:
        """Return a view of the given row numbers, kept in stored order."""
        rows = np.sort(np.asarray(indices, np.int64))
        return WindowRows(
            self.store,
            self.series[rows],
            self.origins[rows],
            history=self.history,
            horizon=self.horizon,
            span=self.span,
        )

    def target_times(self, rows: npt.ArrayLike) -> IntArray:
        """Return the stamps that windows forecast, int64[B, H]."""
        chosen = np.asarray(rows, np.int64)
        steps = self.origins[chosen, None] + np.arange(1, self.horizon + 1)
        starts = self.store.starts[self.series[chosen]]
        return self.store.layout.frequency.time(starts[:, None], steps)

    def part(self, number: int) -> FloatArray:
        """Return what the span holds of one series as measured, float32[n, F], a view."""
        values = self.store.series(number)
        bounds = self.store.layout.frequency.index(self.span, self.store.starts[number])
        first, limit = np.clip(np.ceil(bounds), 0, len(values)).astype(np.int64)
        return values[first:limit]


def _steps(
    store: SeriesStore, values: FloatArray, series: np.ndarray, origins: IntArray, shifts: IntArray
) -> FloatArray:
    """Read steps around origins, [B, shifts, columns]; outside the series they are NaN."""
    starts, limits = store.offsets[series][:, None], store.offsets[series + 1][:, None]
    rows = starts + origins[:, None] + shifts
    outside = (rows < starts) | (rows >= limits)
    if not len(values):
        return np.full((*rows.shape, values.shape[1]), np.nan, np.float32)
    read = np.asarray(values[np.where(outside, 0, rows)])
    if outside.any():
        read[outside] = np.nan
    return read


def _whole_span(store: SeriesStore) -> tuple[int, int]:
    """Return the stamps of the first step and of the one after the last."""
    if not len(store):
        return 0, 0
    lengths = np.diff(store.offsets)
    return int(store.starts.min()), int(store.layout.frequency.time(store.starts, lengths).max())

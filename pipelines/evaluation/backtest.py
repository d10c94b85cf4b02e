"""A rolling-origin back-test: what was to be forecast, from where, and on what scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from pipelines.datasets.series import WindowRows

Array = NDArray[Any]
LEVELS = tuple(round(tenth / 10, 1) for tenth in range(1, 10))


@dataclass(frozen=True)
class Backtest:
    """N forecasts of H steps of K targets, made at origins that roll over the test period.

    Attributes:
        series: number of each row's series, int[N], into `names`.
        names: of the series.
        times: wall-clock seconds of the forecast steps, int64[N, H].
        actual: what came, float64[N, H, K]; NaN where it is missing.
        history: the targets before, float64[N, T, K]; NaN where missing or before the series.
        scale: denominators of MASE, float64[N, K]; NaN or 0 where a series has none.
        targets: names of the K targets.
        units: their units, "" where unknown.
        levels: quantile levels, rising.
        season: steps after which values tend to repeat.
        frequency: pandas' name of the step, such as "h".
        step_name: what a step is called in prose, such as "hour" or "15 minutes".
    """

    series: Array
    names: Sequence[str]
    times: Array
    actual: Array
    history: Array
    scale: Array
    targets: tuple[str, ...]
    units: tuple[str, ...]
    levels: tuple[float, ...]
    season: int
    frequency: str
    step_name: str

    @property
    def rows(self) -> int:
        """Number of forecasts N."""
        return len(self.series)

    @property
    def horizon(self) -> int:
        """Number of steps H of a forecast."""
        return int(self.actual.shape[1])

    @property
    def observed(self) -> Array:
        """Which values came, bool[N, H, K]."""
        return ~np.isnan(self.actual)

    @property
    def blocks(self) -> Array:
        """Number of each row's origin in time order, int64[N]; rows of one time share it."""
        return np.unique(self.times[:, 0], return_inverse=True)[1].astype(np.int64)


def values_at(values: Array, rows: WindowRows, offsets: Array) -> Array:
    """Read steps relative to each row's origin; NaN outside the series.

    Args:
        values: columns of `store.values`, float32[V, C].
        rows: the windows, M of them.
        offsets: steps after the origin (0: the last observed step), int[L] or int[M, L].

    Returns:
        float32[M, L, C].
    """
    first, limit = (rows.store.offsets[rows.series + end][:, None] for end in (0, 1))
    places = first + rows.origins[:, None] + np.asarray(offsets, np.int64)
    inside = (places >= first) & (places < limit)
    if not len(values):
        return np.full((*places.shape, values.shape[1]), np.nan, np.float32)
    found = np.asarray(values[np.where(inside, places, 0)], np.float32)
    found[~inside] = np.nan
    return found


def members_of(series: Array) -> list[tuple[int, Array]]:
    """Return each series' number with the numbers of its rows, in row order."""
    series = np.asarray(series)
    if len(series) == 0:
        return []
    order = np.argsort(series, kind="stable")
    edges = np.flatnonzero(np.diff(series[order])) + 1
    return [(int(series[part[0]]), part) for part in np.split(order, edges)]


def mase_scales(train: WindowRows, season: int | None = None) -> dict[str, Array]:
    """Mean absolute change over a season in each series' training part, float64[K] by name.

    Pairs with a missing value are left out; a series without a pair has NaN (Hyndman & Koehler,
    2006).

    Args:
        train: the training windows; their span is the training part.
        season: in steps; the frequency's own when not given.
    """
    layout = train.store.layout
    steps = layout.frequency.season() if season is None else season
    return {
        name: seasonal_change(np.asarray(train.part(number)[:, : layout.K], np.float64), steps)
        for number, name in enumerate(train.store.names)
    }


def seasonal_change(values: Array, season: int) -> Array:
    """Mean absolute difference of values float[n, K] one season apart, float64[K]."""
    gaps = np.abs(values[season:] - values[:-season])
    seen = ~np.isnan(gaps)
    sums, counts = np.where(seen, gaps, 0.0).sum(axis=0), seen.sum(axis=0)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def backtest_of(
    rows: WindowRows,
    scales: Mapping[str, Array],
    levels: Sequence[float] = LEVELS,
    *,
    season: int | None = None,
) -> Backtest:
    """Read what is to be forecast in windows, in row order.

    Args:
        rows: the windows to score.
        scales: of `mase_scales`; a series that is not in it has no MASE.
        levels: quantile levels of the forecasts.
        season: in steps; the frequency's own when not given.
    """
    layout, store = rows.store.layout, rows.store
    nothing = np.full(layout.K, np.nan)
    by_series = np.array([scales.get(name, nothing) for name in store.names], np.float64)
    targets = store.values[:, : layout.K]
    actual = values_at(targets, rows, np.arange(1, rows.horizon + 1))
    return Backtest(
        series=rows.series,
        names=store.names,
        times=local_times(rows),
        actual=actual.astype(np.float64),
        history=values_at(targets, rows, np.arange(1 - rows.history, 1)).astype(np.float64),
        scale=by_series.reshape(-1, layout.K)[rows.series],
        targets=layout.targets,
        units=tuple(column.unit for column in layout.columns[: layout.K]),
        levels=tuple(float(level) for level in levels),
        season=layout.frequency.season() if season is None else season,
        frequency=layout.frequency.name,
        step_name=layout.frequency.step_name,
    )


def local_times(rows: WindowRows) -> Array:
    """Return wall-clock seconds of the steps that windows forecast, int64[M, H]."""
    return rows.store.layout.wall_times(rows.target_times(np.arange(len(rows))))

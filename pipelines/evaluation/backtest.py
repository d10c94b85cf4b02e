"""A rolling-origin back-test: what was to be forecast, from where, and on what scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from pipelines.datasets.series import Frequency, WindowRows

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
        step_name: what a step is called in prose, such as "hour".
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


def values_at(rows: WindowRows, offsets: Array, columns: Array | slice) -> Array:
    """Cut columns at steps relative to each row's origin; NaN outside the series.

    Args:
        rows: the windows, M of them.
        offsets: steps after the origin (0: the last observed step), int[L].
        columns: which columns of the store.

    Returns:
        float32[M, L, C].
    """
    offsets = np.asarray(offsets, np.int64)
    width = np.arange(len(rows.store.layout.columns))[columns]
    found = np.full((len(rows), len(offsets), len(width)), np.nan, np.float32)
    for number, members in members_of(rows.series):
        values = rows.store.series(number)
        steps = np.asarray(rows.origins[members], np.int64)[:, None] + offsets
        inside = (steps >= 0) & (steps < len(values))
        cut = values[np.where(inside, steps, 0)][..., width]
        found[members] = np.where(inside[..., None], cut, np.nan)
    return found


def members_of(series: Array) -> list[tuple[int, Array]]:
    """Return each series' number with the numbers of its rows, in row order."""
    series = np.asarray(series)
    if len(series) == 0:
        return []
    order = np.argsort(series, kind="stable")
    edges = np.flatnonzero(np.diff(series[order])) + 1
    return [(int(series[part[0]]), part) for part in np.split(order, edges)]


def mase_scales(train: WindowRows, season: int) -> dict[str, Array]:
    """Mean absolute change over a season in each series' training part, float64[K] by name.

    The part reaches from the series' first step to the last target of a training window. Pairs with
    a missing value are left out; a series without a pair has NaN (Hyndman & Koehler, 2006).
    """
    targets = len(train.store.layout.targets)
    scales = {}
    for number, members in members_of(train.series):
        limit = int(np.max(train.origins[members])) + train.horizon + 1
        values = np.asarray(train.store.series(number)[:limit, :targets], np.float64)
        scales[train.store.names[number]] = seasonal_change(values, season)
    return scales


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
    layout = rows.store.layout
    count = len(layout.targets)
    targets = slice(0, count)
    nothing = np.full(count, np.nan)
    by_series = np.array([scales.get(name, nothing) for name in rows.store.names], np.float64)
    history = values_at(rows, np.arange(1 - rows.history, 1), targets)
    actual = values_at(rows, np.arange(1, rows.horizon + 1), targets)
    return Backtest(
        series=np.asarray(rows.series),
        names=rows.store.names,
        times=local_times(rows, np.arange(1, rows.horizon + 1)),
        actual=actual.astype(np.float64),
        history=history.astype(np.float64),
        scale=by_series.reshape(-1, count)[rows.series],
        targets=tuple(column.name for column in layout.columns[targets]),
        units=tuple(column.unit for column in layout.columns[targets]),
        levels=tuple(float(level) for level in levels),
        season=layout.frequency.season() if season is None else season,
        frequency=layout.frequency.name,
        step_name=step_name(layout.frequency),
    )


def stamps_at(rows: WindowRows, offsets: Array) -> Array:
    """Return the stamps of steps relative to each row's origin, int64[M, L], inside or not."""
    offsets = np.asarray(offsets, np.int64)
    stamps = np.zeros((len(rows), len(offsets)), np.int64)
    frequency = rows.store.layout.frequency
    for number, members in members_of(rows.series):
        steps = np.asarray(rows.origins[members], np.int64)[:, None] + offsets
        stamps[members] = frequency.time(int(rows.store.starts[number]), steps)
    return stamps


def local_times(rows: WindowRows, offsets: Array) -> Array:
    """Return wall-clock seconds of steps relative to each row's origin, int64[M, L]."""
    stamps, zone = stamps_at(rows, offsets), rows.store.layout.time_zone
    if not zone or rows.store.layout.frequency.season() == 1 or _coarse(rows):
        return stamps
    return wall_clock(stamps, zone)


def _coarse(rows: WindowRows) -> bool:
    """Whether steps are days or longer, which are wall clock in every zone."""
    frequency = rows.store.layout.frequency
    return frequency.unit == "month" or frequency.count >= 86_400


def wall_clock(stamps: Array, zone: str) -> Array:
    """Turn UTC seconds into what clocks of a time zone show, as seconds, int64 of any shape."""
    import pandas as pd

    unique, places = np.unique(stamps, return_inverse=True)
    utc = pd.DatetimeIndex(unique.astype("datetime64[s]")).tz_localize("UTC")
    shown = utc.tz_convert(zone).tz_localize(None).to_numpy().astype("datetime64[s]")
    return np.asarray(shown.astype(np.int64)[places].reshape(np.shape(stamps)))


_STEPS = {
    ("second", 1): "second",
    ("second", 60): "minute",
    ("second", 3_600): "hour",
    ("second", 86_400): "day",
    ("second", 604_800): "week",
    ("month", 1): "month",
    ("month", 3): "quarter",
    ("month", 12): "year",
}


def step_name(frequency: Frequency) -> str:
    """Say what a step is, in the singular: "hour", "15-minute step"."""
    known = _STEPS.get((frequency.unit, frequency.count))
    if known or frequency.unit == "month":
        return known or f"{frequency.count}-month step"
    for name, seconds in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if frequency.count % seconds == 0:
            return f"{frequency.count // seconds}-{name} step"
    return f"{frequency.count}-second step"

"""Lags, rolling figures and calendar of forecast windows, as a table for tree models.

A line of the table is one step of one window: what the window shows, as seen from the origin and
from the step. Nothing after the origin enters but known covariates and the calendar.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipelines.datasets.series_frequency import DAY
from pipelines.evaluation.backtest import local_times, values_at
from pipelines.evaluation.forecasting_metrics import hours, weekdays

if TYPE_CHECKING:
    from pipelines.datasets.series import Column, WindowRows

Array = NDArray[Any]
RECENT = (0, 1, 2, 3, 4, 5, 7, 9, 11)  # steps before the origin that are features themselves
SEASONS_BACK = 3
MOST_CATEGORIES = 200  # of a column of codes; the trees take 255
CHUNK = 4096  # windows whose histories are held at a time
CHUNK_VALUES = 8_000_000  # features held at a time, as float32 and before as float64
OTHERS_SEEN = 4  # targets: of more, each is told from its own past and the last values of others


@dataclass(frozen=True)
class FeatureTable:
    """Features of every step of some windows.

    Attributes:
        values: float32[M, H, C].
        categorical: which of the C columns hold codes of words, bool[C].
        owner: target whose past a column tells, -1 where it is for all, int[C].
        anchor: last observed target, float64[M, K]; NaN where the window shows none.
        scale: what targets were divided by, float64[M, K].
    """

    values: Array
    categorical: Array
    owner: Array
    anchor: Array
    scale: Array

    def used(self, target: int) -> Array:
        """Which columns a target is told from, bool[C]."""
        return (self.owner == -1) | (self.owner == target)


def feature_table(rows: WindowRows, season: int, *, scaled: bool) -> FeatureTable:
    """Build the features of windows.

    Args:
        rows: M windows; call it for some thousands at a time.
        season: in steps.
        scaled: whether targets are divided by their size in the window, for series of many sizes.
    """
    layout, store = rows.store.layout, rows.store
    columns = store.values[:, : layout.K + layout.P]
    past = values_at(columns, rows, np.arange(1 - rows.history, 1)).astype(np.float64)
    targets, others = past[..., : layout.K], past[..., layout.K :]
    scale = window_size(targets) if scaled else np.ones((len(rows), layout.K))
    targets = targets / scale[:, None]
    coded = np.array([_is_coded(column) for column in layout.columns[layout.K :]], bool)
    numbers = [_shown(targets, season), _summaries(others[..., ~coded[: layout.P]], season)]
    if scaled:
        numbers.append(np.log(scale))
    codes = np.array([*coded[: layout.P], *(_is_coded(column) for column in layout.statics)], bool)
    shared = np.concatenate([*numbers, others[:, -1], store.static[rows.series]], axis=1)
    by_step = [_back(targets, rows.horizon, season), _calendar(rows), _known(rows)]
    spread = np.broadcast_to(shared[:, None], (len(rows), rows.horizon, shared.shape[1]))
    values = np.concatenate([spread, *by_step], axis=-1).astype(np.float32)
    categorical = np.zeros(values.shape[-1], bool)
    categorical[shared.shape[1] - len(codes) : shared.shape[1]] = codes
    categorical[len(categorical) - layout.G :] |= coded[layout.P :]
    owner = _owners(numbers[0].shape[1], [part.shape[-1] for part in by_step], rows)
    owner = np.insert(owner, numbers[0].shape[1], np.full(len(categorical) - len(owner), -1))
    return FeatureTable(values, categorical, owner, last_seen(targets), scale)


def _owners(shown: int, by_step: list[int], rows: WindowRows) -> Array:
    """Return whose past each column tells, for those at both ends of the table, int[.]."""
    targets = rows.store.layout.K
    owner = np.full(shown + sum(by_step), -1)
    if targets <= OTHERS_SEEN:
        return owner
    turns = np.arange(owner.size) % targets  # columns of targets stand in turns
    last = targets * sum(lag < rows.history for lag in RECENT)
    owner[:last] = turns[:last]  # then come the last values, which are for all
    owner[last + targets : shown] = turns[: shown - last - targets]
    owner[shown : shown + by_step[0]] = turns[: by_step[0]]
    return owner


def chunk_of(rows: WindowRows, season: int) -> int:
    """Return for how many windows the features are made at a time, so that memory is bounded."""
    width = feature_table(rows[:1], season, scaled=True).values.shape[-1]
    return int(np.clip(CHUNK_VALUES // (rows.horizon * width), 1, CHUNK))


def _is_coded(column: Column) -> bool:
    return 0 < len(column.categories) <= MOST_CATEGORIES


def window_size(targets: Array) -> Array:
    """Mean absolute value in each window, float64[M, K]; 1 where it is 0 or unknown."""
    seen = ~np.isnan(targets)
    total = np.abs(np.where(seen, targets, 0.0)).sum(axis=1)
    size = total / np.maximum(seen.sum(axis=1), 1)
    return np.where(size > 0, size, 1.0)


def last_seen(history: Array) -> Array:
    """Last observed value of windows [M, T, K], float64[M, K]; NaN where there is none."""
    seen = ~np.isnan(history)
    place = history.shape[1] - 1 - np.argmax(seen[:, ::-1], axis=1)
    return np.asarray(np.take_along_axis(history, place[:, None], axis=1)[:, 0])


def _shown(targets: Array, season: int) -> Array:
    """Recent values and rolling figures, the same for every step, [M, .]."""
    rows, steps, _ = targets.shape
    recent = [steps - 1 - lag for lag in RECENT if lag < steps]
    found = [targets[:, recent].reshape(rows, -1), last_seen(targets)]
    for width in _widths(steps, season):
        tail = targets[:, -width:]
        found += [_mean(tail), _least(tail), -_least(-tail)]
    return np.concatenate(found, axis=1)


def _summaries(others: Array, season: int) -> Array:
    """Rolling means of covariates, [M, .]."""
    widths = _widths(others.shape[1], season)[:2]
    return np.concatenate([_mean(others[:, -width:]) for width in widths], axis=1)


def _widths(steps: int, season: int) -> list[int]:
    wanted = (max(2, season // 4), max(3, season), 7 * season, steps)
    return sorted({min(width, steps) for width in wanted})


def _mean(values: Array) -> Array:
    seen = ~np.isnan(values)
    count = seen.sum(axis=1)
    total = np.where(seen, values, 0.0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _least(values: Array) -> Array:
    least = np.where(np.isnan(values), np.inf, values).min(axis=1)
    return np.where(np.isinf(least), np.nan, least)


def _back(targets: Array, horizon: int, season: int) -> Array:
    """Values seasons before the step, and the mean at its place in the season, [M, H, .]."""
    rows, steps, count = targets.shape
    ahead = np.arange(1, horizon + 1)
    padded = np.concatenate([targets, np.full((rows, 1, count), np.nan)], axis=1)
    found = []
    for length in sorted({season, 7 * season}):
        back = steps - 1 + ahead - length * -(-ahead // length)
        for number in range(min(SEASONS_BACK, max(1, steps // length))):
            place = back - number * length
            found.append(padded[:, np.where(place >= 0, place, steps)])
    whole = steps // season
    if whole > 1:
        cycles = targets[:, steps - whole * season :].reshape(rows, whole, season, count)
        found.append(_mean(cycles)[:, (ahead - 1) % season])
    return np.concatenate(found, axis=-1)


def _calendar(rows: WindowRows) -> Array:
    """Step of the horizon, and hour, weekday and day of the year that it falls on."""
    times = local_times(rows)
    step = np.broadcast_to(np.arange(1, rows.horizon + 1), times.shape)
    days = times.astype("M8[s]").astype("M8[D]")
    of_year = (days - times.astype("M8[s]").astype("M8[Y]").astype("M8[D]")).astype(np.int64)
    columns = [step, weekdays(times), of_year]
    frequency = rows.store.layout.frequency
    if frequency.unit == "second" and frequency.count < DAY:
        columns += [hours(times) + times % 3600 / 3600]
    return np.stack(columns, axis=-1).astype(np.float64)


def _known(rows: WindowRows) -> Array:
    layout = rows.store.layout
    columns = rows.store.values[:, layout.K + layout.P :]
    return values_at(columns, rows, np.arange(1, rows.horizon + 1)).astype(np.float64)

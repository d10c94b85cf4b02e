"""Four plain rules: repeat the last value or season, go on along a line, say what is usual."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipelines.datasets.series_frequency import DAY
from pipelines.evaluation.backtest import values_at
from pipelines.evaluation.series_climate import Climatology
from pipelines.evaluation.series_residuals import ROWS_OF_ITS_OWN, StepResiduals

if TYPE_CHECKING:
    from pipelines.datasets.series import WindowRows

Array = NDArray[Any]
Outputs = dict[str, Array]
Points = Callable[["WindowRows"], Array]
LAST = "repeat last value"
SEASONAL = "seasonal naive"
LONG = "seasonal naive, season {}"
DRIFT = "drift"
CLIMATE = "training mean by season"
WEEK_DAYS, WEEKS_ENOUGH = 7, 8
TRAIN_ROWS = 20_000  # origins whose residuals are measured; more change no quantile
TRAIN_VALUES = 6_000_000  # of their windows: 48 MB, several times


def past_targets(rows: WindowRows) -> Array:
    """Targets of the history windows, float64[M, T, K]; NaN where missing."""
    columns = rows.store.values[:, : rows.store.layout.K]
    return values_at(columns, rows, np.arange(1 - rows.history, 1)).astype(np.float64)


def future_targets(rows: WindowRows) -> Array:
    """Targets to forecast, float64[M, H, K]; NaN where missing."""
    columns = rows.store.values[:, : rows.store.layout.K]
    return values_at(columns, rows, np.arange(1, rows.horizon + 1)).astype(np.float64)


def drawn(rows: WindowRows, most: int) -> WindowRows:
    """At most so many windows, evenly spaced in stored order."""
    if len(rows) <= most:
        return rows
    return rows.select(np.linspace(0, len(rows) - 1, most).astype(np.int64))


def repeat_last(history: Array, horizon: int) -> Array:
    """Repeat the last observed value, [M, H, K]; NaN where the window holds none."""
    return np.repeat(carried_forward(history)[:, -1:], horizon, axis=1)


def seasonal_naive(history: Array, horizon: int, season: int) -> Array:
    """Repeat the last observed value of the same place in the season, [M, H, K].

    Where none was observed, or the window is shorter than a season, the last value stands in.
    """
    rows, steps, targets = history.shape
    whole = steps // season
    last = repeat_last(history, horizon)
    if whole == 0:
        return last
    cycles = history[:, steps - whole * season :].reshape(rows, whole, season, targets)
    latest = carried_forward(cycles)[:, -1]
    found = latest[:, np.arange(horizon) % season]
    return np.where(np.isnan(found), last, found)


def drift(history: Array, horizon: int) -> Array:
    """Go on along the line from the window's first to its last observed value, [M, H, K]."""
    seen = ~np.isnan(history)
    steps = history.shape[1]
    first = np.argmax(seen, axis=1)
    last = steps - 1 - np.argmax(seen[:, ::-1], axis=1)
    ends = [np.take_along_axis(history, place[:, None], axis=1)[:, 0] for place in (first, last)]
    slope = (ends[1] - ends[0]) / np.maximum(last - first, 1)
    ahead = np.arange(1, horizon + 1)[None, :, None] + (steps - 1 - last)[:, None]
    return np.asarray(ends[1][:, None] + slope[:, None] * ahead)


def carried_forward(values: Array) -> Array:
    """Fill missing values with the last observed one before, along axis 1; leading NaN stay."""
    steps = np.arange(values.shape[1]).reshape(1, -1, *[1] * (values.ndim - 2))
    latest = np.maximum.accumulate(np.where(np.isnan(values), 0, steps), axis=1)
    return np.asarray(np.take_along_axis(values, latest, axis=1))


def naive_outputs(
    train: WindowRows, test: WindowRows, levels: Sequence[float], season: int
) -> dict[str, Outputs]:
    """Forecast by plain rules, with the spread of their own training residuals.

    Where a day is the season, the week is a second one: its naive rule is a fifth, and the means
    are by hour of the week if training holds enough weeks.

    Raises:
        EvaluationError: there is no training window, or a step that is never observed.
    """
    values = (train.history + train.horizon) * train.store.layout.K
    fitted = drawn(train, min(TRAIN_ROWS, max(ROWS_OF_ITS_OWN, TRAIN_VALUES // values)))
    found = {}
    for name, points in _rules(train, season).items():
        spread = StepResiduals(levels)
        spread.fit(fitted, future_targets(fitted) - points(fitted), window_scale(fitted))
        found[name] = spread.outputs(test, points(test), window_scale(test))
    return found


def week_of(train: WindowRows, season: int) -> int:
    """Steps of a week where the season is a day of shorter steps, else 0."""
    frequency = train.store.layout.frequency
    daily = frequency.unit == "second" and season * frequency.count == DAY
    return WEEK_DAYS * season if daily and season > 1 else 0


def _rules(train: WindowRows, season: int) -> dict[str, Points]:
    """Name -> rule that turns windows into points; nothing observed gives what is usual."""
    week = week_of(train, season)
    longest = max((len(train.part(number)) for number in range(len(train.store))), default=0)
    climate = Climatology(week if week and longest >= WEEKS_ENOUGH * week else season).fit(train)

    def rule(point: Callable[[Array], Array]) -> Points:
        def points(rows: WindowRows) -> Array:
            found = point(past_targets(rows))
            return np.where(np.isnan(found), climate.points(rows), found)

        return points

    horizon = train.horizon
    rules = {
        LAST: rule(lambda history: repeat_last(history, horizon)),
        SEASONAL: rule(lambda history: seasonal_naive(history, horizon, season)),
    }
    if week and train.history >= week:
        rules[LONG.format(week)] = rule(lambda history: seasonal_naive(history, horizon, week))
    return {
        **rules,
        DRIFT: rule(lambda history: drift(history, horizon)),
        CLIMATE: climate.points,
    }


def window_scale(rows: WindowRows) -> Array:
    """Standard deviation of each window's targets, float64[M, K]; 0 where nothing varies."""
    history = past_targets(rows)
    seen = ~np.isnan(history)
    count = np.maximum(seen.sum(axis=1), 1)
    mean = np.where(seen, history, 0.0).sum(axis=1) / count
    square = np.where(seen, np.square(history - mean[:, None]), 0.0).sum(axis=1) / count
    return np.sqrt(square)

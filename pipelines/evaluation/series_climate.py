"""What is usual at this hour, weekday or month: the training mean by place in the season."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipelines.evaluation.backtest import local_times, values_at

if TYPE_CHECKING:
    from pipelines.datasets.series import SeriesLayout, WindowRows

Array = NDArray[Any]


class Climatology:
    """Mean of each series' training values at each place in the season.

    Places are by the clock: hours of the day, days of the week, months of the year. A place not
    seen gets the series' mean, a series not seen its window's, and an empty window that of all.

    Args:
        season: in steps.

    Attributes:
        means_: float64[S, season, K], NaN for series not seen.
        overall_: mean of everything, float64[K].
    """

    def __init__(self, season: int) -> None:
        self.season = season

    def fit(self, train: WindowRows) -> Climatology:
        """Average the training part of every series and return self."""
        store = train.store
        targets = store.layout.K
        self.means_ = np.full((len(store), self.season, targets), np.nan)
        total, seen = np.zeros(targets), np.zeros(targets)
        for number in range(len(store)):
            values = np.asarray(train.part(number)[:, :targets], np.float64)
            if len(values) == 0:
                continue
            steps = store.layout.frequency.index(train.span[0], store.starts[number])
            first = max(0, int(np.ceil(steps)))
            stamps = store.times(number, first, first + len(values))
            self.means_[number], sums, counts = self._means(
                values, place_in_season(store.layout.wall_times(stamps), store.layout, self.season)
            )
            total, seen = total + sums, seen + counts
        self.overall_ = total / np.maximum(seen, 1)
        return self

    def _means(self, values: Array, places: Array) -> tuple[Array, Array, Array]:
        """Means by place [season, K], and sums and counts of all [K]."""
        observed = ~np.isnan(values)
        sums, counts = np.zeros((2, self.season, values.shape[1]))
        np.add.at(sums, places, np.where(observed, values, 0.0))
        np.add.at(counts, places, observed)
        total, seen = sums.sum(axis=0), counts.sum(axis=0)
        mean = np.where(seen > 0, total / np.maximum(seen, 1), np.nan)
        return np.where(counts > 0, sums / np.maximum(counts, 1), mean), total, seen

    def points(self, rows: WindowRows) -> Array:
        """Return what is usual at the steps that windows forecast, float64[M, H, K]."""
        layout = rows.store.layout
        places = place_in_season(local_times(rows), layout, self.season)
        # Rows may be of another store, whose series are then not those seen in training.
        known = np.asarray(rows.series) < len(self.means_)
        found = self.means_[np.where(known, rows.series, 0)[:, None], places]
        found[~known] = np.nan
        if np.isnan(found).any():
            found = np.where(np.isnan(found), self._window_means(rows)[:, None], found)
        return found

    def _window_means(self, rows: WindowRows) -> Array:
        """Mean of each window's targets, float64[M, K]."""
        columns = rows.store.values[:, : rows.store.layout.K]
        history = values_at(columns, rows, np.arange(1 - rows.history, 1)).astype(np.float64)
        seen = ~np.isnan(history)
        count = seen.sum(axis=1)
        means = np.where(seen, history, 0.0).sum(axis=1) / np.maximum(count, 1)
        return np.where(count > 0, means, self.overall_)


def place_in_season(times: Array, layout: SeriesLayout, season: int) -> Array:
    """Place of wall-clock seconds in a season of so many steps, int64 of the same shape."""
    frequency = layout.frequency
    if frequency.unit == "month":
        months = times.astype("M8[s]").astype("M8[M]").astype(np.int64)
        return np.asarray(months // frequency.count % season)
    return np.asarray(times // frequency.count % season)

"""Rows in the order of series and time; two of one stamp are merged, or an error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pipelines.datasets.series_clock import describe_time, looks_like_daylight_saving
from pipelines.datasets.series_frequency import HOUR, IntArray
from pipelines.datasets.series_options import Aggregate
from pipelines.errors import DataError

if TYPE_CHECKING:
    from pipelines.datasets.series_table import RawTable

_CLOCK_HINT = (
    "; these are nights on which clocks are put back, so the stamps seem to follow a local clock: "
    "give --time-zone, such as Europe/Berlin"
)
_READ_ROWS = 1 << 18  # values copied at once


@dataclass(frozen=True)
class Ordered:
    """Rows by series, then time, M of them; no two have one stamp.

    Args:
        table: they are of.
        rows: their numbers in the table, int64[M]; of merged rows the first.
        series: of each, int[M].
        times: of each, int64[M].
        merged_at: which of the M stand for several rows, int64[U].
        merged: what becomes of these, float64[U, F].
        gone: how many rows were merged into others.
    """

    table: RawTable
    rows: IntArray
    series: npt.NDArray[np.integer]
    times: IntArray
    merged_at: IntArray
    merged: npt.NDArray[np.float64]
    gone: int = 0

    def place(self, number: int) -> str:
        """Name file and line."""
        return self.table.place(int(self.rows[number]))

    def name(self, number: int) -> str:
        """Name the series of a row."""
        return self.table.names[int(self.series[number])]

    def taken(self, kept: npt.NDArray[np.bool_]) -> Ordered:
        """Return only some of the rows, bool[M]."""
        new_number = np.cumsum(kept) - 1
        still = kept[self.merged_at]
        return Ordered(
            self.table,
            self.rows[kept],
            self.series[kept],
            self.times[kept],
            new_number[self.merged_at[still]],
            self.merged[still],
            self.gone,
        )

    def fill(self, block: npt.NDArray[np.float32], steps: IntArray, first: int, limit: int) -> None:
        """Put the values of rows `first` to `limit` at steps of a block [n, F].

        Raises:
            DataError: a number is too large.
        """
        for low in range(first, limit, _READ_ROWS):
            high = min(low + _READ_ROWS, limit)
            values = self.table.values[self.rows[low:high]]
            at = slice(*np.searchsorted(self.merged_at, (low, high)))
            values[self.merged_at[at] - low] = self.merged[at]
            with np.errstate(over="ignore"):
                narrow = values.astype(np.float32)
            if np.isinf(narrow).any():
                raise self._too_large(values, narrow, low)
            block[steps[low - first : high - first]] = narrow

    def _too_large(
        self, values: npt.NDArray[np.float64], narrow: npt.NDArray[np.float32], low: int
    ) -> DataError:
        row, column = np.argwhere(np.isinf(narrow))[0]
        return DataError(
            f"{self.place(low + int(row))}: {values[row, column]:g} in column "
            f"{self.table.columns[column].name!r}; expected a number of at most 3.4e38; leave the "
            "cell empty if it is not known, or give the column in another unit"
        )


def by_series(table: RawTable) -> IntArray:
    """Return row numbers by series, within a series in file order, int64[N]."""
    if (np.diff(table.series) >= 0).all():
        return np.arange(len(table.series))
    return np.argsort(table.series, kind="stable").astype(np.int64)


def in_order(
    table: RawTable, rows: IntArray, times: IntArray, aggregate: Aggregate, *, wall: bool
) -> Ordered:
    """Check that time increases within each series, and merge rows of one stamp.

    Args:
        table: of the rows.
        rows: row numbers by series, int64[N].
        times: stamp of each of these, int64[N].
        aggregate: how rows of one stamp become one.
        wall: whether stamps are as written, so that daylight saving may be in them.

    Raises:
        DataError: time decreases within a series, or two rows have one stamp and no way to merge
            them was chosen.
    """
    series = table.series[rows]
    same = series[1:] == series[:-1]
    found = Ordered(table, rows, series, times, np.zeros(0, np.int64), table.values[:0])
    decreasing = np.flatnonzero(same & (times[1:] < times[:-1]))
    if len(decreasing):
        raise _decreasing(found, decreasing, wall=wall)
    repeated = np.flatnonzero(same & (times[1:] == times[:-1]))
    if not len(repeated):
        return found
    if aggregate == "error":
        raise _repeated(found, repeated, wall=wall)
    return _merge(found, repeated, aggregate)


def _decreasing(found: Ordered, at: IntArray, *, wall: bool) -> DataError:
    first = int(at[0])
    before, after = int(found.times[first]), int(found.times[first + 1])
    table = found.table
    message = (
        f"{found.place(first + 1)}: time goes back from {describe_time(before)} "
        f"({found.place(first)}) to {describe_time(after)} in series {found.name(first)!r} "
        f"({len(at):,} such rows); expected the rows of a series in order of time"
    )
    falls = found.times[at] - found.times[at + 1]
    if wall and (falls <= HOUR).all() and looks_like_daylight_saving(found.times[at + 1]):
        return DataError(message + _CLOCK_HINT)
    remedy = "; sort the file by time"
    if len(table.names) == 1:
        remedy += ", or, if it holds several series, name the column that tells them apart with "
        remedy += "--series-column"
    return DataError(message + remedy)


def _repeated(found: Ordered, at: IntArray, *, wall: bool) -> DataError:
    first = int(at[0])
    message = (
        f"{found.place(first + 1)}: a second row for {describe_time(int(found.times[first]))} of "
        f"series {found.name(first)!r}, after {found.place(first)} ({len(at):,} such rows); "
        "expected one row a stamp"
    )
    if wall and looks_like_daylight_saving(found.times[at]):
        return DataError(message + _CLOCK_HINT)
    remedy = "; choose what becomes of them with --aggregate mean, sum, first, last, min or max"
    if len(found.table.names) == 1:
        remedy += "; if the file holds several series, name the column that tells them apart with "
        remedy += "--series-column"
    return DataError(message + remedy)


def _merge(found: Ordered, repeated: IntArray, how: Aggregate) -> Ordered:
    """Merge rows of one stamp; a column of words cannot be added up, so its first word stays."""
    new = np.ones(len(found.rows), bool)
    new[repeated + 1] = False
    involved = ~new
    involved[repeated] = True
    starts = np.flatnonzero(new[involved])
    values = found.table.values[found.rows[involved]]
    merged = _merged(values, starts, how)
    words = [number for number, column in enumerate(found.table.columns) if column.categories]
    if words:
        kept: Aggregate = "last" if how == "last" else "first"
        merged[:, words] = _merged(values[:, words], starts, kept)
    return Ordered(
        found.table,
        found.rows[new],
        found.series[new],
        found.times[new],
        np.flatnonzero(involved[new]),
        merged,
        len(repeated),
    )


def _merged(
    values: npt.NDArray[np.float64], starts: IntArray, how: Aggregate
) -> npt.NDArray[np.float64]:
    """Merge runs of rows, [M, F] to [U, F]; missing values count for nothing.

    Args:
        values: of the rows.
        starts: where each run begins, int64[U].
        how: to merge them; first and last are those of the column's observed values.
    """
    observed = ~np.isnan(values)
    count = np.add.reduceat(observed, starts, axis=0, dtype=np.int64)
    if how in ("min", "max"):
        worst = np.inf if how == "min" else -np.inf
        reduce = np.minimum if how == "min" else np.maximum
        merged = reduce.reduceat(np.where(observed, values, worst), starts, axis=0)
    elif how in ("mean", "sum"):
        merged = np.add.reduceat(np.where(observed, values, 0.0), starts, axis=0)
        merged = merged / np.maximum(count, 1) if how == "mean" else merged
    else:
        number = np.arange(len(values))[:, None]
        if how == "first":
            at = np.minimum.reduceat(np.where(observed, number, len(values) - 1), starts, axis=0)
        else:
            at = np.maximum.reduceat(np.where(observed, number, 0), starts, axis=0)
        merged = np.take_along_axis(values, at, axis=0)
    return np.where(count > 0, merged, np.nan)

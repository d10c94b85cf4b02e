"""From rows as read to regular series: one step after the other, gaps as NaN, all of it counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipelines.datasets.series_clock import (
    describe_time,
    looks_like_daylight_saving,
    time_zone,
    to_utc,
    to_wall,
)
from pipelines.datasets.series_frequency import DAY, HOUR, Frequency, IntArray
from pipelines.datasets.series_options import SeriesOptions
from pipelines.datasets.series_order import Ordered, by_series, in_order
from pipelines.datasets.series_steps import Stepped, keep_to_frequency
from pipelines.datasets.series_store import FloatArray, SeriesLayout, SeriesStore, write_store
from pipelines.errors import DataError

if TYPE_CHECKING:
    from pipelines.datasets.series_table import RawTable

MOST_STEPS_A_ROW = 50  # a grid of more is a wrong stamp far away, not gaps
SMALL_GRID = 1_000_000
MERGED = "rows merged with others of the same stamp"
OFF_GRID = "rows between two steps"
NEVER_OBSERVED = "rows of series without any value to forecast"


@dataclass(frozen=True)
class Grid:
    """A store, and what laying rows on its grid took.

    Args:
        store: the series.
        dropped: reason -> rows left out.
        notes: what a reader of a score should know.
    """

    store: SeriesStore
    dropped: dict[str, int]
    notes: tuple[str, ...]


def lay_on_grid(
    table: RawTable, options: SeriesOptions, folder: Path, *, trained: bool = False
) -> Grid:
    """Order rows, find their frequency and write regular series; gaps are steps of NaN.

    Args:
        table: as read.
        options: time_zone, frequency and aggregate are used.
        folder: for the store; it exists and is empty.
        trained: whether the frequency is a model's rather than the user's.

    Raises:
        DataError: time goes back, stamps repeat, frequencies mix, or nothing is observed.
        ConfigError: the time zone or the frequency does not exist.
    """
    if not len(table.times):
        raise DataError("the table holds no rows; expected at least one; give another file")
    times, rows, zone, notes = _stamps(table, options)
    in_file = in_order(table, rows, times, options.aggregate, wall=not zone)
    stepped = keep_to_frequency(in_file, options.frequency, trained=trained)
    dropped = Counter({MERGED: in_file.gone, OFF_GRID: stepped.off_grid})
    notes += [*stepped.notes, *_merging_notes(in_file, options, wall=not zone)]
    layout = SeriesLayout(table.columns, table.statics, stepped.frequency, zone)
    places = _Places.of(stepped, _observed_series(stepped.ordered, dropped, notes))
    notes += places.notes(wall=not zone)
    blocks = _blocks(places, len(layout.columns))
    numbers = places.ordered.series[places.firsts]
    static = table.static[numbers] if table.statics else np.zeros((len(numbers), 0))
    store = write_store(folder, layout, blocks, static)
    return Grid(store, {name: count for name, count in dropped.items() if count}, tuple(notes))


def _stamps(table: RawTable, options: SeriesOptions) -> tuple[IntArray, IntArray, str, list[str]]:
    """Return stamps and row numbers by series, the zone that UTC stamps are of, and notes."""
    rows = by_series(table)
    times, series = table.times[rows], table.series[rows]
    zone = options.time_zone
    if zone:
        time_zone(zone)
    wall = to_wall(times, zone) if zone and table.aware else times
    distances = np.diff(wall)[(series[1:] == series[:-1]) & (wall[1:] > wall[:-1])]
    values, counts = np.unique(distances, return_counts=True)
    if len(values) and values[counts.argmax()] >= DAY:
        return wall, rows, "", []
    if table.aware:
        note = "stamps carry offsets from UTC and are read as UTC"
        return times, rows, zone or "UTC", [] if zone else [note]
    if not zone:
        return wall, rows, "", []
    utc, twice, once = to_utc(wall, series, zone, lambda at: table.place(int(rows[at])))
    note = f"local times of {zone}; {twice:,} stamps in hours that the clock shows twice"
    if once:
        note += f", of which {once:,} hours were run through once and taken for summer time"
    return utc, rows, zone, [note]


def _merging_notes(found: Ordered, options: SeriesOptions, *, wall: bool) -> list[str]:
    if not found.gone:
        return []
    times = found.times[found.merged_at]
    note = (
        f"{found.gone:,} rows merged into others of the same stamp by {options.aggregate}, the "
        f"first at {describe_time(int(times[0]))} ({found.place(int(found.merged_at[0]))})"
    )
    if wall and looks_like_daylight_saving(times):
        note += "; these are nights on which clocks are put back: give --time-zone instead"
    return [note]


def _observed_series(ordered: Ordered, dropped: Counter[str], notes: list[str]) -> Ordered:
    """Leave out series of which no target was ever observed.

    Raises:
        DataError: that is all of them.
    """
    targets = [n for n, column in enumerate(ordered.table.columns) if column.role == "target"]
    observed = np.zeros(len(ordered.table.names), bool)
    for target in targets:
        seen = ~np.isnan(ordered.table.values[:, target])
        observed[ordered.table.series[seen]] = True
    kept = observed[ordered.series]
    if kept.all():
        return ordered
    names = ", ".join(repr(ordered.table.columns[n].name) for n in targets)
    if not kept.any():
        raise DataError(
            f"{ordered.place(0)}: no row has a value of {names}; expected numbers in the column to "
            "forecast; name another with --targets"
        )
    absent = np.unique(ordered.series[~kept])
    shown = ", ".join(repr(ordered.table.names[n]) for n in absent[:5])
    notes.append(f"{len(absent):,} series without any value of {names} left out: {shown}")
    dropped[NEVER_OBSERVED] = int((~kept).sum())
    return ordered.taken(kept)


@dataclass(frozen=True)
class _Places:
    """Where each row goes: series begin at rows `firsts`, and have `lengths` steps."""

    ordered: Ordered
    frequency: Frequency
    firsts: IntArray
    steps: IntArray
    lengths: IntArray

    @classmethod
    def of(cls, stepped: Stepped, ordered: Ordered) -> _Places:
        new = np.append(True, np.diff(ordered.series) != 0)
        firsts = np.flatnonzero(new)
        starts = ordered.times[firsts][np.cumsum(new) - 1]
        steps = stepped.frequency.index(ordered.times, starts).astype(np.int64)
        lasts = np.append(firsts[1:], len(steps)) - 1
        places = cls(ordered, stepped.frequency, firsts, steps, steps[lasts] + 1)
        places._check_size()
        return places

    def _check_size(self) -> None:
        total, rows = int(self.lengths.sum()), len(self.steps)
        if total <= max(SMALL_GRID, MOST_STEPS_A_ROW * rows):
            return
        at = int(self._jumps().argmax())
        before, after = (describe_time(int(self.ordered.times[at + it])) for it in (0, 1))
        raise DataError(
            f"{self.ordered.place(at + 1)}: the stamp {after} is far from the one before, {before} "
            f"({self.ordered.place(at)}): {rows:,} rows would make {total:,} steps of "
            f"{self.frequency.name}; expected at most {MOST_STEPS_A_ROW} steps a row; mend the "
            "stamp, or give --time-format if dates are read wrongly"
        )

    def _jumps(self) -> IntArray:
        """Return the steps from each row to the next of its series, int64[M-1], else 0."""
        return np.where(np.diff(self.ordered.series) == 0, np.diff(self.steps), 0)

    def notes(self, *, wall: bool) -> list[str]:
        """Count steps without a row."""
        jumps = self._jumps()
        gaps = np.flatnonzero(jumps > 1)
        if not len(gaps):
            return ["no gaps"]
        missing, total = int((jumps[gaps] - 1).sum()), int(self.lengths.sum())
        longest = int(jumps.argmax())
        found = [
            f"{missing:,} of {total:,} steps ({missing / total:.1%}) have no row and count as "
            f"missing, in {len(gaps):,} gaps; the longest has {int(jumps[longest]) - 1:,}, after "
            f"{describe_time(int(self.ordered.times[longest]))} ({self.ordered.place(longest)})"
        ]
        if self.frequency.count == DAY and self.frequency.unit == "second":
            found += _weekend_notes(self.ordered.times)
        if wall and self.frequency.unit == "second" and self.frequency.count <= HOUR:
            found += _spring_notes(self.ordered, jumps * self.frequency.count, self.frequency)
        return found


def _weekend_notes(times: IntArray) -> list[str]:
    weekday = (times // DAY + 3) % 7
    if (weekday < 5).all():
        return ["no row is of a weekend: business days, laid on a grid of all days"]
    return []


def _spring_notes(ordered: Ordered, distances: IntArray, frequency: Frequency) -> list[str]:
    """Recognise the hour that clocks skip in spring, in stamps without a time zone."""
    hours = np.flatnonzero(distances == HOUR + frequency.count)
    missing = ordered.times[hours] + frequency.count
    nights = missing[((missing // DAY + 3) % 7 == 6) & (missing % DAY <= 3 * HOUR)]  # Sundays
    years = np.unique(ordered.times[[0, -1]].astype("M8[s]").astype("M8[Y]").astype(np.int64))
    least = max(2, 0.4 * (years[-1] - years[0]))
    if len(nights) < least or not looks_like_daylight_saving(nights):
        return []
    shown = ", ".join(describe_time(int(it)) for it in nights[:3])
    return [
        f"an hour is missing in one Sunday night a year ({shown}): the stamps seem to follow a "
        "clock with daylight saving; give --time-zone so that these are no gaps"
    ]


def _blocks(places: _Places, width: int) -> Iterator[tuple[str, int, FloatArray]]:
    """Yield name, start and values of each series."""
    ordered, limits = places.ordered, np.append(places.firsts[1:], len(places.steps))
    for first, limit, length in zip(places.firsts, limits, places.lengths, strict=True):
        block = np.full((int(length), width), np.nan, np.float32)
        ordered.fill(block, places.steps[first:limit], int(first), int(limit))
        yield ordered.name(int(first)), int(ordered.times[first]), block

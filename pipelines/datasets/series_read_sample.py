"""Look at the first rows of a table, and find its stamps and what tells its series apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.datasets.series_options import SeriesOptions
from pipelines.datasets.series_read_cells import Kind, kind_of
from pipelines.datasets.series_read_times import as_text, part_of_stamp
from pipelines.datasets.series_stamps import share_of_stamps
from pipelines.errors import DataError

TIME_NAMES = (
    *("time", "timestamp", "datetime", "date_time", "date", "ts", "ds", "stamp", "month", "week"),
    *("quarter", "period", "year", "day", "lastupdated", "__index_level_0__", "index"),
)
SERIES_NAMES = (
    *("unique_id", "series", "series_id", "series id", "ts_id", "item_id", "item", "id", "sensor"),
    *("sensor_id", "station", "station_id", "store", "store_id", "sku", "symbol", "ticker"),
)
_TIME_OF_DAY = r"^\d{1,2}:\d{2}"
_NEVER_COUNTS = ("index", "day", "week", "period", "month")  # numbers there are no whole stamps


@dataclass(frozen=True)
class Sample:
    """The first rows of a table: its columns' names, cells and what these hold."""

    path: Path
    names: list[str]
    cells: Mapping[str, pa.Array]
    kinds: Mapping[str, Kind]

    @classmethod
    def of(cls, path: Path, cells: Mapping[str, pa.Array], options: SeriesOptions) -> Sample:
        """Look at cells."""
        kinds = {name: kind_of(column, options.decimal) for name, column in cells.items()}
        return cls(path, list(cells), cells, kinds)

    def texts(self, name: str) -> pa.Array:
        """Return the different cells of a column as strings, without missing ones."""
        texts = pc.unique(as_text(self.cells[name]))
        return texts.filter(pc.not_equal(texts, ""))


def find_time(sample: Sample, notes: list[str]) -> tuple[str, ...]:
    """Choose the column of stamps with the most different ones; else year, month, day, hour.

    Args:
        sample: first rows.
        notes: told what was chosen.

    Raises:
        DataError: there is none.
    """
    _require_header(sample)
    found: dict[str, int] = {}
    for name in sample.names:
        texts, is_named = sample.texts(name), name.lower() in TIME_NAMES
        share = 1.0
        if not pa.types.is_temporal(sample.cells[name].type):
            numbers = is_named and name.lower() not in _NEVER_COUNTS
            share = share_of_stamps(texts, numbers=numbers)
        if share == 1.0 or (share > 0.5 and is_named):
            found[name] = len(texts)
    parts = {part_of_stamp(name): name for name in sample.names if part_of_stamp(name)}
    in_parts = "year" in parts and "month" in parts
    if in_parts and not set(found) - set(parts.values()):
        order = ("year", "month", "day", "hour", "minute", "second")
        time = tuple(parts[part] for part in order if part in parts)
    elif found:
        best = max(found, key=lambda name: (found[name], name.lower() in TIME_NAMES))
        time = (best, *_time_of_day(sample, best))
    else:
        raise DataError(
            f"{sample.path}: no column of time stamps found; columns: "
            f"{', '.join(sample.names)[:300]}; expected one such as 2013-02-28 17:00; give "
            "--time-column, and --time-format if the stamps are written in another way"
        )
    notes.append(f"time stamps are taken from {listed(time)}")
    return time


def _require_header(sample: Sample) -> None:
    """Refuse a first line that is a row, or the stamps of a table lying on its side."""
    header = pa.array([name for name in sample.names if not name.isdigit()], pa.string())
    if share_of_stamps(header, numbers=False) >= 0.5:
        shown = next(
            it for it in header.to_pylist() if share_of_stamps(pa.array([it]), numbers=False)
        )
        raise DataError(
            f"{sample.path}: the first line holds time stamps ({shown!r}, ...); expected the names "
            "of columns; add such a line, or turn the table so that a row is a stamp"
        )


def _time_of_day(sample: Sample, date: str) -> tuple[str, ...]:
    """Return the column that holds the time beside a date, if there is one."""
    texts = as_text(sample.cells[date])
    if (
        pa.types.is_temporal(sample.cells[date].type)
        or pc.any(pc.match_substring(texts, ":")).as_py()
    ):
        return ()
    for name in sample.names:
        clock = sample.texts(name)
        is_hour = name.lower() in ("hour", "hr") and sample.kinds[name] == "number"
        is_clock = len(clock) and pc.all(pc.match_substring_regex(clock, _TIME_OF_DAY)).as_py()
        if name != date and (is_hour or is_clock):
            return (name,)
    return ()


def find_series_column(
    sample: Sample, time: Iterable[str], taken: set[str], notes: list[str]
) -> str:
    """Return the column named like a series id that makes stamps unique, or "".

    Args:
        sample: first rows.
        time: columns that make a stamp.
        taken: columns with another role.
        notes: told what was chosen.
    """
    stamps = pc.binary_join_element_wise(*(as_text(sample.cells[it]) for it in time), " ")
    for name in sorted(sample.names, key=lambda it: rank(it, SERIES_NAMES)):
        if name.lower() not in SERIES_NAMES or name in taken:
            continue
        ids = as_text(sample.cells[name])
        pairs = len(pc.unique(pc.binary_join_element_wise(ids, stamps, "\t")))
        different = len(pc.unique(ids))
        repeats = min(different, len(pc.unique(stamps))) < len(ids) or len(ids) == 1
        if repeats and pairs >= 0.9 * len(ids):
            notes.append(f"series are told apart by column {name!r}")
            return name
    return ""


def rank(name: str, known: Sequence[str]) -> int:
    """Return the position of a name among known ones, whatever its case; last if it is none."""
    return known.index(name.lower()) if name.lower() in known else len(known)


def listed(names: Sequence[str]) -> str:
    """Name columns in a message."""
    return ", ".join(repr(name) for name in names)

"""Make one time stamp of a row from a column, a date and a time, or year, month, day and hour."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.datasets.series_stamp_parts import days_since_1970, month_numbers
from pipelines.datasets.series_stamps import ORDERS, Stamps, read_stamps
from pipelines.errors import DataError

IntArray = npt.NDArray[np.int64]
Place = Callable[[int], str]
PARTS = {
    "year": ("year", "yr", "yyyy"),
    "month": ("month", "mon", "mo", "mm"),
    "day": ("day", "dom", "mday", "dd"),
    "hour": ("hour", "hr", "hh"),
    "minute": ("minute", "min"),
    "second": ("second", "sec"),
}
_LIMITS = {"year": (0, 9999), "month": (1, 12), "day": (1, 31), "hour": (0, 24)}
_TIME_OF_DAY = r"^\d{1,2}(?:$|:\d{2})"
_SECONDS = {"hour": 3600, "minute": 60, "second": 1}


@dataclass(frozen=True)
class Times:
    """Stamps of N rows.

    Args:
        seconds: since 1970, UTC if `aware`, else as written; int64[N].
        aware: whether they carried offsets from UTC.
        notes: how they are written.
        order: dmy or mdy, where this was told from the whole column.
    """

    seconds: IntArray
    aware: bool
    notes: tuple[str, ...]
    order: str = ""


def part_of_stamp(name: str) -> str:
    """Return year, month, day, hour, minute or second if a column is called so, else ""."""
    lower = name.strip().lower()
    return next((part for part, names in PARTS.items() if lower in names), "")


def read_times(columns: Mapping[str, pa.Array], time_format: str, place: Place) -> Times:
    """Read the stamps of all rows.

    Args:
        columns: name -> cells of all N rows, strings or numbers or stamps of parquet.
        time_format: codes of strftime, of the columns joined by blanks; empty to find it out.
        place: row -> file:line.

    Raises:
        DataError: a stamp cannot be read; the message names file and line.
        ConfigError: the format is none.
    """
    names = list(columns)
    if len(names) == 1:
        return _one(names[0], columns[names[0]], time_format, place)
    if time_format and time_format not in ORDERS:
        joined = pc.binary_join_element_wise(*(as_text(it) for it in columns.values()), " ")
        return _one(" ".join(names), joined, time_format, place)
    if all(part_of_stamp(name) for name in names):
        return _from_parts(columns, place)
    first = _one(names[0], columns[names[0]], time_format, place)
    seconds, aware = first.seconds, first.aware
    for name in names[1:]:
        times = _on_first_day(name, as_text(columns[name]), place)
        more = _one(name, times, "", place)
        seconds, aware = seconds + more.seconds, aware or more.aware
    notes = (f"time stamps are made of the columns {_listed(names)}", *first.notes)
    return Times(seconds, aware, notes, first.order)


def as_text(cells: pa.Array) -> pa.Array:
    """Return cells as strings without white space around them; missing ones are empty."""
    kind = cells.type
    if pa.types.is_floating(kind):
        cells = pc.if_else(pc.is_finite(cells), cells, None)
        if pc.all(pc.equal(cells, pc.floor(cells))).as_py():
            cells = pc.cast(cells, pa.int64())
    text = pc.cast(cells, pa.string())
    return pc.fill_null(pc.utf8_trim_whitespace(text), "")


def _one(name: str, cells: pa.Array, time_format: str, place: Place) -> Times:
    """Read a column of stamps, each distinct one once."""
    if pa.types.is_temporal(cells.type) and not pa.types.is_time(cells.type):
        return _native(name, cells, place)
    coded = as_text(cells).dictionary_encode()
    codes = np.asarray(coded.indices)
    stamps = read_stamps(
        coded.dictionary,
        time_format,
        column=name,
        place=lambda number: place(int(np.argmax(codes == number))),
    )
    order = next((key for key, form in ORDERS.items() if form in stamps.forms), "")
    return Times(stamps.seconds[codes], stamps.aware, _notes(name, stamps), order)


def _notes(name: str, stamps: Stamps) -> tuple[str, ...]:
    forms = stamps.forms if len(stamps.forms) < 2 else (_listed(stamps.forms),)
    notes = [f"time stamps of column {name!r} are written as {forms[0]}"]
    if stamps.cut:
        notes.append(f"{stamps.cut:,} different time stamps: fractions of a second are cut off")
    return tuple(notes)


def _native(name: str, cells: pa.Array, place: Place) -> Times:
    if cells.null_count:
        row = int(np.argmax(np.asarray(pc.is_null(cells))))
        raise DataError(
            f"{place(row)}: no time stamp in column {name!r}; expected one in every row; write it, "
            "or remove the row"
        )
    zone = getattr(cells.type, "tz", None)
    exact = pc.cast(cells, pa.timestamp("us", zone), safe=False)
    seconds = np.floor_divide(np.asarray(pc.cast(exact, pa.int64())), 1_000_000)
    return Times(seconds, zone is not None, ())


def _on_first_day(name: str, texts: pa.Array, place: Place) -> pa.Array:
    """Write times of day as stamps of 1 January 1970; a bare number is an hour."""
    is_time = np.asarray(pc.match_substring_regex(texts, _TIME_OF_DAY))
    if not is_time.all():
        row = int(np.argmin(is_time))
        raise DataError(
            f"{place(row)}: column {name!r} reads {texts[row].as_py()[:40]!r}; expected the time "
            "of day that completes a date, such as 17:05 or 17; mend the row, or give other "
            "columns as --time-column"
        )
    is_hour = pc.match_substring_regex(texts, r"^\d{1,2}$")
    times = pc.if_else(is_hour, pc.binary_join_element_wise(texts, "00", ":"), texts)
    return pc.binary_join_element_wise("1970-01-01", times, " ")


def _from_parts(columns: Mapping[str, pa.Array], place: Place) -> Times:
    parts = {part_of_stamp(name): _part(name, cells, place) for name, cells in columns.items()}
    if "year" not in parts:
        raise DataError(
            f"{place(0)}: time stamps of the columns {', '.join(columns)} have no year; give "
            "--time-column with the column of the year, too"
        )
    ones = np.ones_like(parts["year"])
    days, valid = days_since_1970(parts["year"], parts.get("month", ones), parts.get("day", ones))
    if not valid.all():
        row = int(np.argmin(valid))
        found = "-".join(
            str(parts[part][row]) for part in ("year", "month", "day") if part in parts
        )
        raise DataError(
            f"{place(row)}: there is no date {found}; expected year, month and day of the calendar;"
            " mend the row"
        )
    seconds = days * 86_400
    for part, length in _SECONDS.items():
        seconds = seconds + parts.get(part, 0) * length
    note = f"time stamps are made of the columns {_listed(list(columns))}"
    return Times(seconds, False, (note,))


def _part(name: str, cells: pa.Array, place: Place) -> IntArray:
    """Return a column of whole numbers within bounds; months may be names."""
    part = part_of_stamp(name)
    coded = as_text(cells).dictionary_encode()
    values = [_number(text, part) for text in coded.dictionary.to_pylist()]
    low, high = _LIMITS.get(part, (0, 59))
    codes = np.asarray(coded.indices)
    for number, value in enumerate(values):
        if not low <= value <= high:
            raise DataError(
                f"{place(int(np.argmax(codes == number)))}: column {name!r} reads "
                f"{coded.dictionary[number].as_py()[:40]!r}; expected the {part} of a time stamp, "
                f"{low} to {high}; mend the row, or give other columns as --time-column"
            )
    return np.array(values, np.int64)[codes]


def _number(text: str, part: str) -> int:
    try:
        return int(float(text)) if float(text).is_integer() else -1
    except (ValueError, OverflowError):
        return int(month_numbers(pa.array([text]))[0]) if part == "month" else -1


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"

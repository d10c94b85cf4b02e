"""Turn years, months, days and times of day into seconds, whole columns at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH_NAMES = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
DAY = 86_400
_PIVOT = 69  # two-digit years: 69 to 99 are of the 20th century, as POSIX has it


@dataclass(frozen=True)
class CalendarParts:
    """Parts of N stamps, unchecked; each int64[N].

    Args:
        year: of four digits.
        month: from 1; 0 is none.
        day: of the month.
        second: of the day, with the offset from UTC taken off; the offset itself is `offset`.
        offset: seconds east of UTC.
        has_offset: which stamps name one, bool[N].
        has_fraction: which stamps have a fraction of a second other than 0, bool[N].
        valid: which times of day exist, bool[N].
    """

    year: IntArray
    month: IntArray
    day: IntArray
    second: IntArray
    offset: IntArray
    has_offset: BoolArray
    has_fraction: BoolArray
    valid: BoolArray

    def seconds(self) -> tuple[IntArray, BoolArray]:
        """Return seconds since 1970, and which of the stamps exist (no 30 February)."""
        days, valid = days_since_1970(self.year, self.month, self.day)
        return days * DAY + self.second - self.offset, valid & self.valid


def days_since_1970(year: IntArray, month: IntArray, day: IntArray) -> tuple[IntArray, BoolArray]:
    """Count days of the Gregorian calendar, and tell which dates exist; int64[N] each."""
    months = (year - 1970) * 12 + np.clip(month, 1, 12) - 1
    first, after = ((months + step).astype("M8[M]").astype("M8[D]") for step in (0, 1))
    length = (after - first).astype(np.int64)
    valid = (month >= 1) & (month <= 12) & (day >= 1) & (day <= length)
    return first.astype(np.int64) + day - 1, valid


def parts_of(
    cells: pa.StructArray, *, day: IntArray | None = None, month: IntArray | None = None
) -> CalendarParts:
    """Read the groups of a matched form: y m d H M S f p z, n a month's name, q, and w v.

    Args:
        cells: struct of strings; an absent group counts as empty.
        day: overrides the group.
        month: overrides the group.
    """
    groups = {
        cells.type.field(number).name: cells.field(number) for number in range(len(cells.type))
    }
    size = len(cells)
    year = _whole(groups, "y", size, 1970)
    short = np.asarray(pc.utf8_length(groups["y"])) == 2
    year = np.where(short, year + np.where(year < _PIVOT, 2000, 1900), year)
    month = _month(groups, size) if month is None else month
    day = _whole(groups, "d", size, 1) if day is None else day
    if "w" in groups:
        year, month, day = _week_date(year, *(_whole(groups, name, size, 1) for name in "wv"))
    second, valid = _time_of_day(groups, size)
    offset, has_offset = _offsets(groups, size)
    return CalendarParts(
        year, month, day, second, offset, has_offset, _fractions(groups, size), valid
    )


def _whole(groups: Mapping[str, pa.Array], name: str, size: int, default: int) -> IntArray:
    """Return a group as numbers, an empty one as the default."""
    if name not in groups:
        return np.full(size, default, np.int64)
    texts = groups[name]
    filled = pc.if_else(pc.equal(texts, ""), str(default), texts)
    return np.array(pc.cast(filled, pa.int64()))


def _month(groups: Mapping[str, pa.Array], size: int) -> IntArray:
    if "q" in groups:
        return _whole(groups, "q", size, 1) * 3 - 2
    if "n" not in groups:
        return _whole(groups, "m", size, 1)
    return month_numbers(groups["n"])


def month_numbers(names: pa.Array) -> IntArray:
    """Return 1 to 12 for English names of months, in full or three letters; 0 for others."""
    lower = pc.utf8_lower(names)
    short = pc.if_else(pc.equal(lower, "sept"), "sep", lower)
    found = [
        np.asarray(pc.fill_null(pc.index_in(short, pa.array(list(known))), -1)) + 1
        for known in (MONTHS, _MONTH_NAMES)
    ]
    return np.maximum(*found).astype(np.int64)


def _week_date(year: IntArray, week: IntArray, day: IntArray) -> tuple[IntArray, ...]:
    """Return year, month and day of an ISO week date; week 1 holds 4 January."""
    fourth, _ = days_since_1970(year, np.ones_like(year), np.full_like(year, 4))
    monday = fourth - (fourth + 3) % 7
    date = (monday + (week - 1) * 7 + day - 1).astype("M8[D]")
    months = date.astype("M8[M]")
    month = np.where(week <= 53, months.astype(np.int64) % 12 + 1, 0)
    return (
        date.astype("M8[Y]").astype(np.int64) + 1970,
        np.where(week >= 1, month, 0),
        (date - months.astype("M8[D]")).astype(np.int64) + 1,
    )


def _time_of_day(groups: Mapping[str, pa.Array], size: int) -> tuple[IntArray, BoolArray]:
    hour, minute, second = (_whole(groups, name, size, 0) for name in "HMS")
    valid = (minute < 60) & (second <= 60)
    if "p" in groups:
        half = pc.utf8_lower(groups["p"])
        is_half = np.asarray(pc.not_equal(half, ""))
        valid &= ~is_half | ((hour >= 1) & (hour <= 12))
        hour = np.where(is_half, hour % 12 + 12 * np.asarray(pc.equal(half, "p")), hour)
    seconds = hour * 3600 + minute * 60 + second
    return seconds, valid & (seconds <= DAY)  # 24:00 is the end of the day


def _offsets(groups: Mapping[str, pa.Array], size: int) -> tuple[IntArray, BoolArray]:
    """Return seconds east of UTC, and which stamps name an offset."""
    if "z" not in groups:
        return np.zeros(size, np.int64), np.zeros(size, bool)
    names = groups["z"].dictionary_encode()
    known = [_offset(text) for text in names.dictionary.to_pylist()]
    codes = np.asarray(names.indices)
    return np.array(known, np.int64)[codes], np.asarray(pc.not_equal(groups["z"], ""))


def _offset(text: str) -> int:
    """Return seconds of an offset such as +0530, -08:00, +01 or Z."""
    if text[:1] not in ("+", "-") or not text:
        return 0
    digits = text[1:].replace(":", "").ljust(4, "0")
    return (-1 if text[0] == "-" else 1) * (int(digits[:2]) * 3600 + int(digits[2:]) * 60)


def _fractions(groups: Mapping[str, pa.Array], size: int) -> BoolArray:
    if "f" not in groups:
        return np.zeros(size, bool)
    return np.asarray(pc.match_substring_regex(groups["f"], "[1-9]"))

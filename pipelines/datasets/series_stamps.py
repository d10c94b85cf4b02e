"""Read time stamps as they are commonly written: seconds since 1970, told from the whole column.

Whether 01/02/2010 is in January or February no single stamp tells, but usually the column does.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.datasets.series_stamp_parts import CalendarParts, parts_of
from pipelines.errors import ConfigError, DataError

IntArray = npt.NDArray[np.int64]
Place = Callable[[int], str]
ORDERS = {"dmy": "day/month/year", "mdy": "month/day/year"}
UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
EXPECTED = (
    "2013-02-28 17:00, 28/02/2013 17:00, 28 Feb 2013, 2013-02, 2013Q1, 2013, seconds since 1970, "
    "or any of these with an offset such as +01:00"
)
_TIME = (
    r"(?:(?:T|,? +)(?P<H>\d{1,2}):(?P<M>\d{2})(?::(?P<S>\d{2})(?:[.,](?P<f>\d+))?)?"
    r"(?: *(?P<p>[AaPp])\.?[Mm]\.?)?)?"
)
_REST = _TIME + r" *(?P<z>Z|UTC|GMT|[+-]\d{2}(?::?\d{2})?)?"
_FORMS = {  # tried in this order on whatever none before has matched
    "year-month-day": r"(?P<y>\d{4})[-/.](?P<m>\d{1,2})[-/.](?P<d>\d{1,2})" + _REST,
    "day/month/year": r"(?P<a>\d{1,2})(?P<s>[-/.])(?P<b>\d{1,2})[-/.](?P<y>\d{4}|\d{2})" + _REST,
    "year-month": r"(?P<y>\d{4})[-/](?P<m>\d{1,2})",
    "month/year": r"(?P<m>\d{1,2})[-/](?P<y>\d{4})",
    "year": r"(?P<y>\d{4})(?:\.0)?",
    "yyyymmdd": r"(?P<y>\d{4})(?P<m>\d{2})(?P<d>\d{2})",
    "yyyymmddHHMMSS": r"(?P<y>\d{4})(?P<m>\d{2})(?P<d>\d{2})[T ]?(?P<H>\d{2})(?P<M>\d{2})"
    r"(?P<S>\d{2})? *(?P<z>Z|[+-]\d{2}:?\d{2})?",
    "day month-name year": r"(?:[A-Za-z]{3,9},? +)?(?P<d>\d{1,2})[ -](?P<n>[A-Za-z]{3,9})\.?,?[ -]"
    r"(?P<y>\d{4}|\d{2})" + _REST,
    "month-name day, year": r"(?:[A-Za-z]{3,9},? +)?(?P<n>[A-Za-z]{3,9})\.? (?P<d>\d{1,2}),? "
    r"(?P<y>\d{4})" + _REST,
    "month-name year": r"(?P<n>[A-Za-z]{3,9})\.?[ -](?P<y>\d{4})",
    "year month-name": r"(?P<y>\d{4})[ -](?P<n>[A-Za-z]{3,9})(?:[ -](?P<d>\d{1,2}))?",
    "year and quarter": r"(?P<y>\d{4})[ -]?[Qq](?P<q>[1-4])",
    "quarter and year": r"[Qq](?P<q>[1-4])[ -/](?P<y>\d{4})",
    "year and week": r"(?P<y>\d{4})-?W(?P<w>\d{2})(?:-?(?P<v>[1-7]))?",
}
_COUNTS = {r"-?\d{9,10}(?:\.\d*)?": "s", r"\d{13}(?:\.0)?": "ms", r"\d{16}": "us", r"\d{19}": "ns"}
_PATTERNS = {form: f"^{pattern}$" for form, pattern in _FORMS.items()}


@dataclass(frozen=True)
class Stamps:
    """Time stamps read.

    Args:
        seconds: since 1970, UTC if `aware`, else as written, int64[N].
        aware: whether each carried its offset from UTC, or counts from 1970.
        forms: how they are written.
        cut: how many (distinct ones) had a fraction of a second, now cut off.
    """

    seconds: IntArray
    aware: bool
    forms: tuple[str, ...]
    cut: int = 0


@dataclass
class _Progress:
    """What is known of each distinct stamp so far."""

    seconds: IntArray
    done: npt.NDArray[np.bool_]
    aware: npt.NDArray[np.bool_]
    forms: list[str]
    cut: int = 0


def read_stamps(texts: pa.Array, time_format: str, *, column: str, place: Place) -> Stamps:
    """Read distinct stamps of a column, by a given format or by what they look like.

    Args:
        texts: strings, without white space around them.
        time_format: codes of strftime; s, ms, us or ns since 1970; dmy or mdy if only day and month
            must be told apart; empty to find it out.
        column: named in messages.
        place: number of a stamp -> file:line where it first stands.

    Raises:
        DataError: a stamp cannot be read, some have offsets and some do not, or day and month
            cannot be told apart.
        ConfigError: the format is none.
    """
    if time_format in UNITS:
        return _counted(texts, time_format, column, place)
    if time_format and time_format not in ORDERS:
        return _formatted(texts, time_format, column, place)
    whole = _iso(texts)
    if whole is not None:
        return whole
    progress = _match(texts, _Order(texts, column, place, time_format))
    if not progress.done.all():
        raise _unreadable(texts, int(np.argmin(progress.done)), column, place)
    _require_one_clock(texts, progress.aware, column, place)
    aware = bool(progress.aware.any())
    return Stamps(progress.seconds, aware, tuple(progress.forms), progress.cut)


def share_of_stamps(texts: pa.Array, *, numbers: bool) -> float:
    """Return which share of a sample can be stamps; with `numbers` also years and counts."""
    if not len(texts) or (not numbers and pc.any(_matches(texts, r"^-?[\d.]+$")).as_py()):
        return 0.0
    if _iso(texts) is not None:
        return 1.0
    matching = np.zeros(len(texts), bool)
    for pattern in (*_PATTERNS.values(), *(f"^{it}$" for it in _COUNTS)):
        matching |= np.asarray(_matches(texts, pattern))
    return float(matching.mean())


def _matches(texts: pa.Array, pattern: str) -> pa.Array:
    return pc.match_substring_regex(texts, pattern)


def _iso(texts: pa.Array) -> Stamps | None:
    """Read stamps that are all ISO 8601 to the second: the common case, and a fast one."""
    for kind in (pa.timestamp("s"), pa.timestamp("s", "UTC")):
        try:
            seconds = pc.cast(pc.cast(texts, kind), pa.int64())
        except pa.ArrowInvalid:
            continue
        return Stamps(np.asarray(seconds), kind.tz is not None, ("year-month-day",))
    return None


def _match(texts: pa.Array, order: _Order) -> _Progress:
    """Try every way of writing stamps on those that none before has matched."""
    size = len(texts)
    progress = _Progress(np.zeros(size, np.int64), np.zeros(size, bool), np.zeros(size, bool), [])
    for form, pattern in _PATTERNS.items():
        rest = np.flatnonzero(~progress.done)
        rest = rest[np.asarray(_matches(texts.take(pa.array(rest)), pattern))]
        if not len(rest):
            continue
        cells = pc.extract_regex(texts.take(pa.array(rest)), pattern)
        if form == "day/month/year":
            parts, form = order.parts(cells, rest)
            _store(progress, rest, parts, form)
        else:
            _store(progress, rest, parts_of(cells), form)
    for pattern, unit in _COUNTS.items():
        rest = np.flatnonzero(~progress.done)
        rest = rest[np.asarray(_matches(texts.take(pa.array(rest)), f"^{pattern}$"))]
        if len(rest):
            _store_counts(progress, rest, texts.take(pa.array(rest)), unit)
    return progress


def _store(progress: _Progress, rows: IntArray, parts: CalendarParts, form: str) -> None:
    seconds, valid = parts.seconds()
    rows = rows[valid]
    if len(rows):
        progress.seconds[rows] = seconds[valid]
        progress.aware[rows] = parts.has_offset[valid]
        progress.done[rows] = True
        progress.forms.append(form)
        progress.cut += int(parts.has_fraction[valid].sum())


def _store_counts(progress: _Progress, rows: IntArray, texts: pa.Array, unit: str) -> None:
    seconds, whole = _seconds(texts, unit)
    progress.seconds[rows], progress.done[rows], progress.aware[rows] = seconds, True, True
    progress.forms.append(f"{unit} since 1970")
    progress.cut += int((~whole).sum())


def _seconds(texts: pa.Array, unit: str) -> tuple[IntArray, npt.NDArray[np.bool_]]:
    """Return whole seconds of counts since 1970, and which were whole.

    Raises:
        pa.ArrowInvalid: a text is no number.
    """
    try:
        counts = np.asarray(pc.cast(texts, pa.int64()))
        per_second = round(1 / UNITS[unit])
        return counts // per_second, counts % per_second == 0
    except pa.ArrowInvalid:
        exact = np.asarray(pc.cast(texts, pa.float64())) * UNITS[unit]
        return np.floor(exact).astype(np.int64), exact == np.floor(exact)


@dataclass(frozen=True)
class _Order:
    """Tells the day from the month in stamps such as 01/02/2010, by the whole column."""

    texts: pa.Array
    column: str
    place: Place
    given: str

    def parts(self, cells: pa.Array, rows: IntArray) -> tuple[CalendarParts, str]:
        """Return the parts of the stamps of some rows, and their form."""
        first, second = (np.asarray(pc.cast(cells.field(name), pa.int64())) for name in "ab")
        over = [int(rows[np.argmax(it > 12)]) if (it > 12).any() else -1 for it in (first, second)]
        form = ORDERS.get(self.given) or self._form(cells, rows, over)
        day_first = form == ORDERS["dmy"]
        day, month = (first, second) if day_first else (second, first)
        return parts_of(cells, day=day, month=month), form

    def _form(self, cells: pa.Array, rows: IntArray, over: list[int]) -> str:
        """Decide by the first stamps with a first, and with a second number above 12 (or -1)."""
        if min(over) >= 0:
            one, other = (self.texts[number].as_py() for number in over)
            raise DataError(
                f"{self.place(over[0])}: column {self.column!r} reads {one!r} here, day first, but "
                f"{other!r} at {self.place(over[1])}, month first; expected one order; mend the "
                "stamps, or write them as 2013-02-28"
            )
        dotted = np.asarray(pc.equal(cells.field("s"), "."))
        if max(over) < 0 and not dotted.all():
            number = int(rows[np.argmin(dotted)])
            raise DataError(
                f"{self.place(number)}: column {self.column!r} reads "
                f"{self.texts[number].as_py()!r}: day and month cannot be told apart, as no number "
                "in the whole column is above 12; expected to be told; give --time-format dmy if "
                "the day comes first, or mdy if the month does"
            )
        return ORDERS["dmy"] if over[1] < 0 else ORDERS["mdy"]


def _require_one_clock(
    texts: pa.Array, aware: npt.NDArray[np.bool_], column: str, place: Place
) -> None:
    if aware.any() and not aware.all():
        one, other = int(np.argmax(aware)), int(np.argmin(aware))
        raise DataError(
            f"{place(other)}: column {column!r} reads {texts[other].as_py()!r} here, without an "
            f"offset from UTC, but {texts[one].as_py()!r} at {place(one)}; expected all with one, "
            "or none; mend the stamps"
        )


def _counted(texts: pa.Array, unit: str, column: str, place: Place) -> Stamps:
    try:
        seconds, whole = _seconds(texts, unit)
    except pa.ArrowInvalid:
        numbers = pd.to_numeric(texts.to_pandas(), errors="coerce")
        number = int(np.argmax(np.isnan(numbers)))
        raise _unreadable(texts, number, column, place, f"{unit} since 1970") from None
    return Stamps(seconds, True, (f"{unit} since 1970",), int((~whole).sum()))


def _formatted(texts: pa.Array, time_format: str, column: str, place: Place) -> Stamps:
    if not re.search(r"%[YyGCcxsD]", time_format):
        raise ConfigError(
            f"option --time-format is {time_format!r}; it must hold a year, as in %d/%m/%Y %H:%M, "
            "or be s or ms for seconds or milliseconds since 1970"
        )
    aware = "%z" in time_format
    try:
        read = pd.to_datetime(texts.to_pandas(), format=time_format, errors="coerce", utc=aware)
    except ValueError as error:
        raise ConfigError(
            f"option --time-format is {time_format!r}: {error}; it must be made of the codes of "
            "strftime, such as %d/%m/%Y %H:%M"
        ) from error
    values = read.to_numpy(dtype="datetime64[ns]")
    seconds = values.astype("datetime64[s]").astype(np.int64)
    cut = int((values != values.astype("datetime64[s]")).sum()) - int(np.isnat(values).sum())
    for number in np.flatnonzero(np.isnat(values)):  # years that nanoseconds do not reach, too
        try:
            stamp = datetime.strptime(texts[int(number)].as_py(), time_format)
        except ValueError:
            raise _unreadable(texts, int(number), column, place, repr(time_format)) from None
        seconds[number] = int((stamp if aware else stamp.replace(tzinfo=UTC)).timestamp())
    return Stamps(seconds, aware, (time_format,), cut)


def _unreadable(
    texts: pa.Array, number: int, column: str, place: Place, expected: str = EXPECTED
) -> DataError:
    text = texts[number].as_py()
    if not text:
        return DataError(
            f"{place(number)}: no time stamp in column {column!r}; expected one in every row; "
            "write it, or remove the row"
        )
    return DataError(
        f"{place(number)}: column {column!r} reads {text[:40]!r}, which is no time stamp; expected "
        f"{expected}; mend the stamp, or give --time-format"
    )

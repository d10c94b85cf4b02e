"""How far apart the steps of a series are: some seconds, or some calendar months."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from pipelines.errors import ConfigError

IntArray = npt.NDArray[np.int64]
MINUTE, HOUR, DAY, WEEK = 60, 3600, 86_400, 604_800
YEAR_SECONDS = 31_557_600  # of 365.25 days
_WEEKDAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_UNITS = ((WEEK, "W", "week"), (DAY, "D", "day"), (HOUR, "h", "hour"), (MINUTE, "min", "minute"))
_LONG_SEASON = 1440  # steps; a day of finer steps is too long a season, an hour is taken


@dataclass(frozen=True)
class Frequency:
    """The distance between two steps.

    Args:
        unit: what `count` counts.
        count: seconds or calendar months from one step to the next.
        name: as pandas writes it: "h", "15min", "D", "W-SUN", "MS", "ME", "QS", "YS".
        anchor: of months, whether stamps are the first or the last day.
    """

    unit: Literal["second", "month"]
    count: int
    name: str
    anchor: Literal["start", "end"] = "start"

    def index(self, times: npt.ArrayLike, start: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return the steps from `start` to each time; a time between two steps gives a fraction.

        Args:
            times: seconds since 1970, int64[...].
            start: stamp of step 0, one or as many as `times`; on the grid.
        """
        stamps, first = np.asarray(times, np.int64), np.asarray(start, np.int64)
        if self.unit == "second":
            return np.asarray((stamps - first) / self.count, np.float64)
        months = _months(stamps)
        beyond = stamps - self._stamp(months)
        # A stamp before its month's last day lies between that step and the one before.
        return np.asarray((months - _months(first) + beyond / (31 * DAY)) / self.count, np.float64)

    def time(self, start: npt.ArrayLike, steps: npt.ArrayLike) -> IntArray:
        """Return the stamp of each step, int64[...] seconds, counted from the stamp of step 0."""
        first, number = np.asarray(start, np.int64), np.asarray(steps, np.int64)
        if self.unit == "second":
            return np.asarray(first + number * self.count, np.int64)
        return self._stamp(_months(first) + number * self.count)

    def _stamp(self, months: IntArray) -> IntArray:
        """Return the stamp of months since 1970: midnight of the first or the last day."""
        if self.anchor == "start":
            return months.astype("M8[M]").astype("M8[s]").astype(np.int64)
        return (months + 1).astype("M8[M]").astype("M8[s]").astype(np.int64) - DAY

    def season(self) -> int:
        """Return the steps of the season most series have: a day, a week or a year; at least 1."""
        if self.unit == "month":
            return 12 // self.count if self.count <= 12 and 12 % self.count == 0 else 1
        if self.count < DAY:
            whole = round(DAY / self.count)
            return whole if whole <= _LONG_SEASON else max(1, round(HOUR / self.count))
        return max(1, round((WEEK if self.count < WEEK else 52 * WEEK) / self.count))

    def default_horizon(self) -> int:
        """Return how many steps ahead are forecast unless another number is given."""
        return self._defaults()[0]

    def default_history(self) -> int:
        """Return how many past steps a forecast is made from unless another number is given."""
        return self._defaults()[1]

    def _defaults(self) -> tuple[int, int]:
        """Return horizon and history."""
        if self.unit == "month":
            return (12, 36) if self.count < 3 else (8, 24) if self.count < 12 else (5, 20)
        if self.count < HOUR:
            return 60, 240
        return (24, 168) if self.count < DAY else (14, 56) if self.count < WEEK else (13, 104)

    @property
    def is_sub_daily(self) -> bool:
        """Whether a step is shorter than a day, so that a time zone matters."""
        return self.unit == "second" and self.count < DAY

    @property
    def step_name(self) -> str:
        """What a step is called in a sentence: "hour", "15 minutes", "quarter"."""
        if self.unit == "month":
            known = {1: "month", 3: "quarter", 12: "year"}
            return known.get(self.count, f"{self.count} months")
        for seconds, _, word in _UNITS:
            if self.count % seconds == 0:
                number = self.count // seconds
                return word if number == 1 else f"{number} {word}s"
        return "second" if self.count == 1 else f"{self.count} seconds"


def _months(stamps: IntArray) -> IntArray:
    """Return the months since January 1970."""
    return stamps.astype("M8[s]").astype("M8[M]").astype(np.int64)


def frequency_of_seconds(count: int, stamp: int = 0) -> Frequency:
    """Name a frequency of seconds; weeks are named after the weekday of a stamp."""
    for seconds, letter, _ in _UNITS:
        if count % seconds == 0:
            number = "" if count == seconds else str(count // seconds)
            weekday = _WEEKDAYS[(stamp // DAY + 3) % 7]  # 1970 began on a Thursday
            return Frequency(
                "second", count, f"{number}{letter}" + (f"-{weekday}" if letter == "W" else "")
            )
    return Frequency("second", count, "s" if count == 1 else f"{count}s")


def frequency_of_months(
    count: int, stamp: int = 0, anchor: Literal["start", "end"] = "start"
) -> Frequency:
    """Name a frequency of months; quarters and years are named after the month of a stamp."""
    suffix = "S" if anchor == "start" else "E"
    month = int(_months(np.asarray(stamp, np.int64))) % 12
    for months, letter in ((12, "Y"), (3, "Q")):
        if count % months == 0:
            number = "" if count == months else str(count // months)
            usual = 0 if anchor == "start" else months - 1
            odd = month % months != usual
            named = month % 3 if anchor == "start" and months == 3 else month
            if anchor == "end" and months == 3:
                named = 9 + month % 3  # a year of quarters is named after its last month
            tail = f"-{_MONTHS[named]}" if odd else ""
            return Frequency("month", count, f"{number}{letter}{suffix}{tail}", anchor)
    number = "" if count == 1 else str(count)
    return Frequency("month", count, f"{number}M{suffix}", anchor)


_SECONDS = {"S": 1, "SEC": 1, "T": MINUTE, "MIN": MINUTE, "H": HOUR, "D": DAY, "B": DAY, "W": WEEK}
_MONTH_UNITS: dict[str, tuple[int, Literal["start", "end"]]] = {
    "MS": (1, "start"),
    "M": (1, "end"),
    "ME": (1, "end"),
    "QS": (3, "start"),
    "Q": (3, "end"),
    "QE": (3, "end"),
    "YS": (12, "start"),
    "AS": (12, "start"),
    "Y": (12, "end"),
    "A": (12, "end"),
    "YE": (12, "end"),
}


def parse_frequency(name: str, stamp: int = 0) -> Frequency:
    """Read a name such as "h", "15min", "D", "W-SUN", "MS", "QE" or "YS".

    Args:
        name: as pandas writes it, older spellings ("H", "T", "M") included.
        stamp: of the series, for weeks, quarters and years named after it.

    Raises:
        ConfigError: the name is none of these.
    """
    match = re.fullmatch(r"(\d*)([A-Za-z]+)(?:-[A-Za-z]{3})?", name.strip())
    count, unit = (int(match[1] or 1), match[2].upper()) if match else (0, "")
    if count and unit in _SECONDS:
        return frequency_of_seconds(count * _SECONDS[unit], stamp)
    if count and unit in _MONTH_UNITS:
        months, anchor = _MONTH_UNITS[unit]
        return frequency_of_months(count * months, stamp, anchor)
    raise ConfigError(
        f"--frequency {name!r}: not a frequency; expected a number and a unit such as s, min, "
        "15min, h, D, W, MS, ME, QS, QE, YS or YE; leave it out to have it found"
    )

"""From the clock on the wall to UTC and back, daylight saving included."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

import numpy as np
import numpy.typing as npt

from pipelines.datasets.series_frequency import DAY, HOUR, WEEK, IntArray
from pipelines.errors import ConfigError, DataError, did_you_mean

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FARTHEST = 2 * DAY  # no zone is as far from UTC
_FIRST_YEAR, _LAST_YEAR = -62_000_000_000, 253_300_000_000  # years 5 and 9996: Python knows no more
_CLOCK_MONTHS = (3, 4, 9, 10, 11)  # in which clocks go forward or back, on either hemisphere
_SUNDAY = 6


def time_zone(name: str) -> ZoneInfo:
    """Return a zone by its name.

    Raises:
        ConfigError: there is none of this name.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ConfigError(
            f"--time-zone {name!r}: no such time zone; expected a name such as Europe/Berlin or UTC"
            f"{did_you_mean(name, available_timezones())}"
        ) from error


def describe_time(stamp: int) -> str:
    """Write seconds since 1970 as a date, with the time of day unless it is midnight."""
    text = str(np.datetime64(int(stamp), "s")).replace("T", " ")
    return text.removesuffix(" 00:00:00").removesuffix(":00")


def _offset(zone: ZoneInfo, stamp: int) -> int:
    """Return what the zone's clock is ahead of UTC at a UTC stamp, in seconds."""
    offset = (_EPOCH + timedelta(seconds=stamp)).astimezone(zone).utcoffset()
    return round(offset.total_seconds()) if offset else 0


def clock_changes(zone: ZoneInfo, first: int, last: int) -> tuple[IntArray, IntArray]:
    """Find when a zone's clock changes.

    Args:
        zone: looked at.
        first: UTC stamp from which on.
        last: UTC stamp up to which.

    Returns:
        The UTC stamps of the Z changes, and the seconds ahead of UTC before, between and after
        them, int64[Z+1].
    """
    first, last = max(first, _FIRST_YEAR), min(last, _LAST_YEAR)
    changes, offsets = [], [_offset(zone, first)]
    for low in range(first, last, WEEK):
        high = min(low + WEEK, last)
        if (after := _offset(zone, high)) == offsets[-1]:
            continue
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if _offset(zone, middle) == offsets[-1] else (low, middle)
        changes.append(high)
        offsets.append(after)
    return np.array(changes, np.int64), np.array(offsets, np.int64)


def to_wall(utc: IntArray, name: str) -> IntArray:
    """Return what the clock of a zone shows at UTC stamps, int64[...] seconds since 1970."""
    if not utc.size:
        return utc
    changes, offsets = clock_changes(time_zone(name), int(utc.min()), int(utc.max()) + 1)
    return utc + offsets[np.searchsorted(changes, utc, "right")]


def to_utc(
    wall: IntArray, series: npt.NDArray[np.integer], name: str, place: Callable[[int], str]
) -> tuple[IntArray, int, int]:
    """Return the UTC stamps of what a clock showed.

    In the hour that a clock shows twice, the first run of a series through it is summer time, the
    next is winter time; a single run is taken for the first.

    Args:
        wall: seconds since 1970 as the clock showed them, int64[N], each series in its order.
        series: of each, int[N], sorted.
        name: of the zone.
        place: where the stamp of a number stands.

    Returns:
        UTC stamps int64[N], how many lie in a repeated hour, how often it was run through once.

    Raises:
        DataError: the clock never showed a time: it was put forward past it.
    """
    if not len(wall):
        return wall, 0, 0
    bounds = int(wall.min()) - _FARTHEST, int(wall.max()) + _FARTHEST
    changes, offsets = clock_changes(time_zone(name), *bounds)
    if not len(changes):
        return wall - offsets[0], 0, 0
    number = np.searchsorted(changes + offsets[:-1], wall, "right")
    utc = wall - offsets[number]
    skipped = (number > 0) & (utc < np.concatenate([changes[:1], changes])[number])
    if skipped.any():
        raise _never_shown(wall, int(skipped.argmax()), int(skipped.sum()), name, place)
    following = np.minimum(number, len(changes) - 1)
    later = wall - np.append(offsets, offsets[-1])[number + 1]
    twice = np.flatnonzero((number < len(changes)) & (later >= changes[following]))
    if not len(twice):
        return utc, 0, 0
    again, runs_once = _second_run(wall[twice], series[twice], number[twice])
    utc[twice[again]] = later[twice[again]]
    return utc, len(twice), runs_once


def _never_shown(
    wall: IntArray, first: int, count: int, name: str, place: Callable[[int], str]
) -> DataError:
    return DataError(
        f"{place(first)}: {describe_time(int(wall[first]))} does not exist in {name}: clocks were "
        f"put forward past it ({count:,} such rows); expected local times; if the stamps keep one "
        "time all year, give that as --time-zone (UTC, or Etc/GMT-1 for one hour ahead of it)"
    )


def _second_run(
    wall: IntArray, series: npt.NDArray[np.integer], change: IntArray
) -> tuple[npt.NDArray[np.bool_], int]:
    """Tell which stamps of repeated hours come after the clock was put back.

    Returns:
        bool[N], and how many repeated hours were run through once only.
    """
    new = np.append(True, (series[1:] != series[:-1]) | (change[1:] != change[:-1]))
    back = np.append(False, wall[1:] <= wall[:-1]) & ~new
    runs = np.cumsum(back)
    hour = np.cumsum(new) - 1
    again = runs > runs[new][hour]
    return again, int((np.bincount(hour, again) == 0).sum())


def looks_like_daylight_saving(wall: IntArray) -> bool:
    """Tell whether times are such as clocks are changed at: a Sunday night a year, in season.

    Args:
        wall: stamps of missing or repeated hours, int64[N].
    """
    if not len(wall):
        return False
    days = np.unique(wall // DAY)
    months = days.astype("M8[D]").astype("M8[M]").astype(np.int64) % 12 + 1
    years = days.astype("M8[D]").astype("M8[Y]").astype(np.int64)
    at_night = (wall % DAY <= 3 * HOUR).all()
    sundays = ((days + 3) % 7 == _SUNDAY).all()
    return bool(
        at_night
        and sundays
        and np.isin(months, _CLOCK_MONTHS).all()
        and len(np.unique(years)) == len(years)
    )

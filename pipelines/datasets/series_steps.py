"""Find the frequency of ordered stamps, check it, and name rows that do not keep to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from pipelines.datasets.series_clock import describe_time
from pipelines.datasets.series_frequency import (
    DAY,
    Frequency,
    IntArray,
    frequency_of_months,
    frequency_of_seconds,
    parse_frequency,
)
from pipelines.datasets.series_order import Ordered
from pipelines.errors import DataError

BoolArray = npt.NDArray[np.bool_]
FEW_OFF_GRID = 0.01  # of the rows may lie between two steps; more is another frequency
RARE_STEP = 0.1  # the frequency is at least this share of a series' distances between rows
LONG_RUN = 12  # so many equal, longer distances in a row are another frequency, not gaps
_SHORTEST_MONTH = 28 * DAY


@dataclass(frozen=True)
class Stepped:
    """Stamps that keep to a frequency, and what was noticed.

    Args:
        ordered: rows on the grid, their times moved to the first or last of the month where a
            month is the step.
        frequency: of all.
        off_grid: rows left out because they lie between two steps.
        notes: for the data card.
    """

    ordered: Ordered
    frequency: Frequency
    off_grid: int
    notes: tuple[str, ...]


def keep_to_frequency(ordered: Ordered, given: str, *, trained: bool = False) -> Stepped:
    """Find or check the frequency, and leave out the few rows that do not keep to it.

    Args:
        ordered: at least one row.
        given: the frequency's name, or "" to find it.
        trained: whether it is a model's rather than the user's.

    Raises:
        DataError: there are several frequencies, or none.
    """
    same = ordered.series[1:] == ordered.series[:-1]
    distances = np.diff(ordered.times)[same]
    if not len(distances) and not given:
        raise DataError(
            f"{ordered.place(0)}: no series has two rows, so there is no frequency to be found; "
            "expected at least two rows a series; give --frequency, such as h or D"
        )
    frequency = _asked(given, ordered.times) if given else _found(ordered.times, same)
    notes = []
    if frequency.unit == "month":
        moved = _to_anchor(ordered.times, frequency)
        if count := int((moved != ordered.times).sum()):
            notes.append(f"{count:,} stamps inside a month are taken for its {frequency.anchor}")
        ordered = _moved(ordered, moved)
        distances = np.diff(_units(moved, frequency))[same]
    at = np.flatnonzero(same)
    source = f"most series have {frequency.name}"
    if given:
        source = f"the model has {given}" if trained else f"--frequency {given} was given"
    _check_series(ordered, frequency, distances, at, source, patient=not given)
    _check_runs(ordered, frequency, distances, at)
    kept = _on_grid(ordered, frequency)
    off = int((~kept).sum())
    if off:
        first = int((~kept).argmax())
        notes.append(f"{off:,} rows between two steps left out, the first {ordered.place(first)}")
    notes.insert(0, _describe(frequency, distances, given))
    return Stepped(ordered.taken(kept) if off else ordered, frequency, off, tuple(notes))


def _describe(frequency: Frequency, distances: IntArray, given: str) -> str:
    share = float((distances == frequency.count).mean()) if len(distances) else 1.0
    how = "given" if given else "found"
    return (
        f"frequency {frequency.name} ({how}): {share:.1%} of the rows are "
        f"{_length(frequency.count, frequency)} after the row before"
    )


def _units(times: IntArray, frequency: Frequency) -> IntArray:
    """Return times in what the frequency counts: seconds, or months since 1970."""
    if frequency.unit == "second":
        return times
    return times.astype("M8[s]").astype("M8[M]").astype(np.int64)


def _anchor(times: IntArray) -> tuple[Literal["start", "end"], float]:
    """Return whether stamps are rather first or last days of months, and which share is."""
    shares = {
        name: float((_to_anchor(times, Frequency("month", 1, "", name)) == times).mean())
        for name in _ANCHORS
    }
    best = max(_ANCHORS, key=shares.__getitem__)
    return best, shares[best]


_ANCHORS: tuple[Literal["start", "end"], ...] = ("start", "end")


def _to_anchor(times: IntArray, frequency: Frequency) -> IntArray:
    """Return the stamp that stands for the month of each time."""
    start = times.astype("M8[s]").astype("M8[M]").astype("M8[s]").astype(np.int64)
    return start if frequency.anchor == "start" else frequency.time(start, np.zeros_like(start))


def _found(times: IntArray, same: BoolArray) -> Frequency:
    """Return the most common distance as a frequency; `same`: bool[M-1], within one series."""
    distances = np.diff(times)[same]
    values, counts = np.unique(distances, return_counts=True)
    usual = int(values[counts.argmax()])
    first = int(times[0])
    if usual < _SHORTEST_MONTH:
        return frequency_of_seconds(usual, first)
    anchor, share = _anchor(times)
    if share < 1 and not (distances % usual).any() and len(distances) > 2:  # every four weeks, say
        return frequency_of_seconds(usual, first)
    month = Frequency("month", 1, "", anchor)
    months, often = np.unique(np.diff(_units(times, month))[same], return_counts=True)
    ahead = months > 0
    if not ahead.any():
        return frequency_of_seconds(usual, first)
    return frequency_of_months(int(months[ahead][often[ahead].argmax()]), first, anchor)


def _asked(given: str, times: IntArray) -> Frequency:
    """Read a given frequency; of months, whether first or last days are meant is in the stamps."""
    frequency = parse_frequency(given, int(times[0]))
    if frequency.unit == "month":
        return frequency_of_months(frequency.count, int(times[0]), _anchor(times)[0])
    return frequency


def _moved(ordered: Ordered, times: IntArray) -> Ordered:
    repeated = np.flatnonzero((np.diff(times) == 0) & (np.diff(ordered.series) == 0))
    if len(repeated):
        first = int(repeated[0])
        raise DataError(
            f"{ordered.place(first + 1)}: a second row for the month of "
            f"{describe_time(int(times[first]))} of series {ordered.name(first)!r}, after "
            f"{ordered.place(first)}; most rows are a month or more apart, nothing is resampled; "
            "bring all rows to one frequency first, or leave out the odd ones"
        )
    return Ordered(
        ordered.table,
        ordered.rows,
        ordered.series,
        times,
        ordered.merged_at,
        ordered.merged,
        ordered.gone,
    )


def _check_series(
    ordered: Ordered,
    frequency: Frequency,
    distances: IntArray,
    at: IntArray,
    source: str,
    *,
    patient: bool,
) -> None:
    """Refuse series whose rows are usually further apart than the frequency.

    Args:
        ordered: all rows.
        frequency: they should have.
        distances: between rows of one series, in what the frequency counts.
        at: number of the row before each distance.
        source: of the frequency, for the message.
        patient: whether short series may have any distances.
    """
    series = ordered.series[at]
    size = int(ordered.series.max()) + 1
    total = np.bincount(series, minlength=size)
    equal = np.bincount(series, distances == frequency.count, minlength=size)
    for number in np.flatnonzero((total > 1) & (equal < RARE_STEP * total)):
        begin, end = np.searchsorted(series, (number, number + 1))
        own = distances[begin:end]
        values, counts = np.unique(own, return_counts=True)
        usual, share = int(values[counts.argmax()]), float(counts.max() / len(own))
        if share <= 0.5 or (patient and len(own) < LONG_RUN // 2):
            continue
        first = int(at[begin + (own == usual).argmax()])
        raise DataError(
            f"{ordered.place(first)} and {ordered.place(first + 1)}: rows of series "
            f"{ordered.table.names[number]!r} are mostly {_length(usual, frequency)} apart "
            f"({share:.0%} of them), but {source} ({_length(frequency.count, frequency)}); "
            "expected one frequency, nothing is resampled; give a file for each frequency, or "
            "another --frequency"
        )


def _length(count: int, frequency: Frequency) -> str:
    name = Frequency(frequency.unit, count, "").step_name
    return name if name[0].isdigit() else f"1 {name}"


def _check_runs(ordered: Ordered, frequency: Frequency, distances: IntArray, at: IntArray) -> None:
    """Refuse a stretch of a series with rows evenly further apart."""
    if len(distances) < LONG_RUN:
        return
    series = ordered.series[at]
    change = np.append(True, (np.diff(distances) != 0) | (np.diff(series) != 0))
    starts = np.flatnonzero(change)
    lengths = np.diff(np.append(starts, len(distances)))
    longer = (lengths >= LONG_RUN) & (distances[starts] > frequency.count)
    if lengths[longer].sum() <= FEW_OFF_GRID * len(distances):
        return
    run = int(np.flatnonzero(longer)[lengths[longer].argmax()])
    first, last = int(at[starts[run]]), int(at[starts[run] + lengths[run] - 1]) + 1
    apart = int(distances[starts[run]])
    raise DataError(
        f"{ordered.place(first)} to {ordered.place(last)}: {lengths[run]:,} rows of series "
        f"{ordered.name(first)!r} are {_length(apart, frequency)} apart, others "
        f"{_length(frequency.count, frequency)} ({frequency.name}); expected one frequency, "
        "nothing is resampled; leave this stretch out, or bring all rows to one frequency first"
    )


def _on_grid(ordered: Ordered, frequency: Frequency) -> BoolArray:
    """Tell which rows lie on their series' grid, bool[M].

    Raises:
        DataError: more than a few do not.
    """
    phases = _units(ordered.times, frequency) % frequency.count
    new = np.append(True, np.diff(ordered.series) != 0)
    usual = phases[new][np.cumsum(new) - 1]
    for number in np.unique(ordered.series[phases != usual]):
        first, limit = np.searchsorted(ordered.series, (number, number + 1))
        values, counts = np.unique(phases[first:limit], return_counts=True)
        usual[first:limit] = values[counts.argmax()]
    kept: BoolArray = phases == usual
    off = np.flatnonzero(~kept)
    if len(off) > FEW_OFF_GRID * len(kept):
        raise _several_frequencies(ordered, frequency, off)
    return kept


def _several_frequencies(ordered: Ordered, frequency: Frequency, off: IntArray) -> DataError:
    shown = ", ".join(
        f"{ordered.place(int(it))} ({describe_time(int(ordered.times[it]))})" for it in off[:3]
    )
    first = int(off[0])
    return DataError(
        f"{ordered.place(first)}: {len(off):,} of {len(ordered.rows):,} rows lie between two steps "
        f"of the frequency {frequency.name}, in series {ordered.name(first)!r} such as {shown}; "
        "expected one frequency, nothing is resampled; bring all rows to one frequency first, or "
        "give a finer --frequency such as min"
    )

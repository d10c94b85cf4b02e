"""Tell which series a row is of, and which columns do not change within a series."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt

from pipelines.datasets.series_read_roles import Roles
from pipelines.datasets.series_read_rows import Places, ReadRows
from pipelines.errors import DataError

IntArray = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int32]


def series_of_rows(
    rows: ReadRows, roles: Roles, name: str, notes: list[str]
) -> tuple[list[str], Numbers, IntArray | None]:
    """Return names of series, each row's series, and the order of rows if files are to be moved.

    Without a column that tells, files that overlap in time are a series each; else all are one.

    Args:
        rows: as read.
        roles: of the columns.
        name: of the series if there is only one.
        notes: told what was found.

    Returns:
        names; int32[N]; int64[N] or None if rows stay in the order they were read in.
    """
    count = rows.bounds[-1]
    if roles.series:
        return list(rows.ids.numbers), np.concatenate(rows.ids.blocks), None
    filled = [
        (number, first, limit)
        for number, (first, limit) in enumerate(zip(rows.bounds, rows.bounds[1:], strict=False))
        if limit > first
    ]
    if len(filled) < 2:
        return [name], np.zeros(count, np.int32), None
    spans = [
        (rows.times.seconds[first:limit].min(), rows.times.seconds[first:limit].max(), first, limit)
        for _, first, limit in filled
    ]
    spans.sort()
    if any(one[1] >= other[0] for one, other in itertools.pairwise(spans)):
        names = [_stem(rows.places, number) for number, _, _ in filled]
        series = np.zeros(count, np.int32)
        for code, (_, first, limit) in enumerate(filled):
            series[first:limit] = code
        notes.append(f"{len(names)} files that overlap in time: each is a series, named after it")
        return names, series, None
    notes.append(f"{len(filled)} files that follow one another in time: read as one")
    order = np.concatenate([np.arange(first, limit) for _, _, first, limit in spans])
    return [name], np.zeros(count, np.int32), order


def _stem(places: Places, number: int) -> str:
    path = places.files[number].path
    stems = [it.path.name.split(".")[0] for it in places.files]
    stem = stems[number]
    return stem if stems.count(stem) == 1 else path.name


def _by_series(values: Values, series: Numbers) -> tuple[IntArray, IntArray]:
    """Return the rows with a value in order of their series, and where each series begins."""
    present = np.flatnonzero(~np.isnan(values))
    order = present[np.argsort(series[present], kind="stable")]
    starts = np.flatnonzero(np.diff(series[order], prepend=-1))
    return order, starts


def first_change(values: Values, series: Numbers) -> tuple[int, int] | None:
    """Return two rows of one series with different values, or None if there are none."""
    order, starts = _by_series(values, series)
    if not len(order):
        return None
    first = np.repeat(order[starts], np.diff(starts, append=len(order)))
    differs = np.flatnonzero(values[order] != values[first])
    return (int(first[differs[0]]), int(order[differs[0]])) if len(differs) else None


def constant_values(
    name: str, values: Values, series: Numbers, names: list[str], places: Places
) -> Values:
    """Return the one value of each series, float64[S]; NaN where it has none.

    Raises:
        DataError: a series has two.
    """
    changed = first_change(values, series)
    if changed is not None:
        one, other = changed
        raise DataError(
            f"{places.place(other)}: static covariate {name!r} of series "
            f"{names[series[one]]!r} has another value here than at {places.place(one)}; expected "
            "one value a series; mend the rows, or give it as a past or known covariate"
        )
    found = np.full(len(names), np.nan)
    order, starts = _by_series(values, series)
    found[series[order[starts]]] = values[order[starts]]
    return found

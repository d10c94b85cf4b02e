"""Put what was read of a table together: one row a stamp and series, one column a quantity."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from pipelines.datasets.series_options import SeriesOptions
from pipelines.datasets.series_read_cells import Cells
from pipelines.datasets.series_read_roles import WIDE_TARGET, Roles
from pipelines.datasets.series_read_rows import Places, ReadRows
from pipelines.datasets.series_read_series import (
    IntArray,
    Numbers,
    Values,
    constant_values,
    first_change,
    series_of_rows,
)
from pipelines.datasets.series_store import Column, Role, SeriesLayout

SHOWN_WORDS = 5
_UNIT = re.compile(r"[\[(]([^\[\]()]{1,12})[\])]\s*$")


@dataclass(frozen=True)
class Measured:
    """N rows in their final order: what was measured when, of which series; as in `RawTable`."""

    columns: tuple[Column, ...]
    names: list[str]
    series: Numbers
    times: IntArray
    values: Values
    places: Places
    dropped: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Assembled:
    """A table put together: its rows, its series' covariates, and what was found out."""

    measured: Measured
    statics: tuple[Column, ...]
    static: Values
    options: SeriesOptions
    notes: tuple[str, ...]


def assemble(
    rows: ReadRows,
    roles: Roles,
    options: SeriesOptions,
    layout: SeriesLayout | None,
    name: str,
) -> Assembled:
    """Put columns of rows together.

    Args:
        rows: as read.
        roles: of the columns.
        options: as given.
        layout: of a trained model, whose covariates are never left out.
        name: of the series if there is only one.

    Raises:
        DataError: a static covariate changes within a series.
    """
    notes: list[str] = []
    names, series, order = series_of_rows(rows, roles, name, notes)
    past, statics = _kept(rows, roles, series, layout, notes)
    roles = dataclasses.replace(roles, past=past, static=statics)
    columns = [rows.cells[it] for it in statics]
    values = [constant_values(it.name, it.values(), series, names, rows.places) for it in columns]
    if roles.layout == "wide":
        measured = _melted(rows, roles, names, series)
    else:
        measured = _as_read(rows, roles, names, series)
    static = np.zeros((len(measured.names), 0)) if not values else np.stack(values, axis=1)
    return Assembled(
        _reordered(measured, order),
        tuple(_column(it, "static") for it in columns),
        static,
        _filled(options, roles, rows.times.order),
        (*notes, *_unseen(rows.cells.values())),
    )


def _as_read(rows: ReadRows, roles: Roles, names: list[str], series: Numbers) -> Measured:
    """Return the rows of a long table."""
    cells = [rows.cells[it] for it in (*roles.targets, *roles.past, *roles.known)]
    columns = tuple(_column(it, _role(it.name, roles)) for it in cells)
    return Measured(columns, names, series, rows.times.seconds, _stacked(cells), rows.places)


def _kept(
    rows: ReadRows,
    roles: Roles,
    series: Numbers,
    layout: SeriesLayout | None,
    notes: list[str],
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the past and the static covariates to keep; say why others are left out."""
    kept, statics = list(roles.past), list(roles.static)
    if not roles.chosen or layout is not None:
        return roles.past, roles.static
    for name in roles.past:
        cells = rows.cells[name]
        reason = cells.dropped or _useless(cells.values())
        if reason:
            notes.append(f"column {name!r} is left out: {reason}")
            kept.remove(name)
        elif series.any() and first_change(cells.values(), series) is None:
            notes.append(f"column {name!r} is a static covariate: it is constant in each series")
            kept.remove(name)
            statics.append(name)
    if kept:
        notes.append(f"past covariates are all other columns: {', '.join(kept)}")
    return tuple(kept), tuple(statics)


def _useless(values: Values) -> str:
    """Say why a column cannot help, or return ""."""
    present = values[~np.isnan(values)]
    if not len(present):
        return "it is empty"
    if present.min() == present.max():
        return "it is constant"
    if len(values) > 2 and (np.diff(values) == 1).mean() > 0.99:
        return "it numbers the rows"
    return ""


def _stacked(cells: list[Cells]) -> Values:
    """Return columns side by side, float64[N, F], each freed as soon as it is copied."""
    first = cells[0].values()
    values = np.empty((len(first), len(cells)))
    for number, column in enumerate(cells):
        values[:, number] = column.values()
        column.free()
    return values


def _melted(rows: ReadRows, roles: Roles, names: list[str], files: Numbers) -> Measured:
    """Turn a wide table round: the rows of its first series, then those of the second, ...

    Steps before the first and after the last value of a series are left out, unless known
    covariates reach into the future.
    """
    shared = [rows.cells[it] for it in (*roles.past, *roles.known)]
    covariates = np.stack([it.values() for it in shared], 1) if shared else None
    sources, series, values, dropped = [], [], [], 0
    labels: list[str] = []
    for file_number, prefix in enumerate(names):
        own = np.flatnonzero(files == file_number)
        for target in roles.targets:
            measured = rows.cells[target].values()[own]
            present = np.flatnonzero(~np.isnan(measured))
            first, limit = 0, len(own)
            if len(present) and not roles.known:
                first, limit = present[0], present[-1] + 1
            dropped += len(own) - int(limit - first)
            sources.append(own[first:limit])
            values.append(measured[first:limit])
            series.append(np.full(limit - first, len(labels), np.int32))
            labels.append(f"{prefix} {target}" if len(names) > 1 else target)
    source = np.concatenate(sources)
    column = np.concatenate(values)[:, None]
    places = dataclasses.replace(rows.places, source=source)
    return Measured(
        columns=(
            Column(WIDE_TARGET, "target"),
            *(_column(it, _role(it.name, roles)) for it in shared),
        ),
        names=labels,
        series=np.concatenate(series),
        times=rows.times.seconds[source],
        values=column if covariates is None else np.hstack([column, covariates[source]]),
        places=places,
        dropped={"empty cell before the first or after the last value of a series": dropped}
        if dropped
        else {},
    )


def _reordered(rows: Measured, order: IntArray | None) -> Measured:
    """Put the rows of files in the order of time."""
    if order is None or (np.diff(order) > 0).all():
        return rows
    source = rows.places.source
    if source is not None:  # a wide table: order the rows of each series
        rank = np.empty(len(order), np.int64)
        rank[order] = np.arange(len(order))
        order = np.lexsort((rank[source], rows.series))
    moved = order if source is None else source[order]
    return dataclasses.replace(
        rows,
        series=rows.series[order],
        times=rows.times[order],
        values=rows.values[order],
        places=dataclasses.replace(rows.places, source=moved),
    )


def _role(name: str, roles: Roles) -> Role:
    if name in roles.targets:
        return "target"
    return "known" if name in roles.known else "past"


def _column(cells: Cells, role: Role) -> Column:
    unit = _UNIT.search(cells.name)
    words = cells.fixed or tuple(cells.words)
    return Column(cells.name, role, words, unit[1] if unit else "")


def _unseen(cells: Iterable[Cells]) -> list[str]:
    """Say which words a trained model does not know."""
    notes = []
    for column in cells:
        if column.unseen:
            shown = ", ".join(repr(word) for word in list(column.unseen)[:SHOWN_WORDS])
            notes.append(
                f"{sum(column.unseen.values()):,} cells of column {column.name!r} hold words that "
                f"the model has not seen, taken as missing: {shown}"
            )
    return notes


def _filled(options: SeriesOptions, roles: Roles, order: str) -> SeriesOptions:
    """Return options with what was found out, so that the next file is read in the same way."""
    return dataclasses.replace(
        options,
        time_column=roles.time,
        time_format=options.time_format or order,
        series_column=roles.series,
        layout=roles.layout,
        targets=options.targets if roles.layout == "wide" else roles.targets,
        past_covariates=roles.past,
        static_covariates=roles.static,
    )


def with_units(columns: Iterable[Column], units: Mapping[str, str]) -> tuple[Column, ...]:
    """Return columns with their units, where these are known."""
    return tuple(dataclasses.replace(it, unit=units.get(it.name, it.unit)) for it in columns)

"""Decide what each column of a table is: stamp, series, target, covariate; and say so."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa

from pipelines.datasets.series_options import AUTO, SeriesOptions
from pipelines.datasets.series_read_sample import (
    Sample,
    find_series_column,
    find_time,
    listed,
    rank,
)
from pipelines.datasets.series_stamps import share_of_stamps
from pipelines.datasets.series_store import SeriesLayout
from pipelines.errors import DataError, did_you_mean

WIDE_TARGET = "value"  # what the values of a wide table's series are called
TARGET_NAMES = ("value", "y", "target", "count", "cnt", "sales", "demand", "load", "actual")
_NUMBERED = re.compile(r"(.*?)\d+$")


@dataclass(frozen=True, kw_only=True)
class Roles:
    """What the columns of a table are.

    Args:
        layout: long or wide.
        time: columns that make a stamp.
        series: column that tells series apart, or "".
        targets: of a long table; of a wide one its series.
        past: covariates known up to now.
        known: covariates known for the future too.
        static: covariates of one value a series.
        chosen: whether the past covariates were found, not named, and may be left out again.
        notes: what was chosen, and why.
    """

    layout: Literal["long", "wide"]
    time: tuple[str, ...]
    series: str
    targets: tuple[str, ...]
    past: tuple[str, ...]
    known: tuple[str, ...]
    static: tuple[str, ...]
    chosen: bool
    notes: tuple[str, ...]

    @property
    def values(self) -> tuple[str, ...]:
        """Columns whose cells are values."""
        return self.targets + self.past + self.known + self.static

    @property
    def needed(self) -> tuple[str, ...]:
        """Columns to read."""
        series = (self.series,) if self.series else ()
        return tuple(dict.fromkeys((*self.time, *series, *self.values)))


def choose_roles(sample: Sample, options: SeriesOptions, layout: SeriesLayout | None) -> Roles:
    """Give every column a role: the one named, the one a trained model needs, or the likeliest.

    Args:
        sample: first rows.
        options: columns named by the user or found at training.
        layout: of a trained model, or None to find targets and covariates out.

    Raises:
        DataError: a column named is not there or has two roles, or there are no stamps or values.
    """
    _require_named(sample, options, layout)
    notes: list[str] = []
    time = options.time_column or find_time(sample, notes)
    named = _named(options)
    _require_one_role(sample, {**named, "time column": time})
    taken = {*time, *named["known covariates"], *named["static covariates"]}
    taken |= set() if options.past_covariates == AUTO else set(options.past_covariates)
    series = options.series_column
    if not series and options.layout != "wide":
        series = find_series_column(sample, time, taken | set(options.targets), notes)
    rest = [name for name in sample.names if name not in taken and name != series]
    if _is_wide(sample, options, series, rest, notes):
        roles = _wide_roles(sample, options, time, rest, notes)
    else:
        roles = _long_roles(sample, options, layout, time, series, rest, notes)
    _require_roles(sample, roles, layout)
    return roles


def _named(options: SeriesOptions) -> dict[str, tuple[str, ...]]:
    """Return the columns that options name, by role."""
    past = () if options.past_covariates == AUTO else options.past_covariates
    return {
        "time column": options.time_column,
        "series column": (options.series_column,) if options.series_column else (),
        "targets": options.targets,
        "past covariates": past,
        "known covariates": options.known_covariates,
        "static covariates": options.static_covariates,
    }


def _require_named(sample: Sample, options: SeriesOptions, layout: SeriesLayout | None) -> None:
    """Refuse a table without a column that is named; a model's covariates get their own words."""
    wide = options.layout == "wide"
    for role, names in _named(options).items():
        for name in names:
            if name not in sample.names and not (wide and layout and role == "targets"):
                raise _no_column(sample, name, role, layout)


def _no_column(sample: Sample, name: str, role: str, layout: SeriesLayout | None) -> DataError:
    what = f"the {role}" if role.endswith("column") else f"one of the {role}"
    what += " of the model" if layout else f" (--{role.replace(' ', '-')})"
    remedy = "give one of these"
    if layout is not None:
        remedy = "add the column"
        if role == "known covariates":
            remedy += ", with its values for the steps to forecast, too"
    return DataError(
        f"{sample.path}: no column {name!r}, {what}"
        f"{did_you_mean(name, sample.names)}; columns found: {', '.join(sample.names)[:300]}; "
        f"{remedy}"
    )


def _require_one_role(sample: Sample, named: Mapping[str, Sequence[str]]) -> None:
    seen: dict[str, str] = {}
    for role, names in named.items():
        for name in names:
            if name in seen:
                raise DataError(
                    f"{sample.path}: column {name!r} is given twice, as {seen[name]} and as {role};"
                    " expected one role a column; leave it out of one of the options"
                )
            seen[name] = role


def _is_wide(
    sample: Sample, options: SeriesOptions, series: str, rest: list[str], notes: list[str]
) -> bool:
    """Tell whether each column is a series: all are numbers and named alike but for a number."""
    if options.layout != "auto" or series:
        return options.layout == "wide"
    stems = {match[1] if (match := _NUMBERED.match(name)) else name for name in rest}
    numeric = all(sample.kinds[name] == "number" for name in rest)
    if options.targets or options.past_covariates not in (AUTO, ()) or not numeric:
        return False
    if len(rest) > 1 and len(stems) == 1:
        notes.append(
            f"each of the {len(rest)} columns is taken for one series (wide layout), as their "
            "names differ by a number only; give --layout long if they are columns of one series"
        )
        return True
    return False


def _wide_roles(
    sample: Sample, options: SeriesOptions, time: tuple[str, ...], rest: list[str], notes: list[str]
) -> Roles:
    past = () if options.past_covariates == AUTO else options.past_covariates
    if options.static_covariates or options.series_column:
        raise DataError(
            f"{sample.path}: a table in wide layout has neither a series column nor static "
            "covariates, as a column is a series; leave these options out, or give --layout long"
        )
    numbers = [name for name in rest if sample.kinds[name] != "word"]
    named = [name for name in options.targets if name in sample.names]
    if not options.targets and len(numbers) < len(rest):
        left = [name for name in rest if name not in numbers]
        notes.append(f"columns left out, as they hold words: {listed(left)}")
    return Roles(
        layout="wide",
        time=time,
        series="",
        targets=tuple(named or numbers),
        past=past,
        known=options.known_covariates,
        static=(),
        chosen=False,
        notes=tuple(notes),
    )


def _long_roles(  # noqa: PLR0917 (what was decided before, in order)
    sample: Sample,
    options: SeriesOptions,
    layout: SeriesLayout | None,
    time: tuple[str, ...],
    series: str,
    rest: list[str],
    notes: list[str],
) -> Roles:
    targets = layout.targets if layout else options.targets or _find_targets(sample, rest, notes)
    past = layout.past if layout else options.past_covariates
    if chosen := past == AUTO and layout is None:
        past = _find_past(sample, [name for name in rest if name not in targets], notes)
    return Roles(
        layout="long",
        time=time,
        series=series,
        targets=targets,
        past=past,
        known=layout.known if layout else options.known_covariates,
        static=tuple(it.name for it in layout.statics) if layout else options.static_covariates,
        chosen=chosen,
        notes=tuple(notes),
    )


def _find_targets(sample: Sample, rest: list[str], notes: list[str]) -> tuple[str, ...]:
    """Choose a column named like a target, else the last one of numbers."""
    numbers = [name for name in rest if sample.kinds[name] == "number"]
    # Without numbers, a column called so is read as numbers: the reader then names what it holds.
    numbers = numbers or [name for name in rest if name.lower() in TARGET_NAMES]
    if not numbers:
        raise DataError(
            f"{sample.path}: no column of numbers to forecast; columns: "
            f"{', '.join(sample.names)[:300]}; expected one beside the time stamps; give --targets"
        )
    best = min(numbers[::-1], key=lambda name: rank(name, TARGET_NAMES))
    why = "by its name" if best.lower() in TARGET_NAMES else "the last column of numbers"
    others = ", ".join(name for name in numbers if name != best)
    notes.append(f"the target is {best!r}, {why}" + (f" (others: {others})" if others else ""))
    return (best,)


def _find_past(sample: Sample, rest: list[str], notes: list[str]) -> tuple[str, ...]:
    """Return the remaining columns but for further stamps and parts of stamps."""
    stamps = [
        name
        for name in rest
        if pa.types.is_temporal(sample.cells[name].type)
        or share_of_stamps(sample.texts(name), numbers=False) == 1.0
    ]
    if stamps:
        notes.append(f"columns left out, as they hold time stamps: {listed(stamps)}")
    return tuple(name for name in rest if name not in stamps)


def _require_roles(sample: Sample, roles: Roles, layout: SeriesLayout | None) -> None:
    """Refuse a table without targets, or without a column that a model needs."""
    for role, names in (
        ("targets", roles.targets),
        ("past covariates", roles.past),
        ("known covariates", roles.known),
        ("static covariates", roles.static),
    ):
        for name in names:
            if name not in sample.names:
                raise _no_column(sample, name, role, layout)
    if not roles.targets:
        raise DataError(
            f"{sample.path}: no column of numbers beside the time stamps; columns: "
            f"{', '.join(sample.names)[:300]}; expected one a series; give --targets"
        )
    repeated = [name for name in np.unique(roles.targets) if roles.targets.count(name) > 1]
    if repeated:
        raise DataError(f"{sample.path}: target {repeated[0]!r} is given twice; give it once")

"""Accuracy in bins of a property of the rows, such as text length, for several systems."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.evaluation import plots
from pipelines.evaluation.bootstrap import Interval, proportion_interval
from pipelines.evaluation.sections import Block, Figure, Table
from pipelines.evaluation.wording import interval, number, sentence

Array = NDArray[Any]
SHARE_EDGES = (0.0, 0.05, 0.10, 0.20, 0.35)


@dataclass(frozen=True)
class Slice:
    """Rows of one bin: its name and which rows are in it, bool[N]."""

    name: str
    rows: Array


def quantile_slices(values: Array, bins: int = 6) -> list[Slice]:
    """Cut whole numbers (lengths) into bins of about equally many rows, named "12–17"."""
    inner = np.quantile(values, np.linspace(0, 1, bins + 1)[1:-1], method="lower")
    edges = np.unique([*inner, values.max()])
    numbers = np.searchsorted(edges, values, side="left")
    slices = []
    for place in np.unique(numbers):
        rows = numbers == place
        low, high = int(values[rows].min()), int(values[rows].max())
        slices.append(Slice(f"{low}" if low == high else f"{low}–{high}", rows))
    return slices


def share_slices(shares: Array) -> list[Slice]:
    """Cut shares in 0..1 at fixed edges, none first; bins without rows are left out."""
    numbers = np.searchsorted(SHARE_EDGES, shares, side="left")
    percent = [f"{edge:.0%}".removesuffix("%") for edge in SHARE_EDGES]
    names = ["none", *(f"{low}–{high} %" for low, high in pairwise(percent))]
    names[1] = f"≤ {percent[1]} %"
    names.append(f"> {percent[-1]} %")
    found = (Slice(name, numbers == place) for place, name in enumerate(names))
    return [entry for entry in found if entry.rows.any()]


def accuracy_blocks(
    slices: Sequence[Slice], right: Mapping[str, Array], *, property_name: str
) -> list[Block]:
    """Draw and tabulate accuracy with Wilson's interval in every slice.

    Args:
        slices: the bins.
        right: system -> whether each row is right, bool[N]; the model first.
        property_name: what the bins are bins of, with its unit.
    """
    measured = {name: [_accuracy(hits, part) for part in slices] for name, hits in right.items()}
    sizes = [int(part.rows.sum()) for part in slices]
    return interval_blocks(
        [part.name for part in slices], sizes, measured, property_name=property_name
    )


def interval_blocks(
    names: Sequence[str],
    sizes: Sequence[int],
    measured: Mapping[str, Sequence[Interval]],
    *,
    property_name: str,
    units: str = "rows",
    measure: str = "accuracy",
    column: str = "",
) -> list[Block]:
    """Draw and tabulate a fraction with its interval in every slice.

    Args:
        names: the bins.
        sizes: how many units are in each.
        measured: system -> one value a bin; the model first.
        property_name: what the bins are bins of, with its unit.
        units: what `sizes` counts, in the plural.
        measure: what was measured.
        column: name of the bins in the table, where the long one would not fit.
    """
    svg = plots.grouped_intervals(
        names,
        {
            name: ([v.value for v in values], [v.low for v in values], [v.high for v in values])
            for name, values in measured.items()
        },
        xlabel=property_name,
        ylabel=measure,
    )
    table = Table(
        columns=[column or property_name, units, *measured],
        rows=[
            [name, f"{size:,}", *(with_interval(values[place]) for values in measured.values())]
            for place, (name, size) in enumerate(zip(names, sizes, strict=True))
        ],
    )
    spoken = "; ".join(
        f"{part}: {number(value.value, 'fraction')}"
        for part, value in zip(names, next(iter(measured.values())), strict=True)
    )
    caption = f"{sentence(measure)} by {property_name}, with 95 % intervals."
    return [Figure(svg=svg, caption=caption, alt=f"The model's {measure}. {spoken}"), table]


def with_interval(value: Interval) -> str:
    """Write a fraction and its interval: "0.812 (0.790–0.834)"."""
    ends = interval(value.low, value.high, "fraction")
    return f"{number(value.value, 'fraction')} ({ends})"


def _accuracy(right: Array, part: Slice) -> Interval:
    return proportion_interval(int(right[part.rows].sum()), int(part.rows.sum()))

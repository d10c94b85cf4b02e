"""What a careful person would look at in time series before training on them."""

from __future__ import annotations

from typing import cast

import numpy as np

from pipelines.datasets.findings import Finding, Table
from pipelines.datasets.series import Window, WindowRows
from pipelines.datasets.series_clock import describe_time
from pipelines.datasets.series_frequency import IntArray
from pipelines.datasets.series_store import SeriesStore
from pipelines.datasets.series_value_checks import (
    copies_finding,
    level_finding,
    outliers_finding,
    season_finding,
    sign_finding,
)
from pipelines.datasets.splits import DataCard, Splits

FEW_HORIZONS = 30  # back to back in the test part: fewer tell little of a score
MUCH_MISSING = 0.2
SHOWN = 40
_CALENDAR = ("gaps", "daylight", "weekend", "stamps", "local times", "frequency", "merged")


def check_series(splits: Splits[Window]) -> list[Finding]:
    """Look at sizes, calendar, gaps, levels, season and leaks.

    Args:
        splits: as `load_series` returns them.

    Returns:
        findings in the order a person would ask; levels "ok", "note", "warning" and "error".
    """
    train, valid, test = (cast(WindowRows, rows) for _, rows in splits.named())
    store = train.store
    return [
        _sizes(train, valid, test),
        _lengths(train),
        _calendar(splits.card),
        _missing(store),
        _constant(train),
        sign_finding(store),
        level_finding(train, test),
        outliers_finding(store),
        season_finding(train),
        copies_finding(train),
        _left_out(splits.card),
    ]


def _sizes(train: WindowRows, valid: WindowRows, test: WindowRows) -> Finding:
    store = train.store
    table: Table = (
        ("part", "windows", "series", "targets from", "to before"),
        *(
            (
                name,
                f"{len(rows):,}",
                f"{len(np.unique(rows.series)):,}",
                *(describe_time(it) for it in rows.span),
            )
            for name, rows in (("train", train), ("valid", valid), ("test", test))
        ),
    )
    horizons = _back_to_back(test)
    detail = (
        f"{len(store):,} series of {len(store.values):,} steps, one {_step(store)} each; windows "
        f"of {train.history} steps of history and {train.horizon} of horizon; the test part holds "
        f"{horizons:,} horizons back to back"
    )
    few = horizons < FEW_HORIZONS
    if few:
        detail += "; so few tell little: give longer series, or a smaller --horizon"
    return Finding("warning" if few else "ok", "Sizes", detail, table)


def _step(store: SeriesStore) -> str:
    return store.layout.frequency.step_name


def _back_to_back(rows: WindowRows) -> int:
    """Count horizons that share no step."""
    steps = rows.series.astype(np.int64) * (int(rows.origins.max()) + rows.horizon + 1)
    return len(np.unique((steps + rows.origins) // rows.horizon))


def _lengths(train: WindowRows) -> Finding:
    store = train.store
    lengths = np.diff(store.offsets)
    short = int((lengths < train.history + train.horizon).sum())
    unseen = len(store) - len(np.unique(train.series))
    detail = f"{lengths.min():,} to {lengths.max():,} steps, median {int(np.median(lengths)):,}"
    if short:
        detail += f"; {short:,} series are shorter than history and horizon: histories are padded"
    if unseen:
        detail += f"; {unseen:,} series have no training window, the model meets them in the test"
    if max(short, unseen) > len(store) / 2:
        return Finding("warning", "Series lengths", detail)
    return Finding("note" if short or unseen else "ok", "Series lengths", detail)


def _calendar(card: DataCard) -> Finding:
    notes = [note for note in card.notes if any(word in note for word in _CALENDAR)]
    odd = [note for note in notes if "give --time-zone" in note]
    return Finding("warning" if odd else "ok", "Calendar", "; ".join(notes) or "regular")


def _missing(store: SeriesStore) -> Finding:
    columns, total = store.layout.columns, max(len(store.values), 1)
    missing = [int(np.isnan(store.values[:, n]).sum()) for n in range(len(columns))]
    longest = [_longest_gap(store, n) for n in range(len(columns))]
    order = sorted(range(len(columns)), key=lambda n: (n >= store.layout.K, -missing[n]))
    table: Table = (
        ("column", "role", "missing", "share", "longest gap"),
        *(
            (
                columns[n].name,
                columns[n].role,
                f"{missing[n]:,}",
                f"{missing[n] / total:.1%}",
                f"{longest[n]:,}",
            )
            for n in order[:SHOWN]
        ),
    )
    worst = max(range(store.layout.K), key=missing.__getitem__)
    share = missing[worst] / total
    detail = "every step has a value of each target"
    if missing[worst]:
        detail = (
            f"{share:.1%} of the steps have no value of {columns[worst].name!r}, the longest gap "
            f"is {longest[worst]:,} steps; these are masked, not scored"
        )
    empty = [column.name for n, column in enumerate(columns) if missing[n] == total]
    if empty:
        detail += f"; without any value: {', '.join(map(repr, empty))}"
    much = share > MUCH_MISSING or empty
    return Finding(
        "warning" if much else "note" if any(missing) else "ok", "Missing", detail, table
    )


def _longest_gap(store: SeriesStore, column: int) -> int:
    """Return the most steps in a row without a value, within one series."""
    seen = np.flatnonzero(~np.isnan(store.values[:, column]))
    begins, ends = store.offsets[:-1], store.offsets[1:]
    if not len(seen):
        return int((ends - begins).max(initial=0))
    first, limit = np.searchsorted(seen, begins), np.searchsorted(seen, ends)
    gaps = np.diff(seen) - 1
    inner = first[(first > 0) & (first < len(seen))]
    gaps[inner - 1] = 0  # from one series to the next
    some = limit > first
    at_edges = np.where(
        some,
        np.maximum(
            seen[np.minimum(first, len(seen) - 1)] - begins,
            ends - 1 - seen[np.maximum(limit, 1) - 1],
        ),
        ends - begins,
    )
    return int(max(gaps.max(initial=0), at_edges.max(initial=0)))


def _constant(train: WindowRows) -> Finding:
    """Look for columns that never change, in all or in the training part alone."""
    store, columns = train.store, train.store.layout.columns
    never = [it.name for n, it in enumerate(columns) if _is_constant(store.values[:, n])]
    flat = _flat_series(train)
    parts = []
    if never:
        parts.append(f"always the same: {', '.join(map(repr, never))}; leave such columns out")
    if len(flat):
        names = ", ".join(repr(store.names[n]) for n in flat[:5])
        parts.append(
            f"{len(flat):,} series whose targets never change in the training part: {names}; they "
            "have no scale for MASE"
        )
    if not parts:
        return Finding("ok", "Constant", "every column changes, in every series")
    targets = set(never) & set(store.layout.targets)
    return Finding("error" if targets else "warning", "Constant", "; ".join(parts))


def _is_constant(values: np.ndarray) -> bool:
    seen = values[~np.isnan(values)]
    return bool(len(seen)) and bool((seen == seen[0]).all())


def _flat_series(train: WindowRows) -> IntArray:
    targets = range(train.store.layout.K)
    numbers = np.unique(train.series)
    flat = [
        number
        for number in numbers.tolist()
        if all(_is_constant(train.part(number)[:, target]) for target in targets)
    ]
    return np.array(flat, np.int64)


def _left_out(card: DataCard) -> Finding:
    if not card.dropped:
        return Finding("ok", "Left out", "nothing")
    table = (("reason", "count"), *((name, f"{count:,}") for name, count in card.dropped.items()))
    return Finding("note", "Left out", "rows of the table, or windows", table)

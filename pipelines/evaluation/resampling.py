"""Drawing resamples: how often each unit occurs, or which rows were drawn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import EvaluationError

Array = NDArray[Any]
MAX_UNITS = 20_000
_BLOCK_WEIGHTS = 4_000_000  # weights held at a time: 32 MB


def weights(counts: Array, seed: int, resamples: int) -> Iterator[Array]:
    """Yield weights float64[r, U], a block at a time, `resamples` lines in all."""
    random = np.random.default_rng(seed)
    total = int(np.sum(counts))
    shares = np.asarray(counts, float) / total
    block = max(1, _BLOCK_WEIGHTS // len(counts))
    for start in range(0, resamples, block):
        size = min(block, resamples - start)
        if np.all(np.asarray(counts) == 1):
            yield _row_weights(random, size, total)
        else:
            yield random.multinomial(total, shares, size=size).astype(float)


def _row_weights(random: np.random.Generator, size: int, rows: int) -> Array:
    """Weights of plain rows by counting draws, several times faster than a wide multinomial."""
    drawn = random.integers(0, rows, size=(size, rows), dtype=np.int64)
    drawn += np.arange(size)[:, None] * rows
    return np.bincount(drawn.ravel(), minlength=size * rows).reshape(size, rows).astype(float)


def drawn_rows(rows: int, groups: Array | None, seed: int, resamples: int) -> Iterator[Array]:
    """Yield drawn row numbers int64[M], by rows or by whole documents, once per resample."""
    random = np.random.default_rng(seed)
    if groups is None:
        for _ in range(resamples):
            yield random.integers(0, rows, size=rows)
        return
    order, edges = _group_edges(_checked_groups(groups, rows))
    members = np.split(order, edges)
    for _ in range(resamples):
        drawn = random.integers(0, len(members), size=len(members))
        yield np.concatenate([members[number] for number in drawn])


def pool(sums: Array, groups: Array | None, seed: int) -> Array:
    """Add up rows by document, and documents or rows by random pool where there are too many."""
    require_rows(len(sums))
    units = np.asarray(sums, float)
    if groups is not None:
        units = _add_by(units, _checked_groups(groups, len(units)))
    if len(units) > MAX_UNITS:
        pools = np.random.default_rng(seed).permutation(len(units)) % MAX_UNITS
        units = _add_by(units, pools)
    return units


def _add_by(sums: Array, groups: Array) -> Array:
    order, edges = _group_edges(groups)
    starts = np.concatenate([[0], edges])
    return np.asarray(np.add.reduceat(sums[order], starts, axis=0))


def _group_edges(groups: Array) -> tuple[Array, Array]:
    """Row numbers sorted by group, and where in them each group but the first begins."""
    order = np.argsort(groups, kind="stable")
    ordered = groups[order]
    return order, np.flatnonzero(ordered[1:] != ordered[:-1]) + 1


def _checked_groups(groups: Array, rows: int) -> Array:
    if len(groups) != rows:
        raise EvaluationError(
            f"document bootstrap: {len(groups)} group numbers for {rows} rows; each row needs the "
            "number of its document: pass groups of the same length"
        )
    return np.asarray(groups)


def require_rows(rows: int) -> None:
    """Raise EvaluationError when there is no row to resample."""
    if rows == 0:
        raise EvaluationError(
            "bootstrap: 0 rows to resample; at least 1 is needed: check that the test split is "
            "not empty"
        )

"""Which rows a lane reads, and when: from the mask of a batch."""

from __future__ import annotations

import os
from typing import NamedTuple

import numpy as np

from pipelines.layers.fast.compiling import entry
from pipelines.layers.fast.products import ROWS
from pipelines.layers.fast.records import Array, Lane


class Reading(NamedTuple):
    """A kind of cell and how it reads.

    Attributes:
        cell: "lstm", or "gru" with the reset gate after the product.
        backward: reads from the last step to the first.
        in_time: outputs stand at their steps; else in the order of reading, as Keras has them.
        zero_masked: outputs at masked steps are 0; else they repeat the one before, 0 if none.
        lanes: at most so many run at the same time; 0 is one for each processor.
    """

    cell: str
    backward: bool = False
    in_time: bool = False
    zero_masked: bool = False
    lanes: int = 0


def order_of_reading(mask: Array, *, backward: bool) -> tuple[Array, Array]:
    """Return `Lane`'s counts, int32[B], and positions, int32[B, T], of a mask bool[B, T]."""
    counts, positions = np.empty(len(mask), np.int32), np.empty(mask.shape, np.int32)
    _order(mask, backward, counts, positions)
    return counts, positions


def deal(
    reading: Reading, counts: Array, positions: Array
) -> tuple[list[Lane], list[tuple[int, int]]]:
    """Deal rows out to lanes, the longest first; return them and where their packed rows lie."""
    order = np.argsort(-counts, kind="stable").astype(np.int32)
    lanes = max(1, min(reading.lanes or processors(), -(-len(counts) // ROWS)))
    flipped = reading.backward and reading.in_time
    manner = (reading.cell == "gru", reading.backward, flipped, reading.zero_masked)
    dealt, bounds, start = [], [], 0
    for number in range(lanes):
        numbers = np.ascontiguousarray(order[number::lanes])
        dealt.append(Lane(*manner, numbers, counts, positions))
        stop = start + _packed_rows(counts, numbers)
        bounds.append((start, stop))
        start = stop
    return dealt, bounds


def processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@entry
def _order(mask: Array, backward: bool, counts: Array, positions: Array) -> None:
    steps = mask.shape[1]
    for row in range(mask.shape[0]):
        count = 0
        for position in range(steps):
            if mask[row, steps - 1 - position if backward else position]:
                positions[row, count] = position
                count += 1
        counts[row] = count
        for position in range(steps):
            if not mask[row, steps - 1 - position if backward else position]:
                positions[row, count] = position
                count += 1


@entry
def _packed_rows(counts: Array, numbers: Array) -> int:
    """Return how many rows the blocks of a lane have in all; its rows are sorted, longest first."""
    total, live = 0, numbers.size
    for t in range(counts[numbers[0]] if live else 0):
        while counts[numbers[live - 1]] <= t:
            live -= 1
        total += (live + ROWS - 1) // ROWS * ROWS
    return total

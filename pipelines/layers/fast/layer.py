"""A recurrent layer in one direction, forward and back, on NumPy arrays.

The rows of a batch are dealt out to lanes, one for each processor, so that every lane has long and
short sequences; lanes run at the same time (see `lanes`).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from pipelines.layers.fast.lanes import packed_rows, run_lane, run_lane_back
from pipelines.layers.fast.packing import (
    Columns,
    columns_of,
    panels_of,
    sum_shape,
    transposed_panels_of,
    unpack,
)
from pipelines.layers.fast.products import ROWS, round_up
from pipelines.layers.fast.records import Array, Flow, Gradients, Lane, Packed, Weights

Pair = tuple[Array, Array]
ALIGNMENT = 64  # bytes; what lies so, TensorFlow takes over without a copy


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


class Given(NamedTuple):
    """What a layer is given beside its inputs, the same on the way back.

    Attributes:
        dropout: masks of h, float32[gates, B, units] in Keras' order; float32[1, 1, units] of 1
            for none.
        weights: kernel, recurrent kernel, and bias or None, as Keras has them.
    """

    dropout: Array
    weights: tuple[Array, Array, Array | None]


class Kept(NamedTuple):
    """What the way back needs of the way forward: `Packed`, and `Lane`'s counts and positions."""

    read: Array
    hidden: Array
    state: Array
    gates: Array
    counts: Array
    positions: Array


def forward(
    reading: Reading, inputs: Array, mask: Array, states: Pair, given: Given
) -> tuple[Array, Pair, Kept]:
    """Run a layer.

    Args:
        reading: see `Reading`.
        inputs: float32[B, T, D].
        mask: bool[B, T], False where a step is skipped.
        states: h and c before, float32[B, units]; a GRU has no use for the second.
        given: see `Given`.

    Returns:
        outputs float32[B, T, units], the final h and c, and what `backward` needs.
    """
    counts, positions = _order_of_reading(mask, backward=reading.backward)
    lanes, bounds = _deal(reading, counts, positions)
    plan = _Plan(reading, given, inputs.shape[2])
    packed = Packed(*(_empty(bounds[-1][1], width) for width in plan.widths))
    flow = Flow(inputs, _empty(*inputs.shape[:2], plan.units), plan.masks)
    weights, final = plan.panels(), (_empty(*states[0].shape), _empty(*states[1].shape))

    def run(number: int) -> None:
        lane = lanes[number]
        own = tuple(_widened(part[lane.numbers], plan.width) for part in states)
        run_lane(lane, flow, weights, own, _part(packed, bounds[number]))
        for part, into in zip(own, final, strict=True):
            into[lane.numbers] = part[:, : plan.units]

    _in_lanes(run, len(lanes))
    return flow.outputs, final, Kept(*packed, counts, positions)


def backward(
    reading: Reading, upstream: Array, later: Pair, given: Given, kept: Kept
) -> tuple[Array, Pair, tuple[Array, Array, Array]]:
    """Return the gradients of a layer.

    Args:
        reading: as for `forward`.
        upstream: gradient of the outputs, float32[B, T, units].
        later: of the final h and c, float32[B, units] each.
        given: as for `forward`.
        kept: what it returned.

    Returns:
        gradients of the inputs, of the initial h and c, and of kernel, recurrent kernel and bias.
    """
    plan = _Plan(reading, given, given.weights[0].shape[0])
    lanes, bounds = _deal(reading, kept.counts, kept.positions)
    flow = Flow(np.zeros((*upstream.shape[:2], plan.size), np.float32), upstream, plan.masks)
    weights, states = (
        plan.panels(transposed=True),
        (_empty(*later[0].shape), _empty(*later[1].shape)),
    )
    sums = [plan.sums() for _ in lanes]

    def run(number: int) -> None:
        lane = lanes[number]
        d_h, d_c = (_widened(part[lane.numbers], plan.width) for part in later)
        gradients = Gradients(d_h, d_c, *sums[number])
        run_lane_back(lane, flow, weights, gradients, _part(kept, bounds[number]))
        for part, into in zip((d_h, d_c), states, strict=True):
            into[lane.numbers] = part[:, : plan.units]

    _in_lanes(run, len(lanes))
    return flow.inputs, states, plan.gradients(sums)


class _Plan:
    """The shapes of a layer's work, and its weights there and back.

    Args:
        reading: see `Reading`.
        given: see `Given`.
        size: of the inputs.
    """

    def __init__(self, reading: Reading, given: Given, size: int) -> None:
        self.size, self.units = size, given.dropout.shape[2]
        self.lstm, self.weights = reading.cell == "lstm", given.weights
        self.columns, self.recurrent = columns_of(reading.cell, self.units)
        self.width = self.columns.width
        dropped = len(given.dropout) > 1
        self.groups: list[Columns] = self.recurrent.one_by_one() if dropped else [self.recurrent]
        self.masks = given.dropout[list(self.recurrent.gates)] if dropped else given.dropout
        # Of `Packed`.
        hidden = len(self.groups) * round_up(self.units + 1, ROWS)
        self.widths = (round_up(size + 1, ROWS), hidden, self.width, 4 * self.width)

    def panels(self, *, transposed: bool = False) -> Weights:
        kernel, recurrent, bias = self.weights
        if transposed:
            parts = [transposed_panels_of(recurrent, group) for group in self.groups]
            return Weights(transposed_panels_of(kernel, self.columns), np.stack(parts))
        outer, inner = (bias, None) if bias is None or self.lstm else bias
        parts = [panels_of(recurrent, inner, group) for group in self.groups]
        return Weights(panels_of(kernel, outer, self.columns), np.stack(parts))

    def sums(self) -> Pair:
        """Return zeros for the sums of the gradients of both kernels."""
        recurrent = (len(self.groups), *sum_shape(self.units, self.groups[0]))
        kernel = sum_shape(self.size, self.columns)
        return np.zeros(kernel, np.float32), np.zeros(recurrent, np.float32)

    def gradients(self, sums: list[Pair]) -> tuple[Array, Array, Array]:
        """Return the gradients of Keras' weights from the sums of all lanes."""
        outer, inner = (sum(parts[1:], parts[0]) for parts in zip(*sums, strict=True))
        kernel, bias = unpack(outer, self.size, self.columns)
        joined = np.concatenate(list(inner), axis=1)
        recurrent, inner_bias = unpack(joined, self.units, self.recurrent)
        return kernel, recurrent, bias if self.lstm else np.stack([bias, inner_bias])


def _order_of_reading(mask: Array, *, backward: bool) -> Pair:
    """Return `Lane`'s counts and positions."""
    rows, steps = mask.shape
    if mask.all():
        every = np.arange(steps, dtype=np.int32)
        return np.full(rows, steps, np.int32), np.tile(every, (rows, 1))
    read = mask[:, ::-1] if backward else mask
    order = np.argsort(~read, axis=1, kind="stable")
    return read.sum(axis=1, dtype=np.int32), order.astype(np.int32)


def _deal(
    reading: Reading, counts: Array, positions: Array
) -> tuple[list[Lane], list[tuple[int, int]]]:
    """Deal rows out to lanes, the longest first; return them and where their packed rows lie."""
    order = np.argsort(-counts, kind="stable").astype(np.int32)
    lanes = max(1, min(reading.lanes or processors(), -(-len(counts) // ROWS)))
    flipped = reading.backward and reading.in_time
    manner = (reading.cell == "gru", reading.backward, flipped, reading.zero_masked)
    dealt = [
        Lane(*manner, np.ascontiguousarray(order[lane::lanes]), counts, positions)
        for lane in range(lanes)
    ]
    ends = np.cumsum([packed_rows(lane) for lane in dealt]).tolist()
    return dealt, list(zip([0, *ends[:-1]], ends, strict=True))


def _part(packed: Any, bounds: tuple[int, int]) -> Packed:
    return Packed(*(array[slice(*bounds)] for array in packed[:4]))


def _widened(states: Array, width: int) -> Array:
    padded = np.zeros((len(states), width), np.float32)
    padded[:, : states.shape[1]] = states
    return padded


def _empty(*shape: int) -> Array:
    """Return an array that TensorFlow takes over as it is."""
    size = int(np.prod(shape))
    memory = np.empty(size + ALIGNMENT // 4, np.float32)
    skip = -memory.ctypes.data % ALIGNMENT // 4
    return memory[skip : skip + size].reshape(shape)


def _in_lanes(run: Callable[[int], None], lanes: int) -> None:
    if lanes == 1:
        run(0)
    else:
        list(_pool().map(run, range(lanes)))


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(processors(), thread_name_prefix="recurrent")


def processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def compile_loops() -> None:
    """Compile all that a layer needs, or load it from the disk; it fits every cell and shape."""
    given = Given(np.ones((1, 1, 1), np.float32), (*np.zeros((2, 1, 4), np.float32), None))
    inputs, state = np.zeros((1, 1, 1), np.float32), np.zeros((1, 1), np.float32)
    reading = Reading("lstm", lanes=1)
    outputs, final, kept = forward(reading, inputs, np.ones((1, 1), bool), (state, state), given)
    backward(reading, outputs, final, given, kept)

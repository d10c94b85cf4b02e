"""A recurrent layer in one direction, forward and back, on NumPy arrays.

The rows of a batch are dealt out to lanes, one for each processor, so that every lane has long and
short sequences; lanes run at the same time (see `lanes`).
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np

from pipelines.layers.fast.dealing import Reading, deal, order_of_reading, processors
from pipelines.layers.fast.lanes import run_lane, run_lane_back
from pipelines.layers.fast.memory import POOL
from pipelines.layers.fast.packing import (
    Columns,
    columns_of,
    panels_of,
    sum_shape,
    transposed_panels_of,
    unpack,
)
from pipelines.layers.fast.products import ROWS, round_up
from pipelines.layers.fast.records import Array, Flow, Gradients, Packed, Weights

Pair = tuple[Array, Array]
LARGE = 1 << 18  # weights from which on a matrix is worth a thread


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
    counts, positions = order_of_reading(mask, backward=reading.backward)
    lanes, bounds = deal(reading, counts, positions)
    plan = _Plan(reading, given, inputs.shape[2])
    packed = Packed(*(POOL.empty(bounds[-1][1], width) for width in plan.widths))
    flow = Flow(inputs, POOL.empty(*inputs.shape[:2], plan.units), plan.masks)
    weights, final = plan.panels(), (POOL.empty(*states[0].shape), POOL.empty(*states[1].shape))

    def run(number: int) -> None:
        lane = lanes[number]
        own = tuple(_widened(part[lane.numbers], plan.width) for part in states)
        run_lane(lane, flow, weights, own, _part(packed, bounds[number]))
        for part, into in zip(own, final, strict=True):
            into[lane.numbers] = part[:, : plan.units]

    at_once(*(partial(run, number) for number in range(len(lanes))))
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
    lanes, bounds = deal(reading, kept.counts, kept.positions)
    d_inputs = POOL.empty(*upstream.shape[:2], plan.size)
    if kept.counts.min(initial=0) < upstream.shape[1]:
        d_inputs[:] = 0.0  # at masked steps
    flow = Flow(d_inputs, upstream, plan.masks)
    weights, states = (
        plan.panels(transposed=True),
        (POOL.empty(*later[0].shape), POOL.empty(*later[1].shape)),
    )
    sums = [plan.sums() for _ in lanes]

    def run(number: int) -> None:
        lane = lanes[number]
        d_h, d_c = (_widened(part[lane.numbers], plan.width) for part in later)
        gradients = Gradients(d_h, d_c, *sums[number])
        run_lane_back(lane, flow, weights, gradients, _part(kept, bounds[number]))
        for part, into in zip((d_h, d_c), states, strict=True):
            into[lane.numbers] = part[:, : plan.units]

    at_once(*(partial(run, number) for number in range(len(lanes))))
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
        outer, inner = (bias, None) if bias is None or self.lstm else bias

        def pack(matrix: Array, bias: Array | None, columns: Columns) -> Array:
            if transposed:
                return transposed_panels_of(matrix, columns)
            return panels_of(matrix, bias, columns)

        first, *rest = self._together(
            partial(pack, kernel, outer, self.columns),
            *(partial(pack, recurrent, inner, group) for group in self.groups),
        )
        return Weights(first, np.stack(rest) if len(rest) > 1 else rest[0][None])

    def _together(self, *works: Callable[[], Any]) -> list[Any]:
        """Work on all matrices at once, unless it takes less time than to wait for a thread."""
        if self.weights[1].size < LARGE:
            return [work() for work in works]
        return at_once(*works)

    def sums(self) -> Pair:
        """Return zeros for the sums of the gradients of both kernels."""
        recurrent = (len(self.groups), *sum_shape(self.units, self.groups[0]))
        kernel = sum_shape(self.size, self.columns)
        return np.zeros(kernel, np.float32), np.zeros(recurrent, np.float32)

    def gradients(self, sums: list[Pair]) -> tuple[Array, Array, Array]:
        """Return the gradients of Keras' weights from the sums of all lanes."""

        def total(part: int) -> Array:
            first, *rest = (pair[part] for pair in sums)
            for other in rest:
                first += other
            return first

        def of_recurrent() -> Pair:
            parts = total(1)
            joined = np.concatenate(list(parts), axis=1) if len(parts) > 1 else parts[0]
            return unpack(joined, self.units, self.recurrent)

        (kernel, bias), (recurrent, inner) = self._together(
            lambda: unpack(total(0), self.size, self.columns), of_recurrent
        )
        return kernel, recurrent, bias if self.lstm else np.stack([bias, inner])


def _part(packed: Any, bounds: tuple[int, int]) -> Packed:
    return Packed(*(array[slice(*bounds)] for array in packed[:4]))


def _widened(states: Array, width: int) -> Array:
    padded = np.zeros((len(states), width), np.float32)
    padded[:, : states.shape[1]] = states
    return padded


def at_once(*works: Callable[[], Any]) -> list[Any]:
    """Run functions at the same time; return what they return."""
    first, *rest = works
    others = [_pool().submit(work) for work in rest]
    return [first(), *(other.result() for other in others)]


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(processors(), thread_name_prefix="recurrent")


def compile_loops() -> None:
    """Compile all that a layer needs, or load it from the disk; it fits every cell and shape."""
    given = Given(np.ones((1, 1, 1), np.float32), (*np.zeros((2, 1, 4), np.float32), None))
    inputs, state = np.zeros((1, 1, 1), np.float32), np.zeros((1, 1), np.float32)
    reading = Reading("lstm", lanes=1)
    outputs, final, kept = forward(reading, inputs, np.ones((1, 1), bool), (state, state), given)
    backward(reading, outputs, final, given, kept)

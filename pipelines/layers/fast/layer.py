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

from pipelines.layers.fast.lanes import (
    CHUNK,
    Manner,
    Packed,
    Rows,
    Weights,
    packed_rows,
    run_lane,
    run_lane_back,
)
from pipelines.layers.fast.packing import (
    CELLS,
    Columns,
    panels_of,
    sum_shape,
    transposed_panels_of,
    unpack,
)
from pipelines.layers.fast.products import LANES, ROWS, round_up

Array = np.ndarray
ALIGNMENT = 64  # bytes; what lies so, TensorFlow takes over without a copy


class Kept(NamedTuple):
    """What the way back needs of the way forward; see `lanes`."""

    read: Array
    hidden: Array
    state: Array
    gates: Array
    counts: Array
    positions: Array


class Layer(NamedTuple):
    """A kind of cell and how it reads.

    Attributes:
        cell: "lstm", or "gru" with the reset gate after the product.
        backward: reads from the last step to the first.
        in_time: outputs stand at their steps; else in the order of reading, as Keras has them.
        zero_masked: outputs at masked steps are 0; else they repeat the one before, 0 if none.
        lanes: at most so many run at the same time.
    """

    cell: str
    backward: bool = False
    in_time: bool = False
    zero_masked: bool = False
    lanes: int = 0

    @property
    def manner(self) -> Manner:
        """What compiled functions are told."""
        return Manner(self.cell == "gru", self.backward, self.in_time, self.zero_masked)


def forward(
    layer: Layer,
    inputs: Array,
    mask: Array | None,
    states: tuple[Array, Array],
    masks: Array,
    weights: tuple[Array, Array, Array | None],
) -> tuple[Array, tuple[Array, Array], Kept]:
    """Run a layer.

    Args:
        layer: see `Layer`.
        inputs: float32[B, T, D].
        mask: bool[B, T], False where a step is skipped.
        states: h and c before, float32[B, units]; a GRU has no use for the second.
        masks: of recurrent dropout, float32[gates, B, units]; float32[1, 1, units] of 1 for none.
        weights: kernel, recurrent kernel and bias, as Keras has them.

    Returns:
        outputs float32[B, T, units], the final h and c, and what `backward` needs.
    """
    counts, positions = _reading_order(inputs.shape, mask, layer.backward)
    units, width = masks.shape[2], round_up(masks.shape[2], LANES)
    rows, bounds = _deal(counts, positions, layer.lanes)
    size = bounds[-1][1]
    packed = Packed(
        _empty(size, round_up(inputs.shape[2] + 1, ROWS)),
        _empty(size, len(masks) * round_up(units + 1, ROWS)),
        _empty(size, width),
        _empty(size, 4 * width),
    )
    panels = _panels(layer.cell, len(masks), units, weights)
    outputs = _empty(*inputs.shape[:2], units)
    masks = _in_order(masks, layer.cell)
    final = tuple(_empty(len(inputs), units) for _ in range(2))

    def run(lane: int) -> None:
        numbers = rows[lane].numbers
        own = tuple(_widened(part[numbers], width) for part in states)
        kept = Packed(*(array[slice(*bounds[lane])] for array in packed))
        run_lane(layer.manner, rows[lane], inputs, masks, panels, own, kept, outputs)
        for part, into in zip(own, final, strict=True):
            into[numbers] = part[:, :units]

    _in_lanes(run, len(rows))
    return outputs, (final[0], final[1]), Kept(*packed, counts, positions)


def backward(
    layer: Layer,
    upstream: Array,
    later: tuple[Array, Array],
    masks: Array,
    weights: tuple[Array, Array, Array | None],
    kept: Kept,
) -> tuple[Array, tuple[Array, Array], tuple[Array, Array, Array]]:
    """Return the gradients of a layer.

    Args:
        layer: as for `forward`.
        upstream: gradient of the outputs, float32[B, T, units].
        later: of the final h and c, float32[B, units] each.
        masks: as for `forward`.
        weights: as for `forward`.
        kept: what it returned.

    Returns:
        gradients of the inputs, of the initial h and c, and of kernel, recurrent kernel and bias.
    """
    cell, size, units = CELLS[layer.cell], weights[0].shape[0], masks.shape[2]
    width, block = round_up(units, LANES), round_up(len(upstream), ROWS)
    rows, bounds = _deal(kept.counts, kept.positions, layer.lanes)
    panels = _transposed(layer.cell, len(masks), units, weights)
    d_inputs = np.zeros((*upstream.shape[:2], size), np.float32)
    d_states = tuple(_empty(len(upstream), units) for _ in range(2))
    groups = _groups(cell.recurrent, len(masks))
    d_kernel = np.zeros((len(rows), *sum_shape(size, cell.kernel, units)), np.float32)
    shape = sum_shape(units, groups[0], units)
    d_recurrent = np.zeros((len(rows), len(groups), *shape), np.float32)
    masks = _in_order(masks, layer.cell)

    def run(lane: int) -> None:
        numbers = rows[lane].numbers
        own = tuple(_widened(part[numbers], width) for part in later)
        lane_kept = Packed(*(array[slice(*bounds[lane])] for array in kept[:4]))
        sums = (d_kernel[lane], d_recurrent[lane])
        work = (
            _empty(CHUNK + block, 4 * width),
            _empty(block, round_up(size, LANES)),
            _empty(block, width),
        )
        run_lane_back(
            layer.manner, rows[lane], upstream, masks, panels, own, lane_kept, d_inputs, sums, work
        )
        for part, into in zip(own, d_states, strict=True):
            into[numbers] = part[:, :units]

    _in_lanes(run, len(rows))
    kernel, bias = unpack(d_kernel.sum(0), size, cell.kernel, units)
    joined = np.concatenate(list(d_recurrent.sum(0)), axis=1)
    recurrent, inner = unpack(joined, units, cell.recurrent, units)
    biases = bias if layer.cell == "lstm" else np.stack([bias, inner])
    return d_inputs, (d_states[0], d_states[1]), (kernel, recurrent, biases)


def _panels(cell: str, masks: int, units: int, weights: Any) -> Weights:
    kernel, recurrent, bias = weights
    outer, inner = (bias, None) if bias is None or cell == "lstm" else bias
    kind = CELLS[cell]
    return Weights(
        panels_of(kernel, outer, kind.kernel, units),
        np.stack([panels_of(recurrent, inner, g, units) for g in _groups(kind.recurrent, masks)]),
    )


def _transposed(cell: str, masks: int, units: int, weights: Any) -> Weights:
    kernel, recurrent, _ = weights
    kind = CELLS[cell]
    return Weights(
        transposed_panels_of(kernel, kind.kernel, units),
        np.stack(
            [transposed_panels_of(recurrent, g, units) for g in _groups(kind.recurrent, masks)]
        ),
    )


def _groups(columns: Columns, masks: int) -> list[Columns]:
    """Return the columns that each mask of recurrent dropout has: all, or one gate's."""
    if masks == 1:
        return [columns]
    pairs = zip(columns.gates, columns.scales, strict=True)
    return [Columns((gate,), (scale,)) for gate, scale in pairs]


def _in_order(masks: Array, cell: str) -> Array:
    """Return masks in the order of our gates."""
    return masks if len(masks) == 1 else masks[list(CELLS[cell].recurrent.gates)]


def _reading_order(shape: Any, mask: Array | None, backward: bool) -> tuple[Array, Array]:
    """Return how many real steps rows have, int32[B], and when, int32[B, T], real ones first."""
    rows, steps = shape[:2]
    if mask is None or mask.all():
        order = np.arange(steps, dtype=np.int32)
        return np.full(rows, steps, np.int32), np.tile(order, (rows, 1))
    read = mask[:, ::-1] if backward else mask
    counts = read.sum(axis=1, dtype=np.int32)
    return counts, np.argsort(~read, axis=1, kind="stable").astype(np.int32)


def _deal(counts: Array, positions: Array, lanes: int) -> tuple[list[Rows], list[tuple[int, int]]]:
    """Deal rows out to lanes, the longest first; return them and where their packed rows lie."""
    order = np.argsort(-counts, kind="stable").astype(np.int32)
    lanes = max(1, min(lanes or processors(), -(-len(counts) // ROWS)))
    dealt = [
        Rows(np.ascontiguousarray(order[lane::lanes]), counts, positions) for lane in range(lanes)
    ]
    ends = np.cumsum([packed_rows(rows) for rows in dealt]).tolist()
    return dealt, list(zip([0, *ends[:-1]], ends, strict=True))


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
        return run(0)
    list(_pool().map(run, range(lanes)))
    return None


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(processors(), thread_name_prefix="recurrent")


def processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

"""A lane: rows of a batch whose steps one thread runs, forward and back.

Sequences of a lane are sorted by their number of real steps, the longest first, and packed step by
step: block t holds the rows that have a t-th real step, in that order, filled up to a multiple of
`ROWS` with rows of zeros. Masked steps are in no block, hence cost nothing and get no gradient.
What a step reads, keeps and is multiplied by then lies in consecutive rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pipelines.layers.fast.cells import gru_step, gru_step_back, lstm_step, lstm_step_back
from pipelines.layers.fast.compiling import compiled, entry
from pipelines.layers.fast.products import LANES, ROWS, add_product
from pipelines.layers.fast.records import Array, Flow, Gradients, Lane, Packed, Weights

CHUNK = 128  # rows at least that a product of weight gradients sums over
_ZERO, _ONE = np.float32(0.0), np.float32(1.0)


@compiled
def _filled(rows: int) -> int:
    return (rows + ROWS - 1) // ROWS * ROWS


@compiled
def _clear(rows: Array) -> None:
    for i in range(rows.shape[0]):
        for j in range(rows.shape[1]):
            rows[i, j] = _ZERO


@compiled
def _time(position: int, steps: int, backward: bool) -> int:
    return steps - 1 - position if backward else position


@compiled
def _multiply(left: Array, right: Array, result: Array, rows: int, columns: Any) -> None:
    """Add left @ right to some columns of result.

    Args:
        left: float32[..., L].
        right: panels float32[P, depth, 16].
        result: float32[..., R].
        rows: of left and result.
        columns: the first of left, of which `depth` are taken, and of result.
    """
    add_product(
        (left.ctypes.data + 4 * columns[0], left.shape[1], 1),
        (right.ctypes.data, LANES, right.shape[1] * LANES),
        (result.ctypes.data + 4 * columns[1], result.shape[1]),
        (rows, right.shape[1], right.shape[0]),
    )


@compiled
def _multiply_transposed(left: Array, right: Array, result: Array, columns: Any) -> None:
    """Add leftᵀ @ right, over all rows of left, to all of result.

    Args:
        left: float32[N, L], of which as many columns are taken as result has rows.
        right: panels float32[P, N or more, 16], of which as many are taken as result has.
        result: float32[M, N], M a multiple of `ROWS` and N of 16.
        columns: the first of left, and of the panels side by side.
    """
    panel = right.shape[1] * LANES
    add_product(
        (left.ctypes.data + 4 * columns[0], 1, left.shape[1]),
        (right.ctypes.data + 4 * (columns[1] // LANES) * panel, LANES, panel),
        (result.ctypes.data, result.shape[1]),
        (result.shape[0], left.shape[0], result.shape[1] // LANES),
    )


@compiled
def _to_panels(rows: Array, panels: Array) -> None:
    """Write rows [N, C] as panels [C / 16, N or more, 16]: read by columns, rows miss the cache."""
    for panel in range(panels.shape[0]):
        for i in range(rows.shape[0]):
            for j in range(LANES):
                panels[panel, i, j] = rows[i, panel * LANES + j]


@compiled
def _some(packed: Packed, start: int, stop: int) -> Packed:
    return Packed(
        packed.read[start:stop],
        packed.hidden[start:stop],
        packed.state[start:stop],
        packed.gates[start:stop],
    )


@entry
def run_lane(lane: Lane, flow: Flow, weights: Weights, states: Any, packed: Packed) -> None:
    """Run a lane forward.

    Args:
        lane: its rows.
        flow: inputs, and outputs to be written.
        weights: see `Weights`.
        states: h and c of its rows, float32[R, width] each; become the final ones.
        packed: the lane's part of what is kept, to be written.
    """
    steps, start, live = flow.inputs.shape[1], 0, lane.numbers.size
    for t in range(steps):
        while live > 0 and lane.counts[lane.numbers[live - 1]] <= t:
            live -= 1
        stop = start + _filled(live)
        block = _some(packed, start, stop)
        _read_block(lane, flow, states, block, (t, live))
        _project_block(lane, flow, weights, block)
        hidden, memory = states
        gates = block.gates.reshape(stop - start, 4, hidden.shape[1])
        if lane.gru:
            gru_step(gates, hidden, live)
        else:
            lstm_step(gates, memory, hidden, live)
        for i in range(live):
            row = lane.numbers[i]
            time = _time(lane.positions[row, t], steps, lane.flipped)
            for j in range(flow.outputs.shape[2]):
                flow.outputs[row, time, j] = hidden[i, j]
        start = stop
    _fill_masked(lane, flow.outputs)


@compiled
def _read_block(lane: Lane, flow: Flow, states: Any, block: Packed, at: Any) -> None:
    """Write what a block reads and keeps; rows beyond the live ones become 0."""
    (t, live), masks = at, flow.masks
    before = states[0] if lane.gru else states[1]
    steps, width, units = flow.inputs.shape[1], flow.inputs.shape[2], masks.shape[2]
    section = block.hidden.shape[1] // masks.shape[0]
    for i in range(live):
        row = lane.numbers[i]
        time = _time(lane.positions[row, t], steps, lane.backward)
        for j in range(width):
            block.read[i, j] = flow.inputs[row, time, j]
        for j in range(width, block.read.shape[1]):
            block.read[i, j] = _ONE if j == width else _ZERO
        for j in range(before.shape[1]):
            block.state[i, j] = before[i, j]
        for m in range(masks.shape[0]):
            number, first = row % masks.shape[1], m * section
            for j in range(units):
                block.hidden[i, first + j] = states[0][i, j] * masks[m, number, j]
            for j in range(units, section):
                block.hidden[i, first + j] = _ONE if j == units else _ZERO
    _clear(block.read[live:])
    _clear(block.hidden[live:])
    _clear(block.state[live:])


@compiled
def _project_block(lane: Lane, flow: Flow, weights: Weights, block: Packed) -> None:
    """Multiply what a block read."""
    rows, masks = block.read.shape[0], flow.masks.shape[0]
    section, first = block.hidden.shape[1] // masks, block.state.shape[1] if lane.gru else 0
    _clear(block.gates)
    _multiply(block.read, weights.kernel, block.gates, rows, (0, 0))
    for m in range(masks):
        right = weights.recurrent[m]
        column = first + m * right.shape[0] * LANES
        _multiply(block.hidden, right, block.gates, rows, (m * section, column))


@compiled
def _fill_masked(lane: Lane, outputs: Array) -> None:
    """Write the outputs of masked steps."""
    steps = outputs.shape[1]
    for row in lane.numbers:
        count, step = lane.counts[row], 0
        for position in range(steps if count < steps else 0):
            time = _time(position, steps, lane.flipped)
            before = _time(position - 1, steps, lane.flipped)
            if step < count and lane.positions[row, step] == position:
                step += 1
                continue
            for j in range(outputs.shape[2]):
                repeats = step > 0 and not lane.zero_masked
                outputs[row, time, j] = outputs[row, before, j] if repeats else _ZERO


@entry
def run_lane_back(
    lane: Lane, flow: Flow, weights: Weights, gradients: Gradients, packed: Packed
) -> None:
    """Run a lane back.

    Args:
        lane: its rows.
        flow: gradient of the outputs, and that of the inputs to be written at real steps.
        weights: panels of the transposed kernels.
        gradients: see `Gradients`.
        packed: what `run_lane` kept.
    """
    rows, width = gradients.hidden.shape
    products = np.empty((_filled(rows), weights.kernel.shape[0] * LANES + width), np.float32)
    d_gates = np.empty((CHUNK + _filled(rows), packed.gates.shape[1]), np.float32)
    panels = np.empty((d_gates.shape[1] // LANES, d_gates.shape[0], LANES), np.float32)
    stop = end = packed.read.shape[0]
    live = 0
    for t in range(flow.inputs.shape[1] - 1, -1, -1):
        while live < rows and lane.counts[lane.numbers[live]] > t:
            live += 1
        start = stop - _filled(live)
        top = d_gates.shape[0] - (end - start)
        block = _some(packed, start, stop)
        d_block = d_gates[top : top + stop - start]
        _bend_back(lane, flow, gradients, block, d_block, (t, live))
        _project_back(lane, flow, weights, gradients, d_block, products, (t, live))
        if end > start and (end - start >= CHUNK or t == 0):
            _to_panels(d_gates[top:], panels)
            _sum_weights(lane, gradients, _some(packed, start, end), panels)
            end = start
        stop = start


@compiled
def _bend_back(  # noqa: PLR0917 - compiled
    lane: Lane, flow: Flow, gradients: Gradients, block: Packed, d_block: Array, at: Any
) -> None:
    """Write the gradients of a block's gates, from those of its outputs and states."""
    t, live = at
    d_hidden, rows, width = gradients.hidden[:live], d_block.shape[0], gradients.hidden.shape[1]
    for i in range(live):
        _add_upstream(lane, flow.outputs, (i, t), d_hidden)
    gates = block.gates.reshape(rows, 4, width)[:live]
    d_gates = d_block.reshape(rows, 4, width)
    if lane.gru:
        gru_step_back(gates, block.state, d_hidden, d_gates)
    else:
        lstm_step_back(gates, block.state, d_hidden, gradients.memory, d_gates)
    _clear(d_block[live:])


@compiled
def _add_upstream(lane: Lane, upstream: Array, at: Any, gradient: Array) -> None:
    """Add what the outputs that show a step hand back."""
    (i, t), steps = at, upstream.shape[1]
    row = lane.numbers[i]
    first = lane.positions[row, t]
    last = first + 1
    if not lane.zero_masked:
        last = lane.positions[row, t + 1] if t + 1 < lane.counts[row] else steps
    for position in range(first, last):
        time = _time(position, steps, lane.flipped)
        for j in range(upstream.shape[2]):
            gradient[i, j] += upstream[row, time, j]


@compiled
def _project_back(  # noqa: PLR0917 - compiled
    lane: Lane, flow: Flow, weights: Weights, gradients: Gradients,
    d_block: Array, products: Array, at: Any,
) -> None:  # fmt: skip
    """Multiply the gradients of a block's gates: those of its inputs and of the states before."""
    (t, live), masks, rows = at, flow.masks, d_block.shape[0]
    steps, size, units = flow.inputs.shape[1], flow.inputs.shape[2], masks.shape[2]
    width, span = gradients.hidden.shape[1], gradients.recurrent.shape[2]
    column, first = products.shape[1] - width, width if lane.gru else 0
    _clear(products[:rows])
    _multiply(d_block, weights.kernel, products, rows, (0, 0))
    for i in range(live):
        row = lane.numbers[i]
        time = _time(lane.positions[row, t], steps, lane.backward)
        for j in range(size):
            flow.inputs[row, time, j] = products[i, j]
    for m in range(masks.shape[0]):
        if m > 0:
            _clear(products[:rows, column:])
        _multiply(d_block, weights.recurrent[m], products, rows, (first + m * span, column))
        for i in range(live):
            row = lane.numbers[i] % masks.shape[1]
            for j in range(units):
                gradients.hidden[i, j] += products[i, column + j] * masks[m, row, j]


@compiled
def _sum_weights(lane: Lane, gradients: Gradients, chunk: Packed, panels: Array) -> None:
    """Add the gradients of the weights over a chunk of blocks, from panels of those of gates."""
    masks, span = gradients.recurrent.shape[0], gradients.recurrent.shape[2]
    section, first = chunk.hidden.shape[1] // masks, chunk.state.shape[1] if lane.gru else 0
    _multiply_transposed(chunk.read, panels, gradients.kernel, (0, 0))
    for m in range(masks):
        columns = (m * section, first + m * span)
        _multiply_transposed(chunk.hidden, panels, gradients.recurrent[m], columns)

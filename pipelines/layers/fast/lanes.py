"""A lane: rows of a batch whose steps one thread runs, forward and back.

Sequences of a lane are sorted by their number of real steps, the longest first, and packed step by
step: block t holds the rows that have a t-th real step, in that order, filled up to a multiple of
`ROWS` with rows of zeros. Masked steps are in no block, hence cost nothing and get no gradient.
What a step reads, keeps and is multiplied by then lies in consecutive rows.

Of every row of a block the way back needs
    read    what the kernel multiplied: the inputs, a 1 that the bias multiplies, zeros
    hidden  what the recurrent kernel multiplied: h, a 1, zeros; once for each dropout mask of h
    state   c of an LSTM, h of a GRU, before the step
    gates   see `cells`
"""

from __future__ import annotations

from collections import namedtuple

import numpy as np

from pipelines.layers.fast.cells import (
    compiled,
    entry,
    gru_row,
    gru_row_back,
    lstm_row,
    lstm_row_back,
)
from pipelines.layers.fast.products import LANES, ROWS, add_product

# How a layer reads: whether it is a GRU, reads backward, and gives outputs in the order of time
# (else of reading); whether outputs at masked steps are 0, or repeat the one before.
Manner = namedtuple("Manner", "gru backward in_time zero_masked")
# Which rows of the batch, how many real steps each row of the batch has, and when: reading
# positions int32[B, T], real ones first.
Rows = namedtuple("Rows", "numbers counts positions")
Packed = namedtuple("Packed", "read hidden state gates")
# Panels of the kernel [D + 1 → gates] and, for each mask, of the recurrent kernel [units + 1 →
# gates]; the first and last part of a row of gates that each of them makes.
Weights = namedtuple("Weights", "kernel recurrent")
CHUNK = 256  # rows at least that a product of weight gradients sums over

_ZERO, _ONE = np.float32(0.0), np.float32(1.0)


@compiled  # type: ignore[untyped-decorator]
def _filled(rows):  # type: ignore[no-untyped-def]
    return (rows + ROWS - 1) // ROWS * ROWS


@entry  # type: ignore[untyped-decorator]
def packed_rows(rows):  # type: ignore[no-untyped-def]
    """Return how many rows the blocks of a lane have in all."""
    total, live = 0, rows.numbers.size
    for t in range(rows.positions.shape[1]):
        while live > 0 and rows.counts[rows.numbers[live - 1]] <= t:
            live -= 1
        total += _filled(live)
    return total


@compiled  # type: ignore[untyped-decorator]
def _multiply(left, first, depth, right, result, start, rows):  # type: ignore[no-untyped-def]
    """Add left[:rows, first : first + depth] @ right to columns of result from `start` on.

    Args:
        left: float32[..., L], of which some columns are taken.
        right: panels float32[P, depth, 16].
        result: float32[..., R].
    """
    add_product(
        left.ctypes.data + 4 * first,
        (left.shape[1], 1),
        right.ctypes.data,
        (LANES, right.shape[1] * LANES),
        result.ctypes.data + 4 * start,
        result.shape[1],
        (rows, depth, right.shape[0]),
    )


@compiled  # type: ignore[untyped-decorator]
def _multiply_transposed(left, first, right, start, result, rows):  # type: ignore[no-untyped-def]
    """Add left[:, first:]ᵀ @ right[:, start:], over `rows` rows, to all of result.

    Args:
        left: float32[rows, L], of which as many columns are taken as result has rows.
        right: float32[rows, R], of which as many columns are taken as result has.
        result: float32[M, N], M a multiple of 8 and N of 16.
    """
    add_product(
        left.ctypes.data + 4 * first,
        (1, left.shape[1]),
        right.ctypes.data + 4 * start,
        (right.shape[1], LANES),
        result.ctypes.data,
        result.shape[1],
        (result.shape[0], rows, result.shape[1] // LANES),
    )


@compiled  # type: ignore[untyped-decorator]
def _copy(source, target):  # type: ignore[no-untyped-def]
    for j in range(source.size):
        target[j] = source[j]


@compiled  # type: ignore[untyped-decorator]
def _clear(rows):  # type: ignore[no-untyped-def]
    for i in range(rows.shape[0]):
        for j in range(rows.shape[1]):
            rows[i, j] = _ZERO


@compiled  # type: ignore[untyped-decorator]
def _time(position, steps, backward):  # type: ignore[no-untyped-def]
    return steps - 1 - position if backward else position


@compiled  # type: ignore[untyped-decorator]
def _pack_block(manner, rows, t, live, inputs, masks, states, packed):  # type: ignore[no-untyped-def]
    """Write what a block reads and keeps; dead rows become 0."""
    hidden, memory = states
    steps, width, units = inputs.shape[1], inputs.shape[2], masks.shape[2]
    section = packed.hidden.shape[1] // masks.shape[0]
    _clear(packed.read)
    _clear(packed.hidden)
    _clear(packed.state)
    for i in range(live):
        row = rows.numbers[i]
        time = _time(rows.positions[row, t], steps, manner.backward)
        _copy(inputs[row, time], packed.read[i])
        packed.read[i, width] = _ONE
        for m in range(masks.shape[0]):
            into, mask, state = (
                packed.hidden[i, m * section :],
                masks[m, row % masks.shape[1]],
                hidden[i],
            )
            for j in range(units):
                into[j] = state[j] * mask[j]
            into[units] = _ONE
        _copy(hidden[i] if manner.gru else memory[i], packed.state[i])


@entry  # type: ignore[untyped-decorator]
def run_lane(manner, rows, inputs, masks, weights, states, packed, outputs):  # type: ignore[no-untyped-def]
    """Run a lane forward.

    Args:
        manner: see `Manner`.
        rows: see `Rows`.
        inputs: float32[B, T, D].
        masks: of recurrent dropout, float32[Q, B, units]; float32[1, 1, units] of ones for none.
        weights: panels of the kernel and of Q recurrent kernels.
        states: h and c of the lane's rows, float32[rows, width] each; become the final ones.
        packed: the lane's part of what is kept.
        outputs: float32[B, T, units], to be written.
    """
    hidden, memory = states
    kernels, steps, width = masks.shape[0], inputs.shape[1], hidden.shape[1]
    units, section = masks.shape[2], packed.hidden.shape[1] // masks.shape[0]
    start, live = 0, rows.numbers.size
    for t in range(steps):
        while live > 0 and rows.counts[rows.numbers[live - 1]] <= t:
            live -= 1
        if live == 0:
            break
        stop = start + _filled(live)
        block = Packed(
            packed.read[start:stop], packed.hidden[start:stop],
            packed.state[start:stop], packed.gates[start:stop],
        )  # fmt: skip
        _pack_block(manner, rows, t, live, inputs, masks, states, block)
        _clear(block.gates)
        count = stop - start
        _multiply(block.read, 0, weights.kernel.shape[1], weights.kernel, block.gates, 0, count)
        for m in range(kernels):
            right = weights.recurrent[m]
            column = (width if manner.gru else 0) + m * right.shape[0] * LANES
            _multiply(block.hidden, m * section, units + 1, right, block.gates, column, count)
        for i in range(live):
            if manner.gru:
                gru_row(block.gates[i], hidden[i])
            else:
                lstm_row(block.gates[i], memory[i], hidden[i])
            row = rows.numbers[i]
            position = rows.positions[row, t]
            time = _time(position, steps, manner.backward and manner.in_time)
            _copy(hidden[i, :units], outputs[row, time])
        start = stop
    _fill_masked(manner, rows, outputs)


@compiled  # type: ignore[untyped-decorator]
def _fill_masked(manner, rows, outputs):  # type: ignore[no-untyped-def]
    """Write the outputs of masked steps."""
    steps, flip = outputs.shape[1], manner.backward and manner.in_time
    for row in rows.numbers:
        count, step = rows.counts[row], 0
        if count == steps:
            continue
        for position in range(steps):
            if step < count and rows.positions[row, step] == position:
                step += 1
            elif step == 0 or manner.zero_masked:
                time = _time(position, steps, flip)
                _clear(outputs[row, time : time + 1])
            else:
                before = outputs[row, _time(position - 1, steps, flip)]
                _copy(before, outputs[row, _time(position, steps, flip)])


@compiled  # type: ignore[untyped-decorator]
def _add_upstream(manner, rows, t, row, upstream, gradient):  # type: ignore[no-untyped-def]
    """Add what the outputs that show a step hand back to its gradient."""
    steps, count = upstream.shape[1], rows.counts[row]
    first = rows.positions[row, t]
    last = first + 1
    if not manner.zero_masked:
        last = rows.positions[row, t + 1] if t + 1 < count else steps
    for position in range(first, last):
        given = upstream[row, _time(position, steps, manner.backward and manner.in_time)]
        for j in range(given.size):
            gradient[j] += given[j]


@entry  # type: ignore[untyped-decorator]
def run_lane_back(
    manner, rows, upstream, masks, weights, gradients, packed, d_inputs, d_weights, work
):  # type: ignore[no-untyped-def]
    """Run a lane back.

    Args:
        manner: see `Manner`.
        rows: see `Rows`.
        upstream: gradient of the outputs, float32[B, T, units].
        masks: as for `run_lane`.
        weights: panels of the kernel and of Q recurrent kernels, transposed.
        gradients: of the final h and c, float32[rows, width]; become those of the initial ones.
        packed: what `run_lane` kept.
        d_inputs: float32[B, T, D], to be written at real steps.
        d_weights: sums of the gradients of the kernel and of Q recurrent kernels, to be added to.
        work: float32 [chunk, 4 × width] and [rows, ...] arrays to work in.
    """
    d_hidden, d_memory = gradients
    d_kernel, d_recurrent = d_weights
    d_gates, d_read, d_state = work
    width, size = d_hidden.shape[1], d_inputs.shape[2]
    kernels, units, steps = masks.shape[0], masks.shape[2], upstream.shape[1]
    section = packed.hidden.shape[1] // kernels
    span = d_recurrent.shape[2]
    first = width if manner.gru else 0
    stop = end = packed.read.shape[0]
    live, bent = 0, np.empty(width, np.float32)
    for t in range(steps - 1, -1, -1):
        while live < rows.numbers.size and rows.counts[rows.numbers[live]] > t:
            live += 1
        if live == 0:
            continue
        count = _filled(live)
        start = stop - count
        top = d_gates.shape[0] - (end - start)
        block = d_gates[top : top + count]
        for i in range(live):
            _add_upstream(manner, rows, t, rows.numbers[i], upstream, d_hidden[i])
            gates, before = packed.gates[start + i], packed.state[start + i]
            if manner.gru:
                gru_row_back(gates, before, d_hidden[i], block[i])
            else:
                lstm_row_back(gates, before, d_hidden[i], d_memory[i], block[i], bent)
        _clear(block[live:])
        _clear(d_read[:count])
        _multiply(block, 0, weights.kernel.shape[1], weights.kernel, d_read, 0, count)
        for i in range(live):
            row = rows.numbers[i]
            time = _time(rows.positions[row, t], steps, manner.backward)
            _copy(d_read[i, :size], d_inputs[row, time])
        for m in range(kernels):
            right = weights.recurrent[m]
            _clear(d_state[:count])
            _multiply(block, first + m * span, right.shape[1], right, d_state, 0, count)
            for i in range(live):
                mask, given, into = (
                    masks[m, rows.numbers[i] % masks.shape[1]],
                    d_state[i],
                    d_hidden[i],
                )
                for j in range(units):
                    into[j] += given[j] * mask[j]
        if end - start >= CHUNK or start == 0:
            taken = end - start
            gates = d_gates[top:]
            _multiply_transposed(packed.read[start:end], 0, gates, 0, d_kernel, taken)
            for m in range(kernels):
                _multiply_transposed(
                    packed.hidden[start:end], m * section, gates, first + m * span,
                    d_recurrent[m], taken,
                )  # fmt: skip
            end = start
        stop = start

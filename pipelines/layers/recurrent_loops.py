"""The loops over tiles: from the weights and inputs of a layer to its outputs and gradients.

Rows of tiles are independent of one another and are worked on in lanes, several at the same time;
within a lane tile follows tile. Each tile is one projection of its inputs (a product), and one call
of a compiled block; on the way back, one such call and the products that give the gradients of
inputs and weights, over all steps and rows of the tile at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import tensorflow as tf

from pipelines.layers.recurrent_blocks import CellBlocks, Tensors, blocks
from pipelines.layers.recurrent_tiles import (
    ROWS,
    STEPS,
    Tiling,
    cut,
    fill,
    into_tiles,
    out_of_tiles,
    rows_of,
    tiling_of,
)


def run_layer(
    cell: str,
    inputs: Any,
    weights: Tensors,
    mask: Any = None,
    *,
    initial_state: Any = None,
    go_backwards: bool = False,
    zero_masked: bool = False,
    in_time: bool = False,
    return_state: bool = True,
    lanes: int,
) -> tuple[Any, Tensors]:
    """Run a layer in one direction.

    Args:
        cell: "lstm", or "gru" with the reset gate after the product.
        inputs: float32[B, T, D], B and T at least 1; D static.
        weights: kernel, recurrent kernel and bias as Keras has them; the bias may be None.
        mask: bool[B, T], False where a step is to be skipped; None is all True.
        initial_state: parts of the state, each float32[B, units]; None is 0.
        go_backwards: read from the last step to the first.
        zero_masked: outputs at masked steps are 0, as in `keras.layers.Bidirectional`; else they
            repeat the output before, 0 if there is none, as in `keras.layers.LSTM`.
        in_time: outputs stand at their steps; else in the order of reading, as Keras has them.
        return_state: whether final states are wanted; an LSTM then keeps c beside h.
        lanes: rows of tiles worked on at the same time.

    Returns:
        outputs float32[B, T, units], and the parts of the final state, () if not wanted.
    """
    inputs = tf.convert_to_tensor(inputs)
    units = weights[1].shape[0]
    kind = blocks(cell, units, STEPS, ROWS, return_state)
    kernel, recurrent, bias = weights
    if bias is None:
        bias = tf.zeros(kind.bias_shape)
    tiling = tiling_of(
        mask, tf.shape(inputs), go_backwards=go_backwards, zero_masked=zero_masked, in_time=in_time
    )
    if initial_state is None:
        initial_state = (tf.zeros([tiling.batch, units]),) * kind.parts
    start = tuple(rows_of(part, tiling) for part in initial_state)
    weights = tuple(tf.convert_to_tensor(weight) for weight in (kernel, recurrent, bias))
    bounds = [tiling.rows * lane // lanes for lane in range(lanes + 1)]
    parallel = [_Lane(kind, tiling, rows) for rows in pairwise(bounds)]
    states = recurrence(parallel, into_tiles(inputs, tiling), weights, start)
    outputs = out_of_tiles(states[0], tiling.outputs, tiling.real)
    outputs = tf.ensure_shape(outputs, [*inputs.shape[:2], units])
    if not return_state:
        return outputs, ()
    final = (out_of_tiles(part, tiling.last, tiling.started[:, 0]) for part in states)
    return outputs, tuple(
        tf.where(tiling.started, part, before)
        for part, before in zip(final, initial_state, strict=True)
    )


def recurrence(lanes: list[_Lane], tiles: Any, weights: Tensors, start: Tensors) -> Tensors:
    """Run all tiles; the gradient is the blocks' own.

    Args:
        lanes: which rows of tiles are worked on one after another.
        tiles: inputs, float32[tiles, K, R, D].
        weights: kernel, recurrent kernel and bias.
        start: parts of the initial states, each float32[rows, R, units].

    Returns:
        the given parts of the states, each float32[tiles, K, R, units].
    """

    def run(tiles: Any, *arguments: Any) -> tuple[Any, Any]:
        weights, start = arguments[:3], arguments[3:]
        kept = [lane.run(tiles, weights, start) for lane in lanes]
        given = range(1, 1 + lanes[0].cell.given)
        states = tuple(tf.concat([arrays[n].stack() for arrays in kept], 0) for n in given)

        def gradient(*upstream: Any) -> Tensors:
            parts = [
                lane.run_back(tiles, weights, arrays, upstream)
                for lane, arrays in zip(lanes, kept, strict=True)
            ]
            inputs, sums, starts = zip(*parts, strict=True)
            return (
                tf.concat(inputs, 0),
                *(tf.add_n(same) for same in zip(*sums, strict=True)),
                *(tf.concat(same, 0) for same in zip(*starts, strict=True)),
            )

        return states, gradient

    states: Tensors = tf.custom_gradient(run)(tiles, *weights, *start)
    return states


@dataclass(frozen=True)
class _Lane:
    """Rows of tiles that are worked on one after another.

    Attributes:
        cell: the compiled blocks.
        tiling: where the steps of the batch lie.
        rows: number of the first row of tiles, and of the one after the last.
    """

    cell: CellBlocks
    tiling: Tiling
    rows: tuple[Any, Any]

    @property
    def tiles(self) -> tuple[Any, Any]:
        """Number of the first tile, and of the one after the last."""
        return self.rows[0] * self.tiling.columns, self.rows[1] * self.tiling.columns

    def run(self, tiles: Any, weights: Tensors, start: Tensors) -> list[Any]:
        """Return arrays, over the lane's tiles, of what the blocks kept."""
        cell, (first, last) = self.cell, self.tiles
        prepared = cell.prepare(weights)

        def body(index: Any, state: Tensors, arrays: list[Any]) -> tuple[Any, Tensors, list[Any]]:
            row, column = index // self.tiling.columns, index % self.tiling.columns
            pairs = zip(start, state, strict=True)
            state = tuple(tf.where(column == 0, part[row], now) for part, now in pairs)
            used = self.tiling.used(index)
            projected = fill(cell.project(cut(tiles[index], used), prepared), used)
            state, kept = cell.forward(projected, prepared, state, used[0])
            at = index - first
            return index + 1, state, [a.write(at, v) for a, v in zip(arrays, kept, strict=True)]

        arrays = [_array(last - first, shape) for shape in cell.kept]
        zero = tuple(tf.zeros([cell.rows, cell.units]) for _ in start)
        result = tf.while_loop(lambda index, *_: index < last, body, (first, zero, arrays))
        return list(result[2])

    def run_back(
        self, tiles: Any, weights: Tensors, kept: list[Any], upstream: Tensors
    ) -> tuple[Any, Tensors, Tensors]:
        """Return the gradients of the lane's tiles, of weights and of its initial states."""
        cell, (first, last) = self.cell, self.tiles
        kernel, recurrent = weights[0], tf.transpose(weights[1])

        def body(
            index: Any, ahead: Tensors, sums: Tensors, array: Any, starts: list[Any]
        ) -> Tensors:
            row, column = index // self.tiling.columns, index % self.tiling.columns
            # A row's last tile comes first: nothing lies ahead of it.
            goes_on = tf.cast(column < self.tiling.columns - 1, tf.float32)
            ahead = tuple(part * goes_on for part in ahead)
            used, at = self.tiling.used(index), index - first
            saved = tuple(values.read(at) for values in kept)
            given = tuple(part[index] for part in upstream)
            gates, ahead = cell.backward(recurrent, saved, given, ahead, used[0])
            hidden = tf.concat([saved[0][None], saved[1][:-1]], axis=0)
            read, hidden, gates = (cut(v, used) for v in (tiles[index], hidden, gates))
            inputs, *more = cell.weight_gradients(read, hidden, gates, kernel)
            sums = tuple(total + part for total, part in zip(sums, more, strict=True))
            # The last to be written is the first tile's: the initial state's gradient.
            pairs = zip(starts, ahead, strict=True)
            starts = [values.write(row - self.rows[0], part) for values, part in pairs]
            return index - 1, ahead, sums, array.write(at, fill(inputs, used)), starts

        shape = (cell.rows, cell.units)
        zero = tuple(tf.zeros(shape) for _ in range(cell.parts))
        sums = tuple(tf.zeros_like(weight) for weight in weights)
        starts = [_array(self.rows[1] - self.rows[0], shape) for _ in zero]
        loop = (last - 1, zero, sums, _array(last - first, tiles.shape[1:]), starts)
        _, _, sums, array, starts = tf.while_loop(lambda index, *_: index >= first, body, loop)
        return array.stack(), sums, tuple(part.stack() for part in starts)


def _array(size: Any, shape: tuple[int, ...]) -> Any:
    return tf.TensorArray(tf.float32, size=size, element_shape=shape)

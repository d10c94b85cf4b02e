"""Tiles of recurrent steps: where the steps of a batch lie in them, and how they get there.

Every step of every sequence gets a slot in tiles [K steps, R rows], sequences in the order they are
read and without their masked steps, which follow the real ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import tensorflow as tf

STEPS, ROWS = 16, 32  # of a tile; docs/fast-recurrent.md has the measurements


@dataclass(frozen=True)
class Tiling:
    """Where the steps of a batch lie in tiles [rows of tiles, tiles in a row, K, R].

    Attributes:
        rows: how many rows of tiles there are, an int32 scalar like the next two.
        columns: tiles in a row.
        batch, steps: B and T.
        slots: slot of each step, int32[B, T]; masked steps have the slots after the real ones.
        sources: step (of B × T) each slot holds, int32[slots]; an unused slot holds step 0.
        outputs: slot each output shows, int32[B, T].
        real: whether an output is shown, bool[B, T]; else 0.
        last: slot of each sequence's last real step, int32[B].
        started: whether a sequence has a real step, bool[B, 1].
    """

    rows: Any
    columns: Any
    batch: Any
    steps: Any
    slots: Any
    sources: Any
    outputs: Any
    real: Any
    last: Any
    started: Any

    def used(self, tile: Any) -> tuple[Any, Any]:
        """Return how many steps and rows of a tile hold a step of the batch."""
        row, column = tile // self.columns, tile % self.columns
        steps = tf.minimum(STEPS, self.steps - column * STEPS)
        return steps, tf.minimum(ROWS, self.batch - row * ROWS)


def tiling_of(
    mask: Any, shape: Any, *, go_backwards: bool, zero_masked: bool, in_time: bool
) -> Tiling:
    """Give every step a slot.

    Args:
        mask: bool[B, T], or None when every step is real.
        shape: of the inputs, int32[3].
        go_backwards: sequences are read from their last step.
        zero_masked: outputs at masked steps are 0; else they repeat the one before.
        in_time: outputs stand at their steps; else in the order of reading, as Keras has them.
    """
    batch, length = shape[0], shape[1]

    def turned(values: Any) -> Any:
        return tf.reverse(values, [1]) if go_backwards else values

    if mask is None:
        mask = tf.ones([batch, length], tf.bool)
    real = turned(mask)
    count = tf.cumsum(tf.cast(real, tf.int32), axis=1)
    total = count[:, -1:]
    place = tf.where(real, count, total + tf.cumsum(1 - tf.cast(real, tf.int32), axis=1)) - 1
    rows, columns = -(-batch // ROWS), -(-length // STEPS)
    row = tf.range(batch)[:, None]

    def slot(place: Any) -> Any:
        tile = (row // ROWS) * columns + place // STEPS
        return (tile * STEPS + place % STEPS) * ROWS + row % ROWS

    slots = turned(slot(place))
    shown = slot(place) if zero_masked else slot(tf.maximum(count - 1, 0))
    real = real if zero_masked else count > 0
    steps = tf.reshape(tf.range(batch * length), [-1])
    size = rows * columns * STEPS * ROWS
    return Tiling(
        rows=rows,
        columns=columns,
        batch=batch,
        steps=length,
        slots=slots,
        sources=tf.scatter_nd(tf.reshape(slots, [-1, 1]), steps, [size]),
        outputs=turned(shown) if in_time else shown,
        real=turned(real) if in_time else real,
        last=slot(tf.maximum(total - 1, 0))[:, 0],
        started=total > 0,
    )


def into_tiles(inputs: Any, tiling: Tiling) -> Any:
    """Return float32[tiles, K, R, D] of inputs [B, T, D]."""
    width = inputs.shape[-1]

    def move(inputs: Any) -> tuple[Any, Any]:
        tiles = tf.gather(tf.reshape(inputs, [-1, width]), tiling.sources)

        def gradient(upstream: Any) -> Any:
            # Every step has one slot and unused slots no gradient: reading is enough.
            return tf.gather(tf.reshape(upstream, [-1, width]), tiling.slots)

        return tf.reshape(tiles, [-1, STEPS, ROWS, width]), gradient

    return tf.custom_gradient(move)(inputs)


def out_of_tiles(states: Any, slots: Any, real: Any) -> Any:
    """Return states [..., units] in slots [...] of tiles [tiles, K, R, units]; 0 if not real."""
    units = states.shape[-1]

    def move(states: Any) -> tuple[Any, Any]:
        shown = tf.gather(tf.reshape(states, [-1, units]), slots)
        known = tf.cast(real, shown.dtype)[..., None]

        def gradient(upstream: Any) -> Any:
            values = tf.reshape(upstream * known, [-1, units])
            size = tf.size(states) // units
            flat = tf.scatter_nd(tf.reshape(slots, [-1, 1]), values, [size, units])
            return tf.reshape(flat, [-1, STEPS, ROWS, units])

        return shown * known, gradient

    return tf.custom_gradient(move)(states)


def cut(tile: Any, used: Any) -> Any:
    """Return the used part of a tile [K, R, N] as rows [used, N], all that products need."""
    return tf.reshape(tile[: used[0], : used[1]], [-1, tile.shape[-1]])


def fill(rows: Any, used: Any) -> Any:
    """Return a tile [K, R, N] of the rows of its used part, 0 elsewhere."""
    width = rows.shape[-1]
    tile = tf.reshape(rows, [used[0], used[1], width])
    padded = tf.pad(tile, [[0, STEPS - used[0]], [0, ROWS - used[1]], [0, 0]])
    return tf.reshape(padded, [STEPS, ROWS, width])


def rows_of(state: Any, tiling: Tiling) -> Any:
    """Return float32[rows, R, units] of [B, units]."""
    state = tf.convert_to_tensor(state)
    padded = tf.pad(state, [[0, tiling.rows * ROWS - tiling.batch], [0, 0]])
    return tf.reshape(padded, [-1, ROWS, state.shape[-1]])

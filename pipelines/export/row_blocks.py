"""Run a function over the rows of a request in blocks, inside the exported graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf


def in_blocks(
    function: Callable[..., Mapping[str, tf.Tensor]],
    *rows: tf.RaggedTensor | tf.Tensor,
    size: int,
    outputs: Mapping[str, tf.TensorSpec],
) -> dict[str, tf.Tensor]:
    """Call `function` on blocks of rows; give its outputs in the rows' own order.

    Memory is that of one block however many rows a request has. Rows of unequal length are put
    together by length: a short one is not padded to the longest of the request.

    Args:
        function: takes rows [b, ...], as many arguments as `rows` has, and returns tensors
            [b, ...] by name.
        rows: ragged [B, (T)] or dense [B, ...] each; if the first is ragged, rows are sorted by
            its lengths. B may be 0.
        size: most rows of a block.
        outputs: what `function` returns, the first axis free and the others fixed.
    """
    order = _order(rows[0])
    count = tf.size(order)
    blocks = (count + size - 1) // size
    written = {
        name: tf.TensorArray(spec.dtype, blocks, infer_shape=False, element_shape=spec.shape)
        for name, spec in outputs.items()
    }

    def step(number: tf.Tensor, arrays: Any) -> Any:
        chosen = order[number * size : (number + 1) * size]
        found = function(*(tf.gather(part, chosen) for part in rows))
        return number + 1, {
            name: array.write(number, found[name]) for name, array in arrays.items()
        }

    _, written = tf.while_loop(
        lambda number, _: number < blocks, step, (0, written), parallel_iterations=1
    )
    back = tf.argsort(order)
    return {name: tf.gather(array.concat(), back) for name, array in written.items()}


def _order(rows: tf.RaggedTensor | tf.Tensor) -> tf.Tensor:
    """Return row numbers in the order in which blocks take them, int32[B]."""
    if isinstance(rows, tf.RaggedTensor):
        return tf.argsort(rows.row_lengths(), stable=True)
    return tf.range(tf.shape(rows)[0])

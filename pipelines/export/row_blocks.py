"""Run a function over the rows of a request in blocks, inside the exported graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf


def in_blocks(
    function: Callable[..., Mapping[str, tf.Tensor]],
    *rows: tf.RaggedTensor,
    size: int,
    outputs: Mapping[str, tf.TensorSpec],
) -> dict[str, tf.Tensor]:
    """Call `function` on blocks of rows alike in length; give its outputs in the rows' own order.

    Memory is that of one block however many rows a request has, and a short row is not padded to
    the longest of the request.

    Args:
        function: takes ragged rows [b, (T)], as many as `rows` has, and returns tensors [b, ...]
            by name.
        rows: ragged [B, (T)] each; rows are sorted by the lengths of the first. B may be 0.
        size: most rows of a block.
        outputs: what `function` returns, the first axis free and the others fixed.
    """
    count = tf.cast(rows[0].nrows(), tf.int32)
    order = tf.argsort(rows[0].row_lengths(), stable=True)
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

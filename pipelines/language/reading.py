"""Reading texts of any length through a language model, in the graph, a window at a time."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import tensorflow as tf

from pipelines.layers.language_model import LanguageModel
from pipelines.text.vocabulary import PAD

WINDOW = 256  # steps read at once
TOKENS = 4_096  # rows × steps read at once, at most: a step compares with thousands of places


class Prompt(NamedTuple):
    """Texts read up to their last token.

    Attributes:
        last: the token that is still to be read, int32[B].
        state: of the language model, before it.
    """

    last: tf.Tensor
    state: list[tf.Tensor]


def token_bits(layer: LanguageModel, ids: tf.RaggedTensor) -> tf.Tensor:
    """Return -log2 of the probability of every token but the first, given those before it.

    Args:
        layer: the language model.
        ids: rows that begin with BOS, int32 ragged [B, (T + 1)]; B may be 0.

    Returns:
        float32[B, T], 0 at padding.
    """
    order = tf.argsort(ids.row_lengths(), direction="DESCENDING", stable=True)
    rows = tf.gather(ids, order).to_tensor(PAD)
    lengths = tf.gather(tf.cast(ids.row_lengths(), tf.int32), order)
    found = _sorted_bits(layer, rows, lengths - 1)
    return tf.gather(found, tf.argsort(order))


def _sorted_bits(layer: LanguageModel, rows: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
    """Do so for rows int32[B, T + 1] in the order of falling `lengths`, of targets: int32[B]."""
    count, steps = tf.shape(rows)[0], tf.maximum(tf.shape(rows)[1] - 1, 0)
    window = tf.clip_by_value(TOKENS // tf.maximum(count, 1), 1, WINDOW)
    blocks = (steps + window - 1) // window
    state = layer.start(count)
    written = tf.TensorArray(tf.float32, blocks + 1, infer_shape=False, element_shape=[None, None])
    written = written.write(blocks, tf.zeros([0, count]))  # without rows there is no other

    def read(number: tf.Tensor, state: Any, written: tf.TensorArray) -> Any:
        start = number * window
        active = tf.reduce_sum(tf.cast(lengths > start, tf.int32))
        block = rows[:active, start : start + window + 1]
        logits, state = layer.read(block[:, :-1], [leaf[:active] for leaf in state])
        nats = tf.nn.sparse_softmax_cross_entropy_with_logits(block[:, 1:], logits)
        bits = tf.where(block[:, 1:] == PAD, 0.0, nats / math.log(2))
        idle = tf.zeros([count - active, tf.shape(bits)[1]])
        written = written.write(number, tf.transpose(tf.concat([bits, idle], axis=0)))
        return number + 1, state, written

    free = [tf.TensorShape([None, *leaf.shape[1:]]) for leaf in state]
    *_, written = tf.while_loop(
        lambda number, *_: number < blocks,
        read,
        (0, state, written),
        shape_invariants=(tf.TensorShape([]), free, tf.TensorShape(None)),
        parallel_iterations=1,
    )
    return tf.transpose(tf.reshape(written.concat(), [-1, count]))


def read_prompt(layer: LanguageModel, ids: tf.RaggedTensor) -> Prompt:
    """Read texts up to their last token.

    Args:
        layer: the language model.
        ids: rows that begin with BOS, int32 ragged [B, (T)].
    """
    rows, lengths = ids.to_tensor(PAD), tf.cast(ids.row_lengths(), tf.int32) - 1
    steps, count = tf.reduce_max(lengths, keepdims=True)[0], tf.shape(rows)[0]
    window = tf.clip_by_value(TOKENS // tf.maximum(count, 1), 1, WINDOW)

    def read(start: tf.Tensor, state: Any) -> Any:
        block = rows[:, start : tf.minimum(start + window, steps)]
        places = start + tf.range(tf.shape(block)[1])
        _, after = layer.states(block, state, mask=places < lengths[:, None])
        return start + window, after

    _, state = tf.while_loop(
        lambda start, _: start < steps, read, (0, layer.start(count)), parallel_iterations=1
    )
    return Prompt(tf.gather(rows, lengths, axis=1, batch_dims=1), state)

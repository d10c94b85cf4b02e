"""Dynamic evaluation: a language model that learns from a text while it is judged on it.

Every window is scored first and learned from afterwards, so that no token helps to predict itself
(Mikolov et al., 2010, sec. 2.3; Krause et al., 2018). A compressor does the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from pipelines.layers.language_model import LanguageModel
from pipelines.text.vocabulary import PAD

WINDOW = 64  # tokens between two updates


def adaptive_bits(
    layer: LanguageModel, ids: tf.RaggedTensor, rate: tf.Tensor, decay: tf.Tensor
) -> tf.Tensor:
    """Return the bits of every token but the first; as `token_bits`, the weights moving along.

    A row begins with the trained weights and moves copies of them; the layer stays as it is.

    Args:
        layer: the language model.
        ids: rows that begin with BOS, int32 ragged [B, (T + 1)]; B may be 0.
        rate: how far one update goes, float32 scalar.
        decay: share of the way back to the trained weights after every update, float32 scalar.

    Returns:
        float32[B, T], 0 at padding.
    """
    count = tf.cast(ids.nrows(), tf.int32)
    written = tf.TensorArray(tf.float32, count, infer_shape=False, element_shape=[None])

    def read(row: tf.Tensor, written: tf.TensorArray) -> Any:
        return row + 1, written.write(row, _row_bits(layer, ids[row], rate, decay))

    _, written = tf.while_loop(
        lambda row, _: row < count, read, (0, written), parallel_iterations=1
    )
    lengths = ids.row_lengths() - 1
    return tf.RaggedTensor.from_row_lengths(written.concat(), lengths).to_tensor()


def _row_bits(layer: LanguageModel, row: tf.Tensor, rate: tf.Tensor, decay: tf.Tensor) -> tf.Tensor:
    """Read one row, int32[T + 1]: float32[T]."""
    steps = tf.size(row) - 1
    blocks = (steps + WINDOW - 1) // WINDOW
    trained = [tf.convert_to_tensor(variable) for variable in layer.trainable_variables]
    written = tf.TensorArray(tf.float32, blocks, infer_shape=False, element_shape=[None])

    def read(number: tf.Tensor, state: Any, weights: Any, written: Any) -> Any:
        block = row[None, number * WINDOW : (number + 1) * WINDOW + 1]
        nats, state, gradients = _learn(layer, block, state, weights)
        weights = [
            now - rate * gradient + decay * (start - now)
            for now, gradient, start in zip(weights, gradients, trained, strict=True)
        ]
        return number + 1, state, weights, written.write(number, nats[0])

    *_, written = tf.while_loop(
        lambda number, *_: number < blocks,
        read,
        (0, layer.start(1), trained, written),
        parallel_iterations=1,
    )
    return written.concat() / math.log(2)


def _learn(
    layer: LanguageModel, block: tf.Tensor, state: Any, weights: Sequence[tf.Tensor]
) -> tuple[tf.Tensor, Any, list[tf.Tensor]]:
    """Return nats of a window float32[1, T], the state after it, and the gradients of the mean."""
    places = list(zip(layer.trainable_variables, weights, strict=True))
    with tf.GradientTape() as tape, keras.StatelessScope(state_mapping=places):
        tape.watch(weights)
        logits, after = layer.read(block[:, :-1], state)
        targets = block[:, 1:]
        nats = tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)
        nats = tf.where(targets == PAD, 0.0, nats)
        loss = tf.reduce_mean(nats)
    gradients = tape.gradient(loss, weights)
    return nats, after, [tf.convert_to_tensor(gradient) for gradient in gradients]

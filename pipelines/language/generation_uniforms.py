"""Uniform numbers that depend on a seed and a position alone, in core TensorFlow ops.

The ops of TensorFlow take one seed for a whole tensor, so that a row's numbers would hang on its
place in the batch. This is the counter-based generator Threefry-2x32 with 20 rounds (Salmon et al.,
2011): the seed is its key, the position its counter.
"""

from __future__ import annotations

import tensorflow as tf

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = 0x1BD11BDA
_BITS = 23  # of a uniform: half a step more is still a float32 below 1


def uniforms(seed: tf.Tensor, position: tf.Tensor) -> tf.Tensor:
    """Return numbers in (0, 1), float32 of the shape of both.

    Args:
        seed: int32, of any shape.
        position: int32, of a shape that broadcasts with it.
    """
    seed, position = seed + tf.zeros_like(position), position + tf.zeros_like(seed)
    zero = tf.zeros_like(seed)
    bits, _ = threefry((_unsigned(seed), _unsigned(zero)), (_unsigned(position), _unsigned(zero)))
    high = tf.cast(tf.bitwise.right_shift(bits, _word(32 - _BITS)), tf.float32)
    return (high + 0.5) * 2.0**-_BITS


def threefry(
    key: tuple[tf.Tensor, tf.Tensor], counter: tuple[tf.Tensor, tf.Tensor]
) -> tuple[tf.Tensor, tf.Tensor]:
    """Encrypt two words under two words, uint32 of any one shape."""
    parity = tf.bitwise.bitwise_xor(tf.bitwise.bitwise_xor(*key), _word(_PARITY))
    keys = (*key, parity)
    left, right = counter[0] + keys[0], counter[1] + keys[1]
    for group in range(5):
        for rotation in _ROTATIONS[group % 2]:
            left += right
            right = tf.bitwise.bitwise_xor(left, _rotated(right, rotation))
        left += keys[(group + 1) % 3]
        right += keys[(group + 2) % 3] + _word(group + 1)
    return left, right


def _rotated(words: tf.Tensor, by: int) -> tf.Tensor:
    left = tf.bitwise.left_shift(words, _word(by))
    return tf.bitwise.bitwise_or(left, tf.bitwise.right_shift(words, _word(32 - by)))


def _word(value: int) -> tf.Tensor:
    return tf.constant(value, tf.uint32)


def _unsigned(numbers: tf.Tensor) -> tf.Tensor:
    return tf.bitcast(tf.cast(numbers, tf.int32), tf.uint32)

"""Numbers out of the bytes of a file, in graph."""

from __future__ import annotations

import tensorflow as tf

# A file of a few kilobytes can claim billions of pixels.
MAX_PIXELS = 1 << 27
_BYTES = tuple(bytes([value]) for value in range(256))


def as_numbers(contents: tf.Tensor) -> tf.Tensor:
    """Return the bytes of a string[] as uint8[N + 1], ended by a 0 that later reads fall on."""
    return tf.concat([tf.io.decode_raw(contents, tf.uint8), tf.zeros([1], tf.uint8)], 0)


def number(values: tf.Tensor, at: tf.Tensor | int, width: int, *, big_endian: bool) -> tf.Tensor:
    """Read an unsigned number, int64[]; bytes outside of the file are 0.

    Args:
        values: what `as_numbers` returned.
        at: offset of its first byte.
        width: how many bytes it has, at most 4.
        big_endian: whether the most significant byte comes first.
    """
    places = tf.cast(at, tf.int64) + tf.range(width, dtype=tf.int64)
    end = tf.size(values, tf.int64) - 1
    # A gather past the end is an error on a CPU, so what lies outside reads the closing 0.
    inside = tf.where((places >= 0) & (places < end), places, end)
    powers = [256**power for power in range(width)]
    weights = tf.constant(powers[::-1] if big_endian else powers, tf.int64)
    return tf.reduce_sum(tf.cast(tf.gather(values, inside), tf.int64) * weights)


def choose(condition: tf.Tensor, one: tf.Tensor | int, other: tf.Tensor | int) -> tf.Tensor:
    """Return one of two numbers, int64, by a condition."""
    return tf.where(condition, tf.cast(one, tf.int64), tf.cast(other, tf.int64))


def as_word(text: str) -> int:
    """Return four letters as the number that they are when read with the first byte highest."""
    return int.from_bytes(text.encode("latin-1"), "big")


def bytes_of(value: tf.Tensor, width: int) -> tf.Tensor:
    """Write an unsigned number as `width` bytes, the least significant first: string[]."""
    powers = tf.constant([256**power for power in range(width)], tf.int64)
    digits = tf.cast(value, tf.int64) // powers % 256
    return tf.strings.reduce_join(tf.gather(tf.constant(_BYTES), digits))


def require(condition: tf.Tensor, message: str) -> tf.Operation:
    """Fail with a message where the condition, bool[], does not hold; to be depended on."""
    return tf.debugging.Assert(condition, [tf.constant(message)], summarize=1)


def require_size(height: tf.Tensor, width: tf.Tensor) -> tf.Operation:
    """Refuse sides that no honest image has, before memory is taken for them."""
    fits = (height >= 1) & (width >= 1) & (height * width <= MAX_PIXELS)
    return require(fits, f"an image has no pixels, or more than {MAX_PIXELS}; make it smaller")

"""The orientation that a camera wrote beside an image (EXIF), in graph."""

from __future__ import annotations

import tensorflow as tf

from pipelines.images.raw_bytes import as_word, choose, number

_ORIENTATION_TAG = 0x0112
_LONG = 4
_ENTRY_BYTES = 12
_MOST_ENTRIES = 512
NONE = -1
UPRIGHT = 1


def orientation_of_exif(values: tf.Tensor, start: tf.Tensor) -> tf.Tensor:
    """Read tag 0x0112 of the first directory of an EXIF block (TIFF 6.0, sec. 2).

    Args:
        values: bytes of the file, from `as_numbers`.
        start: offset of the block's byte order mark ("II" or "MM"), int64[]; `NONE` for no block.

    Returns:
        1 to 8, int64[]; 1 (upright) where there is no tag, or none that can be read.
    """
    mark = choose(start < 0, 0, number(values, start, 4, big_endian=True))
    return tf.case(
        [
            (tf.equal(mark, as_word("MM\0*")), lambda: _in_directory(values, start, True)),
            (tf.equal(mark, as_word("II*\0")), lambda: _in_directory(values, start, False)),
        ],
        default=lambda: tf.constant(UPRIGHT, tf.int64),
    )


def _in_directory(values: tf.Tensor, start: tf.Tensor, big: bool) -> tf.Tensor:
    """Look the tag up among the entries of the first directory."""
    directory = start + number(values, start + 4, 4, big_endian=big)
    count = tf.minimum(number(values, directory, 2, big_endian=big), _MOST_ENTRIES)
    table = tf.cast(values[directory + 2 : directory + 2 + count * _ENTRY_BYTES], tf.int64)
    whole = tf.size(table) // _ENTRY_BYTES
    entries = tf.reshape(table[: whole * _ENTRY_BYTES], [whole, _ENTRY_BYTES])
    found = tf.boolean_mask(entries, _short(entries, 0, big) == _ORIENTATION_TAG)[:1]
    # A long number ends in its low half when the highest byte comes first.
    is_long = _short(found, 2, big) == _LONG
    value = choose(is_long & big, _short(found, 10, big), _short(found, 8, big))
    valid = tf.boolean_mask(value, (value >= 1) & (value <= 8))
    return tf.concat([valid, [UPRIGHT]], 0)[0]


def _short(entries: tf.Tensor, at: int, big: bool) -> tf.Tensor:
    """Read two bytes of every entry, int64[N, 12], as a number: int64[N]."""
    first, second = entries[:, at], entries[:, at + 1]
    return first * 256 + second if big else second * 256 + first


def turn_upright(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Carry out an EXIF orientation, 1 to 8, on an image [H, W, C] (EXIF 2.3, sec. 4.6.4).

    5 to 8 exchange rows and columns; then 2, 3, 6, 7 flip left to right, 3, 4, 7, 8 top to bottom.
    """
    image = tf.cond(orientation >= 5, lambda: tf.transpose(image, [1, 0, 2]), lambda: image)
    image = _flip_where(image, orientation, axis=1, those=(2, 3, 6, 7))
    return _flip_where(image, orientation, axis=0, those=(3, 4, 7, 8))


def _flip_where(
    image: tf.Tensor, orientation: tf.Tensor, *, axis: int, those: tuple[int, ...]
) -> tf.Tensor:
    flips = tf.reduce_any(orientation == tf.constant(those, tf.int64))
    return tf.cond(flips, lambda: tf.reverse(image, [axis]), lambda: image)

"""JPEG in graph: colours, and where the camera's data is."""

from __future__ import annotations

import tensorflow as tf

from pipelines.images.orientation import NONE
from pipelines.images.raw_bytes import as_word, choose, number, require_size

_APP1 = 0xE1
_START_OF_SCAN = 0xDA
_MOST_SEGMENTS = 512
# While shrinking, half of the pixels asked for and these on the short side are left for the filter.
_SPARE = 2
_SHORT_SIDE = 16


def decode_jpeg(contents: tf.Tensor, reduction: tf.Tensor) -> tf.Tensor:
    """Decode to uint8[H, W, 3]; far larger images than needed by scaled inverse transforms.

    Args:
        contents: bytes of the file, string[].
        reduction: how many times smaller than (height, width) the image will be made, a function.
    """
    sides = tf.cast(tf.io.extract_jpeg_shape(contents)[:2], tf.int64)
    with tf.control_dependencies([require_size(sides[0], sides[1])]):
        room = tf.minimum(reduction(sides) / _SPARE, tf.reduce_min(sides) / _SHORT_SIDE)
    steps = tf.reduce_sum(tf.cast(room >= tf.constant([2, 4, 8], room.dtype), tf.int32))

    def by(ratio: int) -> tf.Tensor:
        # The accurate transform costs little and is the one that other decoders take.
        return tf.io.decode_jpeg(contents, channels=3, ratio=ratio, dct_method="INTEGER_ACCURATE")

    return tf.switch_case(steps, [lambda r=r: by(r) for r in (1, 2, 4, 8)])


def exif_in_jpeg(values: tf.Tensor) -> tf.Tensor:
    """Return the offset of the EXIF block in an APP1 segment, int64[]; `NONE` without one."""

    def is_exif(at: tf.Tensor) -> tf.Tensor:
        named = number(values, at + 4, 4, big_endian=True) == as_word("Exif")
        return (number(values, at + 1, 1, big_endian=True) == _APP1) & named

    def goes_on(at: tf.Tensor) -> tf.Tensor:
        marked = number(values, at, 1, big_endian=True) == 0xFF
        scan = number(values, at + 1, 1, big_endian=True) == _START_OF_SCAN
        return marked & ~scan & ~is_exif(at)

    def following(at: tf.Tensor) -> tuple[tf.Tensor]:
        # Any number of 0xFF may stand before a marker.
        fill = number(values, at + 1, 1, big_endian=True) == 0xFF
        length = number(values, at + 2, 2, big_endian=True)
        return (at + choose(fill, 1, length + 2),)

    start = (tf.constant(2, tf.int64),)
    at = tf.while_loop(goes_on, following, start, maximum_iterations=_MOST_SEGMENTS)[0]
    return choose(is_exif(at), at + 10, NONE)

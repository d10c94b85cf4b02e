"""PNG in graph: colours over a background, and where the camera's data is."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from pipelines.images.fitting import Colour, composite
from pipelines.images.orientation import NONE
from pipelines.images.raw_bytes import as_word, choose, number, require_size

_MOST_CHUNKS = 512
_TYPES_WITH_ALPHA = (4, 6)


class Chunks(NamedTuple):
    """What stands before the pixels of a PNG file.

    Attributes:
        transparent: whether one colour, or colours of the palette, are transparent, bool[].
        exif: offset of the EXIF block, int64[], or `NONE`.
    """

    transparent: tf.Tensor
    exif: tf.Tensor


def decode_png(
    contents: tf.Tensor, values: tf.Tensor, chunks: Chunks, background: Colour
) -> tf.Tensor:
    """Decode to uint8[H, W, 3], transparent parts over the background."""
    height, width = (number(values, at, 4, big_endian=True) for at in (20, 16))
    colour_type = number(values, 25, 1, big_endian=True)
    alpha = tf.reduce_any(colour_type == tf.constant(_TYPES_WITH_ALPHA, tf.int64))

    def over() -> tf.Tensor:
        return composite(tf.io.decode_png(contents, channels=4), background)

    with tf.control_dependencies([require_size(height, width)]):
        # Asked for alpha, the decoder makes images of 1 to 4 bits without it all but transparent.
        return tf.cond(
            alpha | chunks.transparent, over, lambda: tf.io.decode_png(contents, channels=3)
        )


def chunks_of_png(values: tf.Tensor) -> Chunks:
    """Walk the chunks up to the pixels."""

    def kind(at: tf.Tensor) -> tf.Tensor:
        return number(values, at + 4, 4, big_endian=True)

    def goes_on(at: tf.Tensor, *_: tf.Tensor) -> tf.Tensor:
        return (kind(at) != as_word("IDAT")) & (kind(at) != 0)

    def following(
        at: tf.Tensor, transparent: tf.Tensor, exif: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        return (
            at + number(values, at, 4, big_endian=True) + 12,
            transparent | (kind(at) == as_word("tRNS")),
            choose(kind(at) == as_word("eXIf"), at + 8, exif),
        )

    start = (tf.constant(8, tf.int64), tf.constant(False), tf.constant(NONE, tf.int64))
    found = tf.while_loop(goes_on, following, start, maximum_iterations=_MOST_CHUNKS)
    return Chunks(found[1], found[2])

"""Bytes of an image to colours over a background, by the format that its first bytes tell."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from pipelines.images.bmp import decode_bmp
from pipelines.images.files import KNOWN
from pipelines.images.fitting import Colour
from pipelines.images.gif import decode_gif
from pipelines.images.jpeg import decode_jpeg, exif_in_jpeg
from pipelines.images.orientation import NONE, orientation_of_exif
from pipelines.images.png import chunks_of_png, decode_png
from pipelines.images.raw_bytes import as_numbers, require
from pipelines.images.webp import decode_webp

Decoded = tuple[tf.Tensor, tf.Tensor]
UNKNOWN = f"not a {KNOWN}"


def decode(
    contents: tf.Tensor, background: Colour, reduction: Callable[[tf.Tensor], tf.Tensor]
) -> Decoded:
    """Decode one image.

    Args:
        contents: bytes of the file, string[].
        background: colour behind transparent parts.
        reduction: tells from the sides, int64[2], how many times smaller the image will be made.

    Returns:
        colours uint8[H, W, 3], and the EXIF orientation yet to be carried out, int64[].
    """
    values = as_numbers(contents)

    def png() -> Decoded:
        chunks = chunks_of_png(values)
        return decode_png(contents, values, chunks, background), chunks.exif

    def jpeg() -> Decoded:
        return decode_jpeg(contents, reduction), exif_in_jpeg(values)

    image, exif = tf.switch_case(
        _kind(contents),
        [
            _unknown,
            png,
            jpeg,
            lambda: (decode_gif(contents, values, background), _no_exif()),
            lambda: (decode_bmp(values, background), _no_exif()),
            lambda: decode_webp(contents, values, background),
        ],
    )
    return image, orientation_of_exif(values, exif)


def _kind(contents: tf.Tensor) -> tf.Tensor:
    """Number the format: 0 unknown, 1 PNG, 2 JPEG, 3 GIF, 4 BMP, 5 WebP."""

    def bytes_at(at: int, count: int) -> tf.Tensor:
        padded = tf.strings.join([tf.strings.substr(contents, 0, 12), tf.constant(b"\0" * 12)])
        return tf.strings.substr(padded, at, count)

    tests = [
        bytes_at(0, 8) == b"\x89PNG\r\n\x1a\n",
        bytes_at(0, 3) == b"\xff\xd8\xff",
        bytes_at(0, 4) == b"GIF8",
        bytes_at(0, 2) == b"BM",
        (bytes_at(0, 4) == b"RIFF") & (bytes_at(8, 4) == b"WEBP"),
    ]
    numbers = tf.range(1, len(tests) + 1)
    return tf.reduce_sum(tf.where(tf.stack(tests), numbers, 0))


def _unknown() -> Decoded:
    with tf.control_dependencies([require(tf.constant(False), UNKNOWN)]):
        return tf.zeros([1, 1, 3], tf.uint8), _no_exif()


def _no_exif() -> tf.Tensor:
    return tf.constant(NONE, tf.int64)

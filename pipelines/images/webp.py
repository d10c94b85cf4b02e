"""WebP in graph: the first frame over a background, and where the camera's data is (RFC 9649)."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from pipelines.images.fitting import Colour, composite, paste
from pipelines.images.orientation import NONE
from pipelines.images.raw_bytes import as_word, bytes_of, choose, number, require_size

_FIRST_CHUNK = 12
_MOST_CHUNKS = 4096
_HAS_ALPHA = 0x10
_FRAME_HEADER = 16
_EXIF_NAME = b"Exif\0\0"


class Chunks(NamedTuple):
    """Offsets of contents in the file, int64[], or `NONE`, and the size of the frame's."""

    frame: tf.Tensor
    frame_bytes: tf.Tensor
    exif: tf.Tensor


def decode_webp(
    contents: tf.Tensor, values: tf.Tensor, background: Colour
) -> tuple[tf.Tensor, tf.Tensor]:
    """Decode to uint8[H, W, 3]; returns also the offset of the EXIF block, int64[]."""
    chunks = _chunks(values)
    extended = number(values, _FIRST_CHUNK, 4, big_endian=True) == as_word("VP8X")
    width, height = (1 + _triple(values, _FIRST_CHUNK + at) for at in (12, 15))
    with tf.control_dependencies([require_size(choose(extended, height, 1), width)]):
        image = tf.cond(
            chunks.frame >= 0,
            lambda: _first_frame(contents, values, chunks, (height, width), background),
            lambda: _still(contents, background),
        )
    return image, chunks.exif


def _still(contents: tf.Tensor, background: Colour) -> tf.Tensor:
    image = tf.raw_ops.DecodeWebP(contents=contents, channels=0)[0]
    alpha = tf.equal(tf.shape(image)[2], 4)
    return tf.cond(alpha, lambda: composite(image, background), lambda: image[:, :, :3])


def _chunks(values: tf.Tensor) -> Chunks:
    """Walk the chunks of an extended file; a simple one has its pixels alone."""
    end = tf.size(values, tf.int64) - 1

    def kind(at: tf.Tensor) -> tf.Tensor:
        return number(values, at, 4, big_endian=True)

    def size(at: tf.Tensor) -> tf.Tensor:
        return number(values, at + 4, 4, big_endian=False)

    def goes_on(at: tf.Tensor, *_: tf.Tensor) -> tf.Tensor:
        return at + 8 < end

    def following(at: tf.Tensor, *found: tf.Tensor) -> tuple[tf.Tensor, ...]:
        frame, frame_bytes, exif = found
        begins = (frame < 0) & (kind(at) == as_word("ANMF"))
        return (
            at + 8 + size(at) + size(at) % 2,
            choose(begins, at + 8, frame),
            choose(begins, size(at), frame_bytes),
            choose(kind(at) == as_word("EXIF"), at + 8, exif),
        )

    none = tf.constant(NONE, tf.int64)
    start = (tf.constant(_FIRST_CHUNK, tf.int64), none, none, none)
    found = tf.while_loop(goes_on, following, start, maximum_iterations=_MOST_CHUNKS)
    exif = found[3]
    # Some programs write the name that JPEG wants before the block.
    named = (exif >= 0) & (kind(tf.maximum(exif, 0)) == as_word("Exif"))
    return Chunks(found[1], found[2], choose(named, exif + len(_EXIF_NAME), exif))


def _first_frame(
    contents: tf.Tensor,
    values: tf.Tensor,
    chunks: Chunks,
    canvas: tuple[tf.Tensor, tf.Tensor],
    background: Colour,
) -> tf.Tensor:
    """Decode the first frame alone onto the canvas: the decoder would hold all frames."""
    left, top = (2 * _triple(values, chunks.frame + at) for at in (0, 3))
    width, height = (1 + _triple(values, chunks.frame + at) for at in (6, 9))
    canvas = (tf.maximum(canvas[0], top + height), tf.maximum(canvas[1], left + width))
    with tf.control_dependencies([require_size(*canvas)]):
        image = _still(_alone(contents, values, chunks, (width, height)), background)
    return paste(image, (top, left), canvas, background)


def _triple(values: tf.Tensor, at: tf.Tensor | int) -> tf.Tensor:
    return number(values, at, 3, big_endian=False)


def _alone(
    contents: tf.Tensor, values: tf.Tensor, chunks: Chunks, sides: tuple[tf.Tensor, tf.Tensor]
) -> tf.Tensor:
    """Write the frame as a file of its own, string[]."""
    start = chunks.frame + _FRAME_HEADER
    pixels = tf.strings.substr(contents, start, tf.maximum(chunks.frame_bytes - _FRAME_HEADER, 0))
    alpha = number(values, start, 4, big_endian=True) == as_word("ALPH")
    header = tf.strings.join(
        [
            b"VP8X",
            bytes_of(tf.constant(10), 4),
            bytes_of(tf.constant(_HAS_ALPHA), 4),
            *(bytes_of(side - 1, 3) for side in sides),
        ]
    )
    chunk = tf.where(alpha, tf.strings.join([header, pixels]), pixels)
    size = tf.strings.length(chunk) + 4
    return tf.strings.join([b"RIFF", bytes_of(size, 4), b"WEBP", chunk])

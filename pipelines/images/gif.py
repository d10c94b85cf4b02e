"""The first frame of a GIF in graph, without decoding those after it (GIF89a specification)."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from pipelines.images.fitting import Colour, paste
from pipelines.images.orientation import NONE
from pipelines.images.raw_bytes import choose, number, require, require_size

_EXTENSION = 0x21
_FRAME = 0x2C
_GRAPHIC_CONTROL = 0xF9
_FIRST_BLOCK = 13
_DESCRIPTOR_BYTES = 10
_MOST_EXTENSIONS = 512


class Frame(NamedTuple):
    """The first frame: where its descriptor is, and its transparent colour's index or `NONE`."""

    at: tf.Tensor
    transparent: tf.Tensor


def decode_gif(contents: tf.Tensor, values: tf.Tensor, background: Colour) -> tf.Tensor:
    """Decode the first frame onto a canvas of the background, uint8[H, W, 3]."""
    frame = _first_frame(values)
    corner_x, corner_y, width, height = (
        number(values, frame.at + offset, 2, big_endian=False) for offset in (1, 3, 5, 7)
    )
    # A frame that hangs over enlarges the canvas.
    canvas_width = tf.maximum(number(values, 6, 2, big_endian=False), corner_x + width)
    canvas_height = tf.maximum(number(values, 8, 2, big_endian=False), corner_y + height)
    checks = [
        require(number(values, frame.at, 1, big_endian=False) == _FRAME, "a GIF without a frame"),
        require_size(canvas_height, canvas_width),
    ]
    with tf.control_dependencies(checks):
        image = tf.io.decode_gif(_alone(contents, values, frame, background))[0]
    return paste(image, (corner_y, corner_x), (canvas_height, canvas_width), background)


def _first_frame(values: tf.Tensor) -> Frame:
    """Walk the extensions before the first frame."""

    def byte(at: tf.Tensor) -> tf.Tensor:
        return number(values, at, 1, big_endian=False)

    def goes_on(at: tf.Tensor, _: tf.Tensor) -> tf.Tensor:
        return byte(at) == _EXTENSION

    def following(at: tf.Tensor, transparent: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        controls = byte(at + 1) == _GRAPHIC_CONTROL
        index = choose(byte(at + 3) % 2 == 1, byte(at + 6), NONE)
        return _after_blocks(values, at + 2), choose(controls, index, transparent)

    start = (_FIRST_BLOCK + _palette_bytes(byte(10)), tf.constant(NONE, tf.int64))
    return Frame(*tf.while_loop(goes_on, following, start, maximum_iterations=_MOST_EXTENSIONS))


def _after_blocks(values: tf.Tensor, at: tf.Tensor) -> tf.Tensor:
    """Return the offset past a chain of data blocks, each led by its length; 0 ends it."""

    def length(at: tf.Tensor) -> tf.Tensor:
        end = tf.size(values, tf.int64) - 1
        return tf.cast(values[tf.minimum(at, end)], tf.int64)

    at = tf.while_loop(lambda at: length(at) > 0, lambda at: (at + length(at) + 1,), (at,))[0]
    return at + 1


def _palette_bytes(flags: tf.Tensor) -> tf.Tensor:
    """Return the size of the palette that flags announce; 0 without one."""
    colours = tf.bitwise.left_shift(tf.constant(2, tf.int64), flags % 8)
    return choose(flags >= 128, colours * 3, 0)


def _alone(contents: tf.Tensor, values: tf.Tensor, frame: Frame, background: Colour) -> tf.Tensor:
    """Rewrite the file, string[]: a canvas as large as the first frame, and that frame opaque.

    The decoder paints transparent pixels black; so the palette's entry becomes the background.
    """
    shared_limit = _FIRST_BLOCK + _palette_bytes(number(values, 10, 1, big_endian=False))
    local = frame.at + _DESCRIPTOR_BYTES
    pixels = local + _palette_bytes(number(values, frame.at + 9, 1, big_endian=False))
    end = _after_blocks(values, pixels + 1)
    has_local = pixels > local
    entry = choose(has_local, local, _FIRST_BLOCK) + 3 * frame.transparent
    paints = (frame.transparent >= 0) & (entry < choose(has_local, pixels, shared_limit))
    contents = tf.cond(paints, lambda: _with_entry(contents, entry, background), lambda: contents)
    sides = _part(contents, frame.at + 5, frame.at + 9)
    shared = _part(contents, tf.constant(10, tf.int64), shared_limit)
    drawn = _part(contents, frame.at + 9, end)
    return tf.strings.join([b"GIF89a", sides, shared, b",\0\0\0\0", sides, drawn, b";"])


def _with_entry(contents: tf.Tensor, entry: tf.Tensor, colour: Colour) -> tf.Tensor:
    """Exchange the three bytes from `entry` on."""
    size = tf.cast(tf.strings.length(contents), tf.int64)
    before = _part(contents, tf.constant(0, tf.int64), entry)
    return tf.strings.join([before, bytes(colour), _part(contents, entry + 3, size)])


def _part(contents: tf.Tensor, start: tf.Tensor, limit: tf.Tensor) -> tf.Tensor:
    return tf.strings.substr(contents, start, tf.maximum(limit - start, 0))

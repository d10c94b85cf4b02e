"""BMP in graph: the decoder of TensorFlow knows neither palettes nor masks."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from pipelines.images.fitting import Colour, composite
from pipelines.images.raw_bytes import choose, number, require, require_size

_UNCOMPRESSED, _MASKS, _ALPHA_MASKS = 0, 3, 6
_OLD_HEADER = 12
_HEADER_AT = 14
_MASKS_AT = 54
_HEADER_WITH_ALPHA_MASK = 56
_BITS = (1, 2, 4, 8, 16, 24, 32)
_DEFAULT_MASKS = {16: (0x7C00, 0x3E0, 0x1F, 0), 32: (0xFF0000, 0xFF00, 0xFF, 0)}


class Header(NamedTuple):
    """What the headers say, int64[] each; `height` is positive, `masks` int64[4] or zeros."""

    pixels_at: tf.Tensor
    size: tf.Tensor
    width: tf.Tensor
    height: tf.Tensor
    top_down: tf.Tensor
    bits: tf.Tensor
    compression: tf.Tensor


def decode_bmp(values: tf.Tensor, background: Colour) -> tf.Tensor:
    """Decode to uint8[H, W, 3]; alpha counts only where a mask tells its place.

    Args:
        values: bytes of the file, from `as_numbers`.
        background: colour behind transparent pixels.
    """
    header = _header(values)
    plain = tf.reduce_any(
        header.compression == tf.constant([_UNCOMPRESSED, _MASKS, _ALPHA_MASKS], tf.int64)
    )
    known = tf.reduce_any(header.bits == tf.constant(_BITS, tf.int64))
    checks = [
        require(plain, "a run-length encoded BMP, which is not supported; save it as PNG"),
        require(known, "a BMP of an unknown number of bits; save it as PNG"),
        require_size(header.height, header.width),
    ]
    with tf.control_dependencies(checks):
        rows = _rows(values, header)
    kind = tf.reduce_sum(tf.cast(header.bits >= tf.constant([16, 24, 32], tf.int64), tf.int32))
    image = tf.switch_case(
        kind,
        [
            lambda: _by_palette(values, rows, header),
            lambda: _by_masks(values, rows, header, 16, background),
            lambda: tf.reverse(
                tf.reshape(rows[:, : header.width * 3], [header.height, header.width, 3]), [2]
            ),
            lambda: _by_masks(values, rows, header, 32, background),
        ],
    )
    return tf.cond(header.top_down, lambda: image, lambda: tf.reverse(image, [0]))


def _header(values: tf.Tensor) -> Header:
    size = number(values, _HEADER_AT, 4, big_endian=False)
    old = tf.equal(size, _OLD_HEADER)

    def field(old_at: int, old_width: int, at: int, width: int) -> tf.Tensor:
        return choose(
            old,
            number(values, old_at, old_width, big_endian=False),
            number(values, at, width, big_endian=False),
        )

    height = field(20, 2, 22, 4)
    # A negative height says that the first row is the upper one.
    top_down = height >= 1 << 31
    return Header(
        pixels_at=number(values, 10, 4, big_endian=False),
        size=size,
        width=field(18, 2, 18, 4),
        height=choose(top_down, (1 << 32) - height, height),
        top_down=top_down,
        bits=field(24, 2, 28, 2),
        compression=choose(old, _UNCOMPRESSED, number(values, 30, 4, big_endian=False)),
    )


def _rows(values: tf.Tensor, header: Header) -> tf.Tensor:
    """Return the rows as stored, uint8[H, bytes of a row], each a multiple of 4 bytes."""
    stride = (header.width * header.bits + 31) // 32 * 4
    count = header.height * stride
    pixels = values[header.pixels_at : header.pixels_at + count]
    whole = require(tf.equal(tf.size(pixels, tf.int64), count), "a BMP that is cut off")
    with tf.control_dependencies([whole]):
        return tf.reshape(pixels, [header.height, stride])


def _by_palette(values: tf.Tensor, rows: tf.Tensor, header: Header) -> tf.Tensor:
    """Look 1 to 8 bits a pixel up in the palette, entries of blue, green, red (and nothing)."""
    entry = choose(tf.equal(header.size, _OLD_HEADER), 3, 4)
    start = _HEADER_AT + header.size
    limit = tf.minimum(start + 256 * entry, header.pixels_at)
    stored = values[start : start + tf.maximum(limit - start, 0) // entry * entry]
    palette = tf.reverse(tf.reshape(stored, [-1, entry])[:, :3], [1])
    # A number past the palette is black.
    palette = tf.concat([palette, tf.zeros([256, 3], tf.uint8)], 0)
    in_byte = 8 // header.bits
    shifts = 8 - header.bits * tf.range(1, in_byte + 1)
    numbers = tf.bitwise.right_shift(tf.cast(rows, tf.int64)[:, :, tf.newaxis], shifts)
    numbers %= tf.bitwise.left_shift(tf.constant(1, tf.int64), header.bits)
    flat = tf.reshape(numbers, [header.height, -1])[:, : header.width]
    return tf.gather(palette, flat)


def _by_masks(
    values: tf.Tensor, rows: tf.Tensor, header: Header, bits: int, background: Colour
) -> tf.Tensor:
    """Take colours, and alpha where there is some, out of the bits that masks tell."""
    width = bits // 8
    stored = tf.cast(
        tf.reshape(rows[:, : header.width * width], [header.height, header.width, width]), tf.int64
    )
    pixels = tf.reduce_sum(stored * [256**power for power in range(width)], 2)
    masks = _masks(values, header, bits)
    channels = tf.stack([_channel(pixels, mask) for mask in tf.unstack(masks)], 2)
    return tf.cond(
        masks[3] > 0, lambda: composite(channels, background), lambda: channels[:, :, :3]
    )


def _masks(values: tf.Tensor, header: Header, bits: int) -> tf.Tensor:
    """Return the masks of red, green, blue and alpha, int64[4]; alpha 0 for none."""
    told = [number(values, _MASKS_AT + 4 * index, 4, big_endian=False) for index in range(4)]
    has_alpha = (header.compression == _ALPHA_MASKS) | (header.size >= _HEADER_WITH_ALPHA_MASK)
    told[3] = choose(has_alpha, told[3], 0)
    default = tf.constant(_DEFAULT_MASKS[bits], tf.int64)
    return choose(tf.equal(header.compression, _UNCOMPRESSED), default, tf.stack(told))


def _channel(pixels: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Stretch the masked bits of pixels, int64[H, W], to 0..255."""
    lowest = tf.maximum(tf.bitwise.bitwise_and(mask, -mask), 1)
    highest = tf.maximum(mask // lowest, 1)
    found = tf.bitwise.bitwise_and(pixels, mask) // lowest
    return tf.cast((found * 255 + highest // 2) // highest, tf.uint8)

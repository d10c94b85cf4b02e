"""Images of any size onto a square of one size, and layers of transparency onto a background."""

from __future__ import annotations

from typing import Literal

import tensorflow as tf

from pipelines.images.orientation import turn_upright

Fit = Literal["pad", "crop", "stretch"]
Colour = tuple[int, int, int]


def composite(image: tf.Tensor, background: Colour) -> tf.Tensor:
    """Lay an image with alpha, uint8[H, W, 4], over a colour: uint8[H, W, 3].

    Rounded to the nearest value in 8 bits, as an opaque picture of it would be stored.
    """
    # The sum is at most 255 * 255 + 127, so that 16 bits hold it.
    alpha = tf.cast(image[:, :, 3:], tf.uint16)
    over = tf.cast(image[:, :, :3], tf.uint16) * alpha
    under = tf.constant(background, tf.uint16) * (255 - alpha)
    return tf.cast((over + under + 127) // 255, tf.uint8)


def paste(
    image: tf.Tensor,
    corner: tuple[tf.Tensor, tf.Tensor],
    sides: tuple[tf.Tensor | int, tf.Tensor | int],
    background: Colour,
) -> tf.Tensor:
    """Put an image, uint8[h, w, 3], on a canvas of one colour.

    Args:
        image: fits on the canvas at its place.
        corner: row and column of its upper left pixel on the canvas.
        sides: height and width of the canvas.
        background: the colour.

    Returns:
        uint8[height, width, 3].
    """
    before = tf.stack([*corner, 0])
    after = tf.cast(tf.stack([*sides, 3]), tf.int64) - before - tf.shape(image, tf.int64)
    # Padding by zeros once the colour is taken off, modulo 256, pads by the colour.
    colour = tf.constant(background, tf.uint8)
    return tf.pad(image - colour, tf.stack([before, after], 1)) + colour


def reduction(sides: tf.Tensor, size: int, fit: Fit) -> tf.Tensor:
    """Tell how many times smaller an image of these sides, int64[2], is made: float64[].

    Where rows and columns are not reduced alike, the lesser of the two.
    """
    decisive = tf.reduce_max(sides) if fit == "pad" else tf.reduce_min(sides)
    return decisive / size


def fit_to_square(
    image: tf.Tensor, orientation: tf.Tensor, size: int, fit: Fit, background: Colour
) -> tf.Tensor:
    """Resize an image, turn it upright and make it square.

    Shrinking averages over all pixels (a triangle filter as wide as the reduction), and enlarging
    interpolates linearly, so that neither rings.

    Args:
        image: uint8[H, W, 3].
        orientation: EXIF orientation, 1 to 8, int64[].
        size: side S of the square.
        fit: "pad", "crop" or "stretch".
        background: colour of what "pad" adds.

    Returns:
        uint8[S, S, 3].
    """
    resized = turn_upright(_resize(image, size, fit), orientation)
    if fit != "pad":
        return tf.ensure_shape(resized, [size, size, 3])
    top, left = tf.unstack((size - tf.shape(resized, tf.int64)[:2]) // 2)
    padded = paste(resized, (top, left), (size, size), background)
    return tf.ensure_shape(padded, [size, size, 3])


def _resize(image: tf.Tensor, size: int, fit: Fit) -> tf.Tensor:
    """Scale to what is seen of the image: [S, S, 3], for "pad" without what is added."""
    sides = tf.cast(tf.shape(image)[:2], tf.float32)
    if fit == "pad":
        # An image of 1 x 5000 still shows as a line.
        new = tf.maximum(tf.round(sides * (size / tf.reduce_max(sides))), 1.0)
        scale, shift = new / sides, tf.zeros([2])
    elif fit == "crop":
        new = tf.fill([2], float(size))
        scale = tf.fill([2], size / tf.reduce_min(sides))
        shift = (new - scale * sides) / 2.0
    else:
        new = tf.fill([2], float(size))
        scale, shift = new / sides, tf.zeros([2])
    return tf.cond(
        tf.reduce_all(tf.equal(sides, new)),
        lambda: image,
        lambda: _scaled(image, tf.cast(new, tf.int32), scale, shift),
    )


def _scaled(image: tf.Tensor, new: tf.Tensor, scale: tf.Tensor, shift: tf.Tensor) -> tf.Tensor:
    """Resample to `new` rows and columns, uint8."""
    pixels = tf.raw_ops.ScaleAndTranslate(
        images=image[tf.newaxis],
        size=new,
        scale=scale,
        translation=shift,
        kernel_type="triangle",
        antialias=True,
    )[0]
    return tf.cast(tf.clip_by_value(tf.floor(pixels + 0.5), 0.0, 255.0), tf.uint8)

"""Images made square, against Pillow's reduction."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pipelines.images.fitting import fit_to_square

SIZE = 24
COLOUR = (10, 200, 90)
FITS = ["pad", "crop", "stretch"]


def noise(width, height):
    values = np.random.default_rng(width).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values)


def pillow_square(image, size, fit):
    """The same reduction by Pillow: a triangle filter as wide as the reduction."""
    width, height = image.size
    if fit == "stretch":
        return np.asarray(image.resize((size, size), Image.BILINEAR))
    if fit == "crop":
        side = min(width, height)
        left, top = (width - side) / 2, (height - side) / 2
        box = (left, top, left + side, top + side)
        return np.asarray(image.resize((size, size), Image.BILINEAR, box=box))
    scale = size / max(width, height)
    new = [max(int(np.round(np.float32(side * scale))), 1) for side in (width, height)]
    square = Image.new("RGB", (size, size), COLOUR)
    square.paste(image.resize(new, Image.BILINEAR), tuple((size - side) // 2 for side in new))
    return np.asarray(square)


def squared(image, fit):
    pixels = tf.constant(np.asarray(image))
    return fit_to_square(pixels, tf.constant(1, tf.int64), SIZE, fit, COLOUR).numpy()


@settings(max_examples=20)
@given(st.integers(1, 90), st.integers(1, 90), st.sampled_from(FITS))
def test_resizing_equals_pillows_within_2_of_255(width, height, fit):
    image = noise(width, height)
    pixels = squared(image, fit)
    expected = pillow_square(image, SIZE, fit)
    if fit == "crop":
        # At the cut, Pillow's filter ends and ours sees what lies beyond.
        pixels, expected = pixels[3:-3, 3:-3], expected[3:-3, 3:-3]
    assert np.abs(pixels.astype(int) - expected).max() <= 2


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("sides", [(1, 1), (1, 5000), (5000, 1), (3000, 2)])
def test_extreme_sides_cover_what_they_should(sides, fit):
    image = Image.new("RGB", sides, (200, 30, 30))
    covered = (squared(image, fit) == (200, 30, 30)).all(2).sum()
    assert covered == (SIZE if fit == "pad" and sides != (1, 1) else SIZE * SIZE)


def test_enlarging_adds_no_value_that_was_not_there():
    image = Image.fromarray(np.kron([[40, 200], [200, 40]], np.ones((2, 2))).astype(np.uint8))
    pixels = squared(image.convert("RGB"), "stretch")
    assert pixels.min() == 40 and pixels.max() == 200

"""EXIF orientation against Pillow's `exif_transpose`."""

import functools
import io
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from pipelines.images.reading import ImageReader

WIDTH, HEIGHT = 16, 11
SHORT, LONG = 3, 4


@functools.cache
def reader():
    return ImageReader(WIDTH)


def image():
    values = np.kron(np.random.default_rng(4).integers(0, 256, (3, 4, 3)), np.ones((4, 4, 1)))
    return Image.fromarray(values[:HEIGHT].astype(np.uint8))


def tiff(orientation, *, order="<", kind=SHORT, before=0, at=8):
    """An EXIF block with some entries before the orientation."""
    number = struct.pack(order + ("H" if kind == SHORT else "I"), orientation).ljust(4, b"\0")
    entries = [
        struct.pack(order + "HHI", tag, SHORT, 1) + b"\6\0\0\0" for tag in range(256, 256 + before)
    ]
    entries.append(struct.pack(order + "HHI", 0x0112, kind, 1) + number)
    head = struct.pack(order + "2sHI", b"II" if order == "<" else b"MM", 42, at).ljust(at, b"\0")
    return head + struct.pack(order + "H", len(entries)) + b"".join(entries) + b"\0\0\0\0"


def jpeg(block, before=b""):
    stream = io.BytesIO()
    image().save(stream, "JPEG", quality=95)
    data = b"Exif\0\0" + block
    segment = b"\xff\xe1" + struct.pack(">H", len(data) + 2) + data
    return stream.getvalue()[:2] + before + segment + stream.getvalue()[2:]


def upright(data):
    """What Pillow shows, centred on a white square; ours may differ by rounding."""
    shown = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
    square = Image.new("RGB", (WIDTH, WIDTH), "white")
    square.paste(shown, tuple((WIDTH - side) // 2 for side in shown.size))
    return np.asarray(square, int)


def largest_difference(data):
    return np.abs(reader()([data])[0].numpy() - upright(data)).max()


COMMENT = b"\xff\xfe" + struct.pack(">H", 60_002) + b"Exif\0\0" * 10_000
OTHER_APP1 = b"\xff\xe1" + struct.pack(">H", 12) + b"http://ns/"


@settings(max_examples=30)
@given(
    st.integers(0, 9),
    st.sampled_from("<>"),
    st.sampled_from([SHORT, LONG]),
    st.integers(0, 5),
    st.sampled_from([8, 9, 26]),
    st.sampled_from([b"", COMMENT, OTHER_APP1, COMMENT + OTHER_APP1, b"\xff\xff"]),
)
def test_orientation_in_jpeg_equals_pillows(orientation, order, kind, before, at, segments):
    data = jpeg(tiff(orientation, order=order, kind=kind, before=before, at=at), segments)
    assert largest_difference(data) <= 1


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_orientation_in_png_and_webp_equals_pillows(kind, orientation):
    stream = io.BytesIO()
    options = {"lossless": True} if kind == "WEBP" else {}
    image().save(stream, kind, exif=b"Exif\0\0" + tiff(orientation, order=">"), **options)
    assert largest_difference(stream.getvalue()) == 0


@pytest.mark.parametrize(
    "block",
    [b"", b"II*\0", tiff(6)[:15], b"XX" + tiff(6)[2:], tiff(6, at=8)[:4] + b"\xff" * 12],
    ids=["empty", "mark alone", "cut", "no byte order", "far directory"],
)
def test_a_damaged_block_leaves_the_image_as_it_is(block):
    pixels = reader()([jpeg(block)])
    np.testing.assert_array_equal(pixels, reader()([jpeg(tiff(1))]))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turning_commutes_with_reducing(orientation):
    """A photograph is turned after it has been made small; the result is the same."""
    x, y = np.meshgrid(np.linspace(0, 255, 301), np.linspace(0, 255, 155))
    photo = Image.fromarray(np.stack([x, y, (x + y) / 2], 2).astype(np.uint8))
    turned, straight = io.BytesIO(), io.BytesIO()
    photo.save(turned, "PNG", exif=b"Exif\0\0" + tiff(orientation))
    turned.seek(0)
    ImageOps.exif_transpose(Image.open(turned)).save(straight, "PNG")
    one, other = reader()([turned.getvalue(), straight.getvalue()]).numpy().astype(int)
    assert np.abs(one - other).max() <= 1

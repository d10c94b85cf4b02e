"""Pixels of every format against Pillow's; the files are drawn here, none is committed."""

import functools
import io
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from pipelines.errors import ConfigError
from pipelines.images.reading import ImageReader

SIZE = 24
COLOUR = (10, 200, 90)
# First column and row, and steps, of the seven passes of an interlaced PNG.
ADAM7 = [
    (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)
]  # fmt: skip


@functools.cache
def reader():
    return ImageReader(SIZE, background=COLOUR)


def encoded(image, kind, **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def drawn(width=SIZE, height=SIZE, mode="RGBA"):
    """A smooth drawing with every alpha from nothing to all."""
    x, y = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    bands = [x, y, (x + y) / 2, (1 + np.sin(9 * x * y)) / 2]
    values = np.stack([np.round(band * 255) for band in bands], 2).astype(np.uint8)
    return Image.fromarray(values, "RGBA").convert(mode)


def noise(mode, seed=0, width=SIZE, height=SIZE):
    values = np.random.default_rng(seed).integers(0, 256, (height, width, 4), dtype=np.uint8)
    return Image.fromarray(values, "RGBA").convert(mode)


def over(image):
    """What Pillow shows of an image on the background, uint8[H, W, 3]."""
    image = image.convert("RGBA")
    below = Image.new("RGBA", image.size, (*COLOUR, 255))
    below.alpha_composite(image)
    return np.asarray(below.convert("RGB"))


def largest_difference(one, other):
    return np.abs(np.asarray(one, int) - np.asarray(other, int)).max()


def png16(channels, interlaced=False):
    """A PNG of 16 bits a channel, which Pillow cannot write, and the upper halves of its values."""
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    values = np.random.default_rng(channels).integers(0, 1 << 16, (SIZE, SIZE, channels))
    parts = ADAM7 if interlaced else [(0, 0, 1, 1)]
    passes = [values[y::down, x::right] for x, y, right, down in parts]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for part in passes for row in part)

    def chunk(name, data):
        check = zlib.crc32(name + data)
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", SIZE, SIZE, 16, kind, 0, 0, interlaced)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    data = b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in chunks)
    mode = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[channels]
    upper = (values >> 8).astype(np.uint8)
    return data, Image.fromarray(upper[:, :, 0] if channels == 1 else upper, mode)


def ycck(image):
    """A CMYK JPEG whose Adobe marker says that its colours are YCCK."""
    data = encoded(image, "JPEG", quality=95)
    at = data.index(b"Adobe") + 11
    return data[:at] + b"\2" + data[at + 1 :]


def bmp(bits, *, top_down=False, masks=None, old=False, colours=None):
    """A BMP of random pixels in a form that Pillow does not write."""
    stride = (SIZE * bits + 31) // 32 * 4
    rows = np.random.default_rng(bits).integers(0, 256, SIZE * stride, dtype=np.uint8).tobytes()
    colours = (1 << bits) if bits <= 8 and colours is None else colours or 0
    entry = 3 if old else 4
    palette = np.random.default_rng(9).integers(0, 256, colours * entry, dtype=np.uint8).tobytes()
    if old:
        header = struct.pack("<IHHHH", 12, SIZE, SIZE, 1, bits)
    else:
        height = -SIZE if top_down else SIZE
        compression = 3 if masks else 0
        size = 108 if masks and len(masks) == 4 else 40
        header = struct.pack(
            "<IiiHHI5I", size, SIZE, height, 1, bits, compression, *[0] * 3, colours, 0
        )
        header += struct.pack(f"<{len(masks or ())}I", *(masks or ()))
        header = header.ljust(size, b"\0")
    at = 14 + len(header) + len(palette)
    return b"BM" + struct.pack("<IHHI", at + len(rows), 0, 0, at) + header + palette + rows


@functools.cache
def samples():
    """Name to the bytes of a file of SIZE x SIZE pixels."""
    rgba, rgb, grey = drawn(), drawn(mode="RGB"), drawn(mode="L")
    few, bits = rgb.quantize(16), noise("L").convert("1")
    files = {
        "png grey": encoded(grey, "PNG"),
        "png grey and alpha": encoded(drawn(mode="LA"), "PNG"),
        "png grey, one grey transparent": encoded(grey, "PNG", transparency=grey.getpixel((3, 3))),
        "png colour": encoded(rgb, "PNG"),
        "png colour, one transparent": encoded(rgb, "PNG", transparency=rgb.getpixel((3, 3))),
        "png alpha": encoded(rgba, "PNG"),
        "png alpha, noise": encoded(noise("RGBA"), "PNG"),
        "png palette": encoded(rgb.quantize(200), "PNG"),
        "png palette with alpha": encoded(rgba.quantize(200), "PNG"),
        "png 1 bit": encoded(bits, "PNG"),
        "png 1 bit, transparent": encoded(bits, "PNG", transparency=0),
        "png animated": encoded(rgba, "PNG", save_all=True, append_images=[rgba.rotate(90)]),
        "jpeg grey": encoded(grey, "JPEG"),
        "jpeg colour": encoded(rgb, "JPEG"),
        "jpeg progressive": encoded(rgb, "JPEG", progressive=True),
        "jpeg 4:4:4": encoded(noise("RGB"), "JPEG", subsampling=0),
        "jpeg cmyk": encoded(drawn(mode="RGB").convert("CMYK"), "JPEG"),
        "jpeg ycck": ycck(drawn(mode="RGB").convert("CMYK")),
        "gif": encoded(few, "GIF"),
        "gif interlaced": encoded(noise("RGB").quantize(256), "GIF", interlace=1),
        "gif transparent": encoded(few, "GIF", transparency=few.getpixel((3, 3))),
        "gif animated": encoded(
            few, "GIF", save_all=True, append_images=[few.rotate(90)] * 3, transparency=2
        ),
        "bmp 1": encoded(bits, "BMP"),
        "bmp 8": encoded(few, "BMP"),
        "bmp grey": encoded(grey, "BMP"),
        "bmp 24": encoded(rgb, "BMP"),
        "bmp 32": encoded(rgba, "BMP"),
        "bmp 4": bmp(4),
        "bmp 16": bmp(16),
        "bmp 16, masks": bmp(16, masks=(0xF800, 0x7E0, 0x1F)),
        "bmp 24, top-down": bmp(24, top_down=True),
        "bmp 8, of OS/2": bmp(8, old=True),
        "bmp 24, of OS/2": bmp(24, old=True),
        "bmp 32, masks": bmp(32, masks=(0xFF0000, 0xFF00, 0xFF)),
        "bmp 32, masks with alpha": bmp(32, masks=(0xFF0000, 0xFF00, 0xFF, 0xFF000000)),
        "webp": encoded(rgb, "WEBP"),
        "webp lossless": encoded(noise("RGB"), "WEBP", lossless=True),
        "webp alpha": encoded(rgba, "WEBP"),
        "webp lossless alpha": encoded(rgba, "WEBP", lossless=True),
    }
    for name, still in {"lossy": False, "lossless": True}.items():
        frames = [noise("RGBA", 1), noise("RGBA", 2)]
        files[f"webp animated {name}"] = encoded(
            rgba, "WEBP", lossless=still, save_all=True, append_images=frames
        )
        files[f"webp animated {name}, opaque"] = encoded(
            rgb, "WEBP", lossless=still, save_all=True, append_images=[frames[0].convert("RGB")]
        )
    return files


@functools.cache
def pixels_of_samples():
    return dict(zip(samples(), reader()(list(samples().values())).numpy(), strict=True))


@pytest.mark.parametrize("name", samples())
def test_pixels_equal_those_of_pillow(name):
    expected = over(Image.open(io.BytesIO(samples()[name])))
    assert largest_difference(pixels_of_samples()[name], expected) <= 1


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_of_16_bits_the_upper_8_count(channels, interlaced):
    data, upper = png16(channels, interlaced)
    assert largest_difference(reader()([data])[0], over(upper)) <= 1


def test_padding_shows_the_background_above_and_below():
    image = drawn(SIZE, SIZE // 2)
    pixels = reader()([encoded(image, "PNG")])[0].numpy()
    assert (pixels[: SIZE // 4] == COLOUR).all() and (pixels[-SIZE // 4 :] == COLOUR).all()
    assert largest_difference(pixels[SIZE // 4 : -SIZE // 4], over(image)) <= 1


def test_a_gif_whose_first_frame_lies_off_the_corner_is_placed_on_its_canvas():
    data = bytearray(encoded(drawn(8, 6, "RGB").quantize(16), "GIF"))
    alone = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    data[6:10] = struct.pack("<HH", SIZE, SIZE)
    at = data.index(b",\0\0\0\0")
    data[at + 1 : at + 5] = struct.pack("<HH", 5, 7)
    expected = np.full((SIZE, SIZE, 3), COLOUR)
    expected[7:13, 5:13] = alone
    np.testing.assert_array_equal(reader()([bytes(data)])[0], expected)


def test_a_webp_whose_first_frame_lies_off_the_corner_is_placed_on_its_canvas():
    frames = [drawn(16, 12), noise("RGBA", width=16, height=12)]
    data = bytearray(
        encoded(frames[0], "WEBP", lossless=True, save_all=True, append_images=frames[1:])
    )
    data[24:30] = (SIZE - 1).to_bytes(3, "little") * 2
    at = data.index(b"ANMF") + 8
    data[at : at + 6] = bytes([2, 0, 0, 3, 0, 0])
    expected = over(Image.open(io.BytesIO(data)))
    assert (expected[0] == COLOUR).all() and (expected[6:18, 4:20] != COLOUR).any()
    assert largest_difference(reader()([bytes(data)])[0], expected) <= 1


def test_later_frames_of_a_gif_are_not_looked_at():
    data = samples()["gif animated"]
    first = data.index(b"!\xf9", data.index(b",\0\0\0\0"))
    broken = data[:first] + b"\xff" * 40
    np.testing.assert_array_equal(reader()([broken])[0], pixels_of_samples()["gif animated"])


@pytest.mark.parametrize("sides", [(1, 1), (1, 5000), (5000, 1), (3000, 2)])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "GIF"])
def test_extreme_sides_are_read(sides, kind):
    colour = (200, 30, 30)
    pixels = reader()([encoded(Image.new("RGB", sides, colour), kind)])[0].numpy().astype(int)
    covered = (np.abs(pixels - colour).max(2) <= 6).sum()
    assert covered == (SIZE * SIZE if sides == (1, 1) else SIZE)


@pytest.mark.parametrize("sides", [(1600, 1200), (403, 801)])
def test_a_large_jpeg_shrunk_while_decoding_looks_as_if_it_were_not(sides):
    data = encoded(drawn(*sides, "RGB"), "JPEG", quality=90)
    whole = encoded(Image.open(io.BytesIO(data)), "PNG")
    shrunk, expected = reader()([data, whole]).numpy().astype(int)
    difference = np.abs(shrunk - expected)
    assert difference.max() <= 4 and difference.mean() <= 1


def test_a_batch_may_be_empty_and_rows_do_not_depend_on_each_other():
    assert reader()(tf.zeros([0], tf.string)).shape == (0, SIZE, SIZE, 3)
    name = "jpeg colour"
    np.testing.assert_array_equal(reader()([samples()[name]])[0], pixels_of_samples()[name])


def test_settings_make_the_same_reader():
    reader = ImageReader(**ImageReader(8, "crop", COLOUR).settings())
    assert (reader.size, reader.fit, reader.background) == (8, "crop", COLOUR)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": 0}, "size of images: got 0, expected 1 to 4096 pixels"),
        ({"fit": "pda"}, "unknown fit 'pda' of images; did you mean 'pad'.*known: pad, crop"),
        ({"background": (1, 2, 256)}, r"got \(1, 2, 256\), expected red, green and blue"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        ImageReader(**settings)


LOADER = """
import sys
import numpy as np
sys.modules.update(keras=None, jax=None)
import tensorflow as tf
given = np.load(sys.argv[2])
images = [given[name].tobytes() for name in sorted(given.files)]
model = tf.saved_model.load(sys.argv[1])
np.save(sys.argv[3], model.serve(tf.constant(images)).numpy())
assert "pipelines" not in sys.modules
"""


def test_an_exported_reader_needs_tensorflow_alone(tmp_path):
    module = tf.Module()
    module.serve = tf.function(
        lambda image: reader()(image),
        input_signature=[tf.TensorSpec([None], tf.string)],
        autograph=False,
    )
    tf.saved_model.save(module, str(tmp_path / "model"))
    files = samples() | {"png 16 bits": png16(4)[0], "long": encoded(drawn(99, 7), "PNG")}
    np.savez(tmp_path / "files.npz", **{n: np.frombuffer(d, np.uint8) for n, d in files.items()})
    arguments = [str(tmp_path / name) for name in ("model", "files.npz", "pixels.npy")]
    # Another folder, so that the project cannot be imported.
    subprocess.run([sys.executable, "-c", LOADER, *arguments], check=True, cwd=tmp_path)
    here = reader()([files[name] for name in sorted(files)])
    np.testing.assert_array_equal(np.load(tmp_path / "pixels.npy"), here)

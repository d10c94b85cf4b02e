"""A look at image files: what is told of whole ones, and why others cannot be used."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.datasets import captions_pictures
from pipelines.datasets.captions_pictures import MOST_PIXELS, Fault, Look, look_at


def picture(seed: int, size: tuple[int, int] = (12, 9)) -> Image.Image:
    """Return a small picture that no other seed gives."""
    values = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
    return Image.fromarray(values)


def png_header_of(width: int, height: int) -> bytes:
    """Return a PNG that claims a size and holds little."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(1000))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


def encoded(image: Image.Image, kind: str) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind)
    return stream.getvalue()


FAULTS = {
    "empty": (b"", "the file is empty"),
    "text": (b"not found 404", "no image (it begins with b'not found 40')"),
    "cut png": (encoded(picture(0, (80, 80)), "PNG")[:4000], "damaged (image file is truncated"),
    "cut jpeg": (encoded(picture(0, (80, 80)), "JPEG")[:1500], "damaged (image file is truncated"),
    "bomb": (png_header_of(30_000, 30_000), "over 89,000,000"),
    "large": (png_header_of(9_000, 9_900), "9,000 x 9,900 pixels, over 89,000,000"),
    "tiff": (encoded(picture(0), "TIFF"), "TIFF; convert it to PNG or JPEG"),
    "svg": (b"<?xml version='1.0'?><svg/>", "SVG; convert it to PNG or JPEG"),
    "heic": (b"\0\0\0\x18ftypheic\0\0\0\0", "HEIC; convert it to PNG or JPEG"),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_an_image_that_cannot_be_used_is_named_with_the_reason(tmp_path: Path, kind: str) -> None:
    content, reason = FAULTS[kind]
    path = tmp_path / "x.jpg"
    path.write_bytes(content)
    found = look_at(path)
    assert isinstance(found, Fault) and reason in found.reason


def test_an_image_that_is_gone_is_not_called_damaged(tmp_path: Path) -> None:
    found = look_at(tmp_path / "gone.png")
    assert isinstance(found, Fault)
    assert found.reason == "cannot be opened (No such file or directory)"


def test_a_damaged_exif_part_does_not_break_an_image(tmp_path: Path) -> None:
    path = tmp_path / "x.jpg"
    picture(0).save(path, exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x05\x01\x12garbage")
    with pytest.warns(UserWarning, match="Corrupt EXIF"):
        found = look_at(path)
    assert isinstance(found, Look) and (found.width, found.height) == (12, 9)


def test_looks_agree_where_pictures_do(tmp_path: Path) -> None:
    image = picture(1, (40, 30))
    clear = Image.new("RGBA", (41, 30), (9, 9, 9, 0))
    clear.paste(image, (0, 0))
    image.save(tmp_path / "a.png")
    image.save(tmp_path / "b.png", optimize=True, pnginfo=None, dpi=(10, 10))
    image.convert("RGBA").save(tmp_path / "c.webp", lossless=True)
    image.save(tmp_path / "d.bmp")
    clear.save(tmp_path / "e.png")
    image.save(tmp_path / "f.jpg")
    looks = [look_at(path) for path in sorted(tmp_path.iterdir())]
    assert all(isinstance(it, Look) for it in looks)
    keys = [it.pixels for it in looks if isinstance(it, Look)]
    assert len(set(keys[:4])) == 1 and len(set(keys)) == 3


def test_a_look_turns_by_exif_and_knows_grey_and_16_bits(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    picture(1, (40, 30)).save(tmp_path / "turned.jpg", exif=exif)
    turned = look_at(tmp_path / "turned.jpg")
    assert isinstance(turned, Look) and (turned.width, turned.height) == (30, 40)
    assert not turned.grey
    levels = np.linspace(0, 65535, 400).reshape(20, 20).astype(np.uint16)
    Image.fromarray(levels).save(tmp_path / "deep.png")
    Image.fromarray((levels / 257).astype(np.uint8)).save(tmp_path / "plain.png")
    deep, plain = look_at(tmp_path / "deep.png"), look_at(tmp_path / "plain.png")
    assert isinstance(deep, Look) and deep == plain and deep.grey


def test_progress_tells_the_time_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(captions_pictures, "_CHUNK", 2)
    monkeypatch.setattr(captions_pictures.time, "monotonic", iter(range(100)).__next__)
    told: list[str] = []
    paths = [tmp_path / f"{number}.png" for number in range(5)]
    for number, path in enumerate(paths):
        picture(number).save(path)
    assert len(list(captions_pictures.look_at_all(paths, told.append))) == 5
    assert told == [
        "looking at images: 2 of 5, 2 s left",
        "looking at images: 4 of 5, 0 s left",
    ]


def test_the_limit_of_pixels_is_below_pillows_own() -> None:
    assert Image.MAX_IMAGE_PIXELS is not None and MOST_PIXELS < Image.MAX_IMAGE_PIXELS

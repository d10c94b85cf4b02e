"""Look at image files without TensorFlow: decode once, hash what is seen, name what is broken."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from pipelines.datasets.package_index import Progress

FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP")
SUFFIXES = (".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".gif", ".webp", ".bmp")
UNSUPPORTED_SUFFIXES = (".tif", ".tiff", ".heic", ".heif", ".avif", ".svg", ".jp2", ".jxl", ".ico")
MOST_PIXELS = 89_000_000  # Pillow warns of decompression bombs a little above
BROKEN, UNSUPPORTED = "unreadable", "format not supported"
_THREADS = 2  # decoding releases the interpreter; more gain little on few cores
_CHUNK = 256
_DRAFT_SIDE = 128  # JPEG files are decoded at a half, a quarter or an eighth, but no smaller
_GREY_DIFFERENCE = 8  # of 255 between channels, on a thumbnail: noise of JPEG stays below
THUMBNAIL, _HASH_SIZE = (16, 16), (9, 8)
_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_OTHER_FORMATS = {
    "TIFF": (b"II*\0", b"MM\0*"),
    "JPEG 2000": (b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51"),
    "JPEG XL": (b"\xff\x0a", b"\0\0\0\x0cJXL "),
    "ICO": (b"\0\0\1\0",),
    "PSD": (b"8BPS",),
    "PDF": (b"%PDF",),
}
_BRANDS = {b"avif": "AVIF", b"avis": "AVIF", b"heic": "HEIC", b"heix": "HEIC", b"mif1": "HEIC"}


@dataclass(frozen=True)
class Look:
    """What one look at an image file tells.

    Args:
        width: in pixels, as shown: after the turn that its EXIF orientation asks for.
        height: likewise.
        grey: whether it has no colour.
        pixels: 16 hexadecimal digits, equal for equal pictures over white.
        likeness: 64 bits, of which alike pictures share most (difference hash).
        thumbnail: colours over a grid, uint8 RGB of `THUMBNAIL` places, in 768 bytes.
    """

    width: int
    height: int
    grey: bool
    pixels: str
    likeness: int
    thumbnail: bytes


@dataclass(frozen=True)
class Fault:
    """Why an image cannot be used: `kind` is BROKEN or UNSUPPORTED, `reason` for a person."""

    kind: str
    reason: str


def look_at(path: Path) -> Look | Fault:
    """Decode an image file and describe it, or say why it cannot be used.

    Larger JPEG files are decoded at a fraction of their size: that reads every byte of them too, in
    a third of the time. A copy of such a file in another format counts as another picture.
    """
    try:
        with path.open("rb") as stream:
            head = stream.read(512)
        if not head:
            return Fault(BROKEN, "the file is empty")
        with Image.open(path, formats=FORMATS) as image:
            if image.width * image.height > MOST_PIXELS:
                return Fault(BROKEN, _too_large(image.width, image.height))
            return _described(image)
    except UnidentifiedImageError:
        return _unknown(head)
    except Exception as error:  # Pillow lets through whatever its many decoders raise
        return Fault(BROKEN, _told(error))


def _told(error: Exception) -> str:
    if isinstance(error, Image.DecompressionBombError):
        return f"over {MOST_PIXELS:,} pixels"
    if isinstance(error, OSError) and error.errno:
        return f"cannot be opened ({error.strerror})"
    return f"damaged ({str(error)[:100] or type(error).__name__})"


def _too_large(width: int, height: int) -> str:
    return f"{width:,} x {height:,} pixels, over {MOST_PIXELS:,}"


def _described(image: Image.Image) -> Look:
    width, height = image.size  # `draft` changes them
    turn = turn_of(image)
    if image.format in ("JPEG", "MPO"):
        image.draft(None, (_DRAFT_SIDE, _DRAFT_SIDE))
    image.load()
    seen = over_white(image)
    if turn is not None:
        seen = seen.transpose(turn)
    if turn in (_TURNS[5], _TURNS[6], _TURNS[7], _TURNS[8]):
        width, height = height, width
    digest = hashlib.blake2b(f"{width} {height} ".encode(), digest_size=8)
    digest.update(seen.tobytes())
    small = seen.resize(_HASH_SIZE, Image.Resampling.BOX)
    thumbnail = seen.resize(THUMBNAIL, Image.Resampling.BOX)
    return Look(
        width,
        height,
        grey=_is_grey(thumbnail),
        pixels=digest.hexdigest(),
        likeness=_likeness(small),
        thumbnail=thumbnail.tobytes(),
    )


def turn_of(image: Image.Image) -> Image.Transpose | None:
    """Return the turn that the EXIF orientation asks for; a damaged EXIF part asks for none."""
    try:
        return _TURNS.get(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # as of `look_at`; the picture itself may be whole
        return None


def over_white(image: Image.Image) -> Image.Image:
    """Return an image as RGB; what shines through is white."""
    if image.mode.startswith("I") or image.mode == "F":  # 16 bits a channel
        values = np.asarray(image).astype(np.float64) / 257.0
        return Image.fromarray(values.clip(0, 255).astype(np.uint8)).convert("RGB")
    if not image.has_transparency_data:
        return image.convert("RGB")
    seen = image.convert("RGBA")
    white = Image.new("RGBA", seen.size, (255, 255, 255, 255))
    return Image.alpha_composite(white, seen).convert("RGB")


def _is_grey(small: Image.Image) -> bool:
    values = np.asarray(small).astype(np.int16)
    return bool((values.max(axis=2) - values.min(axis=2)).max() <= _GREY_DIFFERENCE)


def _likeness(small: Image.Image) -> int:
    """Return 64 bits, each telling whether a place is lighter than its right neighbour."""
    values = np.asarray(small.convert("L")).astype(np.int16)
    return int.from_bytes(np.packbits(values[:, :-1] > values[:, 1:]).tobytes(), "big")


def _unknown(head: bytes) -> Fault:
    """Say what a file is that is none of the formats."""
    name = next((it for it, magic in _OTHER_FORMATS.items() if head.startswith(magic)), "")
    if head[4:8] == b"ftyp":
        name = _BRANDS.get(head[8:12], "HEIC or a film")
    elif b"<svg" in head.lower():
        name = "SVG"
    if not name:
        return Fault(BROKEN, f"no image (it begins with {head[:12]!r})")
    return Fault(UNSUPPORTED, f"{name}; convert it to PNG or JPEG")


def look_at_all(paths: Sequence[Path], progress: Progress | None = None) -> Iterator[Look | Fault]:
    """Yield what each image is, in order; a few hundred are under way at a time.

    Args:
        paths: image files.
        progress: told of the images done and of the time left, a few times a second.
    """
    started = shown = time.monotonic()
    with ThreadPoolExecutor(_THREADS) as pool:
        for start in range(0, len(paths), _CHUNK):
            yield from pool.map(look_at, paths[start : start + _CHUNK])
            done, now = min(start + _CHUNK, len(paths)), time.monotonic()
            if progress is not None and now - shown > 0.2 and done < len(paths):
                shown = now
                left = (now - started) / done * (len(paths) - done)
                progress(f"looking at images: {done:,} of {len(paths):,}, {left:.0f} s left")

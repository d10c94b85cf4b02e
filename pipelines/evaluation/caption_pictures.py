"""Small pictures of image files: upright, over white, and small enough to live inside a page."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image, ImageOps

from pipelines.datasets.captions_pictures import FORMATS, MOST_PIXELS, over_white, turn_of

Array = NDArray[Any]
WHITE = (255, 255, 255)
_QUALITY = 78  # of JPEG; below, drawings grow visible rings
_PNG_ROOM = 1.5  # a PNG, which blurs nothing, may be so many times as large as the JPEG
_VEIL = 205  # of 255: how much of a place that is not looked at the veil hides
_FINE = 24  # places a side of a veil; the steps between the network's are smoothed


def read_upright(path: Path, side: int) -> Image.Image:
    """Read an image as RGB over white, turned as its EXIF orientation asks.

    Args:
        path: the file; of an animation the first frame is read.
        side: both sides of a large JPEG may be reduced, but not below this.

    Raises:
        OSError: it is no image, or damaged; Pillow raises others too.
    """
    with Image.open(path, formats=FORMATS) as image:
        if image.width * image.height > MOST_PIXELS:
            raise OSError(f"over {MOST_PIXELS:,} pixels")
        turn = turn_of(image)
        image.draft(None, (side, side))
        seen = over_white(image)
    return seen if turn is None else seen.transpose(turn)


def thumbnail(path: Path, side: int) -> Image.Image | None:
    """Read an image no larger than a side, in its own proportions; None if it cannot be read.

    Smaller images keep their size; very long ones keep at least 8 pixels of their short side.
    """
    try:
        seen = read_upright(path, side)
    except Exception:  # Pillow lets through whatever its many decoders raise
        return None
    scale = min(1.0, side / max(seen.size))
    width, height = (max(min(8, length), round(length * scale)) for length in seen.size)
    return seen.resize((width, height), Image.Resampling.LANCZOS)


def square(seen: Image.Image, side: int, fit: str = "pad") -> Image.Image:
    """Make an image the square that the network sees, at another size.

    Args:
        seen: RGB.
        side: of the square, in pixels.
        fit: "pad" (on white), "crop" or "stretch", as of the image reader.
    """
    size, how = (side, side), Image.Resampling.BICUBIC
    if fit == "stretch":
        return seen.resize(size, how)
    if fit == "crop":
        return ImageOps.fit(seen, size, how)
    return ImageOps.pad(seen, size, how, color=WHITE)


def veil(weights: Array, side: int = _FINE) -> Image.Image:
    """Return the picture to lay over an image: black, clear where a weight is the largest.

    Args:
        weights: of the places of a square map, float[S, S]; how clear a place is, is its share of
            the largest.
        side: of the picture; the steps between places are smoothed.

    Returns:
        grey with alpha, `side` x `side`.
    """
    clear = np.nan_to_num(np.asarray(weights, np.float32)).clip(0)
    clear = clear / max(float(clear.max()), 1e-9)
    smooth = Image.fromarray(clear).resize((side, side), Image.Resampling.BICUBIC)
    alpha = np.round(_VEIL * (1 - np.asarray(smooth).clip(0, 1))).astype(np.uint8)
    return Image.merge("LA", (Image.new("L", (side, side)), Image.fromarray(alpha)))


def data_uri(image: Image.Image) -> Markup:
    """Write an image as a data URI: PNG, or JPEG where that is much smaller."""
    png = _encoded(image, "PNG", optimize=True)
    if image.mode == "RGB":
        jpeg = _encoded(image, "JPEG", quality=_QUALITY, optimize=True)
        if len(png) > _PNG_ROOM * len(jpeg):
            return _uri("jpeg", jpeg)
    return _uri("png", png)


def _encoded(image: Image.Image, form: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def _uri(form: str, content: bytes) -> Markup:
    return Markup("data:image/{};base64,{}").format(form, base64.b64encode(content).decode())

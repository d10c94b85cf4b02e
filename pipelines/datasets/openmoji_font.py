"""Pictures of emoji out of a colour font."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Protocol

from PIL import Image, ImageDraw, ImageFont, features

from pipelines.errors import DataError

_PRESENT, _ABSENT = "\N{RED APPLE}", "\U0010fffd"  # the latter is for private use: no font has it
_CLEAR = (255, 255, 255, 0)


class Picture(NamedTuple):
    """A picture ready to be stored.

    Args:
        image: RGB.
        captions: all true of it.
        name: what it is called in its set.
        group: pictures of one group share a split.
        split: train, valid or test where the set fixes it, else empty.
        scene: JSON of what is drawn; scenes only.
    """

    image: Image.Image
    captions: tuple[str, ...]
    name: str
    group: str = ""
    split: str = ""
    scene: str = ""


class Drawings(Protocol):
    """Whatever has a picture for an emoji."""

    def draw(self, emoji: str) -> Image.Image | None:
        """Return the picture without margins, RGBA; None if there is none."""


class EmojiFont:
    """Draws emoji from a font with coloured layers (COLR).

    Args:
        path: the font, TrueType.
        pixels: height of the type; a drawing of OpenMoji is some nine tenths of it.

    Raises:
        DataError: Pillow was built without the library that joins sequences to one drawing.
    """

    def __init__(self, path: Path, pixels: int) -> None:
        if not features.check("raqm"):
            raise DataError(
                f"{path}: this Pillow cannot join emoji sequences (built without Raqm); expected "
                "one with it, as every wheel of the package index is: reinstall Pillow from there"
            )
        self._font = ImageFont.truetype(path, pixels, layout_engine=ImageFont.Layout.RAQM)
        self._margin = pixels // 4
        self._width = self._font.getlength(_PRESENT)
        self._absent = self._picture(_ABSENT)

    def draw(self, emoji: str) -> Image.Image | None:
        """Return the picture without margins, RGBA.

        None if the font has no such emoji: its picture is that of a missing glyph, it is empty, or
        a sequence comes out as several drawings in a row.
        """
        if self._font.getlength(emoji) > self._width:
            return None
        picture = self._picture(emoji)
        return None if picture is None or picture == self._absent else picture

    def _picture(self, emoji: str) -> Image.Image | None:
        side = round(self._width) + 2 * self._margin
        picture = Image.new("RGBA", (side, side), _CLEAR)
        place = (self._margin, self._margin)
        ImageDraw.Draw(picture).text(place, emoji, font=self._font, embedded_color=True)
        box = picture.getbbox()
        return picture.crop(box) if box else None

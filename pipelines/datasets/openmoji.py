"""Drawings of emoji with their standard names: the default set of the captioner."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from PIL import Image

from pipelines.datasets.openmoji_font import Drawings, Picture
from pipelines.datasets.openmoji_names import groups_of, name_of, standard_emoji, tones_of

SIDE = 96  # pixels
TYPE_PIXELS = 156  # drawn at twice the size and halved: smoother than the font's own edges
_CANVAS, _LARGEST = 2 * SIDE, 2 * 92
ABSENT = "emoji that the font has not"
UNNAMEABLE = "emoji drawn alike though their names contradict each other"


class EmojiPictures:
    """The distinct drawings of a font, each with every name that is true of it.

    Where emoji share a drawing it comes once. Names that tell a colour of skin which another name
    of the same drawing does not tell are left out, since the drawing shows none; drawings whose
    names tell different colours are left out. Other names of a drawing stay side by side, as "man
    standing" and "person standing", or "flag: Indonesia" and "flag: Monaco".

    Args:
        drawings: of type some 156 pixels high.
        language: of the names.
        emoji: to draw, in their full form; default: all of them.
    """

    def __init__(
        self, drawings: Drawings, language: str = "en", emoji: Sequence[str] | None = None
    ) -> None:
        self._drawings = drawings
        self._language = language
        self._emoji = standard_emoji() if emoji is None else emoji
        self.left_out: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._emoji)

    def __iter__(self) -> Iterator[Picture]:
        """Draw every emoji on white, centred, in the order of their code points.

        Sizes relative to each other stay, since names tell them ("black small square").
        """
        groups = groups_of(self._emoji)
        for alike in self._drawn_alike():
            named = _names_that_agree(alike)
            drawing = self._drawings.draw(alike[0]) if named else None
            if drawing is None:
                self.left_out[UNNAMEABLE] += len(alike)
                continue
            yield self._picture(drawing, named, groups)

    def _drawn_alike(self) -> list[list[str]]:
        """Return the emoji of each distinct drawing; the drawings themselves are not held."""
        found: dict[bytes, list[str]] = {}
        for emoji in self._emoji:
            drawing = self._drawings.draw(emoji)
            if drawing is None:
                self.left_out[ABSENT] += 1
                continue
            content = repr(drawing.size).encode() + drawing.tobytes()
            found.setdefault(hashlib.sha256(content).digest(), []).append(emoji)
        return list(found.values())

    def _picture(
        self, drawing: Image.Image, named: Sequence[str], groups: Mapping[str, str]
    ) -> Picture:
        captions = tuple(dict.fromkeys(name_of(it, self._language) for it in named))
        return Picture(on_white(drawing), captions, name=named[0], group=groups[named[0]])


def _names_that_agree(alike: Sequence[str]) -> list[str]:
    """Return those emoji of one drawing whose names tell no more of the skin than is drawn."""
    plain = [emoji for emoji in alike if not tones_of(emoji)]
    if plain:
        return plain
    return list(alike) if len({tones_of(emoji) for emoji in alike}) == 1 else []


def on_white(drawing: Image.Image) -> Image.Image:
    """Centre a drawing on a white square of `SIDE` pixels; it is halved, or a little more."""
    if max(drawing.size) > _LARGEST:
        drawing = drawing.copy()
        drawing.thumbnail((_LARGEST, _LARGEST), Image.Resampling.LANCZOS)
    canvas = Image.new("RGB", (_CANVAS, _CANVAS), "white")
    place = ((_CANVAS - drawing.width) // 2, (_CANVAS - drawing.height) // 2)
    canvas.paste(drawing, place, drawing)
    return canvas.resize((SIDE, SIDE), Image.Resampling.LANCZOS)

"""Drawings of emoji with their standard names: the default set of the captioner."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from pipelines.datasets.openmoji_font import Drawings, Picture
from pipelines.datasets.openmoji_names import groups_of, name_of, standard_emoji, tones_of

SIDE = 96  # pixels
TYPE_PIXELS = 156  # drawn at twice the size and halved: smoother than the font's own edges
_CANVAS, _LARGEST = 2 * SIDE, 2 * 92
ABSENT = "emoji that the font has not"
DAMAGED = "emoji of which the font shows a bare square"
UNNAMEABLE = "emoji drawn alike though their names contradict each other"
_BARE = {"\U0001f17f\ufe0f", "\U0001f195"}  # OpenMoji 17.0.0: the letters of P and NEW are covered
_COARSE = 24  # side at which drawings are compared
# Levels of 255, mean of 4 by 4 pixels: what the font draws twice differs by less, what the eye
# tells apart by more (a bald woman and a bald man of light skin by 15).
_UNSEEN = 10

Coarse = npt.NDArray[np.int16]


class EmojiPictures:
    """The distinct drawings of a font, each with every name that is true of it.

    Of drawings that are alike to the eye one comes, with the names of all. Left out are names that
    tell a colour of skin where another name of the drawing tells none, since it shows none; and
    drawings whose names tell different colours. Other names stay side by side, as "man standing"
    and "person standing", or "flag: Indonesia" and "flag: Monaco".

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
        """Return the emoji of each distinct drawing; of the drawings little is held."""
        found: list[list[str]] = []
        seen: dict[tuple[int, int], list[tuple[Coarse, list[str]]]] = {}
        for emoji in self._emoji:
            drawing = self._drawings.draw(emoji)
            if drawing is None or emoji in _BARE:
                self.left_out[DAMAGED if emoji in _BARE else ABSENT] += 1
                continue
            coarse = _coarse(drawing)
            alike = _seen_before(seen, drawing.size, coarse)
            if alike is None:
                found.append(alike := [])
                seen.setdefault(drawing.size, []).append((coarse, alike))
            alike.append(emoji)
        return found

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


def _coarse(drawing: Image.Image) -> Coarse:
    small = on_white(drawing).resize((_COARSE, _COARSE), Image.Resampling.BOX)
    return np.asarray(small, np.int16)


def _seen_before(
    seen: Mapping[tuple[int, int], list[tuple[Coarse, list[str]]]],
    size: tuple[int, int],
    coarse: Coarse,
) -> list[str] | None:
    """Return the emoji of a drawing of this size, or a pixel more or less, that looks the same."""
    for wider, higher in itertools.product((0, -1, 1), repeat=2):
        for other, alike in seen.get((size[0] + wider, size[1] + higher), []):
            if np.abs(other - coarse).max() <= _UNSEEN:
                return alike
    return None


def on_white(drawing: Image.Image) -> Image.Image:
    """Centre a drawing on a white square of `SIDE` pixels; it is halved, or a little more."""
    if max(drawing.size) > _LARGEST:
        drawing = drawing.copy()
        drawing.thumbnail((_LARGEST, _LARGEST), Image.Resampling.LANCZOS)
    canvas = Image.new("RGB", (_CANVAS, _CANVAS), "white")
    place = ((_CANVAS - drawing.width) // 2, (_CANVAS - drawing.height) // 2)
    canvas.paste(drawing, place, drawing)
    return canvas.resize((SIDE, SIDE), Image.Resampling.LANCZOS)

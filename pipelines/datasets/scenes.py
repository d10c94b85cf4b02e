"""Generated scenes: drawings of emoji in other colours, with sentences that say what is where."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property

import numpy as np
from PIL import Image

from pipelines.datasets.openmoji_font import Drawings, Picture
from pipelines.datasets.scene_grammar import COLOURS, Scene, sentences
from pipelines.datasets.scenes_combinations import TEST, TRAIN, VALID, Combinations, deal
from pipelines.datasets.scenes_layout import SIDE, Size, compose
from pipelines.errors import DataError

TYPE_PIXELS = 156
NOUNS = {
    "apple": "\N{RED APPLE}",
    "mushroom": "\N{MUSHROOM}",
    "cactus": "\N{CACTUS}",
    "tree": "\N{EVERGREEN TREE}",
    "dog": "\N{DOG}",
    "elephant": "\N{ELEPHANT}",
    "fish": "\N{FISH}",
    "butterfly": "\N{BUTTERFLY}",
    "octopus": "\N{OCTOPUS}",
    "turtle": "\N{TURTLE}",
    "car": "\N{AUTOMOBILE}",
    "house": "\N{HOUSE BUILDING}",
    "chair": "\N{CHAIR}",
    "key": "\N{KEY}",
    "umbrella": "\N{UMBRELLA}\ufe0f",
    "bell": "\N{BELL}",
    "crown": "\N{CROWN}",
    "star": "\N{WHITE MEDIUM STAR}",
    "heart": "\N{HEAVY BLACK HEART}\ufe0f",
    "shirt": "\N{T-SHIRT}",
    "cup": "\N{HOT BEVERAGE}",
    "gift": "\N{WRAPPED PRESENT}",
    "lock": "\N{LOCK}",
    "trophy": "\N{TROPHY}",
}
RGB = {
    "red": (226, 32, 38),
    "orange": (255, 140, 0),
    "yellow": (255, 228, 30),
    "green": (40, 168, 60),
    "blue": (45, 105, 235),
    "purple": (150, 50, 190),
}
_PALEST = 228  # of the background's channels
_SOLID, _OUTLINE = 128, 50  # alpha of what counts; brightness up to which it is an outline
_FILLED = 50  # percentile of the brightness of fills that becomes the full colour
_SOFTENING = 0.7  # below 1: shades come closer to the colour, so that orange is not brown

_NUMBERS = {TRAIN: 1, VALID: 2, TEST: 3}  # 0 deals the combinations


class ScenePictures:
    """Scenes drawn by seed: the first of them are the same however many there are.

    Args:
        drawings: of type some 156 pixels high, with every emoji of `NOUNS`.
        counts: split -> scenes.
        seed: of the combinations that each split keeps for itself, and of the scenes.
    """

    def __init__(self, drawings: Drawings, counts: Mapping[str, int], seed: int) -> None:
        self._drawings = {noun: _require(drawings.draw(it), noun) for noun, it in NOUNS.items()}
        self._counts = dict(counts)
        self._seed = seed
        self._coloured: dict[tuple[str, str], Image.Image] = {}
        self._sprites: dict[tuple[str, str, Size], Image.Image] = {}

    def __len__(self) -> int:
        return sum(self._counts.values())

    @cached_property
    def combinations(self) -> Combinations:
        """What may occur in which split."""
        return deal(tuple(NOUNS), COLOURS, self._seed)

    def __iter__(self) -> Iterator[Picture]:
        """Draw the scenes of training, then those of validation and test."""
        for split, count in self._counts.items():
            for number in range(count):
                yield self.picture(split, number)

    def picture(self, split: str, number: int) -> Picture:
        """Draw one scene; it depends on the seed, the split and its number only."""
        draw = np.random.default_rng([self._seed, _NUMBERS[split], number])
        shapes = {noun: drawing.size for noun, drawing in self._drawings.items()}
        scene = compose(self.combinations, split, shapes, draw)
        image = self.paint(scene, _background(draw))
        # Shuffled, so that the first caption favours no side and no object.
        captions = tuple(str(it) for it in draw.permutation(sentences(scene)))
        name = f"generated scene {split} {number}"
        return Picture(image, captions, name, split=split, scene=scene.to_json())

    def paint(self, scene: Scene, background: tuple[int, int, int]) -> Image.Image:
        """Return a scene's picture, RGB, 96 by 96 pixels."""
        canvas = Image.new("RGB", (SIDE, SIDE), background)
        for drawn in scene.objects:
            left, top, right, bottom = drawn.box
            sprite = self._sprite(drawn.noun, drawn.colour, (right - left, bottom - top))
            canvas.paste(sprite, (left, top), sprite)
        return canvas

    def _sprite(self, noun: str, colour: str, size: Size) -> Image.Image:
        if (noun, colour) not in self._coloured:
            coloured = recoloured(self._drawings[noun], RGB[colour])
            self._coloured[noun, colour] = coloured
        if (noun, colour, size) not in self._sprites:
            sprite = self._coloured[noun, colour].resize(size, Image.Resampling.LANCZOS)
            self._sprites[noun, colour, size] = sprite
        return self._sprites[noun, colour, size]


def _require(drawing: Image.Image | None, noun: str) -> Image.Image:
    if drawing is None:
        raise DataError(
            f"scenes: the font has no drawing of {noun!r} ({NOUNS[noun]!r}); expected OpenMoji's "
            "font: delete data/raw/openmoji, it is fetched anew"
        )
    return drawing


def _background(draw: np.random.Generator) -> tuple[int, int, int]:
    """Return white, or in half of the scenes a light tint."""
    if draw.random() < 0.5:
        return 255, 255, 255
    red, green, blue = (int(it) for it in draw.integers(_PALEST, 256, size=3))
    return red, green, blue


def recoloured(drawing: Image.Image, colour: tuple[int, int, int]) -> Image.Image:
    """Give a drawing one colour: outlines stay black, fills take it, in shades of their brightness.

    Args:
        drawing: RGBA.
        colour: of its typical fill, RGB.
    """
    pixels = np.asarray(drawing, np.float64)
    bright = pixels[..., :3] @ (0.299, 0.587, 0.114)
    fills = bright[(pixels[..., 3] > _SOLID) & (bright > _OUTLINE)]
    typical = np.percentile(fills, _FILLED) if len(fills) else 255.0
    shade = np.clip(bright / typical, 0.0, 1.0) ** _SOFTENING
    painted = np.dstack([shade[..., None] * colour, pixels[..., 3]])
    return Image.fromarray(painted.round().astype(np.uint8), "RGBA")

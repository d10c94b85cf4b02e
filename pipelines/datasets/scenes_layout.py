"""Compose a scene: which drawings stand where on the canvas, and how they relate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from pipelines.datasets.scene_grammar import ABOVE, LEFT, Relation, Scene, SceneObject
from pipelines.datasets.scenes_combinations import TRAIN, VALID, Combinations

SIDE = 96  # pixels
SMALLEST, LARGEST = 36, 44  # longer side of a drawing, pixels
_MARGIN, _GAP, _SHIFT = 1, 3, 8  # pixels

Size = tuple[int, int]
Cell = tuple[int, int]  # column and row: where an object stands among the others


def compose(
    combinations: Combinations, split: str, shapes: Mapping[str, Size], draw: np.random.Generator
) -> Scene:
    """Draw a scene of two or three objects from the combinations of a split.

    All of them are of the split in the test; in validation, half of the scenes are of training's
    combinations and half have places, and colours of every second noun, that training has not.

    Args:
        combinations: what may occur where.
        split: train, valid or test.
        shapes: noun -> width and height of its drawing, in any unit.
        draw: where chance comes from.
    """
    dealt = TRAIN if split == VALID and draw.random() < 0.5 else split
    nouns, cells, relations = (_three if draw.random() < 0.5 else _two)(combinations, dealt, draw)
    colours = [str(draw.choice(combinations.colours(dealt, noun))) for noun in nouns]
    sizes = [_scaled(shapes[noun], int(draw.integers(SMALLEST, LARGEST + 1))) for noun in nouns]
    boxes = _boxes(sizes, cells, draw)
    order = [int(number) for number in draw.permutation(len(nouns))]
    objects = tuple(SceneObject(nouns[it], colours[it], boxes[it]) for it in order)
    placed = tuple(Relation(order.index(a), place, order.index(b)) for a, place, b in relations)
    return Scene(objects, placed)


Composed = tuple[list[str], list[Cell], list[Relation]]


def _two(combinations: Combinations, split: str, draw: np.random.Generator) -> Composed:
    place = (LEFT, ABOVE)[draw.integers(2)]
    known = combinations.triples[split][place]
    nouns = known[draw.integers(len(known))]
    second = (1, 0) if place == LEFT else (0, 1)
    return [*nouns], [(0, 0), second], [Relation(0, place, 1)]


def _three(combinations: Combinations, split: str, draw: np.random.Generator) -> Composed:
    """Put one object beside and one above or below a shared one; these two stand diagonally."""
    across, upright = (combinations.triples[split][place] for place in (LEFT, ABOVE))
    left, right = across[draw.integers(len(across))]
    shared, beside = (left, right) if draw.random() < 0.5 else (right, left)
    columns = {left: 0, right: 1}
    fitting = [pair for pair in upright if shared in pair and beside not in pair]
    upper, lower = fitting[draw.integers(len(fitting))]
    further = lower if shared == upper else upper
    rows = {upper: 0, lower: 1}
    nouns = [shared, beside, further]
    cells = [
        (columns[shared], rows[shared]),
        (columns[beside], rows[shared]),
        (columns[shared], rows[further]),
    ]
    relations = [
        Relation(nouns.index(left), LEFT, nouns.index(right)),
        Relation(nouns.index(upper), ABOVE, nouns.index(lower)),
    ]
    return nouns, cells, relations


def _scaled(shape: Size, longest: int) -> Size:
    width, height = (max(1, round(side * longest / max(shape))) for side in shape)
    return width, height


def _boxes(
    sizes: list[Size], cells: list[Cell], draw: np.random.Generator
) -> list[tuple[int, int, int, int]]:
    """Place the objects: those beside each other share no column, those above no row of pixels."""
    left = _along([size[0] for size in sizes], [cell[0] for cell in cells], draw)
    top = _along([size[1] for size in sizes], [cell[1] for cell in cells], draw)
    return [
        (x, y, x + width, y + height)
        for x, y, (width, height) in zip(left, top, sizes, strict=True)
    ]


def _along(lengths: list[int], bands: list[int], draw: np.random.Generator) -> list[int]:
    """Return where each object starts along one axis.

    Objects of one band stand beside each other on the other axis, so their centres stay close; the
    bands themselves are wide apart or close, anywhere on the canvas.
    """
    count = max(bands) + 1
    widths = [max(it for it, band in _each(lengths, bands) if band == n) for n in range(count)]
    spare = SIDE - 2 * _MARGIN - _GAP * (count - 1) - sum(widths)
    more = draw.integers(0, min(_SHIFT, spare // count) + 1, size=count)
    widths = [width + int(further) for width, further in zip(widths, more, strict=True)]
    cuts = np.sort(draw.integers(0, spare - int(more.sum()) + 1, size=count))
    starts = [_MARGIN + int(cuts[n]) + sum(widths[:n]) + _GAP * n for n in range(count)]
    return [
        starts[band] + _shifted(widths[band] - length, draw)
        for length, band in _each(lengths, bands)
    ]


def _each(lengths: list[int], bands: list[int]) -> Iterator[tuple[int, int]]:
    return zip(lengths, bands, strict=True)


def _shifted(room: int, draw: np.random.Generator) -> int:
    """Return a start within the room that is close to the middle."""
    middle = room // 2
    low, high = max(0, middle - _SHIFT // 2), min(room, middle + _SHIFT // 2)
    return int(draw.integers(low, high + 1))

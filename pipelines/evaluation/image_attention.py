"""A picture of where a captioner looked: the image, and once more for each word it wrote.

What was not looked at is darkened: the clearer a place, the more weight it had, the clearest being
the largest weight of that word. The image is the square that the network saw.
"""

from __future__ import annotations

import io
import math
import warnings
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from PIL import Image

from pipelines.errors import DataError
from pipelines.evaluation import pictures
from pipelines.evaluation.attention_picture import label
from pipelines.evaluation.caption_looks import Look
from pipelines.evaluation.caption_pictures import read_upright, square, veil
from pipelines.evaluation.picture_fonts import fonts_for, missing_characters
from pipelines.evaluation.plots import Plot
from pipelines.images.files import describe_failure

_SIDE = 224  # pixels of a tile
_TILE, _GAP, _TITLE, _EDGE = 1.5, 0.12, 0.26, 0.12  # inches
_MOST_COLUMNS = 6
_DOTS = 150
_WHOLE = "the image"
_BOXES = "Boxes stand for characters that the fonts of this machine lack."


def save_attention(image: Path, look: Look, path: Path) -> None:
    """Draw where a model looked in an image for every word; the file appears once it is complete.

    Args:
        image: the file that was captioned.
        look: the words and their weights; pieces are drawn as words.
        path: of the picture; its ending chooses the format: .png, .svg or .pdf.

    Raises:
        ConfigError: the path has no known ending, or its folder does not exist.
        DataError: the image cannot be read.
        EvaluationError: the weights do not fit the tokens, or there is no token.
    """
    pictures.require_picture(path, option="--attention", example="attention.png")
    drawn = attention_bytes(image, look, pictures.picture_format(path))
    pictures.write_picture(path, drawn)


def attention_bytes(image: Path, look: Look, form: str) -> bytes:
    """Draw where a model looked, on white.

    Args:
        image: the file that was captioned.
        look: the words and their weights.
        form: "png", "svg" or "pdf". An svg holds text as text: the fonts are its viewer's.

    Raises:
        DataError: the image cannot be read.
        EvaluationError: the weights do not fit the tokens, or there is no token.
    """
    words = look.by_words()
    seen = _seen(image, look.fit)
    names = [_WHOLE, *map(label, words.tokens)]
    families, lacking = fonts_for(missing_characters("".join(names)))
    tiles = [seen, *(_veiled(seen, weights) for weights in words.maps())]
    note = _BOXES if lacking and form != "svg" else ""
    buffer = io.BytesIO()
    # Missing glyphs are said in the picture, once, not on the terminal for every character.
    with warnings.catch_warnings(action="ignore", category=UserWarning), Plot() as plot:
        mpl.rcParams["font.family"] = ["sans-serif", *families]
        _draw(plot, tiles, names, note)
        plot.canvas.savefig(buffer, format=form, dpi=_DOTS, facecolor="white")
    return buffer.getvalue()


def _seen(image: Path, fit: str) -> Image.Image:
    try:
        return square(read_upright(image, _SIDE), _SIDE, fit)
    except Exception as error:  # Pillow lets through whatever its many decoders raise
        raise DataError(describe_failure(image, str(error))) from error


def _veiled(seen: Image.Image, weights: np.ndarray) -> Image.Image:
    cover = veil(weights, _SIDE).convert("RGBA")
    return Image.alpha_composite(seen.convert("RGBA"), cover).convert("RGB")


def _draw(plot: Plot, tiles: list[Image.Image], names: list[str], note: str) -> None:
    """Lay the tiles out in rows of equal squares, each under its word."""
    (spare,) = plot.axes
    spare.remove()
    plot.canvas.set_layout_engine("none")
    columns = min(_MOST_COLUMNS, len(tiles))
    rows = math.ceil(len(tiles) / columns)
    width = 2 * _EDGE + columns * (_TILE + _GAP) - _GAP
    height = 2 * _EDGE + rows * (_TILE + _TITLE + _GAP) - _GAP + (_TITLE if note else 0)
    width = max(width, 4.2 if note else 0)
    plot.canvas.set_size_inches(width, height)
    for place, (tile, name) in enumerate(zip(tiles, names, strict=True)):
        row, column = divmod(place, columns)
        left = _EDGE + column * (_TILE + _GAP)
        top = _EDGE + row * (_TILE + _TITLE + _GAP) + _TITLE
        box = (left / width, 1 - (top + _TILE) / height, _TILE / width, _TILE / height)
        _show(plot.canvas.add_axes(box), tile, name, italic=not place)
    if note:
        plot.canvas.text(_EDGE / width, 0.6 * _EDGE / height, note, fontsize=7.5)


def _show(axes: Axes, tile: Image.Image, name: str, *, italic: bool) -> None:
    axes.imshow(np.asarray(tile), interpolation="lanczos")
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(True)
    axes.spines[:].set(color="#c8ccd1", linewidth=0.6)
    size = min(9.5, 9.5 * 20 / max(1, len(name)))
    style = "italic" if italic else "normal"
    axes.set_title(name, fontsize=size, style=style, pad=4, parse_math=False)

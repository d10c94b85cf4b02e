"""Pictures of attention: where in the source a model looked for every token that it wrote.

One row a written token, one column a source token, the shade is the weight. The report has them as
SVG in its own colours; `predict --attention` writes a file that stands alone.
"""

from __future__ import annotations

import io
import math
import unicodedata
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.patches import Patch, PathPatch
from matplotlib.path import Path as Outline
from numpy.typing import NDArray

from pipelines.errors import EvaluationError
from pipelines.evaluation import pictures
from pipelines.evaluation.forecast_figures import compact
from pipelines.evaluation.picture_fonts import fonts_for, missing_characters
from pipelines.evaluation.plots import FAINT, SERIES, Plot
from pipelines.evaluation.words import token_spans
from pipelines.text.vocabulary import RESERVED

if TYPE_CHECKING:
    from pipelines.evaluation.translation import Alignment

Array = NDArray[Any]
SPACE_MARK = "\u2581"  # before a piece that begins a word, as the tokenizer writes it
_CELL, _FONT = 12.5, 8.5  # points; the label of a row must fit its height
_LARGEST = 4000.0  # points along one side; more tokens than fit get smaller cells, fewer labels
_LONGEST_LABEL = 22  # characters
_LEVELS = 12  # shades that can be told apart; all cells of one shade are one path
_KEY = (0.05, 0.25, 0.5, 1.0)
_KEY_POINTS, _EDGE_POINTS, _NOTE_POINTS, _FEWEST_POINTS = 30.0, 6.0, 16.0, 245.0
_DOTS = 150
_PICTURE_COLOUR = "#1f6bb0"  # the report's first colour; a picture has no style sheet
_BOXES = "Boxes stand for characters that the fonts of this machine lack."


@dataclass(frozen=True)
class Drawing:
    """An alignment as SVG for the report, with the width in points at which its text is legible."""

    svg: Markup
    width: float


@dataclass(frozen=True)
class _Frame:
    """Where everything stands, in points: the cells between their labels, the key below."""

    cell: float
    columns: int
    rows: int
    left: float
    top: float
    note: float

    @property
    def width(self) -> float:
        return max(_FEWEST_POINTS, self.left + self.columns * self.cell + 6)

    @property
    def height(self) -> float:
        return self.top + self.rows * self.cell + _KEY_POINTS + self.note


def alignment_drawing(alignment: Alignment) -> Drawing:
    """Draw one alignment for the report, in its colours.

    Raises:
        EvaluationError: the weights do not fit the tokens, or there is no token.
    """
    checked = _checked(alignment)
    frame = _frame(checked)
    with _quiet(), Plot() as plot:
        _draw(plot, checked, frame, SERIES[0])
        return Drawing(compact(plot.svg()), frame.width)


def attention_picture(alignment: Alignment, path: Path) -> None:
    """Write one alignment as a picture that stands alone; it appears under its name once complete.

    Args:
        alignment: the tokens of both sides and the weights; pieces of words are drawn as words.
        path: of the picture; its ending chooses the format.

    Raises:
        ConfigError: the path has no known ending, or its folder does not exist.
        EvaluationError: the weights do not fit the tokens, or there is no token.
    """
    require_picture(path)
    pictures.write_picture(path, picture_bytes(alignment, pictures.picture_format(path)))


def require_picture(path: Path) -> None:
    """Check that a picture can be written to a path, before anything is computed.

    Raises:
        ConfigError: the path has no known ending, or its folder does not exist.
    """
    pictures.require_picture(path, option="--attention", example="attention.png")


def picture_bytes(alignment: Alignment, form: str) -> bytes:
    """Draw one alignment on white.

    Args:
        alignment: the tokens of both sides and the weights.
        form: "png", "svg" or "pdf". An svg holds text as text: the fonts are its viewer's.

    Raises:
        EvaluationError: the weights do not fit the tokens, or there is no token.
    """
    checked = _checked(alignment)
    strange = missing_characters("".join(checked.source_tokens + checked.target_tokens))
    families, lacking = fonts_for(strange)
    note = _BOXES if lacking and form != "svg" else ""
    frame = _frame(checked, note)
    buffer = io.BytesIO()
    with _quiet(), Plot() as plot:
        mpl.rcParams["font.family"] = ["sans-serif", *families]
        _draw(plot, checked, frame, _PICTURE_COLOUR)
        if note:
            plot.canvas.text(6 / frame.width, 5 / frame.height, note, fontsize=7.5)
        plot.canvas.savefig(buffer, format=form, dpi=_DOTS, facecolor="white")
    return buffer.getvalue()


def whole_words(alignment: Alignment) -> Alignment:
    """Join pieces of words: weights of source pieces are added, of target pieces averaged.

    Every row still sums to what it did. Tokens that are no pieces are left as they are.
    """
    weights = np.asarray(alignment.weights, float)
    source, columns = _joined(alignment.source_tokens)
    target, rows = _joined(alignment.target_tokens)
    if columns:
        weights = np.add.reduceat(weights, columns, axis=1)
    if rows:
        sizes = np.diff([*rows, len(alignment.target_tokens)])
        weights = np.add.reduceat(weights, rows, axis=0) / sizes[:, None]
    return replace(alignment, source_tokens=source, target_tokens=target, weights=weights)


def _joined(tokens: Sequence[str]) -> tuple[tuple[str, ...], list[int]]:
    """Return words and the number of the piece that each begins with."""
    if not any(token.startswith(SPACE_MARK) for token in tokens):
        return tuple(tokens), list(range(len(tokens)))
    starts, text = [], ""
    for token in tokens:
        text += " " if token in RESERVED else ""
        starts.append(len(text))
        text += f"{token} " if token in RESERVED else token.replace(SPACE_MARK, " ")
    inside = {place for low, high in token_spans(text) for place in range(low + 1, high)}
    first = [number for number, start in enumerate(starts) if start not in inside or not number]
    limits = [*first[1:], len(tokens)]
    words = ("".join(tokens[low:high]) for low, high in zip(first, limits, strict=True))
    return tuple(word.replace(SPACE_MARK, " ").strip() for word in words), first


def _checked(alignment: Alignment) -> Alignment:
    """Return what is drawn: whole words, as labels, and weights that fit them."""
    wanted = (len(alignment.target_tokens), len(alignment.source_tokens))
    found = np.shape(alignment.weights)
    if found != wanted or 0 in wanted:
        raise EvaluationError(
            f"attention picture: weights of shape {list(found)} for {wanted[0]} written and "
            f"{wanted[1]} source tokens; expected [written, source], one or more of each: cut "
            "padding from the weights as from the tokens"
        )
    words = whole_words(alignment)
    weights = np.nan_to_num(np.asarray(words.weights, float)).clip(0, 1)
    source, target = (
        tuple(map(label, side)) for side in (words.source_tokens, words.target_tokens)
    )
    return replace(alignment, source_tokens=source, target_tokens=target, weights=weights)


def label(token: str) -> str:
    """Write a token for a drawing: composed, short, without what is invisible or breaks the file.

    Accents are composed with their letters, which fonts draw better than letters and loose marks.
    """
    text = unicodedata.normalize("NFC", token.replace(SPACE_MARK, " ")).strip() or "␣"
    text = "".join("\ufffd" if _unsafe(character) else character for character in text)
    if unicodedata.category(text[0]) == "Mn":
        text = "\u25cc" + text  # a mark alone would fall upon its neighbour
    return text if len(text) <= _LONGEST_LABEL else f"{text[: _LONGEST_LABEL - 1]}…"


def _unsafe(character: str) -> bool:
    kind = unicodedata.category(character)
    return kind in {"Cc", "Cs", "Zl", "Zp"} or ord(character) & 0xFFFE == 0xFFFE


def _frame(alignment: Alignment, note: str = "") -> _Frame:
    columns, rows = len(alignment.source_tokens), len(alignment.target_tokens)
    return _Frame(
        cell=min(_CELL, _LARGEST / max(columns, rows)),
        columns=columns,
        rows=rows,
        left=_EDGE_POINTS + max(map(_width, alignment.target_tokens)),
        top=_EDGE_POINTS + max(map(_width, alignment.source_tokens)),
        note=_NOTE_POINTS if note else 0.0,
    )


def _width(text: str) -> float:
    """Estimate the width of a label in points; the page's font is not known here."""
    return 8 + _FONT * sum(map(_ems, text))


def _ems(character: str) -> float:
    if ord(character) < 0x0900 or 0x1E00 <= ord(character) < 0x2100:
        return 0.0 if unicodedata.category(character) == "Mn" else 0.6
    return 1.3  # other scripts are wide, and so are the boxes of missing characters


def _draw(plot: Plot, alignment: Alignment, frame: _Frame, colour: str) -> None:
    (axes,) = plot.axes
    plot.canvas.set_layout_engine("none")
    plot.canvas.set_size_inches(frame.width / 72, frame.height / 72)
    axes.set_position(
        (
            frame.left / frame.width,
            (_KEY_POINTS + frame.note) / frame.height,
            frame.columns * frame.cell / frame.width,
            frame.rows * frame.cell / frame.height,
        )
    )
    _shade(axes, np.asarray(alignment.weights), colour)
    _name(axes, alignment, frame)
    axes.set(xlim=(0, frame.columns), ylim=(frame.rows, 0))
    key = [Patch(alpha=0, label="attention")]
    key += [Patch(color=colour, alpha=math.sqrt(part), lw=0, label=f"{part:g}") for part in _KEY]
    plot.canvas.legend(
        handles=key,
        loc="lower left",
        bbox_to_anchor=(0, frame.note / frame.height),
        ncols=len(key),
        handlelength=1.1,
        handleheight=1.1,
        columnspacing=0.9,
        handletextpad=0.4,
    )


def _shade(axes: Axes, weights: Array, colour: str) -> None:
    """Fill the cells; the root of a weight is shaded, so that spread attention is seen too.

    What is below 1 / `_LEVELS` squared, some 0.007, stays blank.
    """
    levels = np.floor(_LEVELS * np.sqrt(weights) + 1e-6).astype(int)
    for level in range(1, _LEVELS + 1):
        cells = np.argwhere(levels == level)
        if len(cells):
            squares = [
                Outline([(x, y), (x + 1, y), (x + 1, y + 1), (x, y + 1), (x, y)], closed=True)
                for y, x in cells.tolist()
            ]
            outline = Outline.make_compound_path(*squares)
            axes.add_patch(PathPatch(outline, color=colour, alpha=level / _LEVELS, lw=0))


def _name(axes: Axes, alignment: Alignment, frame: _Frame) -> None:
    """Write the tokens along both sides, every so many where cells are small."""
    every = math.ceil((_FONT + 2) / frame.cell)
    columns, rows = (np.arange(0, count, every) for count in (frame.columns, frame.rows))
    source = [alignment.source_tokens[place] for place in columns]
    target = [alignment.target_tokens[place] for place in rows]
    axes.set_xticks(columns + 0.5, source, rotation=90, fontsize=_FONT)
    axes.set_yticks(rows + 0.5, target, fontsize=_FONT)
    for text in (*axes.get_xticklabels(), *axes.get_yticklabels()):
        text.set_parse_math(False)
    axes.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False)
    axes.spines[:].set_visible(False)
    axes.grid(False)
    lines: dict[str, Any] = {"color": FAINT, "linewidth": 0.4 * frame.cell / _CELL, "alpha": 0.45}
    axes.hlines(range(frame.rows + 1), 0, frame.columns, **lines)
    axes.vlines(range(frame.columns + 1), 0, frame.rows, **lines)


def _quiet() -> warnings.catch_warnings[None]:
    """Missing glyphs are said in the picture, once, not on the terminal for every character."""
    return warnings.catch_warnings(action="ignore", category=UserWarning)

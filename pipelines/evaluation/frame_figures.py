"""Timelines of labelled streams: strips of gold and answered labels, one above the other.

Colours stand for classes, but are never the only sign: gold segments carry their names, and a line
below each system's strip marks where it is wrong. The colours are told apart by people with any
colour vision (Tol, 2021, "Colour schemes", bright) and seen on light and dark pages.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.patches import Patch, PathPatch
from matplotlib.path import Path as Outline
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from pipelines.evaluation.forecast_figures import WIDE_INCHES, compact, literal
from pipelines.evaluation.frame_metrics import Segments, segments_of
from pipelines.evaluation.plots import INK, Plot
from pipelines.evaluation.sections import Html

Array = NDArray[Any]
COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bbbbbb")
_SHADES = (1.0, 0.5)  # a second round of the colours is paler
MOST_NAMED = len(COLOURS) * len(_SHADES)  # of more classes, the rest share the last colour
MOST_COLUMNS = 1500  # of a strip; more frames are put together by their most frequent label
_STRIP, _MARK, _GAP = 1.0, 0.16, 0.5  # heights; the mark of errors lies below its strip
_CHARACTER_SHARE = 0.0088  # of the width, that one character of a name takes
_LONGEST_NAME = 14


@dataclass(frozen=True)
class Strips:
    """What is drawn of one stream.

    Attributes:
        name: of the stream.
        gold: codes int[T].
        systems: name -> codes int[T], the model first.
        rate: frames a second; None: frames are counted.
    """

    name: str
    gold: Array
    systems: Mapping[str, Array]
    rate: float | None


def colour_of(place: int) -> tuple[str, float]:
    """Colour and opacity of a class by its rank of frequency."""
    place = min(place, MOST_NAMED - 1)
    return COLOURS[place % len(COLOURS)], _SHADES[place // len(COLOURS)]


def thinned(codes: Sequence[Array], most: int = MOST_COLUMNS) -> tuple[list[Array], int]:
    """Put neighbouring frames together by their most frequent code, ties to the smaller code.

    Args:
        codes: of one stream by several systems, int[T] each.
        most: columns that are left at most.

    Returns:
        The codes of the columns, int[M] each, and how many frames a column stands for.
    """
    frames = len(codes[0])
    every = max(1, -(-frames // most))
    columns = np.arange(frames) // every
    found = []
    for each in codes:
        counts = np.zeros((int(columns[-1]) + 1, int(each.max()) + 1), np.int64)
        np.add.at(counts, (columns, each), 1)
        found.append(counts.argmax(axis=1))
    return found, every


def strips_chart(strips: Strips, classes: Sequence[str], order: Sequence[int]) -> Markup:
    """Draw gold above the systems, over seconds where the rate is known, else over frames.

    Args:
        strips: one stream.
        classes: names of the codes.
        order: codes by falling frequency over all streams; says which colour each has.
    """
    rank = {int(code): place for place, code in enumerate(order)}
    rows = [strips.gold, *strips.systems.values()]
    columns, every = thinned(rows)
    height = 0.75 + 0.36 * len(rows)
    with Plot(height=height) as plot:
        plot.canvas.set_size_inches(WIDE_INCHES, height)
        (axes,) = plot.axes
        base = 0.0
        for codes in columns:
            _strip(axes, codes, base, every, rank)
            if base:
                _marks(axes, codes != columns[0], base, every)
            base -= _STRIP + _MARK + _GAP
        _names(axes, segments_of(strips.gold), classes, len(strips.gold))
        _axes(axes, strips, len(rows))
        return compact(plot.svg())


def labels_picture(strips: Sequence[Strips], classes: Sequence[str], form: str) -> bytes:
    """Draw labels without anything to compare them with, one stream above the other.

    Args:
        strips: streams whose `gold` is what is drawn.
        classes: names of the codes.
        form: "png", "svg" or "pdf".
    """
    counts = sum(np.bincount(each.gold, minlength=len(classes)) for each in strips)
    rank = {int(code): place for place, code in enumerate(np.argsort(-np.asarray(counts)))}
    buffer, height = io.BytesIO(), 0.4 + 1.1 * len(strips)
    with Plot(rows=[1] * len(strips), height=height) as plot:
        plot.canvas.set_size_inches(WIDE_INCHES, height)
        for axes, each in zip(plot.axes, strips, strict=True):
            columns, every = thinned([each.gold])
            _strip(axes, columns[0], 0.0, every, rank)
            _names(axes, segments_of(each.gold), classes, len(each.gold))
            _axes(axes, each, 1, first="label")
        plot.axes[0].set_xlim(0, max(len(each.gold) for each in strips))
        plot.canvas.savefig(buffer, format=form, dpi=150, facecolor="white")
    return buffer.getvalue()


def legend_chart(classes: Sequence[str], order: Sequence[int]) -> Markup:
    """Draw the names of the classes beside their colours, the frequent ones first."""
    shown = list(order)[:MOST_NAMED]
    handles = []
    for place, code in enumerate(shown):
        colour, opacity = colour_of(place)
        more = place == MOST_NAMED - 1 and len(order) > MOST_NAMED
        name = f"{len(order) - place} others" if more else literal(classes[code], 24)
        handles.append(Patch(color=colour, alpha=opacity, label=name))
    handles.append(Patch(color=INK, label="wrong"))
    columns = min(len(handles), 8)
    height = 0.08 + 0.2 * -(-len(handles) // columns)
    with Plot(height=height) as plot:
        plot.canvas.set_size_inches(WIDE_INCHES, height)
        plot.axes[0].set_axis_off()
        plot.canvas.legend(handles=handles, loc="center left", ncols=columns, handlelength=1.2)
        return compact(plot.svg())


def timelines_block(drawings: Sequence[tuple[Markup, str]], legend: Markup, caption: str) -> Html:
    """Put drawings with their descriptions below one legend; narrow pages move them sideways."""
    figures = Markup("").join(
        Markup(
            '<div role="img" aria-label="{}" style="min-width:640px;margin-top:8px">{}</div>'
        ).format(alt, svg)
        for svg, alt in drawings
    )
    return Html(
        Markup(
            '<figure style="max-width:none"><div class="scroll" tabindex="0" role="region" '
            'aria-label="timelines"><div style="min-width:640px">{}</div>{}</div>'
            "<figcaption>{}</figcaption></figure>"
        ).format(legend, figures, caption)
    )


def _strip(axes: Axes, codes: Array, base: float, every: int, rank: Mapping[int, int]) -> None:
    found = segments_of(codes)
    shown = np.array([min(rank[code], MOST_NAMED - 1) for code in found.labels.tolist()])
    for place in np.unique(shown).tolist():
        runs = np.stack([found.starts, found.limits])[:, shown == place] * every
        colour, opacity = colour_of(place)
        _boxes(axes, runs, base=base, height=_STRIP, colour=colour, opacity=opacity)


def _marks(axes: Axes, wrong: Array, base: float, every: int) -> None:
    found = segments_of(wrong)
    runs = np.stack([found.starts, found.limits])[:, found.labels.astype(bool)] * every
    if runs.size:
        _boxes(axes, runs, base=base - _MARK - 0.06, height=_MARK, colour=INK, opacity=1.0)


def _boxes(
    axes: Axes, runs: Array, *, base: float, height: float, colour: str, opacity: float
) -> None:
    """Draw runs of frames, int[2, N], as one path: many small ones would make a large file."""
    left, right = runs
    low, high = np.full(len(left), base), np.full(len(left), base + height)
    corners = np.stack(
        [
            np.column_stack([left, low]),
            np.column_stack([right, low]),
            np.column_stack([right, high]),
            np.column_stack([left, high]),
            np.column_stack([left, low]),
        ],
        axis=1,
    )
    steps = [Outline.MOVETO, *[Outline.LINETO] * 3, Outline.CLOSEPOLY] * len(left)
    outline = Outline(corners.reshape(-1, 2), steps)
    axes.add_patch(PathPatch(outline, facecolor=colour, alpha=opacity, linewidth=0))


def _names(axes: Axes, gold: Segments, classes: Sequence[str], frames: int) -> None:
    """Write the names of gold segments above them where there is room."""
    for code, start, limit in zip(gold.labels, gold.starts, gold.limits, strict=True):
        name = classes[int(code)]
        short = name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
        if (limit - start) / frames > _CHARACTER_SHARE * (len(short) + 1):
            middle = (start + limit) / 2
            axes.text(middle, _STRIP + 0.12, literal(short), ha="center", va="bottom", fontsize=8)


def _axes(axes: Axes, strips: Strips, rows: int, first: str = "gold") -> None:
    step, rate = _STRIP + _MARK + _GAP, strips.rate
    names = [first, *(literal(name, 28) for name in strips.systems)]
    axes.set_yticks([_STRIP / 2 - step * row for row in range(rows)], names)
    axes.set_ylim(-step * (rows - 1) - _MARK - 0.3, _STRIP + 1.1)
    axes.set_xlim(0, len(strips.gold))
    axes.grid(False)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_title(literal(strips.name), loc="left")
    if rate is None:
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        axes.set_xlabel("frame")
        return
    seconds = len(strips.gold) / rate
    ticks = MaxNLocator(8, steps=[1, 2, 3, 6, 10]).tick_values(0, seconds)
    axes.set_xticks([tick * rate for tick in ticks if 0 <= tick <= seconds])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda frame, _: f"{frame / rate:.4g}"))
    axes.set_xlabel("seconds")

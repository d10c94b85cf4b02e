"""Drawings of a captioner's report: where it looked, lengths, confusions, scores in bins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.patches import PathPatch
from matplotlib.path import Path as Outline
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from pipelines.evaluation import plots
from pipelines.evaluation.attention_picture import label
from pipelines.evaluation.bootstrap import Interval
from pipelines.evaluation.caption_looks import Look, where
from pipelines.evaluation.caption_pictures import data_uri, read_upright, square, veil
from pipelines.evaluation.plots import FAINT, SERIES, Plot

Array = NDArray[Any]
_SIDE = 96  # pixels of the picture below the veils
_LEVELS = 10  # shades of a heatmap that can be told apart
_ROW_INCHES, _EDGE_INCHES = 0.155, 1.15  # of a heatmap


def looks_block(image: Path, look: Look) -> Markup:
    """Show an image once for each word, darkened where the model did not look; "" if unreadable.

    The image stands in the page once, however many words there are.
    """
    words = look.by_words()
    try:
        seen = square(read_upright(image, _SIDE), _SIDE, words.fit)
    except Exception:  # Pillow lets through whatever its many decoders raise
        return Markup("")
    named = list(zip(map(label, words.tokens), words.maps(), strict=True))
    spoken = "Most attention: " + ", ".join(f"{word}: {where(part)}" for word, part in named)
    tiles = Markup("").join(
        Markup('<span><i style="background-image:url({}),var(--seen)"></i>{}</span>').format(
            data_uri(veil(part)), word
        )
        for word, part in named
    )
    return Markup(
        '<div class="looks" role="img" aria-label="{}" style="--seen:url({})">{}</div>'
    ).format(spoken, data_uri(seen), tiles)


def interval_chart(
    names: Sequence[str],
    measured: Mapping[str, Sequence[Interval]],
    *,
    xlabel: str,
    ylabel: str,
) -> Markup:
    """Draw a value with its interval for every bin and system, the first systems' side by side."""
    drawn = {
        name: ([v.value for v in values], [v.low for v in values], [v.high for v in values])
        for name, values in measured.items()
    }
    return plots.grouped_intervals(names, drawn, xlabel=xlabel, ylabel=ylabel)


def length_chart(lengths: Mapping[str, Array]) -> Markup:
    """Draw how many captions have how many words, in per cent of each system's.

    Args:
        lengths: name -> words of each caption, int[N].
    """
    longest = max(int(np.quantile(each, 0.995)) for each in lengths.values()) + 1
    edges = np.arange(longest + 2) - 0.5
    with Plot() as plot:
        (axes,) = plot.axes
        for (name, each), colour in zip(lengths.items(), SERIES, strict=False):
            shares = 100 * np.histogram(each.clip(0, longest), edges)[0] / len(each)
            axes.stairs(shares, edges, color=colour, label=name, linewidth=1.6)
        axes.set(xlabel="words in the caption", ylabel="share of captions, %")
        axes.set_xlim(edges[0], edges[-1])
        axes.set_ylim(0)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend()
        return plot.svg()


def heatmap(shares: Array, rows: Sequence[str], columns: Sequence[str], *, xlabel: str) -> Markup:
    """Draw shares, float[R, C], as shaded cells; the root is shaded, so that rare ones are seen.

    Args:
        shares: 0 to 1; a full shade is the largest of them.
        rows: names of the rows, drawn on the left.
        columns: names of the columns, drawn below, upright.
        xlabel: what the columns are.
    """
    levels = np.ceil(_LEVELS * np.sqrt(shares / max(float(shares.max()), 1e-9)) - 1e-6).astype(int)
    with Plot(height=_EDGE_INCHES + _ROW_INCHES * len(rows)) as plot:
        (axes,) = plot.axes
        for level in range(1, _LEVELS + 1):
            cells = np.argwhere(levels == level)
            if len(cells):
                outline = Outline.make_compound_path(*(_cell(x, y) for y, x in cells.tolist()))
                patch = PathPatch(outline, color=SERIES[1], alpha=level / _LEVELS, lw=0)
                axes.add_patch(patch)
        axes.set(xlim=(0, len(columns)), ylim=(len(rows), 0), xlabel=xlabel)
        axes.set_xticks(np.arange(len(columns)) + 0.5, columns, rotation=90, fontsize=8)
        axes.set_yticks(np.arange(len(rows)) + 0.5, rows, fontsize=8)
        axes.tick_params(length=0)
        axes.grid(False)
        axes.hlines(range(len(rows) + 1), 0, len(columns), color=FAINT, linewidth=0.4, alpha=0.4)
        axes.vlines(range(len(columns) + 1), 0, len(rows), color=FAINT, linewidth=0.4, alpha=0.4)
        axes.spines[:].set_visible(False)
        return plot.svg()


def _cell(x: int, y: int) -> Outline:
    return Outline([(x, y), (x + 1, y), (x + 1, y + 1), (x, y + 1), (x, y)], closed=True)

"""Small drawings as inline SVG that follow the page: its fonts, and its light or dark colours.

Figures are built without pyplot, so no state is shared. Colours are placeholders that become CSS
variables of the report's style sheet; text stays text, which keeps files small and searchable.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import MaxNLocator

INK, FAINT = "#010101", "#020202"
SERIES = ("#030303", "#040404", "#050505", "#060606")
_VARIABLES = {
    INK: "var(--plot-ink)",
    FAINT: "var(--plot-faint)",
    **{colour: f"var(--series-{number})" for number, colour in enumerate(SERIES, start=1)},
}
_SETTINGS = {
    "svg.fonttype": "none",
    "svg.hashsalt": "report",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.titlesize": 9,
    "axes.titleweight": "normal",
    "text.color": INK,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.6,
    "lines.markersize": 4.5,
}
WIDTH_INCHES, HEIGHT_INCHES = 4.7, 3.0


class Plot:
    """One figure with stacked axes; `with Plot() as plot` draws under the shared settings.

    Args:
        rows: relative heights of the axes, top to bottom; they share the x axis.
        height: inches.
    """

    def __init__(self, rows: Sequence[float] = (1,), height: float = HEIGHT_INCHES) -> None:
        self._context: Any = mpl.rc_context(_SETTINGS)  # type: ignore[arg-type]
        self._rows = rows
        self._height = height

    def __enter__(self) -> Plot:
        self._context.__enter__()
        self.canvas = Canvas(figsize=(WIDTH_INCHES, self._height), layout="constrained")
        FigureCanvasSVG(self.canvas)
        grid = self.canvas.subplots(
            len(self._rows), 1, sharex=True, squeeze=False, height_ratios=list(self._rows)
        )
        self.axes: list[Axes] = list(grid[:, 0])
        for axes in self.axes:
            axes.grid(True, axis="y", color=FAINT, linewidth=0.5, alpha=0.35)
            axes.set_axisbelow(True)
        return self

    def __exit__(self, *error: object) -> None:
        self._context.__exit__(*error)

    def svg(self) -> Markup:
        """Return the figure as SVG for a page that holds the report's style sheet."""
        buffer = io.StringIO()
        self.canvas.savefig(
            buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None}
        )
        return Markup(_for_page(buffer.getvalue()))


def learning_curve(
    epochs: Sequence[int],
    curves: Mapping[str, Sequence[float | None]],
    *,
    best_epoch: int | None,
    label: str,
) -> Markup:
    """Draw values per epoch, one line each, and mark the epoch whose weights were kept."""
    with Plot() as plot:
        (axes,) = plot.axes
        for (name, values), colour in zip(curves.items(), SERIES, strict=False):
            known = [(x, y) for x, y in zip(epochs, values, strict=True) if y is not None]
            axes.plot(*zip(*known, strict=True), marker="o", color=colour, label=name)
        if best_epoch is not None:
            axes.axvline(best_epoch, color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
            axes.annotate(
                f"kept: epoch {best_epoch}",
                (best_epoch, 1.0),
                xycoords=("data", "axes fraction"),
                xytext=(0, 4),
                textcoords="offset points",
                ha=_towards_middle(best_epoch, epochs),
                fontsize=8.5,
            )
        axes.set(xlabel="epoch", ylabel=label)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if len(curves) > 1:
            axes.legend()
        return plot.svg()


def reliability_diagram(
    confidence: Sequence[float],
    accuracy: Sequence[float],
    lows: Sequence[float],
    highs: Sequence[float],
    *,
    smallest: float,
) -> Markup:
    """Draw accuracy over confidence, one point a bin with its interval, beside the diagonal.

    Args:
        confidence: mean probability of the answer in each bin.
        accuracy: share of right answers in each bin.
        lows: lower ends of the intervals of `accuracy`.
        highs: upper ends of the intervals of `accuracy`.
        smallest: lowest confidence an answer can have, 1 / number of classes.
    """
    with Plot(height=3.4) as plot:
        (axes,) = plot.axes
        axes.plot(
            *([smallest, 1], [smallest, 1]),
            color=INK,
            linewidth=0.9,
            linestyle=(0, (4, 3)),
            label="as sure as right",
        )
        axes.vlines(confidence, lows, highs, color=SERIES[0], linewidth=1, alpha=0.7)
        axes.plot(confidence, accuracy, "o", color=SERIES[0])
        margin = 0.03 * (1 - smallest)
        axes.set_xlim(smallest - margin, 1 + margin)
        axes.set_ylim(min([smallest, *lows]) - margin, 1 + margin)
        axes.set(xlabel="probability given to the answer", ylabel="share of right answers")
        axes.legend()
        return plot.svg()


def grouped_intervals(
    names: Sequence[str],
    systems: Mapping[str, tuple[Sequence[float], Sequence[float], Sequence[float]]],
    *,
    xlabel: str,
    ylabel: str,
) -> Markup:
    """Draw one point with its interval per group and system, systems side by side.

    Args:
        names: the groups, along the x axis.
        systems: name -> (values, lows, highs), one entry per group.
        xlabel: what the groups are.
        ylabel: what the values are.
    """
    with Plot() as plot:
        (axes,) = plot.axes
        step = 0.22
        for place, (name, (values, lows, highs)) in enumerate(systems.items()):
            x = [n + step * (place - (len(systems) - 1) / 2) for n in range(len(names))]
            colour = SERIES[place % len(SERIES)]
            axes.vlines(x, lows, highs, color=colour, linewidth=1.2, alpha=0.8)
            axes.plot(x, values, "os^D"[place % 4], color=colour, label=name)
        axes.set_xticks(range(len(names)), names)
        axes.set(xlabel=xlabel, ylabel=ylabel)
        axes.margins(x=0.06)
        plot.canvas.legend(loc="outside upper left", ncols=2)
        return plot.svg()


def _towards_middle(x: float, values: Sequence[float]) -> str:
    """Alignment that keeps a label at `x` inside the axes."""
    span = max(values) - min(values)
    place = (x - min(values)) / span if span else 0.5
    return "left" if place < 0.25 else "right" if place > 0.75 else "center"


def _for_page(svg: str) -> str:
    """Drop what only a stand-alone file needs, and let the page size and colour the drawing."""
    svg = svg[svg.index("<svg") :]
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, variable)
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r' id="[a-zA-Z0-9.]+_\d+(?:_\d+)?"', "", svg)
    svg = re.sub(r' (?:width|height)="[\d.]+pt"', "", svg, count=2)
    svg = re.sub(r"(font: [^;\"]*?px) [^;\"]*", r"\1 var(--font)", svg)
    svg = re.sub(r' xmlns(?::xlink)?="[^"]*"', "", svg).replace("xlink:href", "href")
    # Markers and clips are defined in every drawing: the same name must not mean two things.
    mark = "d" + hashlib.sha256(svg.encode()).hexdigest()[:6]
    svg = re.sub(r'(id="|href="#|url\(#)([mp][0-9a-f]{10})', rf"\g<1>{mark}\g<2>", svg)
    return re.sub(r"\n\s*", "\n", svg).replace("<svg", '<svg aria-hidden="true"', 1).strip()

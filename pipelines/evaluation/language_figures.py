"""Drawings of a language model's report: bits by position, by kind of character and by passage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from numpy.typing import NDArray

from pipelines.evaluation import plots
from pipelines.evaluation.language_measures import Band
from pipelines.evaluation.plots import HEIGHT_INCHES, INK, SERIES, Plot
from pipelines.evaluation.scores import Score

Array = NDArray[Any]
_DASHES = (0, (4, 3))
_LARGE = 1_000  # from here on, positions are written in thousands


def position_chart(
    bands: Mapping[str, Sequence[Band]], context_free: Mapping[str, Sequence[Band]]
) -> Markup:
    """Draw bits per character over the distance from the start of a document, one line a system.

    Args:
        bands: of systems that read the text.
        context_free: of those that do not; they are drawn above, on a scale of their own, since
            they need so many more bits that the others could not be told apart.
    """
    rows, height = ((1, 2.4), 3.6) if context_free else ((1,), HEIGHT_INCHES)
    drawn = [context_free, bands] if context_free else [bands]
    with Plot(rows, height) as plot:
        for axes, systems in zip(plot.axes, drawn, strict=True):
            _position_lines(axes, systems, 0 if systems is bands else len(bands))
        starts = sorted({max(1, band.start) for found in bands.values() for band in found})
        bottom = plot.axes[-1]
        bottom.set_xscale("log")
        bottom.xaxis.set_major_locator(FixedLocator(starts))
        bottom.xaxis.set_minor_locator(NullLocator())
        bottom.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _place(value)))
        bottom.set(xlabel="characters read, from … on", ylabel="bits per character")
        plot.canvas.legend(loc="outside upper left", ncols=3)
        return plot.svg()


def _position_lines(axes: Axes, systems: Mapping[str, Sequence[Band]], first: int) -> None:
    for place, (name, found) in enumerate(systems.items(), start=first):
        axes.plot(
            [max(1, band.start) for band in found],
            [band.bits_per_character for band in found],
            marker="os^D"[place % 4],
            color=SERIES[place % len(SERIES)],
            label=name,
        )


def _place(value: float) -> str:
    if round(value) <= 1:
        return "0"
    return f"{value / _LARGE:g}k" if value >= _LARGE else f"{value:g}"


def kind_chart(scores: Sequence[Score], rival: str) -> Markup:
    """Draw bits per character by kind of character: the model's with intervals, its rival's.

    Args:
        scores: the model's, one a kind.
        rival: which of their baselines to draw.
    """
    values = [score.value for score in scores]
    lows = [score.value if score.low is None else score.low for score in scores]
    highs = [score.value if score.high is None else score.high for score in scores]
    # Of a rival only the interval of the difference is known.
    other = [score.baselines[rival].value for score in scores]
    names = [score.name.replace(" of a ", "\nof a ").replace(" ", "\n", 1) for score in scores]
    return plots.grouped_intervals(
        names,
        {"model": (values, lows, highs), rival: (other, other, other)},
        xlabel="kind of character",
        ylabel="bits per character",
    )


def passage_chart(model: Array, other: Array, name: str) -> Markup:
    """Draw each passage at the bits of an opponent and of the model: below the line it is better.

    Args:
        model: bits per character of each passage, float[M].
        other: the same of the opponent.
        name: of the opponent.
    """
    with Plot(height=3.6) as plot:
        (axes,) = plot.axes
        low, high = min(model.min(), other.min()), max(model.max(), other.max())
        margin = 0.05 * max(high - low, 0.1)
        ends = [low - margin, high + margin]
        axes.plot(ends, ends, color=INK, linewidth=0.9, linestyle=_DASHES, label="equally good")
        axes.plot(other, model, "o", color=SERIES[0], markersize=3, alpha=0.45, label="a passage")
        axes.set_xlim(*ends)
        axes.set_ylim(*ends)
        axes.set(xlabel=f"{name}, bits per character", ylabel="model, bits per character")
        plot.canvas.legend(loc="outside upper left", ncols=2)
        return plot.svg()

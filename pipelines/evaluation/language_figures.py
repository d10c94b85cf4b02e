"""Drawings of a language model's report: bits by position, by kind of character and by passage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from numpy.typing import NDArray

from pipelines.evaluation import plots
from pipelines.evaluation.language_measures import Band
from pipelines.evaluation.plots import INK, SERIES, Plot
from pipelines.evaluation.scores import Score

Array = NDArray[Any]
_DASHES = (0, (4, 3))
_LARGE = 1_000  # from here on, positions are written in thousands


def position_chart(bands: Mapping[str, Sequence[Band]]) -> Markup:
    """Draw bits per character over the distance from the start of a document, one line a system."""
    with Plot() as plot:
        (axes,) = plot.axes
        starts = sorted({max(1, band.start) for found in bands.values() for band in found})
        for place, (name, found) in enumerate(bands.items()):
            axes.plot(
                [max(1, band.start) for band in found],
                [band.bits_per_character for band in found],
                marker="os^D"[place % 4],
                color=SERIES[place % len(SERIES)],
                label=name,
            )
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(FixedLocator(starts))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _place(value)))
        axes.set(xlabel="characters read, from … on", ylabel="bits per character")
        plot.canvas.legend(loc="outside upper left", ncols=3)
        return plot.svg()


def _place(value: float) -> str:
    if round(value) <= 1:
        return "0"
    return f"{value / _LARGE:g}k" if value >= _LARGE else f"{value:g}"


def kind_chart(scores: Sequence[Score], systems: Sequence[str]) -> Markup:
    """Draw bits per character by kind of character with intervals; the first system is the model.

    Args:
        scores: one a kind, of the model, with the other systems as baselines.
        systems: "model" and the names of baselines.
    """
    drawn = {}
    for system in systems:
        if system == systems[0]:
            values = [(score.value, score.low, score.high) for score in scores]
        else:
            # An opponent's own interval is not known, only that of the difference.
            values = [(score.baselines[system].value,) * 3 for score in scores]
        drawn[system] = tuple(zip(*values, strict=True))
    names = [score.name.replace(" of a ", "\nof a ").replace(" ", "\n", 1) for score in scores]
    return plots.grouped_intervals(
        names,
        drawn,  # type: ignore[arg-type]
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

"""Drawings of studies, in the looks of reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from markupsafe import Markup
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from pipelines.evaluation.plots import FAINT, INK, SERIES, Plot
from pipelines.studies.seeds import Mean

DASHES = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (5, 1.5, 1, 1.5)))
Curve = tuple[Sequence[float], Sequence[float], Sequence[float]]  # median, lower, upper quartile


def dots(names: Sequence[str], means: Sequence[Mean], *, xlabel: str) -> Markup:
    """Draw a line a name with its mean and interval, the first at the top.

    The axis is cut where intervals of two seeds would press all dots together.
    """
    with Plot(height=0.9 + 0.24 * len(names)) as plot:
        (axes,) = plot.axes
        values = [mean.value for mean in means]
        span = max(max(values) - min(values), 1e-9)
        for place, mean in enumerate(means):
            if mean.low is not None and mean.high is not None:
                axes.hlines(place, mean.low, mean.high, color=SERIES[0], linewidth=1.2, alpha=0.8)
        axes.plot(values, range(len(values)), "o", color=SERIES[0])
        axes.set_yticks(range(len(names)), names)
        axes.invert_yaxis()
        axes.grid(False, axis="y")
        axes.grid(True, axis="x", color=FAINT, linewidth=0.5, alpha=0.35)
        axes.set_xlim(_cut(means, min(values) - span, max(values) + span))
        axes.set_xlabel(xlabel)
        return plot.svg()


def _cut(means: Sequence[Mean], low: float, high: float) -> tuple[float, float]:
    lows = [mean.low for mean in means if mean.low is not None]
    highs = [mean.high for mean in means if mean.high is not None]
    margin = 0.03 * (high - low)
    return max(low, min(lows, default=low) - margin), min(high, max(highs, default=high) + margin)


def costs(
    numbers: Sequence[int], seconds: Sequence[float], values: Sequence[float], *, ylabel: str
) -> Markup:
    """Draw quality against seconds of training; each point bears its number in the table."""
    with Plot() as plot:
        (axes,) = plot.axes
        axes.plot(seconds, values, "o", color=SERIES[0])
        for number, x, y in zip(numbers, seconds, values, strict=True):
            axes.annotate(str(number), (x, y), (4, 3), textcoords="offset points", fontsize=8.5)
        axes.set(xlabel="seconds of training", ylabel=ylabel)
        axes.margins(0.08)
        axes.set_xlim(left=0)
        return plot.svg()


def ladder(
    weights: Sequence[int],
    curves: Mapping[str, Sequence[Sequence[float]]],
    chosen: int | None,
    *,
    ylabel: str,
) -> Markup:
    """Draw quality over size on a logarithmic axis: a line of means, a dot a seed.

    Args:
        weights: trained weights of each rung.
        curves: split -> values of each rung, one a seed.
        chosen: number of the rung to mark, if any.
        ylabel: what the values are.
    """
    with Plot(height=3.4) as plot:
        (axes,) = plot.axes
        for (name, rungs), colour in zip(curves.items(), SERIES, strict=False):
            means = [float(np.mean(values)) for values in rungs]
            axes.plot(weights, means, marker="o", color=colour, label=name)
            for x, values in zip(weights, rungs, strict=True):
                axes.plot([x] * len(values), values, ".", color=colour, alpha=0.5)
        if chosen is not None:
            axes.axvline(weights[chosen], color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(FixedLocator(_spread(weights)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda count, _: _short(count)))
        axes.set(xlabel="trained weights, embedding tables left out", ylabel=ylabel)
        plot.canvas.legend(loc="outside upper left", ncols=2)
        return plot.svg()


def _spread(weights: Sequence[int]) -> list[int]:
    """Return sizes to write on the axis: those far enough apart that labels do not touch."""
    kept: list[int] = []
    least = (max(weights) / min(weights)) ** (1 / 7)
    for weight in sorted(weights):
        if not kept or weight >= kept[-1] * least:
            kept.append(weight)
    return kept


def _short(count: float) -> str:
    if count >= 1e6:
        return f"{count / 1e6:.1f}M"
    return f"{count / 1e3:.{0 if count >= 1e4 else 1}f}k" if count >= 1000 else f"{count:.0f}"


def gradients(panels: Mapping[str, Mapping[str, Curve]], *, floor: float) -> Markup:
    """Draw norms of gradients over distance, one panel above the other.

    Args:
        panels: title -> name -> (median, lower and upper quartile) of each distance.
        floor: smaller norms are drawn as this, which a logarithmic axis can show.
    """
    with Plot(rows=[1] * len(panels), height=0.6 + 2.4 * len(panels)) as plot:
        for axes, (title, curves) in zip(plot.axes, panels.items(), strict=True):
            for place, (name, curve) in enumerate(curves.items()):
                middle, low, high = (np.maximum(part, floor) for part in curve)
                colour = SERIES[place % len(SERIES)]
                steps = np.arange(len(middle))
                dash = DASHES[place // len(SERIES) % len(DASHES)]
                axes.plot(steps, middle, linestyle=dash, label=name, color=colour)
                axes.fill_between(steps, low, high, alpha=0.18, linewidth=0, color=colour)
            axes.set_yscale("log")
            axes.set_title(title, loc="left")
            axes.set_ylabel("norm of the gradient")
        plot.axes[-1].set_xlabel("steps back from the last state")
        handles, labels = plot.axes[0].get_legend_handles_labels()
        plot.canvas.legend(handles, labels, loc="outside upper left", ncols=2)
        return plot.svg()

"""Drawings of a forecaster's errors: by step ahead, over lags, and by what the inputs tell."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from pipelines.evaluation.bootstrap import Interval
from pipelines.evaluation.forecast_figures import compact, literal
from pipelines.evaluation.plots import FAINT, INK, SERIES, Plot

Array = NDArray[Any]
OFF_THE_SCALE = 3.0  # times the middle of the systems' largest errors: such a line is cut off
_DASHES = ((0, (5, 2)), (0, (1, 1.2)), (0, (5, 1.5, 1, 1.5)))
_NAME = 28  # characters of an input's name that leave room for the drawing
_MARKERS = "os^D"


def step_chart(
    model: Sequence[Interval], baselines: Mapping[str, Array], *, step_name: str, ylabel: str
) -> Markup:
    """Draw the error by step ahead: the model with its band, every baseline as a broken line.

    Args:
        model: error with its interval, one a step.
        baselines: name -> error float[H].
        step_name: what a step is called, in the singular.
        ylabel: what the error is, with its unit.
    """
    lines = math.ceil((1 + len(baselines)) / 2)
    steps = np.arange(1, len(model) + 1)
    with Plot(height=2.7 + 0.17 * lines) as plot:
        (axes,) = plot.axes
        marker = "o" if len(model) < 3 else ""
        for number, (name, errors) in enumerate(baselines.items()):
            colour, dashes = SERIES[1 + number % 3], _DASHES[number // 3 % 3]
            axes.plot(
                steps, errors, marker=marker, color=colour, ls=dashes, linewidth=1.3, label=name
            )
        lows, highs = [value.low for value in model], [value.high for value in model]
        axes.fill_between(steps, lows, highs, color=SERIES[0], alpha=0.22, linewidth=0)
        values = [value.value for value in model]
        axes.plot(steps, values, marker=marker, color=SERIES[0], linewidth=2.2, label="model")
        axes.set_ylim(0, 1.05 * upper_edge([np.array(highs), *baselines.values()]))
        axes.set(xlabel=f"{step_name}s ahead", ylabel=literal(ylabel))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlim(0.4, len(model) + 0.6)
        handles, names = axes.get_legend_handles_labels()
        order = [len(names) - 1, *range(len(names) - 1)]
        plot.canvas.legend(
            [handles[place] for place in order],
            [names[place] for place in order],
            loc="outside upper left",
            ncols=2,
        )
        return compact(plot.svg())


def upper_edge(lines: Sequence[Array]) -> float:
    """Return where an axis from 0 must end for all lines but those far off the scale."""
    tops = [float(np.max(line[np.isfinite(line)], initial=0.0)) for line in lines]
    limit = OFF_THE_SCALE * float(np.median(tops))
    return max((top for top in tops if top <= limit), default=max(tops)) or 1.0


def autocorrelation_chart(
    curves: Mapping[str, tuple[Array, Array]], noise: float, *, step_name: str
) -> Markup:
    """Draw autocorrelations as stems with the band that white noise would stay in.

    Args:
        curves: name -> (lags in steps int[L], correlations float[L]).
        noise: half the height of the white-noise band.
        step_name: what a step is called, in the singular.
    """
    with Plot() as plot:
        (axes,) = plot.axes
        lags = next(iter(curves.values()))[0]
        gap = float(lags[1] - lags[0]) if len(lags) > 1 else 1.0
        for place, (name, (at, values)) in enumerate(curves.items()):
            x = at + 0.22 * gap * (place - (len(curves) - 1) / 2)
            axes.vlines(x, 0, values, color=SERIES[place], linewidth=1, alpha=0.8)
            axes.plot(x, values, _MARKERS[place], color=SERIES[place], markersize=3.2, label=name)
        axes.axhspan(-noise, noise, color=FAINT, alpha=0.25, linewidth=0, label="white noise, 95 %")
        axes.axhline(0, color=INK, linewidth=0.7)
        axes.set(xlabel=f"{step_name}s between origins", ylabel="autocorrelation of errors")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        plot.canvas.legend(loc="outside upper left", ncols=3, columnspacing=1)
        return compact(plot.svg())


def importance_chart(names: Sequence[str], values: Sequence[Interval], *, measure: str) -> Markup:
    """Draw one point with its interval per input, the first on top; right of zero is useful."""
    with Plot(height=0.9 + 0.2 * len(names)) as plot:
        (axes,) = plot.axes
        places = np.arange(len(names))[::-1]
        axes.hlines(
            places,
            [value.low for value in values],
            [value.high for value in values],
            color=SERIES[0],
            linewidth=1.2,
            alpha=0.8,
        )
        axes.plot([value.value for value in values], places, "o", color=SERIES[0])
        axes.axvline(0, color=INK, linewidth=0.8)
        axes.set_yticks(places, [literal(name, _NAME) for name in names])
        axes.set_ylim(-0.6, len(names) - 0.4)
        axes.set_xlabel(f"increase of {measure} when the input is shuffled")
        axes.grid(False, axis="y")
        axes.grid(True, axis="x", color=FAINT, linewidth=0.5, alpha=0.35)
        return compact(plot.svg())

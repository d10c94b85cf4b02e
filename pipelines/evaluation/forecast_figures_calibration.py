"""Drawings of how forecast distributions hold: levels, coverage of intervals, and the PIT."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from pipelines.evaluation.bootstrap import Interval
from pipelines.evaluation.forecast_figures import compact, percent
from pipelines.evaluation.plots import INK, SERIES, Plot

Array = NDArray[Any]
_DASHES = (0, (4, 3))


def level_chart(levels: Sequence[float], observed: Sequence[Interval]) -> Markup:
    """Draw the observed share below each quantile over its level, beside the diagonal."""
    with Plot(height=3.4) as plot:
        (axes,) = plot.axes
        axes.plot([0, 1], [0, 1], color=INK, linewidth=0.9, ls=_DASHES, label="as stated")
        lows, highs = [value.low for value in observed], [value.high for value in observed]
        axes.vlines(levels, lows, highs, color=SERIES[0], linewidth=1, alpha=0.7)
        values = [value.value for value in observed]
        axes.plot(levels, values, "o", color=SERIES[0], label="model")
        axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
        axes.set(xlabel="quantile level", ylabel="share of values at or below it")
        axes.legend(loc="upper left")
        return compact(plot.svg())


def coverage_chart(shares: Mapping[float, Sequence[Interval]], *, step_name: str) -> Markup:
    """Draw the coverage of central intervals by step ahead, each beside its nominal share.

    Args:
        shares: nominal share -> observed share with its interval, one a step.
        step_name: what a step is called, in the singular.
    """
    with Plot(height=3.4) as plot:
        (axes,) = plot.axes
        for (nominal, values), colour in zip(shares.items(), SERIES, strict=False):
            steps = np.arange(1, len(values) + 1)
            lows, highs = [value.low for value in values], [value.high for value in values]
            axes.fill_between(steps, lows, highs, color=colour, alpha=0.2, linewidth=0)
            label = f"{percent(nominal)} interval"
            seen = [value.value for value in values]
            axes.plot(steps, seen, "o-", color=colour, markersize=2.8, label=label)
            axes.axhline(nominal, color=colour, linewidth=0.9, ls=_DASHES)
        axes.set_xlim(0.4, len(steps) + 0.6)
        axes.set(ylim=(0, 1), xlabel=f"{step_name}s ahead", ylabel="share of values inside")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        plot.canvas.legend(loc="outside upper left", ncols=2)
        return compact(plot.svg())


def pit_chart(edges: Sequence[float], densities: Sequence[Interval]) -> Markup:
    """Draw the probability integral transform as bars; 1 is where a calibrated model stays.

    Args:
        edges: levels that bound the bars, from 0 to 1, one more than bars.
        densities: share of values in each bar over the share that belongs there.
    """
    with Plot() as plot:
        (axes,) = plot.axes
        left, widths = np.asarray(edges[:-1]), np.diff(edges)
        values = [value.value for value in densities]
        axes.bar(
            left,
            values,
            widths * 0.94,
            align="edge",
            color=SERIES[0],
            alpha=0.55,
            linewidth=0,
        )
        middle = left + widths * 0.47
        lows, highs = [value.low for value in densities], [value.high for value in densities]
        axes.vlines(middle, lows, highs, color=INK, linewidth=1)
        axes.axhline(1, color=INK, linewidth=0.9, ls=_DASHES)
        axes.set(xlim=(0, 1), xlabel="place of what came among the stated quantiles")
        axes.set_ylabel("values, 1 = as stated")
        axes.set_ylim(bottom=0)
        return compact(plot.svg())

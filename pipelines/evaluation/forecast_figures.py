"""Drawings of forecasts over time: fans of one window, and the whole back-test."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from numpy.typing import NDArray

from pipelines.evaluation.forecasting_metrics import at_level
from pipelines.evaluation.plots import INK, SERIES, Plot

Array = NDArray[Any]
BANDS = (0.8, 0.5)  # central shares that are shaded, the wide one first
WIDE_INCHES = 9.6
_PICTURE_INCHES, _PICTURE_DOTS = 7.2, 150
_PICTURE_COLOUR = "#1f6bb0"  # the report's first colour; a picture has no style sheet
_SHADES = (0.18, 0.32)
_DASHES = (0, (4, 3))
# For ticks at years, months, days, hours, minutes, seconds: most, those that begin a larger unit,
# and what is written once below the axis.
_TICKS = ["%Y", "%b", "%-d %b", "%H:%M", "%H:%M", "%S"]
_FIRST_TICKS = ["", "%Y", "%-d %b", "%-d %b", "%H:%M", "%H:%M"]
_OFFSETS = ["", "", "%Y", "%-d %b %Y", "%-d %b %Y", "%-d %b %Y"]


@dataclass(frozen=True)
class Fan:
    """One forecast of one target: what was seen before, what is said, and what came.

    Attributes:
        name: of the target.
        unit: of its values, "" where unknown.
        before: wall-clock seconds of the history, int64[T].
        history: float[T]; NaN is a gap.
        times: wall-clock seconds of the forecast steps, int64[H].
        quantiles: float[H, Q].
        levels: of the quantiles, rising.
        actual: what came, float[H]; None where nobody knows yet.
        median: float[H]; None where the levels tell it.
    """

    name: str
    unit: str
    before: Array
    history: Array
    times: Array
    quantiles: Array
    levels: Sequence[float]
    actual: Array | None = None
    median: Array | None = None

    @property
    def label(self) -> str:
        """The target and its unit, as an axis has it."""
        return f"{self.name} ({self.unit})" if self.unit else self.name


@dataclass(frozen=True)
class Timeline:
    """Forecasts of one step ahead over the whole test period, and the error over time.

    Attributes:
        label: the target and its unit.
        times: wall-clock seconds, int64[M].
        actual: float[M]; NaN is a gap.
        quantiles: float[M, Q].
        levels: of the quantiles.
        moments: wall-clock seconds of the rolling errors, int64[R].
        errors: system -> rolling error float[R]; the model first.
        measure: what these errors are, with their unit.
    """

    label: str
    times: Array
    actual: Array
    quantiles: Array
    levels: Sequence[float]
    moments: Array
    errors: Mapping[str, Array]
    measure: str


def literal(text: str, most: int = 40) -> str:
    """Keep foreign text from being set as a formula, and short enough for a drawing."""
    shown = text if len(text) <= most else f"{text[: most - 1]}…"
    return shown.replace("$", r"\$")


def percent(share: float) -> str:
    """Write a share as "80 %"."""
    return f"{100 * share:.3g} %"


def bands_of(levels: Sequence[float]) -> list[tuple[float, float, float]]:
    """Return (share, low level, high level) of the central bands that the levels can show."""
    reach = min(0.5 - levels[0], levels[-1] - 0.5)
    shares = [share for share in BANDS if share / 2 <= reach + 1e-9]
    if not shares and reach > 0:
        shares = [2 * reach]
    return [(share, 0.5 - share / 2, 0.5 + share / 2) for share in shares]


def draw_fan(axes: Axes, fan: Fan, colour: str = SERIES[0]) -> None:
    """Draw history, bands, median and, where known, what came; dates along x."""
    _bands(axes, fan.times, fan.quantiles, fan.levels, colour)
    axes.plot(_dates(fan.before), fan.history, color=INK, linewidth=1.1, label="observed")
    if fan.actual is not None:
        times = np.concatenate([fan.before[-1:], fan.times])
        values = np.concatenate([fan.history[-1:], fan.actual])
        axes.plot(_dates(times), values, color=INK, linewidth=1.1)
        axes.plot(_dates(fan.times), fan.actual, ".", color=INK, markersize=3)
    median = at_level(fan.quantiles, fan.levels, 0.5) if fan.median is None else fan.median
    marker = "o" if len(fan.times) == 1 else ""
    axes.plot(_dates(fan.times), median, marker=marker, color=colour, label="median forecast")
    if len(fan.before):
        axes.axvline(_dates(fan.before)[-1], color=INK, linewidth=0.8, linestyle=_DASHES)
    axes.set_ylabel(literal(fan.label))
    _date_axis(axes)


def fan_chart(fan: Fan) -> Markup:
    """Draw one fan as SVG; the scale of y is what the drawn values need."""
    with Plot(height=3.2) as plot:
        draw_fan(plot.axes[0], fan)
        plot.canvas.legend(loc="outside upper left", ncols=4, columnspacing=1, handlelength=1.4)
        return compact(plot.svg())


def fan_picture(fans: Sequence[Fan], form: str) -> bytes:
    """Draw fans one above the other as a picture that stands alone.

    Args:
        fans: one or more; those of one time share the axis of dates.
        form: "png", "svg" or "pdf".
    """
    buffer = io.BytesIO()
    with Plot(rows=[1] * len(fans), height=1.0 + 2.3 * len(fans)) as plot:
        plot.canvas.set_size_inches(_PICTURE_INCHES, 1.0 + 2.3 * len(fans))
        for axes, fan in zip(plot.axes, fans, strict=True):
            draw_fan(axes, fan, _PICTURE_COLOUR)
        handles, names = plot.axes[0].get_legend_handles_labels()
        plot.canvas.legend(handles, names, loc="outside upper left", ncols=4)
        plot.canvas.savefig(buffer, format=form, dpi=_PICTURE_DOTS, facecolor="white")
    return buffer.getvalue()


def timeline_chart(timeline: Timeline) -> Markup:
    """Draw the test period twice: values with forecasts above, rolling errors below."""
    with Plot(rows=(1.7, 1), height=4.4) as plot:
        plot.canvas.set_size_inches(WIDE_INCHES, 4.4)
        upper, lower = plot.axes
        _bands(upper, timeline.times, timeline.quantiles, timeline.levels, SERIES[0], edges=False)
        dates = _dates(timeline.times)
        median = at_level(timeline.quantiles, timeline.levels, 0.5)
        upper.plot(dates, timeline.actual, color=INK, linewidth=0.7, label="observed")
        upper.plot(dates, median, color=SERIES[0], linewidth=0.8, label="median forecast")
        upper.set_ylabel(literal(timeline.label))
        upper.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=4, borderaxespad=0.2)
        for (name, errors), colour, style in zip(
            timeline.errors.items(), SERIES, ("-", (0, (4, 2)), ":"), strict=False
        ):
            lower.plot(
                _dates(timeline.moments), errors, color=colour, ls=style, label=literal(name)
            )
        lower.set_ylabel(literal(timeline.measure))
        lower.set_ylim(bottom=0)
        lower.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=4, borderaxespad=0.2)
        _date_axis(lower, ticks=10)
        return compact(plot.svg())


def compact(svg: Markup) -> Markup:
    """Write path coordinates to a tenth of a point: an eighth of a pixel, half the bytes."""

    def shorten(found: re.Match[str]) -> str:
        path = re.sub(r"\s+", " ", re.sub(r"-?\d+\.\d+", _tenth, found[1])).strip()
        return ' d="' + re.sub(r" ?([MLCQz]) ?", r"\1", path) + '"'

    return Markup(re.sub(r' d="([^"]*)"', shorten, str(svg)))


def _tenth(found: re.Match[str]) -> str:
    return f"{float(found[0]):.1f}".removesuffix(".0")


def _bands(
    axes: Axes,
    times: Array,
    quantiles: Array,
    levels: Sequence[float],
    colour: str,
    *,
    edges: bool = True,
) -> None:
    dates = _dates(times)
    for (share, low, high), shade in zip(bands_of(levels), _SHADES, strict=False):
        ends = at_level(quantiles, levels, low), at_level(quantiles, levels, high)
        style: dict[str, Any] = {"color": colour, "alpha": shade, "linewidth": 0}
        if len(dates) == 1:  # a band of one step has no width to fill
            style |= {"linewidth": 6}
            axes.vlines(dates, *ends, label=f"{percent(share)} band", **style)
            continue
        axes.fill_between(dates, *ends, label=f"{percent(share)} band", **style)
        if edges and share == max(BANDS):  # the edge is seen in print, where the tint is not
            for end in ends:
                axes.plot(dates, end, color=colour, linewidth=0.5, alpha=0.6)


def _dates(times: Array) -> Array:
    return np.asarray(times, np.int64).astype("datetime64[s]")


def _date_axis(axes: Axes, ticks: int = 8) -> None:
    locator = AutoDateLocator(minticks=ticks // 2 - 1, maxticks=ticks)
    axes.xaxis.set_major_locator(locator)
    formatter = ConciseDateFormatter(
        locator, formats=_TICKS, zero_formats=_FIRST_TICKS, offset_formats=_OFFSETS
    )
    axes.xaxis.set_major_formatter(formatter)
    axes.margins(x=0.01)

"""The report's pages that show forecasts over time: single windows, and the whole test period."""

from __future__ import annotations

import math

import numpy as np
from markupsafe import Markup

from pipelines.datasets.series_clock import describe_time
from pipelines.errors import EvaluationError
from pipelines.evaluation import forecasting_metrics as metrics
from pipelines.evaluation.forecast_evidence import (
    Array,
    Evidence,
    middle,
    series_means,
    window_means,
)
from pipelines.evaluation.forecast_figures import (
    Fan,
    Timeline,
    bands_of,
    fan_chart,
    percent,
    timeline_chart,
)
from pipelines.evaluation.sections import Figure, Html, Section, Table
from pipelines.evaluation.wording import number, sentence, with_unit

MOST_POINTS = 1800  # drawn of the test period; gaps add a few more
_MOST_ROLLING = 400
_ROLLING_SHARE = 0.04  # of the origins go into one rolling error
_FEWEST_ORIGINS = 8
_SHARES = (0.1, 0.25, 0.5, 0.75, 0.9, 0.99)


def fan_section(evidence: Evidence) -> Section:
    """Draw the windows with the smallest, the middle and the largest error."""
    errors = window_means(evidence.model_errors[:, :, 0])
    known = int((~np.isnan(errors)).sum())
    title = "Best, median and worst forecasts"
    if not known:
        return Section(title, "No window has half of its values observed, so none is drawn.")
    places = {
        "best": int(np.nanargmin(errors)),
        "median": middle(errors),
        "worst": int(np.nanargmax(errors)),
    }
    backtest = evidence.backtest
    prose = (
        f"Of {known:,} test windows, those in which the median forecast of "
        f"{backtest.targets[0]} had the smallest, the middle and the largest error. "
        "The dashed line is the moment of the forecast: only what is left of it was known. "
        "Each drawing has its own scale."
    )
    if left := backtest.rows - known:
        prose += f" {left:,} windows with less than half of their values observed are left out."
    figures = [_fan_figure(evidence, name, row, errors[row]) for name, row in places.items()]
    return Section(title, prose, [*figures[:known], _spread_table(evidence, errors)])


def _spread_table(evidence: Evidence, errors: Array) -> Table:
    """How errors of windows spread, for the drawn systems."""
    columns = {"model": errors}
    columns |= {name: window_means(evidence.errors(name)[:, :, 0]) for name in evidence.drawn[1:]}
    rows = [
        [percent(share), *(number(float(np.nanquantile(each, share))) for each in columns.values())]
        for share in _SHARES
    ]
    caption = f"Share of the windows whose {evidence.error_name} is at most that."
    return Table(["windows", *columns], rows, caption)


def fan_of(evidence: Evidence, row: int) -> Fan:
    """Cut the first target of one window: as much history as is worth seeing, and what came."""
    backtest, frequency = evidence.backtest, evidence.frequency
    steps, horizon = backtest.history.shape[1], backtest.horizon
    tail = min(steps, max(2 * horizon, min(2 * backtest.season, 4 * horizon), 8))
    return Fan(
        name=backtest.targets[0],
        unit=backtest.units[0],
        before=frequency.time(int(backtest.times[row, 0]), np.arange(-tail, 0)),
        history=backtest.history[row, steps - tail :, 0],
        times=backtest.times[row],
        quantiles=evidence.model.quantiles[row, :, 0],
        levels=backtest.levels,
        actual=backtest.actual[row, :, 0],
    )


def _fan_figure(evidence: Evidence, name: str, row: int, error: float) -> Figure:
    backtest, fan = evidence.backtest, fan_of(evidence, row)
    median, actual = evidence.model.median[row, :, 0], backtest.actual[row, :, 0]
    where = f" of {backtest.names[backtest.series[row]]}" if len(backtest.names) > 1 else ""
    made = describe_time(int(fan.before[-1]))
    caption = f"{sentence(name)}: {evidence.measure} {number(float(error))}, forecast{where} made "
    caption += f"at {made}."
    bands = bands_of(backtest.levels)
    if bands:
        share = bands[0][0]
        low, high = (ends[row, :, 0] for ends in interval_ends(evidence, share))
        inside = metrics.covered(actual, low, high)
        caption += (
            f" {int(np.nansum(inside))} of {int((~np.isnan(inside)).sum())} values came inside the "
            f"{percent(share)} band."
        )
    unit = fan.unit
    alt = (
        f"Fan chart. Observed values from {with_unit(float(np.nanmin(actual)), unit)} to "
        f"{with_unit(float(np.nanmax(actual)), unit)}; median forecast from "
        f"{with_unit(float(median.min()), unit)} to {with_unit(float(median.max()), unit)}"
    )
    return Figure(fan_chart(fan), caption, alt)


def interval_ends(evidence: Evidence, share: float) -> tuple[Array, Array]:
    """Both ends of the model's central interval of a nominal share, float[N, H, K] each."""
    quantiles, levels = evidence.model.quantiles, evidence.backtest.levels
    low = metrics.at_level(quantiles, levels, 0.5 - share / 2)
    return low, metrics.at_level(quantiles, levels, 0.5 + share / 2)


def timeline_section(evidence: Evidence, step: int | None = None) -> Section:
    """Draw one series over the whole test period, and the error of all series over time.

    Args:
        evidence: back-test and systems.
        step: which step ahead is drawn, 1..H; the last by default.

    Raises:
        EvaluationError: there is no such step.
    """
    backtest = evidence.backtest
    step = backtest.horizon if step is None else step
    if not 1 <= step <= backtest.horizon:
        raise EvaluationError(
            f"report: step {step} ahead is to be drawn, but forecasts reach from 1 to "
            f"{backtest.horizon}: choose one of these"
        )
    series = _middle_series(evidence)
    rows = np.flatnonzero(backtest.series == series)
    rows = rows[np.argsort(backtest.times[rows, 0], kind="stable")]
    title = "The whole test period"
    if len(rows) < _FEWEST_ORIGINS:
        return Section(title, f"{len(rows)} forecasts of a series are too few to draw over time.")
    kept = rows[:: _every(evidence, backtest.times[rows, 0])]
    moments, rolling, origins = _rolling_errors(evidence)
    lines = _with_gaps(evidence, kept, step)
    unit = backtest.units[0]
    label = f"{backtest.targets[0]} ({unit})" if unit else backtest.targets[0]
    measure = f"rolling {evidence.error_name}"
    svg = timeline_chart(Timeline(label, *lines, backtest.levels, moments, rolling, measure))
    steps = f"{step} {backtest.step_name}{'' if step == 1 else 's'}"
    caption = f"Above: every forecast {steps} ahead"
    if len(kept) < len(rows):
        caption = f"Above: {len(kept):,} of {len(rows):,} forecasts {steps} ahead"
    if len(backtest.names) > 1:
        caption += f" of {backtest.names[series]}, the series in the middle by its error,"
    caption += (
        f" with what came. Below: the mean {evidence.measure} of {origins} neighbouring origins"
        f"{' over all series' if len(backtest.names) > 1 else ''}; lower is better."
    )
    return Section(title, "", [_wide_figure(svg, caption, _timeline_alt(evidence, rows, rolling))])


def _middle_series(evidence: Evidence) -> int:
    backtest = evidence.backtest
    losses = evidence.model_errors[:, :, 0]
    means = series_means(losses, backtest.series, len(backtest.names))
    return int(backtest.series[0]) if np.isnan(means).all() else middle(means)


def _every(evidence: Evidence, origins: Array) -> int:
    """Every how many-th forecast is drawn, avoiding steps that would show few hours only."""
    every = math.ceil(len(origins) / MOST_POINTS)
    step, season = evidence.step_seconds, evidence.backtest.season
    spacing = max(1, round(float(np.median(np.diff(origins))) / step))
    while every > 1 and math.gcd(every * spacing, season) > math.gcd(spacing, season):
        every += 1
    return every


def _with_gaps(evidence: Evidence, rows: Array, step: int) -> tuple[Array, Array, Array]:
    """Times, actual values and quantiles of a step; a row of NaN where origins are missing."""
    backtest = evidence.backtest
    times = backtest.times[rows, step - 1]
    actual = backtest.actual[rows, step - 1, 0]
    quantiles = evidence.model.quantiles[rows, step - 1, 0]
    between = np.diff(times)
    gaps = np.flatnonzero(between > 2 * np.median(between)) + 1
    return (
        np.insert(times, gaps, times[gaps - 1] + 1),
        np.insert(actual, gaps, np.nan),
        np.insert(quantiles, gaps, np.nan, axis=0),
    )


def _rolling_errors(evidence: Evidence) -> tuple[Array, dict[str, Array], int]:
    """Wall-clock seconds, errors of the drawn systems, and how many origins are in each."""
    blocks = evidence.backtest.blocks
    origins = np.unique(evidence.backtest.times[:, 0])
    size = max(1, round(len(origins) * _ROLLING_SHARE))
    every = math.ceil(len(origins) / _MOST_ROLLING)
    window = np.ones(size)
    errors = {}
    for name in evidence.drawn:
        losses = evidence.errors(name)[:, :, :1]
        sums, counts = metrics.group_sums(losses, blocks, len(origins))
        totals = np.convolve(counts, window, "valid")
        means = np.convolve(sums, window, "valid") / np.maximum(totals, 1)
        errors[name] = np.where(totals > 0, means, np.nan)[::every]
    first = (size - 1) // 2
    centres = origins[first : first + len(origins) - size + 1][::every]
    return centres, errors, size


def _timeline_alt(evidence: Evidence, rows: Array, rolling: dict[str, Array]) -> str:
    first, last = (describe_time(int(evidence.backtest.times[row, 0])) for row in rows[[0, -1]])
    spoken = "; ".join(
        f"{name} from {number(float(np.nanmin(values)))} to {number(float(np.nanmax(values)))}"
        for name, values in rolling.items()
        if not np.isnan(values).all()
    )
    return f"Forecasts from {first} to {last}. Rolling {evidence.measure}: {spoken}"


def _wide_figure(svg: Markup, caption: str, alt: str) -> Html:
    """A drawing as wide as the page; on a narrow one it is moved sideways, so it stays legible."""
    return Html(
        Markup(
            '<figure style="max-width:none"><div class="scroll" tabindex="0" role="region" '
            'aria-label="test period"><div role="img" aria-label="{}" style="min-width:640px">{}'
            "</div></div><figcaption>{}</figcaption></figure>"
        ).format(alt, svg, caption)
    )

"""The report's pages about the errors of a forecaster: by step, by calendar, and left over time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipelines.datasets.series_frequency import DAY, WEEK
from pipelines.evaluation import forecasting_metrics as metrics
from pipelines.evaluation import plots
from pipelines.evaluation.backtest import members_of
from pipelines.evaluation.bootstrap import Interval
from pipelines.evaluation.forecast_evidence import Array, Evidence, targets_column
from pipelines.evaluation.forecast_figures_error import (
    autocorrelation_chart,
    step_chart,
    upper_edge,
)
from pipelines.evaluation.sections import Block, Figure, Section, Table
from pipelines.evaluation.wording import number

MOST_TARGETS = 6  # more are not tabulated by hour and weekday
_TABLE_STEPS = 8
_LAGS = 40
_FEWEST_ORIGINS = 20
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def step_section(evidence: Evidence) -> Section:
    """Draw the error over the step ahead, for every system."""
    backtest = evidence.backtest
    horizon, step = backtest.horizon, backtest.step_name
    steps = np.arange(horizon)[None, :]
    model = evidence.intervals(evidence.model_errors[:, :, 0], steps, horizon)
    baselines = {
        name: metrics.by_step(evidence.errors(name)[:, :, :1])
        for name in evidence.systems
        if name != "model"
    }
    blocks: list[Block] = []
    if horizon > 1:
        svg = step_chart(model, baselines, step_name=step, ylabel=evidence.error_name)
        blocks.append(
            Figure(svg, _step_caption(evidence, baselines, model), _step_alt(model, step))
        )
    return Section(
        f"By {step}s ahead", _step_prose(evidence, model), [*blocks, _step_table(evidence)]
    )


def _step_prose(evidence: Evidence, model: Sequence[Interval]) -> str:
    step, last = evidence.backtest.step_name, len(model)
    prose = f"One {step} ahead the model's {evidence.measure} is {number(model[0].value)}"
    if last > 1:
        prose += f", {last} {step}s ahead it is {number(model[-1].value)}"
    return (
        f"{prose}. A {evidence.measure} of 1 is the error, in the training part, of repeating the "
        f"value one season ({evidence.backtest.season} steps) before."
        if evidence.scaled
        else f"{prose}; no target has a scale, so errors are in units."
    )


def _step_caption(
    evidence: Evidence, baselines: dict[str, Array], model: Sequence[Interval]
) -> str:
    caption = (
        f"{evidence.measure} of {evidence.backtest.targets[0]} by {evidence.backtest.step_name}s "
        f"ahead; the band is the model's 95 % interval, from whole blocks of {evidence.units.name}."
    )
    edge = upper_edge([np.array([value.high for value in model]), *baselines.values()])
    above = [
        f"{name} (up to {number(float(np.nanmax(line)))})"
        for name, line in baselines.items()
        if np.isfinite(line).any() and np.nanmax(line) > 1.05 * edge
    ]
    if above:
        caption += f" Beyond the drawing: {', '.join(above)}."
    return caption


def _step_alt(model: Sequence[Interval], step: str) -> str:
    places = _spread(len(model), 5)
    spoken = "; ".join(f"{place + 1}: {number(model[place].value)}" for place in places)
    return f"The model's error by {step}s ahead. {spoken}"


def _spread(count: int, most: int) -> list[int]:
    """At most so many places among `count`, the first and the last of them included."""
    return np.unique(np.linspace(0, count - 1, min(most, count)).round().astype(int)).tolist()


def _step_table(evidence: Evidence) -> Table:
    backtest = evidence.backtest
    places = _spread(backtest.horizon, _TABLE_STEPS)
    by_step = {
        name: np.stack(
            [metrics.by_step(errors[:, :, k : k + 1]) for k in range(errors.shape[2])], axis=1
        )
        for name, errors in ((name, evidence.errors(name)) for name in evidence.systems)
    }
    several = len(backtest.targets) > 1
    rows = [
        [
            *([target] if several else []),
            f"{place + 1}",
            *(number(float(values[place, k])) for values in by_step.values()),
        ]
        for k, target in enumerate(backtest.targets)
        for place in places
    ]
    return Table(
        columns=[*targets_column(backtest.targets), f"{backtest.step_name}s ahead", *by_step],
        rows=rows,
        caption=f"{evidence.error_name} of every system.",
    )


def calendar_section(evidence: Evidence) -> Section | None:
    """Draw the error by hour and weekday, or by month where steps are longer; None for years."""
    frequency, times = evidence.frequency, evidence.backtest.times
    plans: list[tuple[str, str, Array, Sequence[str]]] = []
    if evidence.sub_daily:
        names = [str(hour) for hour in range(24)]
        plans.append(("hour of the day", "hour", metrics.hours(times), names))
    if frequency.unit == "second" and frequency.count < WEEK and WEEK % frequency.count == 0:
        plans.append(("weekday", "weekday", metrics.weekdays(times), _WEEKDAYS))
    elif frequency.unit == "month" or frequency.count >= DAY:
        months = times.astype("M8[s]").astype("M8[M]").astype(np.int64) % 12
        plans.append(("month", "month", months, _MONTHS))
    blocks = [block for plan in plans for block in _calendar_blocks(evidence, *plan)]
    if not blocks:
        return None
    return Section(f"By {' and '.join(plan[0] for plan in plans)}", blocks=blocks)


def _calendar_blocks(
    evidence: Evidence, phrase: str, column: str, groups: Array, names: Sequence[str]
) -> list[Block]:
    """Draw and tabulate the error in groups of forecast times; nothing where there is one group."""
    losses = {name: evidence.errors(name) for name in evidence.drawn}
    seen = groups[~np.isnan(losses["model"][:, :, 0])]
    present = np.flatnonzero(np.bincount(seen, minlength=len(names))).tolist()
    if len(present) < 2:
        return []
    everywhere = {
        name: evidence.intervals(errors[:, :, 0], groups, len(names))
        for name, errors in losses.items()
    }
    measured = {name: [values[g] for g in present] for name, values in everywhere.items()}
    svg = plots.grouped_intervals(
        [names[group] for group in present],
        {
            name: ([v.value for v in values], [v.low for v in values], [v.high for v in values])
            for name, values in measured.items()
        },
        xlabel=f"{phrase} of the forecast value",
        ylabel=evidence.error_name,
    )
    values = [entry.value for entry in measured["model"]]
    best, worst = names[present[int(np.argmin(values))]], names[present[int(np.argmax(values))]]
    caption = (
        f"{evidence.measure} of {evidence.backtest.targets[0]} by {phrase}, with 95 % intervals. "
        f"The model errs least at {best} ({number(min(values))}), most at {worst} "
        f"({number(max(values))})."
    )
    spoken = "; ".join(f"{names[g]}: {number(v)}" for g, v in zip(present, values, strict=True))
    figure = Figure(svg, caption, f"The model's {evidence.measure} by {phrase}. {spoken}")
    return [figure, _calendar_table(evidence, losses, groups, names, column)]


def _calendar_table(
    evidence: Evidence,
    losses: dict[str, Array],
    groups: Array,
    names: Sequence[str],
    column: str,
) -> Table:
    targets = evidence.backtest.targets
    rows = []
    for k, target in enumerate(targets[:MOST_TARGETS]):
        sums = {
            name: metrics.group_sums(errors[:, :, k : k + 1], groups, len(names))
            for name, errors in losses.items()
        }
        counts = sums["model"][1]
        rows += [
            [
                *([target] if len(targets) > 1 else []),
                names[group],
                f"{counts[group]:,}",
                *(number(float(total[group] / counts[group])) for total, _ in sums.values()),
            ]
            for group in np.flatnonzero(counts).tolist()
        ]
    caption = f"{evidence.error_name}; the weaker baselines are left out."
    if len(targets) > MOST_TARGETS:
        caption += f" The first {MOST_TARGETS} of {len(targets)} targets."
    return Table([*targets_column(targets), column, "values", *losses], rows, caption)


def residual_section(evidence: Evidence) -> Section:
    """Draw the autocorrelation of errors one step and H steps ahead."""
    backtest, title = evidence.backtest, "What the errors still hold"
    steps = dict.fromkeys((1, backtest.horizon))
    found = {step: _autocorrelations(evidence, step) for step in steps}
    if any(entry is None for entry in found.values()):
        return Section(title, "Too few origins to tell whether errors depend on those before.")
    entries = {step: entry for step, entry in found.items() if entry is not None}
    name = backtest.step_name
    curves = {
        f"{step} {name}{'' if step == 1 else 's'} ahead": (lags, values)
        for step, (lags, values, _) in entries.items()
    }
    pairs = min(int(counts.min()) for _, _, counts in entries.values())
    noise = 1.96 / np.sqrt(pairs)
    first = next(iter(curves.values()))
    caption = (
        f"Autocorrelation of the median forecast's errors of {backtest.targets[0]}. White noise "
        f"would stay within ±{noise:.3f} for 19 of 20 lags. "
    )
    if backtest.horizon > 1:
        caption += (
            f"Errors {backtest.horizon} {name}s ahead are correlated up to {backtest.horizon - 1} "
            f"{name}s apart even in the best possible forecast, for they share what came between."
        )
    spoken = "; ".join(
        f"{what}: {values[0]:.2f} at {int(lags[0])}" for what, (lags, values) in curves.items()
    )
    prose = _residual_prose(evidence, first, noise)
    svg = autocorrelation_chart(curves, float(noise), step_name=name)
    return Section(title, prose, [Figure(svg, caption, f"Autocorrelation of errors. {spoken}")])


def _residual_prose(evidence: Evidence, curve: tuple[Array, Array], noise: float) -> str:
    lags, values = curve
    outside = int((np.abs(values) > noise).sum())
    largest = int(np.argmax(np.abs(values)))
    name = evidence.backtest.step_name
    return (
        f"Errors one {name} ahead leave the white-noise band at {outside} of {len(lags)} lags; the "
        f"largest correlation is {values[largest]:+.2f}".replace("-", "−")
        + f", {int(lags[largest])} {name}s apart. What lies outside is left for a better model to "
        "find."
    )


def _autocorrelations(evidence: Evidence, step: int) -> tuple[Array, Array, Array] | None:
    """Lags in steps, correlations and pairs of errors `step` steps ahead; None if too few.

    Errors of a series are paired by the time between their origins, so gaps do no harm. Of several
    series, each is centred and scaled by itself and the pairs are pooled.
    """
    backtest = evidence.backtest
    gaps = (backtest.actual - evidence.model.median)[:, step - 1, 0]
    origins = backtest.times[:, 0]
    steps = evidence.frequency.index(origins, int(origins.min()))
    spacing = _origin_spacing(steps, backtest.series)
    if not spacing:
        return None
    products, pairs = np.zeros(_LAGS + 1), np.zeros(_LAGS + 1, np.int64)
    for _, rows in members_of(backtest.series):
        line = _standardised(steps[rows], gaps[rows], spacing)
        for lag in range(min(_LAGS, len(line) - 1) + 1):
            both = line[lag:] * line[: len(line) - lag]
            products[lag] += np.nansum(both)
            pairs[lag] += int((~np.isnan(both)).sum())
    kept = np.flatnonzero(pairs[1:] >= _FEWEST_ORIGINS) + 1
    if not len(kept) or products[0] == 0:
        return None
    variance = products[0] / pairs[0]
    return kept * max(1, round(spacing)), products[kept] / pairs[kept] / variance, pairs[kept]


def _origin_spacing(steps: Array, series: Array) -> float:
    """Median distance of neighbouring origins of a series, in steps; 0 if there is none."""
    order = np.lexsort((steps, series))
    between, same = np.diff(steps[order]), np.diff(series[order]) == 0
    return float(np.median(between[same])) if same.any() else 0.0


def _standardised(steps: Array, errors: Array, spacing: float) -> Array:
    """Lay errors on a line of origins, with mean 0 and variance 1; NaN where there is none."""
    places = np.round((steps - steps.min()) / spacing).astype(np.int64)
    line = np.full(int(places.max()) + 1, np.nan)
    line[places] = errors
    known = line[~np.isnan(line)]
    spread = float(known.std()) if len(known) > 1 else 0.0
    return (line - known.mean()) / spread if spread > 0 else np.full_like(line, np.nan)

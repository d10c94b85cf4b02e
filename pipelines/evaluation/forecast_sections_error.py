"""The report's pages about the errors of a forecaster, by step ahead and by the calendar."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipelines.datasets.series_frequency import DAY, WEEK
from pipelines.evaluation import forecasting_metrics as metrics
from pipelines.evaluation import plots
from pipelines.evaluation.bootstrap import Interval
from pipelines.evaluation.forecast_evidence import (
    Array,
    Evidence,
    left_columns,
    targets_column,
)
from pipelines.evaluation.forecast_figures import compact, literal
from pipelines.evaluation.forecast_figures_error import (
    step_chart,
    upper_edge,
)
from pipelines.evaluation.sections import Block, Figure, Section, Table
from pipelines.evaluation.wording import number

MOST_TARGETS = 6  # more are not tabulated by hour and weekday
_TABLE_STEPS = 6
_HOURS = tuple(f"{hour}:00" for hour in range(24))
_ROOM = 12  # groups whose names fit side by side below a drawing; of more, every third is named
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
        else f"{prose}; the target has no scale, so errors are in units."
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
    """Systems down and steps across, which stays narrow with many systems."""
    targets, places = evidence.backtest.targets, _spread(evidence.backtest.horizon, _TABLE_STEPS)
    rows = []
    for name in evidence.systems:
        errors = evidence.errors(name)
        for k, target in enumerate(targets):
            values = metrics.by_step(errors[:, :, k : k + 1])[places]
            rows.append(
                [name, *([target] if len(targets) > 1 else []), *map(number, values.tolist())]
            )
    caption = f"{evidence.error_name} of every system, by {evidence.backtest.step_name}s ahead."
    heads = [str(place + 1) for place in places]
    columns = ["system", *targets_column(targets), *heads]
    return Table(columns, rows, caption, left_columns(targets))


def calendar_section(evidence: Evidence) -> Section | None:
    """Draw the error by hour and weekday, or by month where steps are longer; None for years."""
    frequency, times = evidence.frequency, evidence.backtest.times
    plans: list[tuple[str, str, Array, Sequence[str]]] = []
    if evidence.sub_daily:
        plans.append(("hour of the day", "hour", metrics.hours(times), _HOURS))
    if frequency.unit == "second" and frequency.count < WEEK and WEEK % frequency.count == 0:
        plans.append(("weekday", "weekday", metrics.weekdays(times), _WEEKDAYS))
    elif frequency.unit == "month" or frequency.count >= DAY:
        months = times.astype("M8[s]").astype("M8[M]").astype(np.int64) % 12
        plans.append(("month", "month", months, _MONTHS))
    found = {plan[0]: _calendar_blocks(evidence, *plan) for plan in plans}
    found = {phrase: blocks for phrase, blocks in found.items() if blocks}
    if not found:
        return None
    # Drawings first: beside its drawing, a table of 24 hours would leave much of the page empty.
    blocks = [block for kind in zip(*found.values(), strict=True) for block in kind]
    return Section(f"By {' and '.join(found)}", blocks=blocks)


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
    drawing = plots.grouped_intervals(
        [names[group] if len(present) <= _ROOM or group % 3 == 0 else "" for group in present],
        {
            name: ([v.value for v in values], [v.low for v in values], [v.high for v in values])
            for name, values in measured.items()
        },
        xlabel=f"{phrase} of the forecast value",
        ylabel=literal(evidence.error_name),
    )
    values = [entry.value for entry in measured["model"]]
    best, worst = names[present[int(np.argmin(values))]], names[present[int(np.argmax(values))]]
    caption = (
        f"{evidence.measure} of {evidence.backtest.targets[0]} by {phrase}, with 95 % intervals. "
        f"The model's smallest: {best} ({number(min(values))}), its largest: {worst} "
        f"({number(max(values))})."
    )
    spoken = "; ".join(f"{names[g]}: {number(v)}" for g, v in zip(present, values, strict=True))
    alt = f"The model's {evidence.measure} by {phrase}. {spoken}"
    figure = Figure(compact(drawing), caption, alt)
    return [figure, _calendar_table(evidence, losses, groups, names, column)]


def _calendar_table(
    evidence: Evidence,
    losses: dict[str, Array],
    groups: Array,
    names: Sequence[str],
    column: str,
) -> Table:
    targets = evidence.backtest.targets
    shown = targets[:MOST_TARGETS]
    columns, counts = {}, np.zeros(len(names), np.int64)
    for k, target in enumerate(shown):
        for name, errors in losses.items():
            sums, seen = metrics.group_sums(errors[:, :, k : k + 1], groups, len(names))
            head = f"{name}: {target}" if len(targets) > 1 else name
            columns[head] = sums / np.maximum(seen, 1)
            counts += seen if name == "model" else 0
    rows = [
        [names[g], f"{counts[g]:,}", *(number(float(values[g])) for values in columns.values())]
        for g in np.flatnonzero(counts).tolist()
    ]
    caption = f"{evidence.error_name}; the weaker baselines are left out."
    if len(targets) > MOST_TARGETS:
        caption += f" The first {MOST_TARGETS} of {len(targets)} targets."
    return Table([column, "values", *columns], rows, caption)

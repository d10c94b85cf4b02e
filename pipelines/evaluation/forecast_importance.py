"""Which inputs a forecaster uses: shuffle one between windows and see how much worse it gets.

The function that is asked is the exported model itself, so what is shown is what users get
(permutation importance; Breiman, 2001). Inputs that say the same as another one share their weight
with it: shuffling either alone then costs little.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipelines.evaluation import forecasting_metrics as metrics
from pipelines.evaluation.bootstrap import Interval, percentiles
from pipelines.evaluation.forecast_evidence import Evidence
from pipelines.evaluation.forecast_figures_error import importance_chart
from pipelines.evaluation.forecast_tests import block_weights
from pipelines.evaluation.sections import Figure, Section, Table
from pipelines.evaluation.wording import number

if TYPE_CHECKING:
    from pipelines.datasets.series import SeriesLayout, Window

Array = NDArray[Any]
Predict = Callable[[dict[str, list[Any]]], Mapping[str, Array]]
WINDOWS = 300
REPEATS = 3
MOST_WINDOWS_SENT = 20_000  # all inputs and repeats together: bounds the time
_FEWEST_WINDOWS = 20
_DRAWN = 20
_RESAMPLES = 1000
_ROUNDING = 1e-6  # of the error: the model answers in float32


@dataclass(frozen=True)
class Probe:
    """The exported model and what it is asked.

    Attributes:
        predict: lists `history` [B, T, F], `time` [B] and, where the layout has such columns,
            `known` [B, H, G] and `static` [B, S], to `mean` and `quantiles`.
        windows: one for every row of the back-test, in its order.
        layout: names the columns.
    """

    predict: Predict
    windows: Sequence[Window]
    layout: SeriesLayout


@dataclass(frozen=True)
class Input:
    """One column of one of the model's inputs."""

    name: str
    field: str
    column: int


@dataclass(frozen=True)
class Importance:
    """By how much the error grows when an input is shuffled, with its 95 % interval."""

    name: str
    increase: Interval


def importance_section(evidence: Evidence, probe: Probe) -> Section | None:
    """Draw by how much shuffling each input raises the error; None with too few windows."""
    rows = drawn_windows(evidence, probe)
    found = importances(evidence, probe, rows)
    if not found:
        return None
    found = sorted(found, key=lambda entry: -entry.increase.value)
    prose = (
        "Each input was shuffled between windows, which breaks its tie with what came and leaves "
        "its values as they are, and the exported model was asked again. Inputs that tell the same "
        "stand in for each other and both seem to matter less; the calendar was not shuffled."
    )
    name = evidence.measure
    caption = (
        f"Increase of {name} on {len(rows):,} test windows, the mean of {REPEATS} shuffles, with "
        "95 % intervals. At zero or left of it the model does without the input."
    )
    drawn = found[:_DRAWN]
    if len(drawn) < len(found):
        caption += f" The {len(drawn)} strongest of {len(found)}."
    svg = importance_chart(
        [entry.name for entry in drawn], [entry.increase for entry in drawn], measure=name
    )
    spoken = "; ".join(f"{e.name}: {number(e.increase.value)}" for e in found[:5])
    figure = Figure(svg, caption, f"Increase of {name} by shuffled input. Strongest: {spoken}")
    return Section("What the model uses", prose, [figure, _table(found, name)])


def _table(found: Sequence[Importance], measure: str) -> Table:
    return Table(
        columns=["input", f"increase of {measure}", "95 % interval"],
        rows=[
            [
                entry.name,
                _signed(entry.increase.value, measure),
                f"{_signed(entry.increase.low, measure)} to "
                f"{_signed(entry.increase.high, measure)}",
            ]
            for entry in found
        ],
    )


def _signed(value: float, measure: str) -> str:
    """Write a change of the error; MASE is of the size of 1, so three decimals tell enough."""
    text = f"{value:+.3f}".replace("-", "−") if measure == "MASE" else number(value)
    return "0" if text.endswith("0.000") or not value else text


def inputs_of(layout: SeriesLayout) -> list[Input]:
    """List every column that can be shuffled; known covariates come twice, before and ahead."""
    known = set(layout.known)
    history = [
        Input(f"{name}, so far" if name in known else name, "history", place)
        for place, name in enumerate(column.name for column in layout.columns)
    ]
    ahead = [Input(f"{name}, ahead", "known", place) for place, name in enumerate(layout.known)]
    static = [Input(column.name, "static", place) for place, column in enumerate(layout.statics)]
    return [*history, *ahead, *static]


def drawn_windows(evidence: Evidence, probe: Probe) -> Array:
    """Draw the rows that are asked about, int64[M], in order; each has a value that came."""
    usable = np.flatnonzero(~np.isnan(evidence.model_errors).all(axis=(1, 2)))
    asked = max(1, len(inputs_of(probe.layout)) * REPEATS)
    most = min(WINDOWS, max(_FEWEST_WINDOWS, MOST_WINDOWS_SENT // asked))
    if len(usable) <= most:
        return usable
    random = np.random.default_rng(evidence.seed)
    return np.sort(random.choice(usable, size=most, replace=False))


def importances(evidence: Evidence, probe: Probe, rows: Array) -> list[Importance]:
    """Ask the model about rows with each input shuffled; empty with too few rows."""
    if len(rows) < _FEWEST_WINDOWS:
        return []
    windows = [probe.windows[row] for row in rows.tolist()]
    inputs = _arrays(windows, probe.layout)
    unchanged = _window_errors(evidence, probe, inputs, rows)
    random = np.random.default_rng(evidence.seed)
    orders = [random.permutation(len(rows)) for _ in range(REPEATS)]
    weights = _weights(evidence, rows, random)
    found = []
    for entry in inputs_of(probe.layout):
        raised = [
            _window_errors(evidence, probe, _shuffled(inputs, entry, order), rows)
            for order in orders
        ]
        gaps = np.mean(raised, axis=0) - unchanged
        gaps[np.abs(gaps) < _ROUNDING * unchanged] = 0.0
        found.append(Importance(entry.name, _interval(gaps, weights)))
    return found


def _arrays(windows: Sequence[Window], layout: SeriesLayout) -> dict[str, Array]:
    fields = ["history", "time"]
    fields += ["known"] if layout.known else []
    fields += ["static"] if layout.statics else []
    return {name: np.stack([getattr(window, name) for window in windows]) for name in fields}


def _shuffled(inputs: Mapping[str, Array], entry: Input, order: Array) -> dict[str, Array]:
    """Give every window the column of another one, all its steps together."""
    changed = inputs[entry.field].copy()
    changed[..., entry.column] = changed[order, ..., entry.column]
    return {**inputs, entry.field: changed}


def _window_errors(
    evidence: Evidence, probe: Probe, inputs: Mapping[str, Array], rows: Array
) -> Array:
    """Mean error of the median over the observed steps of every window, float[M]."""
    outputs = probe.predict({name: values.tolist() for name, values in inputs.items()})
    backtest = evidence.backtest
    median = metrics.at_level(np.asarray(outputs["quantiles"], float), backtest.levels, 0.5)
    actual = backtest.actual[rows]
    if evidence.scaled:
        losses = metrics.scaled_error(actual, median, backtest.scale[rows])
    else:
        losses = metrics.absolute_error(actual, median)
    return np.asarray(np.nanmean(losses, axis=(1, 2)))


def _weights(evidence: Evidence, rows: Array, random: np.random.Generator) -> Array:
    """How often each drawn window occurs in every resample, float[R, M].

    Windows were drawn thinly, so neighbours among them are further apart than neighbouring origins:
    a block spans as many of them as lie within one block of origins.
    """
    units = evidence.units
    block = max(1, round(units.block * len(rows) / max(1, evidence.backtest.rows)))
    drawn = block_weights(random, _RESAMPLES, len(rows), min(block, len(rows)))
    return np.asarray(drawn / drawn.sum(axis=1, keepdims=True))


def _interval(gaps: Array, weights: Array) -> Interval:
    return Interval(float(gaps.mean()), *percentiles(weights @ gaps))

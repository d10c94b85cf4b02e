"""The report's page about how far the stated distributions can be believed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from pipelines.evaluation import forecasting_metrics as metrics
from pipelines.evaluation.bootstrap import Interval
from pipelines.evaluation.forecast_evidence import (
    Array,
    Evidence,
    left_columns,
    targets_column,
)
from pipelines.evaluation.forecast_figures import bands_of, percent
from pipelines.evaluation.forecast_figures_calibration import (
    coverage_chart,
    level_chart,
    pit_chart,
)
from pipelines.evaluation.forecast_sections_time import interval_ends
from pipelines.evaluation.sections import Block, Figure, Section, Table
from pipelines.evaluation.slices import with_interval
from pipelines.evaluation.wording import number


def calibration_section(evidence: Evidence) -> Section:
    """Draw observed shares below each level, coverage by step ahead, and the PIT."""
    blocks: list[Block] = [_level_figure(evidence), _pit_figure(evidence)]
    shares = _coverage_by_step(evidence)
    if shares and evidence.backtest.horizon > 1:
        blocks.append(_coverage_figure(evidence, shares))
    blocks.append(_level_table(evidence))
    return Section("Calibration", _prose(evidence), blocks)


def _prose(evidence: Evidence) -> str:
    backtest = evidence.backtest
    bands = bands_of(backtest.levels)
    if not bands:
        return ""
    values = evidence.means(_inside(evidence, share)[:, :, 0] for share, _, _ in bands)
    said = [
        f"the {percent(share)} interval {with_interval(value)}"
        for (share, _, _), value in zip(bands, values, strict=True)
    ]
    return f"Share of values inside: {' and '.join(said)}; in brackets 95 % intervals."


def _inside(evidence: Evidence, share: float) -> Array:
    return metrics.covered(evidence.backtest.actual, *interval_ends(evidence, share))


def _below(evidence: Evidence, name: str, place: int) -> Array:
    """1 where a value came at or below a quantile, NaN where none came, float[N, H, K]."""
    quantile = evidence.systems[name].quantiles[..., place]
    return metrics.covered(evidence.backtest.actual, np.full_like(quantile, -np.inf), quantile)


def _level_figure(evidence: Evidence) -> Figure:
    levels = evidence.backtest.levels
    observed = evidence.means(
        _below(evidence, "model", place)[:, :, 0] for place in range(len(levels))
    )
    worst = max(range(len(levels)), key=lambda place: abs(observed[place].value - levels[place]))
    caption = (
        "Share of values that came at or below each quantile, over its level, with 95 % intervals. "
        "Points above the dashed line: quantiles lie too high; below it: too low. Farthest off: "
        f"{number(observed[worst].value, 'fraction')} at level {levels[worst]:g}."
    )
    spoken = "; ".join(
        f"{level:g}: {value.value:.3f}" for level, value in zip(levels, observed, strict=True)
    )
    return Figure(level_chart(levels, observed), caption, f"Observed share by level. {spoken}")


def _coverage_by_step(evidence: Evidence) -> dict[float, list[Interval]]:
    horizon = evidence.backtest.horizon
    steps = np.arange(horizon)[None, :]
    return {
        share: evidence.intervals(_inside(evidence, share)[:, :, 0], steps, horizon)
        for share, _, _ in bands_of(evidence.backtest.levels)
    }


def _coverage_figure(evidence: Evidence, shares: Mapping[float, Sequence[Interval]]) -> Figure:
    name = evidence.backtest.step_name
    caption = (
        f"Share of values inside the central intervals by {name}s ahead, with 95 % bands; the "
        "dashed lines are the nominal shares."
    )
    spoken = "; ".join(
        f"{percent(share)} interval: {values[0].value:.3f} at 1, "
        f"{values[-1].value:.3f} at {len(values)}"
        for share, values in shares.items()
    )
    return Figure(coverage_chart(shares, step_name=name), caption, f"Coverage. {spoken}")


def _pit_figure(evidence: Evidence) -> Figure:
    edges = np.array([0.0, *evidence.backtest.levels, 1.0])
    densities = pit_densities(evidence, edges)
    values = [entry.value for entry in densities]
    caption = (
        "How often values came between neighbouring quantiles, beside how often they should "
        "(dashed). High ends: the bands are too narrow; a high middle: too wide; a slope: the "
        "forecasts are off to one side. Lines are 95 % intervals."
    )
    spoken = "; ".join(
        f"{low:g} to {high:g}: {value:.2f}"
        for low, high, value in zip(edges[:-1], edges[1:], values, strict=True)
    )
    return Figure(pit_chart(edges.tolist(), densities), caption, f"PIT histogram. {spoken}")


def pit_densities(evidence: Evidence, edges: Array) -> list[Interval]:
    """Share of values between neighbouring quantiles over the share that belongs there.

    A value equal to several quantiles (zeros, counts) is spread over all bars it may belong to, by
    their widths (Czado, Gneiting & Held, 2009).

    Args:
        evidence: back-test and systems; the model's first target is read.
        edges: 0, the levels, 1.
    """
    actual = evidence.backtest.actual[:, :, 0]
    quantiles = evidence.model.quantiles[:, :, 0]
    first = (quantiles < actual[..., None]).sum(axis=-1)
    last = (quantiles <= actual[..., None]).sum(axis=-1)
    spread = edges[last + 1] - edges[first]
    missing = np.isnan(actual)

    def held(place: int) -> Array:
        among = (first <= place) & (place <= last)
        return np.where(missing, np.nan, np.where(among, 1 / spread, 0.0))

    return evidence.means(held(place) for place in range(len(edges) - 1))


def _level_table(evidence: Evidence) -> Table:
    """Systems down and levels across."""
    targets, levels = evidence.backtest.targets, evidence.backtest.levels
    rows = []
    for name in evidence.drawn:
        below = [_below(evidence, name, place) for place in range(len(levels))]
        for k, target in enumerate(targets):
            shares = [number(metrics.mean(hits[:, :, k]), "fraction") for hits in below]
            rows.append([name, *([target] if len(targets) > 1 else []), *shares])
    columns = ["system", *targets_column(targets), *(f"{level:g}" for level in levels)]
    caption = "Share of values at or below each quantile; a calibrated system shows the level."
    return Table(columns, rows, caption, left_columns(targets))

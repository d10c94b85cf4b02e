"""The report's page about what the errors still hold: how far each tells of those after it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pipelines.evaluation.backtest import members_of
from pipelines.evaluation.forecast_evidence import Array, Evidence
from pipelines.evaluation.forecast_figures_error import autocorrelation_chart
from pipelines.evaluation.sections import Figure, Section, Table

_LAGS = 40
_TABLE_LAGS = 8
_FEWEST_ORIGINS = 20


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
    figure = Figure(svg, caption, f"Autocorrelation of errors. {spoken}")
    return Section(title, prose, [figure, _lag_table(curves, name)])


def _lag_table(curves: Mapping[str, tuple[Array, Array]], step_name: str) -> Table:
    by_lag = [dict(zip(lags.tolist(), values, strict=True)) for lags, values in curves.values()]
    lags = sorted(set.intersection(*(set(entry) for entry in by_lag)))
    rows = [[f"{lag}", *(_signed(float(entry[lag])) for entry in by_lag)] for lag in lags]
    return Table(
        [f"{step_name}s apart", *curves],
        rows[:_TABLE_LAGS],
        "Autocorrelation at the shortest distances between origins.",
    )


def _signed(value: float) -> str:
    text = f"{value:+.2f}".replace("-", "−")
    return "0.00" if text.endswith("0.00") else text


def _residual_prose(evidence: Evidence, curve: tuple[Array, Array], noise: float) -> str:
    lags, values = curve
    outside = int((np.abs(values) > noise).sum())
    largest = int(np.argmax(np.abs(values)))
    name = evidence.backtest.step_name
    return (
        f"Errors one {name} ahead leave the white-noise band at {outside} of {len(lags)} lags; the "
        f"largest correlation is {_signed(float(values[largest]))}, {int(lags[largest])} {name}s "
        "apart. What lies outside is left for a better model to find."
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

"""Scores of a forecaster beside its baselines, each with its interval, all on the same origins."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import EvaluationError
from pipelines.evaluation import forecast_tests, resampling
from pipelines.evaluation import forecasting_metrics as metrics
from pipelines.evaluation.backtest import Backtest
from pipelines.evaluation.bootstrap import percentiles, two_sided
from pipelines.evaluation.forecast_outputs import Forecast, Outputs, read_forecast
from pipelines.evaluation.forecast_tests import Units
from pipelines.evaluation.scores import Better, Comparison, Score

Array = NDArray[Any]
NOMINAL = 0.8


Losses = Callable[[Backtest, Forecast], Array]
Link = Callable[[Array], Array]


@dataclass(frozen=True, kw_only=True)
class Measure:
    """How a score comes about: a mean of losses, or what `link` makes of it.

    Attributes:
        name: of the score.
        losses: loss of every value, [N, H, K]; NaN where it is not to count.
        unit: "fraction", "" for a ratio, or None for the target's own.
        over: what the sum of losses is divided by: 1 for every value, or its size.
        link: from means to the score.
        better: which way is better.
        target: the best value, where there is one.
    """

    name: str
    losses: Losses
    unit: str | None = None
    over: Callable[[Array], Array] = np.ones_like
    link: Link = np.asarray
    better: Better = "lower"
    target: float | None = None


def measures_of(levels: Sequence[float]) -> list[Measure]:
    """List the scores, the headline first; the interval nearest to 80 % if that is no level's."""
    found = [
        Measure(name="mase", losses=_scaled, unit=""),
        Measure(name="crps", losses=_crps),
        Measure(name="mae", losses=lambda b, f: metrics.absolute_error(b.actual, f.median)),
        Measure(
            name="rmse", losses=lambda b, f: metrics.squared_error(b.actual, f.mean), link=np.sqrt
        ),
        Measure(
            name="smape",
            losses=lambda b, f: metrics.symmetric_error(b.actual, f.median),
            unit="fraction",
        ),
        Measure(name="wql", losses=_crps, unit="", over=np.abs),
    ]
    intervals = metrics.central_intervals(levels)
    if intervals:
        found += _interval_measures(*min(intervals, key=lambda pair: abs(pair[0] - NOMINAL)))
    return found


def _scaled(backtest: Backtest, forecast: Forecast) -> Array:
    return metrics.scaled_error(backtest.actual, forecast.median, backtest.scale)


def _crps(backtest: Backtest, forecast: Forecast) -> Array:
    return metrics.crps_of_quantiles(backtest.actual, forecast.quantiles, backtest.levels)


def _interval_measures(nominal: float, low: int, high: int) -> list[Measure]:
    def hits(backtest: Backtest, forecast: Forecast) -> Array:
        ends = forecast.quantiles[..., low], forecast.quantiles[..., high]
        return metrics.covered(backtest.actual, *ends)

    def widths(backtest: Backtest, forecast: Forecast) -> Array:
        ends = forecast.quantiles[..., low], forecast.quantiles[..., high]
        return metrics.interval_width(backtest.actual, *ends)

    share = round(100 * nominal)
    return [
        Measure(
            name=f"coverage_{share}", losses=hits, unit="fraction", better="target", target=nominal
        ),
        Measure(name=f"width_{share}", losses=widths),
    ]


def score_forecasts(
    backtest: Backtest,
    outputs: Outputs,
    baselines: Mapping[str, Outputs],
    *,
    seed: int = 17,
) -> list[Score]:
    """Score a forecaster and hold every baseline against it.

    MAE, MASE and sMAPE judge the median, RMSE the mean, the others the quantiles. Every observed
    value counts once. With several targets, scores that have no unit are averaged over the targets
    and the others are stated for each, named "mae: target".

    Intervals are from a block bootstrap of origins in time order. P-values are those of Diebold and
    Mariano's test of the mean loss (of squared errors for RMSE), except for coverage, whose
    distance from its target is no mean: there it is the bootstrap's.

    Args:
        backtest: what came.
        outputs: the exported model's.
        baselines: outputs of other systems on the same rows.
        seed: of the resampling.

    Raises:
        EvaluationError: there is no row, no observed value, or outputs do not fit the rows.
    """
    _require_observed(backtest)
    systems = {"model": read_forecast(outputs, backtest)}
    for name, found in baselines.items():
        systems[name] = read_forecast(found, backtest, name)
    units = forecast_tests.units_of(backtest)
    tables = [
        table
        for measure in measures_of(backtest.levels)
        for table in _tables(measure, backtest, list(systems.values()), units)
    ]
    # Every score sees the same resamples, which are drawn once.
    flat = np.concatenate([table.flat() for table in tables], axis=1)
    totals = forecast_tests.resampled_totals(flat, units, seed=seed)
    edges = np.cumsum([table.width for table in tables])[:-1]
    parts = np.split(totals, edges, axis=1)
    return [
        _score(table, part, list(systems)[1:], units)
        for table, part in zip(tables, parts, strict=True)
    ]


def _require_observed(backtest: Backtest) -> None:
    resampling.require_rows(backtest.rows)
    if not backtest.observed.any():
        raise EvaluationError(
            f"back-test of {', '.join(backtest.targets)}: none of {backtest.actual.size:,} values "
            "to forecast is observed; at least 1 is needed: score a period with measurements"
        )


@dataclass(frozen=True, kw_only=True)
class _Table:
    """One score as sums: losses [U, S, K] of systems (the model first) over sizes [U, K]."""

    measure: Measure
    name: str
    unit: str
    sums: Array
    sizes: Array
    count: int

    @property
    def width(self) -> int:
        """Number of columns of `flat`."""
        return int(self.sums.shape[1] * self.sums.shape[2] + self.sizes.shape[1])

    def flat(self) -> Array:
        """Lay sums and sizes side by side, [U, width]."""
        return np.concatenate([self.sums.reshape(len(self.sums), -1), self.sizes], axis=1)

    def means(self, totals: Array) -> Array:
        """Turn totals [R, width] into mean losses [R, S], averaged over targets that have any."""
        _, systems, targets = self.sums.shape
        sums = totals[:, : systems * targets].reshape(-1, systems, targets)
        sizes = totals[:, None, systems * targets :]
        ratios = sums / np.where(sizes > 0, sizes, np.nan)
        seen = ~np.isnan(ratios)
        found = np.where(seen, ratios, 0.0).sum(axis=-1) / np.maximum(seen.sum(axis=-1), 1)
        return np.where(seen.any(axis=-1), found, np.nan)

    def differences(self, system: int) -> Array:
        """What each unit adds to the model's mean loss less a system's, float64[U].

        A mean over values that are not equally many in every unit is a ratio of sums; these are its
        first-order parts, whose mean is the difference itself.
        """
        gaps, sizes = self.sums[:, 0] - self.sums[:, system], self.sizes
        used = sizes.sum(axis=0) > 0
        gaps, sizes = gaps[:, used], sizes[:, used]
        ratios = gaps.sum(axis=0) / sizes.sum(axis=0)
        return np.asarray((ratios + (gaps - ratios * sizes) / sizes.mean(axis=0)).mean(axis=1))


def _tables(
    measure: Measure, backtest: Backtest, systems: Sequence[Forecast], units: Units
) -> list[_Table]:
    """One table over all targets, or one a target if the score has a unit and there are several."""
    losses = [measure.losses(backtest, system) for system in systems]
    seen = ~np.isnan(losses[0])
    sizes = _add_units(np.where(seen, measure.over(backtest.actual), 0.0), units)
    sums = np.stack([_add_units(np.where(seen, each, 0.0), units) for each in losses], axis=1)
    count = len(backtest.targets)
    together = count == 1 or measure.unit is not None
    parts = [list(range(count))] if together else [[place] for place in range(count)]
    return [
        _Table(
            measure=measure,
            name=measure.name if together else f"{measure.name}: {backtest.targets[part[0]]}",
            unit=backtest.units[part[0]] if measure.unit is None else measure.unit,
            sums=sums[..., part],
            sizes=sizes[:, part],
            count=int(seen[..., part].sum()),
        )
        for part in parts
    ]


def _add_units(values: Array, units: Units) -> Array:
    """Add up values [N, H, K] by unit and target, [U, K]."""
    by_row = values.sum(axis=1)
    columns = [np.bincount(units.numbers, column, minlength=units.count) for column in by_row.T]
    return np.stack(columns, axis=1)


def _score(table: _Table, totals: Array, baselines: Sequence[str], units: Units) -> Score:
    """Turn a table and its resampled totals into the score and its comparisons."""
    measured = table.measure.link(table.means(table.flat().sum(axis=0, keepdims=True))[0])
    drawn = table.measure.link(table.means(totals))
    drawn = drawn[np.isfinite(drawn).all(axis=1)]
    low, high = percentiles(drawn[:, 0]) if len(drawn) else (None, None)
    return Score(
        name=table.name,
        value=float(measured[0]),
        unit=table.unit,
        better=table.measure.better,
        count=table.count,
        low=low,
        high=high,
        counted="values",
        target=table.measure.target,
        baselines={
            name: _comparison(table, number + 1, measured, drawn, units)
            for number, name in enumerate(baselines)
        }
        if len(drawn)
        else {},
    )


def _comparison(
    table: _Table, system: int, measured: Array, drawn: Array, units: Units
) -> Comparison:
    """Hold the model against one system: the bootstrap's interval, Diebold-Mariano's p-value."""
    target = table.measure.target
    if target is None:
        gaps, value = drawn[:, 0] - drawn[:, system], measured[0] - measured[system]
        p_value = forecast_tests.diebold_mariano(table.differences(system), overlap=units.overlap)
    else:
        near, found = np.abs(drawn - target), np.abs(measured - target)
        gaps, value = near[:, 0] - near[:, system], found[0] - found[system]
        p_value = two_sided(gaps)
    low, high = percentiles(gaps)
    return Comparison(
        value=float(measured[system]),
        difference=float(value),
        low=low,
        high=high,
        p_value=p_value,
    )

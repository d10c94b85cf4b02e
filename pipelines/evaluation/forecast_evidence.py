"""What every section of a forecaster's report draws on: systems, their errors, intervals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.datasets.series_frequency import (
    DAY,
    YEAR_SECONDS,
    Frequency,
    parse_frequency,
)
from pipelines.errors import EvaluationError
from pipelines.evaluation import forecasting_metrics as metrics
from pipelines.evaluation.backtest import Backtest
from pipelines.evaluation.bootstrap import Interval, percentiles
from pipelines.evaluation.forecast_outputs import Forecast, Outputs, read_forecast
from pipelines.evaluation.forecast_tests import Units, resampled_totals, units_of
from pipelines.evaluation.sections import Align

Array = NDArray[Any]


@dataclass(frozen=True)
class Evidence:
    """A back-test with the answers of the model (the first system) and of every baseline."""

    backtest: Backtest
    systems: Mapping[str, Forecast]
    seed: int

    @property
    def model(self) -> Forecast:
        """The model's forecasts."""
        return self.systems["model"]

    @cached_property
    def units(self) -> Units:
        """What is resampled."""
        return units_of(self.backtest)

    @cached_property
    def scaled(self) -> bool:
        """Whether errors are scaled: whether the first target has a scale."""
        return bool((self.backtest.scale[:, 0] > 0).any())

    @property
    def measure(self) -> str:
        """What the errors are: MASE, or MAE where nothing has a scale."""
        return "MASE" if self.scaled else "MAE"

    @property
    def error_name(self) -> str:
        """The measure with its unit, as an axis has it."""
        unit = "" if self.scaled else self.backtest.units[0]
        return f"{self.measure} ({unit})" if unit else self.measure

    @cached_property
    def frequency(self) -> Frequency:
        """Distance of the steps."""
        return parse_frequency(self.backtest.frequency, int(self.backtest.times[0, 0]))

    @property
    def sub_daily(self) -> bool:
        """Whether steps are shorter than a day."""
        return self.frequency.unit == "second" and self.frequency.count < DAY

    @property
    def step_seconds(self) -> float:
        """Length of a step; of months, the mean one."""
        count = self.frequency.count
        return count * (YEAR_SECONDS / 12 if self.frequency.unit == "month" else 1.0)

    def errors(self, name: str) -> Array:
        """Scaled absolute errors of a system's median, float[N, H, K]; NaN where unknown."""
        backtest, point = self.backtest, self.systems[name].median
        if self.scaled:
            return metrics.scaled_error(backtest.actual, point, backtest.scale)
        return metrics.absolute_error(backtest.actual, point)

    @cached_property
    def model_errors(self) -> Array:
        """The model's errors, float[N, H, K]."""
        return self.errors("model")

    @cached_property
    def totals(self) -> dict[str, float]:
        """Every system's error over everything."""
        return {name: metrics.mean(self.errors(name)) for name in self.systems}

    @cached_property
    def strongest(self) -> str:
        """The baseline with the smallest error, "" if there is none."""
        others = {
            name: value
            for name, value in self.totals.items()
            if name != "model" and np.isfinite(value)
        }
        return min(others, key=others.__getitem__, default="")

    @property
    def drawn(self) -> list[str]:
        """The systems that are drawn side by side: the model and the strongest baseline."""
        return ["model", *([self.strongest] if self.strongest else [])]

    @property
    def seasonal(self) -> str:
        """The seasonal naive baseline, "" if there is none."""
        return next((name for name in self.systems if "seasonal naive" in name.lower()), "")

    def intervals(self, losses: Array, groups: Array, count: int) -> list[Interval]:
        """Mean and 95 % interval of losses in every group, resampling blocks of origins.

        Args:
            losses: of one target, float[N, H]; NaN is left out.
            groups: group numbers, int, broadcast to [N, H].
            count: number of groups.
        """
        rows = np.broadcast_to(self.units.numbers[:, None], losses.shape)
        seen = ~np.isnan(losses)
        numbers = np.broadcast_to(groups, losses.shape)[seen]
        cells, size = rows[seen] * count + numbers, self.units.count * count
        sums = np.bincount(cells, losses[seen], minlength=size).reshape(-1, count)
        counts = np.bincount(cells, minlength=size).reshape(-1, count).astype(float)
        return self.ratios(sums, counts)

    def means(self, losses: Iterable[Array]) -> list[Interval]:
        """Mean and 95 % interval of several losses, float[N, H] each, in the same resamples."""
        sums, counts = [], []
        for each in losses:
            seen = ~np.isnan(each)
            sums.append(self._by_unit(np.where(seen, each, 0.0).sum(axis=1)))
            counts.append(self._by_unit(seen.sum(axis=1)))
        return self.ratios(np.stack(sums, axis=1), np.stack(counts, axis=1))

    def _by_unit(self, values: Array) -> Array:
        return np.bincount(self.units.numbers, values, minlength=self.units.count)

    def ratios(self, sums: Array, counts: Array) -> list[Interval]:
        """Ratio of totals with its 95 % interval, one per column of float[U, C] both."""
        totals = resampled_totals(np.hstack([sums, counts]), self.units, seed=self.seed)
        width = sums.shape[1]
        with np.errstate(divide="ignore", invalid="ignore"):
            values = sums.sum(axis=0) / counts.sum(axis=0)
            drawn = totals[:, :width] / totals[:, width:]
        return [
            Interval(float(value), *_ends(column))
            for value, column in zip(values, drawn.T, strict=True)
        ]


def _ends(values: Array) -> tuple[float, float]:
    known = values[np.isfinite(values)]
    return percentiles(known) if len(known) else (float("nan"), float("nan"))


def evidence_of(
    backtest: Backtest, outputs: Outputs, baselines: Mapping[str, Outputs], seed: int
) -> Evidence:
    """Check all outputs against the back-test and put them together.

    Raises:
        EvaluationError: outputs that do not fit the rows, or no row.
    """
    if backtest.rows == 0:
        raise EvaluationError(
            "report: the back-test holds 0 forecasts; at least 1 is needed: check that the test "
            "split is as long as history and horizon together"
        )
    named = {"model": outputs, **baselines}
    systems = {name: read_forecast(entry, backtest, name) for name, entry in named.items()}
    return Evidence(backtest, systems, seed)


def series_means(losses: Array, series: Array, count: int) -> Array:
    """Mean loss of every series, float64[count]; NaN where nothing was observed.

    Args:
        losses: of one target, float[N, H].
        series: number of each row's series, int[N].
        count: number of series.
    """
    return metrics.by_group(losses[:, :, None], series, count)


def window_means(losses: Array, fewest: float = 0.5) -> Array:
    """Mean loss of every window, float[N]; NaN where less than a share of steps was observed."""
    seen = ~np.isnan(losses)
    counts = seen.sum(axis=1)
    means = np.where(seen, losses, 0).sum(axis=1) / np.maximum(counts, 1)
    return np.where(counts >= max(1, fewest * losses.shape[1]), means, np.nan)


def middle(values: Array) -> int:
    """Place of the value in the middle of all that are known; of two, the lower."""
    known = np.flatnonzero(~np.isnan(values))
    order = known[np.argsort(values[known], kind="stable")]
    return int(order[(len(order) - 1) // 2])


def targets_column(targets: Sequence[str]) -> list[str]:
    """Head of the column that tells targets apart; none for a single one."""
    return ["target"] if len(targets) > 1 else []


def left_columns(targets: Sequence[str]) -> list[Align]:
    """Alignment of a table whose first column is a system, its second perhaps a target."""
    return ["left" for _ in ("system", *targets_column(targets))]

"""The report's pages about a forecaster: what it says, where it errs, how far to believe it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from pipelines.evaluation import forecasting_metrics as metrics
from pipelines.evaluation.backtest import Backtest
from pipelines.evaluation.bootstrap import proportion_interval
from pipelines.evaluation.forecast_evidence import (
    Array,
    Evidence,
    evidence_of,
    left_columns,
    series_means,
    targets_column,
)
from pipelines.evaluation.forecast_importance import Predict, Probe, importance_section
from pipelines.evaluation.forecast_outputs import Outputs
from pipelines.evaluation.forecast_sections_calibration import calibration_section
from pipelines.evaluation.forecast_sections_error import (
    calendar_section,
    step_section,
)
from pipelines.evaluation.forecast_sections_residuals import residual_section
from pipelines.evaluation.forecast_sections_time import fan_section, timeline_section
from pipelines.evaluation.forecasting import measures_of
from pipelines.evaluation.sections import Section, Table
from pipelines.evaluation.slices import with_interval
from pipelines.evaluation.wording import number

if TYPE_CHECKING:
    from pipelines.datasets.series import WindowRows

_SHOWN_SERIES = 5  # of each: best, middle, worst
_TABLED = ("mase", "crps", "coverage", "width")


def forecast_sections(
    backtest: Backtest,
    outputs: Outputs,
    baselines: Mapping[str, Outputs],
    *,
    rows: WindowRows | None = None,
    predict: Predict | None = None,
    timeline_step: int | None = None,
    seed: int = 17,
) -> list[Section]:
    """Describe a forecaster beyond its scores; drawings show the first target, tables all.

    Args:
        backtest: what came, N rows of H steps.
        outputs: the exported model's `mean` [N, H, K] and `quantiles` [N, H, K, Q].
        baselines: outputs of other systems on the same rows; the one with the smallest error is
            drawn beside the model.
        rows: the windows of the back-test.
        predict: the exported model, from lists of raw inputs to outputs; with `rows`, tells which
            inputs matter.
        timeline_step: step ahead that is drawn over the whole test period; the last by default.
        seed: of resampling and shuffling.

    Raises:
        EvaluationError: no rows, or outputs that do not fit them.
    """
    evidence = evidence_of(backtest, outputs, baselines, seed)
    systems = Section("All systems", blocks=[_systems_table(evidence)])
    if not backtest.observed[:, :, 0].any():
        nothing = f"No value of {backtest.targets[0]} came in the test period: nothing is drawn."
        return [Section("Forecasts", nothing), systems]
    probe = None
    if rows is not None and predict is not None:
        probe = Probe(predict, rows, rows.store.layout)
    found = [
        fan_section(evidence),
        step_section(evidence),
        calendar_section(evidence),
        calibration_section(evidence),
        residual_section(evidence),
        importance_section(evidence, probe) if probe is not None else None,
        timeline_section(evidence, timeline_step),
        _series_section(evidence) if len(np.unique(backtest.series)) > 1 else None,
        systems,
    ]
    return [section for section in found if section is not None]


def _series_section(evidence: Evidence) -> Section:
    """Tell for how many series the model is the better one, and list the best and the worst."""
    backtest = evidence.backtest
    others = list(dict.fromkeys(name for name in (evidence.strongest, evidence.seasonal) if name))
    means = {
        name: _by_series(evidence, evidence.errors(name)[:, :, 0]) for name in ["model", *others]
    }
    shares = [_share_beaten(evidence, target) for target in range(len(backtest.targets))]
    prose = " ".join(share for share in shares if share)
    return Section("Series", prose, [_series_table(evidence, means)])


def _by_series(evidence: Evidence, losses: Array) -> Array:
    return series_means(losses, evidence.backtest.series, len(evidence.backtest.names))


def _share_beaten(evidence: Evidence, target: int) -> str:
    """Say for how many series the model errs less than seasonal naive; "" without that baseline."""
    if not evidence.seasonal:
        return ""
    model, naive = (
        _by_series(evidence, evidence.errors(name)[:, :, target])
        for name in ("model", evidence.seasonal)
    )
    known = ~np.isnan(model) & ~np.isnan(naive)
    if not known.any():
        return ""
    share = proportion_interval(int((model < naive)[known].sum()), int(known.sum()))
    targets = evidence.backtest.targets
    of = f" of {targets[target]}" if len(targets) > 1 else ""
    return (
        f"The model's {evidence.measure}{of} is below that of {evidence.seasonal} in "
        f"{with_interval(share)} of {known.sum():,} series."
    )


def _series_table(evidence: Evidence, means: Mapping[str, Array]) -> Table:
    backtest = evidence.backtest
    known = np.flatnonzero(~np.isnan(means["model"]))
    order = known[np.argsort(means["model"][known], kind="stable")]
    windows = np.bincount(backtest.series, minlength=len(backtest.names))
    rows = [
        [
            backtest.names[series],
            f"{place + 1:,}",
            f"{windows[series]:,}",
            *(number(float(values[series])) for values in means.values()),
        ]
        for place, series in _best_middle_worst(order)
    ]
    caption = f"{evidence.error_name} of {backtest.targets[0]} by series, the best first"
    if len(rows) < len(order):
        caption += f"; {_SHOWN_SERIES} each of the best, the middle and the worst of {len(order):,}"
    return Table(["series", "place", "windows", *means], rows, f"{caption}.")


def _best_middle_worst(order: Array) -> list[tuple[int, int]]:
    """Place and number of the series to show: all if few, else those at both ends and between."""
    count = len(order)
    first = (count - _SHOWN_SERIES) // 2
    places = [
        *range(_SHOWN_SERIES),
        *range(first, first + _SHOWN_SERIES),
        *range(count - _SHOWN_SERIES, count),
    ]
    shown = range(count) if count <= 3 * _SHOWN_SERIES else sorted(set(places))
    return [(place, int(order[place])) for place in shown]


def _systems_table(evidence: Evidence) -> Table:
    """Every system's headline figures, for every target."""
    backtest = evidence.backtest
    measures = [m for m in measures_of(backtest.levels) if m.name.startswith(_TABLED)]
    losses = {
        name: [measure.losses(backtest, system) for measure in measures]
        for name, system in evidence.systems.items()
    }
    rows = [
        [
            name,
            *([target] if len(backtest.targets) > 1 else []),
            *(
                number(metrics.mean(loss[:, :, k]), measure.unit or "")
                for loss, measure in zip(losses[name], measures, strict=True)
            ),
        ]
        for k, target in enumerate(backtest.targets)
        for name in losses
    ]
    units = sorted({unit for unit in backtest.units if unit})
    caption = "Coverage is the share of values inside the central interval, width its mean size"
    caption += f"; CRPS and width are in {units[0]}." if len(units) == 1 else "."
    heads = [_head(measure.name) for measure in measures]
    columns = ["system", *targets_column(backtest.targets), *heads]
    return Table(columns, rows, caption, left_columns(backtest.targets))


def _head(name: str) -> str:
    """Name a column: "coverage_80" becomes "80 % coverage"."""
    what, _, share = name.partition("_")
    return f"{share} % {what}" if share else what.upper()

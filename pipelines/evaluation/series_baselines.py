"""Forecasters that a trained network has to be held against.

Their outputs have the form of the exported model's, in original units. For an origin they see what
the model sees: the history window, and the statistical ones all the past. Whatever is fitted,
spreads of residuals included, is fitted on training targets; forms are chosen on validation.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from pipelines.evaluation.series_boosting import LagBoosting
from pipelines.evaluation.series_naive import SEASONAL, naive_outputs
from pipelines.evaluation.series_statistical import statistical_outputs

if TYPE_CHECKING:
    from pipelines.datasets.series import WindowRows

Array = NDArray[Any]
Outputs = dict[str, Array]
BOOSTING = "gradient boosting on lags"
_log = logging.getLogger(__name__)


def baselines_of(
    train: WindowRows,
    valid: WindowRows,
    test: WindowRows,
    *,
    levels: Sequence[float],
    season: int,
    seed: int,
    log: Callable[[str], None] | None = None,
) -> dict[str, Outputs]:
    """Forecast the test windows by plain rules, statistical models and gradient boosting.

    Args:
        train: windows to learn from; their span is the training part of the series.
        valid: windows to choose on; may be empty.
        test: windows to forecast.
        levels: of the quantiles, rising, between 0 and 1.
        season: in steps.
        seed: of every drawing.
        log: told what is done and how long it took; a logger where not given.

    Returns:
        name -> "mean" float64[N, H, K] and "quantiles" float64[N, H, K, Q].

    Raises:
        EvaluationError: there is no training window, or a step that is never observed.
    """
    tell = log or _log.info
    started = time.monotonic()
    found = naive_outputs(train, test, levels, season)
    started = _told(tell, f"{len(found)} plain rules", started)
    found |= statistical_outputs(train, test, levels, season, instead=found[SEASONAL], seed=seed)
    started = _told(tell, "statistical models", started)
    boosting = LagBoosting(season, levels, seed).fit(train, valid)
    found[BOOSTING + boosting.partly] = boosting.predict(test, found[SEASONAL])
    _told(tell, BOOSTING, started)
    return found


def _told(tell: Callable[[str], None], what: str, started: float) -> float:
    """Say how long something took and return the time now."""
    now = time.monotonic()
    tell(f"{what}: {now - started:.0f} s")
    return now

"""Statistical models of single series, by statsforecast.

Each is fitted once, on the last weeks of the series' training part, and then runs over the values
up to each origin (`forward`): parameters are learned in training, states follow the series. Missing
values repeat the last observed one. Covariates are not seen. Refitting at every origin was slower
and no better: on validation origins of Beijing PM2.5, MASE 0.778, 0.716 and 0.849 for ETS, Theta
and MSTL at 490, 35 and 22 ms an origin, against 0.726, 0.715 and 0.786 at 0.1, 1 and 9 ms.
"""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipelines.evaluation.backtest import members_of
from pipelines.evaluation.series_naive import carried_forward, week_of

if TYPE_CHECKING:
    from pipelines.datasets.series import WindowRows

Array = NDArray[Any]
Outputs = dict[str, Array]
ETS, THETA, MSTL = "AutoETS", "AutoTheta", "MSTL"
MOST_SERIES = 60  # of which a fit takes half a second each with a season of 24
MOST_ROWS = 4000  # a forecast takes 0.4 ms (ETS), 2 ms (Theta) and 9 ms (MSTL) over 672 steps
MOST_STEPS = 1_500_000  # that a model runs over, of all rows and targets
MOST_DECOMPOSED = 400  # steps of a season: with 1,440, a forecast of MSTL takes half a second
MOST_LOOKED_BACK = 2000  # steps of one forecast, or three seasons
MOST_TWICE = 300  # with a second season, MSTL takes 100 ms
WILD = 10  # times the largest value of a series: a forecast this far has failed
SEASONS_FITTED = 28
_log = logging.getLogger(__name__)


def statistical_outputs(
    train: WindowRows,
    test: WindowRows,
    levels: Sequence[float],
    season: int,
    *,
    instead: Outputs,
    seed: int,
) -> dict[str, Outputs]:
    """Forecast by AutoETS, AutoTheta and MSTL, with their own intervals.

    Of many series, or many origins, a part is drawn; other rows, and those for which a model fails,
    get the forecast `instead`. The name says so: "MSTL (400 of 2,190 rows, else seasonal naive)".

    Args:
        train: training windows; the models are fitted on what their span holds.
        test: windows to forecast.
        levels: of the quantiles.
        season: in steps.
        instead: forecasts of all rows, by the seasonal naive rule, for those that are not drawn.
        seed: of the drawing.
    """
    found = {}
    steps, longest = _looked_back(test, season), _longest_part(train)
    rows = drawn_rows(test, np.random.default_rng(seed), min(steps, longest + test.history))
    week = week_of(train, season)
    for name, make in _models(
        season, len(rows), week if 2 * week <= min(steps, longest) else 0
    ).items():
        started = time.monotonic()
        outputs = {key: np.array(values, np.float64) for key, values in instead.items()}
        done = 0
        for number, part in members_of(test.series[rows]):
            past = _Past(train, test, number, steps)
            done += sum(past.forecast(make, row, levels, outputs) for row in rows[part])
        if done:
            partly = f" ({done:,} of {len(test):,} rows, else seasonal naive)"
            found[name + partly * (done < len(test))] = outputs
        _log.info("%s: %d rows in %.0f s", name, done, time.monotonic() - started)
    return found


def _models(season: int, forecasts: int, week: int) -> dict[str, Callable[[], Any]]:
    """Name -> maker of a model."""
    from statsforecast.models import MSTL as Decomposition
    from statsforecast.models import AutoETS, AutoTheta

    models: dict[str, Callable[[], Any]] = {
        # Exponential smoothing keeps a state a step of the season, and takes 24 at most.
        ETS: lambda: AutoETS(season_length=season if season <= 24 else 1),
        THETA: lambda: AutoTheta(season_length=season),
    }
    if week:
        models[f"{THETA}, season {week}"] = lambda: AutoTheta(season_length=week)
    if week and forecasts <= MOST_TWICE:
        models[f"{MSTL}, seasons {season} and {week}"] = lambda: Decomposition([season, week])
    elif 1 < season <= MOST_DECOMPOSED:
        models[MSTL] = lambda: Decomposition(season)
    return models


def _looked_back(test: WindowRows, season: int) -> int:
    """Return how many steps a model is fitted on and run over; a year of minutes takes hours."""
    wanted = max(SEASONS_FITTED * season, 2 * test.history)
    return min(wanted, max(MOST_LOOKED_BACK, 3 * season))


def _longest_part(train: WindowRows) -> int:
    return max((len(train.part(number)) for number in range(len(train.store))), default=0)


def drawn_rows(test: WindowRows, random: np.random.Generator, steps: int) -> Array:
    """Numbers of the rows to forecast: of some series, and evenly spaced within the limits.

    Args:
        test: windows.
        random: draws series.
        steps: that a model runs over for one row and target.
    """
    members, targets = members_of(test.series), test.store.layout.K
    series = max(1, MOST_SERIES // targets)
    if len(members) > series:
        chosen = np.sort(random.choice(len(members), series, replace=False))
        members = [members[place] for place in chosen]
    rows = np.concatenate([np.zeros(0, np.int64), *(part for _, part in members)])
    most = min(MOST_ROWS, max(1, MOST_STEPS // (steps * targets)))
    if len(rows) > most:
        rows = rows[np.linspace(0, len(rows) - 1, most).astype(np.int64)]
    return rows


class _Past:
    """One series: fits a model on the end of its training part, and runs it up to origins.

    Args:
        train: training windows; those of another store say nothing of this series.
        test: windows to forecast.
        number: of the series.
        steps: how many are looked back upon.
    """

    def __init__(self, train: WindowRows, test: WindowRows, number: int, steps: int) -> None:
        store = test.store
        self.test, self.number, self.steps = test, number, steps
        first, limit = store.offsets[number], store.offsets[number + 1]
        values = np.asarray(store.values[first:limit, : store.layout.K], np.float64)
        # Carrying forward looks back alone; before the first value there is nothing to carry.
        self.values = carried_forward(values[None])[0]
        end = store.layout.frequency.index(train.span[1], store.starts[number])
        self.trained = int(np.clip(np.ceil(end), 0, len(values)))
        self.models: dict[tuple[int, int], Any] = {}

    def _model(self, make: Callable[[], Any], target: int) -> Any:
        """Fit once a maker and target; None if there is nothing to fit on or it fails."""
        key = (id(make), target)
        if key not in self.models:
            past = self._seen(self.trained, target)
            self.models[key] = _attempt(lambda: make().fit(past)) if len(past) > 2 else None
        return self.models[key]

    def _seen(self, limit: int, target: int) -> Array:
        """The last steps before a limit, without those before the first observed value."""
        values = self.values[max(0, limit - self.steps) : limit, target]
        return np.ascontiguousarray(values[~np.isnan(values)])

    def forecast(
        self, make: Callable[[], Any], row: int, levels: Sequence[float], outputs: Outputs
    ) -> bool:
        """Put the forecast of a row into outputs; return False, and leave it, if there is none."""
        horizon, nominal = self.test.horizon, nominal_shares(levels)
        found = []
        for target in range(self.values.shape[1]):
            model = self._model(make, target)
            past = self._seen(int(self.test.origins[row]) + 1, target)
            if model is None or len(past) <= 2:
                return False
            answer = _attempt(lambda: model.forward(past, h=horizon, level=nominal))  # noqa: B023 - called at once
            if answer is None:
                return False
            found.append((answer["mean"], _quantiles(answer, levels)))
        mean = np.stack([each for each, _ in found], axis=-1)
        quantiles = np.stack([each for _, each in found], axis=1)
        largest = WILD * max(float(np.nanmax(np.abs(self.values))), 1e-12)
        if not (np.abs(mean) <= largest).all() or not (np.abs(quantiles) <= largest).all():
            return False  # not a number, or an explosion: multiplicative errors meet a gap
        outputs["mean"][row], outputs["quantiles"][row] = mean, np.sort(quantiles, axis=-1)
        return True


def nominal_shares(levels: Sequence[float]) -> list[float]:
    """Shares of central intervals, in per cent, whose ends are quantiles of the levels."""
    return sorted({_nominal(level) for level in levels} - {0})


def _nominal(level: float) -> float:
    share = round(100 * abs(1 - 2 * level), 6)
    return int(share) if share == int(share) else share


def _quantiles(answer: Mapping[str, Array], levels: Sequence[float]) -> Array:
    """Read quantiles off the ends of intervals, [H, Q]; the mean is the median of a normal."""
    columns = []
    for level in levels:
        share = _nominal(level)
        side = "lo" if level < 0.5 else "hi"
        columns.append(answer["mean"] if share == 0 else answer[f"{side}-{share}"])
    return np.stack(columns, axis=-1)


def _attempt(action: Callable[[], Any]) -> Any:
    """Return what an action of statsforecast returns, None if it fails for any reason."""
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            return action()
    except Exception as error:  # of many kinds, for series that are short, constant or extreme
        _log.debug("statsforecast: %s", error)
        return None

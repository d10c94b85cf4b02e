"""Gradient boosting on lags: one tree model for all steps of the horizon, and all series.

Direct multi-horizon: a line of the training table is one step of one window, and the step is a
feature. The median is fitted to absolute errors, four more levels to their quantile losses, the
mean to squared errors; other levels lie straight between the fitted ones, or go on along the outer
two. Trees see the history window, as the network does, known covariates and the calendar.

Measured on Beijing PM2.5 (24 h ahead, one origin a day): many small steps, large leaves and a third
of the columns at each split gave the best validation error, and so did the change of the logarithm.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipelines.evaluation.series_features import FeatureTable, chunk_of, feature_table
from pipelines.evaluation.series_naive import future_targets

if TYPE_CHECKING:
    from pipelines.datasets.series import WindowRows

Array = NDArray[Any]
Outputs = dict[str, Array]
FITTED = (0.1, 0.3, 0.5, 0.7, 0.9)
PAIRS = 160_000  # lines (window and step) a model learns from: a quarter of a minute on one core
TUNING_PAIRS, TUNING_WINDOWS = 60_000, 1_000
FEWEST_PAIRS = 20_000
MOST_WINDOWS = 40_000
MOST_TARGETS = PAIRS // FEWEST_PAIRS  # of more, a part is forecast
ITERATIONS = 400  # for the median; half as many for the rest, a quarter to choose the form
LEARNED = 12  # iterations times the learning rate
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Form:
    """In which form trees learn a target: as it is, its logarithm, or the change since the origin.

    Trees cannot go beyond what they saw; changes and logarithms let them.

    Args:
        unit: 0 for no logarithm; else log(1 + value / unit) is learned.
        change: whether the value at the origin is taken off.
    """

    unit: float
    change: bool

    def learned(self, values: Array, anchor: Array) -> Array:
        """Turn values into what is learned."""
        return self._bent(values) - (self._bent(anchor) if self.change else 0.0)

    def restored(self, found: Array, anchor: Array) -> Array:
        """Turn what was learned back into values."""
        bent = found + (self._bent(anchor) if self.change else 0.0)
        if not self.unit:
            return np.asarray(bent)
        return np.asarray(np.expm1(np.minimum(bent, 700.0)) * self.unit)

    def _bent(self, values: Array) -> Array:
        return np.log1p(np.maximum(values / self.unit, -0.999)) if self.unit else values


@dataclass(frozen=True)
class _Pairs:
    """Lines of the table, drawn: features [L, C], actual and last values [L, K], scaled.

    `like` is the table of a single window, which says what the columns are.
    """

    features: Array
    actual: Array
    anchor: Array
    like: FeatureTable

    def of(self, target: int) -> tuple[Array, Array, Array]:
        """Features, actual and last values of one target where it is observed."""
        seen = ~np.isnan(self.actual[:, target])
        features = self.features[np.ix_(seen, self.like.used(target))]
        return features, self.actual[seen, target], self.anchor[seen, target]

    def categorical(self, target: int) -> Array:
        """Which of the features of a target hold codes of words."""
        return np.asarray(self.like.categorical[self.like.used(target)])


class _Trees:
    """A model that is given only the columns that vary in training; others fail in scikit-learn."""

    def __init__(self, model: Any) -> None:
        self.model, self.constant = model, 0.0

    def fit(self, features: Array, learned: Array, categorical: Array) -> _Trees:
        """Learn from lines [L, C] and return self."""
        from threadpoolctl import threadpool_limits

        lowest, highest = np.fmin.reduce(features, axis=0), np.fmax.reduce(features, axis=0)
        self.used = lowest < highest
        if not self.used.any():
            self.constant = float(np.median(learned))
            return self
        coded = categorical[self.used]
        self.model.set_params(categorical_features=coded if coded.any() else None)
        # Two threads on a busy machine wait for each other up to thirty times as long as one works.
        with threadpool_limits(1, user_api="openmp"):
            self.model.fit(features[:, self.used], learned)
        return self

    def predict(self, features: Array) -> Array:
        """Return what was learned for lines [L, C]."""
        from threadpoolctl import threadpool_limits

        if not self.used.any():
            return np.full(len(features), self.constant)
        with threadpool_limits(1, user_api="openmp"):
            return np.asarray(self.model.predict(features[:, self.used]))


class LagBoosting:
    """Histogram gradient boosting on lags (scikit-learn).

    Args:
        season: in steps.
        levels: of the quantiles to answer with.
        seed: of the drawing of windows and columns.

    Attributes:
        boosted_: targets that are learned; of very many, some.
        forms_: form in which each of them is learned, chosen on validation windows.
        models_: for each target, level (None: the mean) -> fitted model.
    """

    def __init__(self, season: int, levels: Sequence[float], seed: int) -> None:
        self.season, self.levels, self.seed = season, tuple(levels), seed

    def fit(self, train: WindowRows, valid: WindowRows) -> LagBoosting:
        """Choose forms on validation windows, learn from training windows and return self."""
        self.scaled_ = len(np.unique(train.series)) > 1
        self.targets_ = train.store.layout.K
        boosted = min(self.targets_, MOST_TARGETS)
        self.boosted_ = np.linspace(0, self.targets_ - 1, boosted).astype(int).tolist()
        pairs = self._pairs(train, PAIRS // boosted)
        total = np.nansum(np.abs(pairs.actual), axis=0)
        seen = np.maximum((~np.isnan(pairs.actual)).sum(axis=0), 1)
        self.size_ = np.where(total > 0, total / seen, 1.0)
        held_out = self._table(valid, TUNING_WINDOWS)
        self.forms_, self.models_ = {}, {}
        for target in self.boosted_:
            self.forms_[target] = self._best_form(pairs, held_out, target)
            self.models_[target] = self._models(pairs, target)
        return self

    def _table(self, rows: WindowRows, most: int) -> _Pairs | None:
        return self._pairs(rows, most * rows.horizon) if len(rows) else None

    def _pairs(self, rows: WindowRows, most: int) -> _Pairs:
        """Draw windows and steps of each until there are `most` lines."""
        random = np.random.default_rng(self.seed)
        if len(rows) > MOST_WINDOWS:
            rows = rows.select(np.sort(random.choice(len(rows), MOST_WINDOWS, replace=False)))
        each = int(np.clip(most // max(len(rows), 1), 1, rows.horizon))
        if each == 1 and len(rows) > most:
            rows = rows.select(np.sort(random.choice(len(rows), most, replace=False)))
        parts = []
        size = chunk_of(rows, self.season)
        for first in range(0, len(rows), size):
            chunk = rows[first : first + size]
            order = np.argsort(random.random((len(chunk), rows.horizon)), axis=1)
            parts.append(self._lines(chunk, order[:, :each]))
        columns = zip(*parts, strict=True)
        features, actual, anchor = (np.concatenate(list(column)) for column in columns)
        like = feature_table(rows[:1], self.season, scaled=self.scaled_)
        return _Pairs(features, actual, anchor, like)

    def _lines(self, rows: WindowRows, steps: Array) -> tuple[Array, Array, Array]:
        """Features, actual and last values of the chosen steps [M, E] of windows."""
        table = feature_table(rows, self.season, scaled=self.scaled_)
        windows = np.arange(len(rows))[:, None]
        actual = future_targets(rows)[windows, steps] / table.scale[:, None]
        anchor = np.broadcast_to(table.anchor[:, None], actual.shape)
        return (
            table.values[windows, steps].reshape(-1, table.values.shape[-1]),
            actual.reshape(-1, actual.shape[-1]),
            anchor.reshape(-1, actual.shape[-1]),
        )

    def _best_form(self, pairs: _Pairs, valid: _Pairs | None, target: int) -> Form:
        """Return the form with the least absolute error on validation lines."""
        unit = 0.05 * self.size_[target]
        least = np.nanmin(pairs.actual[:, target])
        forms = [Form(0.0, False), Form(0.0, True)]
        if least >= 0:
            forms += [Form(unit, False), Form(unit, True)]
        if valid is None or len(valid.of(target)[1]) == 0:
            return forms[-1]
        features, actual, anchor = valid.of(target)
        anchor, errors = self._anchored(anchor, target), []
        for form in forms:
            model = self._fit(pairs, target, form, 0.5, tuning=True)
            found = form.restored(model.predict(features), anchor)
            errors.append(float(np.mean(np.abs(found - actual))))
            _log.info("gradient boosting: %s: validation error %.4g", form, errors[-1])
        return forms[int(np.argmin(errors))]

    def _anchored(self, anchor: Array, target: int) -> Array:
        """Put the mean training size where a window shows no value."""
        return np.where(np.isnan(anchor), self.size_[target], anchor)

    def _models(self, pairs: _Pairs, target: int) -> dict[float | None, Any]:
        form = self.forms_[target]
        models: dict[float | None, Any] = {}
        for level in FITTED:
            models[level] = self._fit(pairs, target, form, level)
        # Means do not pass through a logarithm, so the mean is learned without.
        models[None] = self._fit(pairs, target, Form(0.0, form.change), None)
        return models

    def _fit(
        self, pairs: _Pairs, target: int, form: Form, level: float | None, *, tuning: bool = False
    ) -> Any:
        from sklearn.ensemble import HistGradientBoostingRegressor

        features, actual, anchor = pairs.of(target)
        if tuning:
            some = slice(None, None, max(1, len(actual) // TUNING_PAIRS))
            features, actual, anchor = features[some], actual[some], anchor[some]
        loss = {None: "squared_error", 0.5: "absolute_error"}.get(level, "quantile")
        rounds = ITERATIONS // (4 if tuning else 1 if level == 0.5 else 2)
        model = HistGradientBoostingRegressor(
            loss=loss,
            quantile=level if loss == "quantile" else None,
            learning_rate=min(0.3, LEARNED / rounds),
            max_iter=rounds,
            max_leaf_nodes=31,
            min_samples_leaf=int(np.clip(len(actual) // 200, 5, 300 if level is None else 800)),
            max_features=0.3,
            early_stopping=False,
            random_state=self.seed,
        )
        return _Trees(model).fit(
            features,
            form.learned(actual, self._anchored(anchor, target)),
            pairs.categorical(target),
        )

    @property
    def partly(self) -> str:
        """What a name says of targets that are not learned, "" if all are."""
        part = f" ({len(self.boosted_)} of {self.targets_} targets, else seasonal naive)"
        return part * (len(self.boosted_) < self.targets_)

    def predict(self, rows: WindowRows, instead: Outputs | None = None) -> Outputs:
        """Forecast windows: mean [M, H, K] and quantiles [M, H, K, Q].

        Args:
            rows: M windows.
            instead: forecasts for targets that are not learned; NaN where not given.
        """
        shape = (len(rows), rows.horizon, self.targets_)
        mean, quantiles = np.full(shape, np.nan), np.full((*shape, len(self.levels)), np.nan)
        if instead is not None:
            mean[:], quantiles[:] = instead["mean"], instead["quantiles"]
        size = chunk_of(rows, self.season)
        for first in range(0, len(rows), size):
            chunk = slice(first, first + size)
            table = feature_table(rows[chunk], self.season, scaled=self.scaled_)
            for target in self.boosted_:
                answer = self._answer(table, target)
                mean[chunk, :, target] = answer[..., -1]
                fitted = np.sort(answer[..., :-1], axis=-1)
                quantiles[chunk, :, target] = between(fitted, FITTED, self.levels)
        return {"mean": mean, "quantiles": quantiles}

    def _answer(self, table: FeatureTable, target: int) -> Array:
        """Fitted levels and the mean, in units, [M, H, levels + 1]."""
        windows, horizon, width = table.values.shape
        lines = table.values.reshape(-1, width)[:, table.used(target)]
        anchor = self._anchored(table.anchor[:, target], target)[:, None]
        found = []
        for level, model in self.models_[target].items():
            form = self.forms_[target] if level else Form(0.0, self.forms_[target].change)
            learned = model.predict(lines).reshape(windows, horizon)
            found.append(form.restored(learned, anchor))
        return np.stack(found, axis=-1) * table.scale[:, target, None, None]


def between(fitted: Array, known: Sequence[float], levels: Sequence[float]) -> Array:
    """Interpolate quantiles at other levels; beyond the outer ones go on along the last two."""
    columns = []
    for level in levels:
        right = int(np.clip(np.searchsorted(known, level), 1, len(known) - 1))
        share = (level - known[right - 1]) / (known[right] - known[right - 1])
        columns.append((1 - share) * fitted[..., right - 1] + share * fitted[..., right])
    return np.stack(columns, axis=-1)

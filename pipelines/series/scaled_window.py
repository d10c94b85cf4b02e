"""What a forecaster makes of a window before any weight of its own: scaled, filled, lagged."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from keras import layers, ops

from pipelines.layers.imputation import ForwardFill
from pipelines.layers.series_context import (
    RecentValues,
    SeasonalLags,
    recent_places,
    recent_stretches,
)
from pipelines.layers.series_scaling import SeriesScaling, to_scaled
from pipelines.layers.series_statistics import SeriesStatistics
from pipelines.series.artifacts import SeriesArtifacts
from pipelines.series.forecaster_config import ForecasterConfig


class ScaledWindow:
    """What is made of a window before any weight: scaled history, lags, recent values."""

    def __init__(
        self, given: dict[str, Any], config: ForecasterConfig, artifacts: SeriesArtifacts
    ) -> None:
        self.targets, self.steps = artifacts.layout.K, artifacts.history
        self.horizon, self.season = artifacts.horizon, int(artifacts.settings["season"])
        history = _imputed(given["history"], config, self.season)
        scaled = make_scaling(artifacts)(history, given.get("known"), given.get("static"))
        self.scaling = layers.Identity(name="window")(scaled["window"])
        self.static = scaled["static"]
        self.history = scaled["history"]
        slow = slow_features(artifacts.settings["calendar"])
        self.past_calendar = ops.take(given["calendar"][:, : self.steps], slow, axis=-1)
        self.calendar = given["calendar"][:, self.steps :]
        self.future = [self.calendar]
        if "known" in scaled:
            self.future.append(scaled["known"])
        self.raw = given["history"][..., : self.targets]
        self.carried = self._finite(ForwardFill(1, name="carried")(self.raw))
        by_season = ForwardFill(self.season, name="same_phase")(self.raw)
        self.by_season = self._finite(ForwardFill(1, name="nearest")(by_season))
        self.lags = SeasonalLags(self.season, self.horizon, name="lags")(self.by_season)

    def _finite(self, raw: Any) -> Any:
        scaled = to_scaled(raw, self.scaling)
        return ops.where(ops.isfinite(scaled), scaled, 0.0)

    @cached_property
    def context(self) -> list[Any]:
        """Return vectors float32[B, ...] that describe the window's end."""
        means = recent_stretches(self.steps, self.season)
        recent = RecentValues(recent_places(self.season), means, name="recent")(self.carried)
        others = self.history[..., self.targets :]  # covariates and flags
        back = [0, self.season // 8, self.season // 2]
        weather = RecentValues(back, [self.season], name="recent_covariates")(others)
        return [self.static, recent, weather]

    @cached_property
    def ahead(self) -> Any:
        """Return what is known of every step of the horizon, float32[B, H, E]."""
        lags = [self.lags[:, :, lag] for lag in range(self.lags.shape[2])]
        return ops.concatenate([*self.future, *lags], axis=-1)

    @cached_property
    def candidates(self) -> Any:
        """Return simple forecasts, float32[B, H, C, K]: the last value, a mean, past seasons."""
        last = ops.repeat(self.carried[:, None, None, -1], self.horizon, axis=1)
        size = min(self.season, self.steps)
        mean = ops.mean(self.carried[:, -size:], axis=1)[:, None, None]
        return ops.concatenate([last, ops.repeat(mean, self.horizon, axis=1), self.lags], axis=2)


def _imputed(history: Any, config: ForecasterConfig, season: int) -> Any:
    if config.impute == "none":
        return history
    return ForwardFill(season if config.impute == "season" else 1, name="imputed")(history)


def make_scaling(artifacts: SeriesArtifacts) -> SeriesScaling:
    """Make the layer between raw units and what the network sees, with the training statistics."""
    layout, settings = artifacts.layout, artifacts.settings

    def words(role: str) -> list[int]:
        return [len(column.categories) for column in layout.columns if column.role == role]

    scaling = SeriesScaling(
        layout.K,
        past=words("past"),
        known=words("known"),
        static=[len(column.categories) for column in layout.statics],
        scaling=settings["scaling"],
        log=settings["log"],
        name="scaling",
    )
    statistics = {name: np.array(values) for name, values in artifacts.statistics.items()}
    scaling.set_statistics(SeriesStatistics(**statistics))
    return scaling


def slow_features(names: Sequence[str]) -> np.ndarray:
    """Return the places of a calendar's first two harmonics: enough to read the past by."""
    return np.flatnonzero([name.endswith(("× 1", "× 2", "nothing")) for name in names])

"""A recurrent forecaster: raw history in, quantiles and mean in the same unit out.

    history -> scaled -> patches -> recurrent stack -> last state --+
                     |-> recent values and means -------------------+-> decoder -> head -> quantiles
    calendar, known covariates, values of past seasons, step by step +     ^
                     '-> blend of simple forecasts: where the head starts -'

Several steps are read at once (patches; Nie et al., 2023), so that a week of hours takes 28 steps
of recurrence.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from pipelines.batching import Batches
from pipelines.corpus import EncodedCorpus
from pipelines.feeding import predict_model
from pipelines.layers.conformal import ConformalQuantiles
from pipelines.layers.forecast_heads import ForecastHead, ForecastOutput, ScaledLoss, with_window
from pipelines.layers.horizon_decoders import DirectDecoder
from pipelines.layers.imputation import ForwardFill
from pipelines.layers.quantiles import PinballLoss
from pipelines.layers.recurrent import RecurrentStack
from pipelines.layers.series_context import (
    BlendedStart,
    RecentValues,
    SeasonalLags,
    recent_places,
    recent_stretches,
)
from pipelines.layers.series_scaling import SeriesScaling, to_scaled
from pipelines.layers.series_statistics import SeriesStatistics
from pipelines.series.artifacts import SeriesArtifacts
from pipelines.series.forecaster_config import ForecasterConfig

FITTED_WINDOWS = 4096  # that simple forecasts are blended on
PATCHES = 28  # of a window, about: steps that the recurrent stack reads


def build(
    config: ForecasterConfig, artifacts: SeriesArtifacts, *, portable: bool = False
) -> keras.Model:
    """Build the whole model.

    Inputs: "history" float32[B, T, F] raw with NaN, "calendar" float32[B, T+H, C] and, if there are
    such columns, "known" float32[B, H, G] and "static" float32[B, S], raw. Outputs: quantiles
    float32[B, H, K, Q] and mean float32[B, H, K] in raw units. `portable` leaves out cuDNN kernels.
    """
    given = _inputs(artifacts)
    window = _Window(given, config, artifacts)
    features = _decoded(window, config, portable=portable)
    start = BlendedStart(name="start")(window.candidates(), features)
    # A mean of counts comes out of a softplus: there is no adding to it.
    start = None if config.head == "negative-binomial" else start
    head = ForecastHead(
        config.head,
        targets=artifacts.layout.K,
        levels=artifacts.levels,
        seed=config.seed,
        name="head",
    )
    params = keras.layers.Identity(name="params")(head(features, window.scaling, start))
    output = ForecastOutput(
        config.head, levels=artifacts.levels, log=artifacts.settings["log"], name="output"
    )(params, window.scaling)
    calibrated = ConformalQuantiles(artifacts.levels, name="calibration")(output["quantiles"])
    return keras.Model(list(given.values()), [calibrated, output["mean"]])


def learner(model: keras.Model, config: ForecasterConfig) -> keras.Model:
    """Return what `fit` trains: the model whose output the loss takes, sharing layers."""
    if learns_raw(config):
        return keras.Model(model.inputs, model.get_layer("calibration").input)
    params, window = model.get_layer("params").output, model.get_layer("window").output
    return keras.Model(model.inputs, with_window(params, window))


def learns_raw(config: ForecasterConfig) -> bool:
    """Tell whether errors count in the series' unit, and not on the scale of the window."""
    return config.head == "quantiles" and config.loss == "raw"


def loss(config: ForecasterConfig, artifacts: SeriesArtifacts) -> keras.losses.Loss:
    """Return what training minimises."""
    if learns_raw(config):
        return PinballLoss(artifacts.levels)
    return ScaledLoss(config.head, artifacts.levels)


def calibrate(model: keras.Model, batches: Batches) -> None:
    """Stretch intervals so that they cover on these windows what they say.

    Args:
        model: what `build` returned.
        batches: of the validation part.
    """
    raw = keras.Model(model.inputs, model.get_layer("calibration").input)
    quantiles = predict_model(raw, batches)
    actual = batches.corpus.gather(np.arange(len(batches.corpus)), ["target"])["target"][..., 0]
    model.get_layer("calibration").fit(actual, np.asarray(quantiles))


def warm_start(model: keras.Model, corpus: EncodedCorpus, *, seed: int) -> None:
    """Fit the blend of simple forecasts by ridge regression on some training windows."""
    rows = np.sort(np.random.default_rng(seed).permutation(len(corpus))[:FITTED_WINDOWS])
    start = model.get_layer("start")
    probe = keras.Model(model.inputs, [start.input[0], model.get_layer("window").output])
    batch = corpus.gather(rows)
    candidates, window = probe.predict(
        [batch[tensor.name] for tensor in model.inputs], verbose=0, batch_size=256
    )
    targets = to_scaled(batch["target"][..., 0], window)
    start.fit(candidates, np.asarray(targets))


def _inputs(artifacts: SeriesArtifacts) -> dict[str, Any]:
    layout, past, future = artifacts.layout, artifacts.history, artifacts.horizon
    shapes: dict[str, tuple[int, ...]] = {
        "history": (past, len(layout.columns)),
        "calendar": (past + future, len(artifacts.settings["calendar"])),
    }
    if layout.G:
        shapes["known"] = (future, layout.G)
    if layout.statics:
        shapes["static"] = (len(layout.statics),)
    return {name: keras.Input(shape, name=name) for name, shape in shapes.items()}


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


def patch_steps(config: ForecasterConfig, history: int) -> int:
    """Return how many steps of history the recurrent stack reads at once."""
    if config.architecture == "autoregressive":
        return 1
    return config.patch or max(1, history // PATCHES)


def _encoded(window: _Window, config: ForecasterConfig, *, portable: bool) -> Any:
    """Return the states of the recurrent stack over patches, float32[B, N, units]."""
    steps = ops.concatenate([window.history, window.past_calendar], axis=-1)
    size = patch_steps(config, window.steps)
    count = window.steps // size
    if size > 1:
        recent = steps[:, window.steps - count * size :]
        steps = ops.reshape(recent, (-1, count, size * steps.shape[-1]))
        steps = keras.layers.Dense(config.units, name="patches")(steps)
    kernels = {"use_cudnn": False} if portable else {}
    return RecurrentStack.from_run_config(config, name="encoder", **kernels)(steps)


def _decoded(window: _Window, config: ForecasterConfig, *, portable: bool) -> Any:
    """Return features of every step of the horizon, float32[B, H, D]."""
    states = _encoded(window, config, portable=portable)
    context = ops.concatenate([states[:, -1], *window.context()], axis=-1)
    context = keras.layers.Dropout(config.output_dropout, seed=config.seed)(context)
    decoder = DirectDecoder(
        window.horizon,
        units=config.decoder_units,
        dropout=config.output_dropout,
        seed=config.seed,
        name="decoder",
    )
    return decoder(context, window.ahead())


class _Window:
    """What is made of a window before any weight: scaled history, lags, recent values."""

    def __init__(
        self, given: dict[str, Any], config: ForecasterConfig, artifacts: SeriesArtifacts
    ) -> None:
        self.targets, self.steps = artifacts.layout.K, artifacts.history
        self.horizon, self.season = artifacts.horizon, int(artifacts.settings["season"])
        history = _imputed(given["history"], config, self.season)
        scaled = make_scaling(artifacts)(history, given.get("known"), given.get("static"))
        self.scaling = keras.layers.Identity(name="window")(scaled["window"])
        self.static = scaled["static"]
        self.history = scaled["history"]
        slow = slow_features(artifacts.settings["calendar"])
        self.past_calendar = ops.take(given["calendar"][:, : self.steps], slow, axis=-1)
        self.future = [given["calendar"][:, self.steps :]]
        if "known" in scaled:
            self.future.append(scaled["known"])
        raw = given["history"][..., : self.targets]
        self.carried = self._finite(ForwardFill(1, name="carried")(raw))
        by_season = ForwardFill(self.season, name="same_phase")(raw)
        self.by_season = self._finite(ForwardFill(1, name="nearest")(by_season))
        self.lags = SeasonalLags(self.season, self.horizon, name="lags")(self.by_season)

    def _finite(self, raw: Any) -> Any:
        scaled = to_scaled(raw, self.scaling)
        return ops.where(ops.isfinite(scaled), scaled, 0.0)

    def context(self) -> list[Any]:
        """Return vectors float32[B, ...] that describe the window's end."""
        means = recent_stretches(self.steps, self.season)
        recent = RecentValues(recent_places(self.season), means, name="recent")(self.carried)
        others = self.history[..., self.targets :]  # covariates and flags
        back = [0, self.season // 8, self.season // 2]
        weather = RecentValues(back, [self.season], name="recent_covariates")(others)
        return [self.static, recent, weather]

    def ahead(self) -> Any:
        """Return what is known of every step of the horizon, float32[B, H, E]."""
        flat = ops.reshape(self.lags, (-1, self.horizon, self.lags.shape[2] * self.targets))
        return ops.concatenate([*self.future, flat], axis=-1)

    def candidates(self) -> Any:
        """Return simple forecasts, float32[B, H, C, K]: the last value, a mean, past seasons."""
        last = ops.repeat(self.carried[:, None, None, -1], self.horizon, axis=1)
        size = min(self.season, self.steps)
        mean = ops.mean(self.carried[:, -size:], axis=1)[:, None, None]
        return ops.concatenate([last, ops.repeat(mean, self.horizon, axis=1), self.lags], axis=2)

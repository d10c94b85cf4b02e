"""A forecaster: raw history in, quantiles and mean in the same unit out.

    history -> scaled -> patches -> recurrent stack -> last state --+
                     |-> recent values and means -------------------+-> decoder -> head -> quantiles
    calendar, known covariates, values of past seasons, step by step +     ^
                     '-> blend of simple forecasts: where the head starts -'

Several steps are read at once (patches; Nie et al., 2023), so that a week of hours takes 28 steps
of recurrence.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from pipelines.batching import Batches
from pipelines.corpus import EncodedCorpus
from pipelines.feeding import predict_model
from pipelines.layers.autoregression import SampledForecast, value_and_flag
from pipelines.layers.blended_start import BlendedStart
from pipelines.layers.conformal import ConformalQuantiles
from pipelines.layers.encoders import make_encoder
from pipelines.layers.forecast_heads import (
    ForecastHead,
    ForecastOutput,
    ScaledLoss,
    require_scaling,
    with_window,
)
from pipelines.layers.horizon_decoders import DirectDecoder, RecurrentDecoder
from pipelines.layers.pooling import SequencePooling, final_states
from pipelines.layers.quantiles import PinballLoss
from pipelines.layers.recurrent_settings import stack_settings
from pipelines.layers.series_scaling import to_scaled
from pipelines.series.artifacts import SeriesArtifacts
from pipelines.series.forecaster_config import ForecasterConfig
from pipelines.series.scaled_window import ScaledWindow

FITTED_VALUES = 300_000  # of targets, that simple forecasts are blended on
PROBED_AT_ONCE = 256  # windows
PATCHES = 28  # of a window, about: steps that the recurrent stack reads


def build(
    config: ForecasterConfig, artifacts: SeriesArtifacts, *, portable: bool = False
) -> keras.Model:
    """Build the whole model.

    Inputs: "history" float32[B, T, F] raw with NaN, "calendar" float32[B, T+H, C] and, if there are
    such columns, "known" float32[B, H, G] and "static" float32[B, S], raw. Outputs: quantiles
    float32[B, H, K, Q] and mean float32[B, H, K] in raw units. `portable` leaves out cuDNN kernels.
    """
    require_scaling(config.head, artifacts.settings["scaling"], artifacts.settings["log"])
    given = _inputs(artifacts)
    window = ScaledWindow(given, config, artifacts)
    if config.architecture == "autoregressive":
        output = _sampled(window, config, artifacts, portable=portable)
    else:
        output = _at_once(window, config, artifacts, portable=portable)
    calibrated = ConformalQuantiles(artifacts.levels, name="calibration")(output["quantiles"])
    return keras.Model(list(given.values()), [calibrated, output["mean"]])


def _at_once(
    window: ScaledWindow, config: ForecasterConfig, artifacts: SeriesArtifacts, *, portable: bool
) -> dict[str, Any]:
    """Forecast all steps from features of each: mean and quantiles in raw units."""
    start, spread = BlendedStart(name="start")(window.candidates, window.calendar)
    features = _decoded(window, config, portable=portable)
    head = ForecastHead(
        config.head,
        targets=artifacts.layout.K,
        levels=artifacts.levels,
        center=float(config.head == "negative-binomial"),
        seed=config.seed,
        name="head",
    )
    params = head(features, window.scaling, start, spread)
    params = keras.layers.Identity(name="params")(params)
    output = ForecastOutput(
        config.head, levels=artifacts.levels, log=artifacts.settings["log"], name="output"
    )
    return output(params, window.scaling)


def _sampled(
    window: ScaledWindow, config: ForecasterConfig, artifacts: SeriesArtifacts, *, portable: bool
) -> dict[str, Any]:
    """Forecast a step at a time by drawn paths: mean and quantiles in raw units."""
    _, state = _encoded(window, config, portable=portable)
    decoder = {
        "stack": _decoder_stack(config, portable=portable),
        "family": config.head,
        "targets": artifacts.layout.K,
        "horizon": artifacts.horizon,
        "paths": config.paths,
        "center": float(artifacts.settings["scaling"] == "mean"),
        "seed": config.seed,
    }
    sampled = SampledForecast(artifacts.levels, decoder=decoder, name="paths")
    last = value_and_flag(to_scaled(window.raw[:, -1:], window.scaling))[:, 0]
    return sampled(last, window.ahead, window.scaling, state)


def learner(model: keras.Model, config: ForecasterConfig) -> keras.Model:
    """Return what `fit` trains: the model whose output the loss takes, sharing layers."""
    if config.architecture == "autoregressive":
        return _taught(model)
    if learns_raw(config):
        return keras.Model(model.inputs, model.get_layer("calibration").input)
    params, window = model.get_layer("params").output, model.get_layer("window").output
    return keras.Model(model.inputs, with_window(params, window))


def _taught(model: keras.Model) -> keras.Model:
    """Return the model that is told, at every step of the horizon, the value before it."""
    paths = model.get_layer("paths")
    last, future, window, *state = paths.input
    target = keras.Input((*model.outputs[1].shape[1:], 2), name="target")
    before = value_and_flag(to_scaled(target[:, :-1, :, 0], window))
    previous = ops.concatenate([last[:, None], before], axis=1)
    params = paths.decoder(previous, future, window, initial_state=state)
    return keras.Model([*model.inputs, target], with_window(params, window))


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
    if "start" not in {layer.name for layer in model.layers}:
        return
    start = model.get_layer("start")
    probe = keras.Model(model.inputs, [*start.input, model.get_layer("window").output])
    count = FITTED_VALUES // int(np.prod(model.outputs[1].shape[1:]))
    rows = np.sort(np.random.default_rng(seed).permutation(len(corpus))[:count])
    names = [tensor.name for tensor in model.inputs]
    parts: list[tuple[np.ndarray, ...]] = []
    for first in range(0, len(rows), PROBED_AT_ONCE):
        batch = corpus.gather(rows[first : first + PROBED_AT_ONCE], [*names, "target"])
        candidates, calendar, window = probe.predict_on_batch([batch[name] for name in names])
        parts.append((candidates, calendar, np.asarray(to_scaled(batch["target"][..., 0], window))))
    start.fit(*(np.concatenate(column) for column in zip(*parts, strict=True)))


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


def patch_steps(config: ForecasterConfig, history: int) -> int:
    """Return how many steps of history the encoder reads at once."""
    if config.architecture == "autoregressive":
        return 1
    return config.patch or max(1, history // PATCHES)


def _decoder_stack(config: ForecasterConfig, *, portable: bool) -> dict[str, Any]:
    """Return the settings of a recurrent stack that goes on from the encoder's final state."""
    kernels = {"use_cudnn": False} if portable else {}
    return stack_settings(config, **kernels)


def _encoded(
    window: ScaledWindow, config: ForecasterConfig, *, portable: bool
) -> tuple[Any, list[Any]]:
    """Return what the encoder makes of patches: their end [B, D], and a recurrent final state."""
    steps = ops.concatenate([window.history, window.past_calendar], axis=-1)
    size = patch_steps(config, window.steps)
    count = window.steps // size
    if size > 1:
        recent = steps[:, window.steps - count * size :]
        steps = ops.reshape(recent, (-1, count, size * steps.shape[-1]))
        steps = keras.layers.Dense(config.sizes[0], name="patches")(steps)
    if reads_states(config):
        encoder = make_encoder(config, portable=portable, name="encoder")
        return _end(encoder(steps), encoder, config), []
    # Paths go on from the state: dense layers on the states above it would never learn.
    unread = {"deep_output": 0} if config.architecture == "autoregressive" else {}
    encoder = make_encoder(config, portable=portable, return_state=True, name="encoder", **unread)
    states, *final = encoder(steps)
    return _end(states, encoder, config), final


def _end(states: Any, encoder: Any, config: ForecasterConfig) -> Any:
    """Return what an encoder's states [B, N, H] come to, float32[B, D]."""
    if config.encoder == "rnn":
        return final_states(states[:, 0], states[:, -1], encoder.backward)
    # No state has read all: the largest and the mean one stand for the others.
    everywhere = ops.ones_like(states[..., 0], dtype="bool")
    return SequencePooling(("last", "max", "mean"), name="ends")(states, everywhere)


def reads_states(config: ForecasterConfig) -> bool:
    """Tell whether the decoder needs no more than the states: the fast path returns these alone."""
    return config.architecture == "direct"


def _decoded(window: ScaledWindow, config: ForecasterConfig, *, portable: bool) -> Any:
    """Return features of every step of the horizon, float32[B, H, D]."""
    end, final = _encoded(window, config, portable=portable)
    ahead = window.ahead
    if config.architecture == "encoder-decoder":
        stack = _decoder_stack(config, portable=portable)
        written = RecurrentDecoder(window.horizon, stack=stack, seed=config.seed, name="writer")
        ahead = ops.concatenate([ahead, written(final, ahead)], axis=-1)
    context = ops.concatenate([end, *window.context], axis=-1)
    context = keras.layers.Dropout(config.output_dropout, seed=config.seed)(context)
    decoder = DirectDecoder(
        window.horizon,
        units=config.decoder_units,
        dropout=config.decoder_dropout,
        seed=config.seed,
        name="decoder",
    )
    return decoder(context, ahead)

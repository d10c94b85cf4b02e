"""A recurrent frame labeller: raw channels in, scores of every class for every frame out.

    signal -> scaled -> patches of frames -> recurrent stack -> scores -> labels that last

Everything between raw values and scores is inside the model: scaling, missing values, patches.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops
from scipy.special import softmax

from pipelines.batching import Batches
from pipelines.feeding import predict_model
from pipelines.frames.artifacts import FrameArtifacts
from pipelines.frames.frame_config import FrameConfig
from pipelines.layers.label_persistence import LabelPersistence, fit_persistence
from pipelines.layers.recurrent import RecurrentStack
from pipelines.layers.signals import (
    PatchEmbedding,
    RealSteps,
    SignalAugmentation,
    SignalScaling,
    StatesOfFrames,
)
from pipelines.task import Outputs

_log = logging.getLogger(__name__)


def build(config: FrameConfig, artifacts: FrameArtifacts, *, portable: bool = False) -> keras.Model:
    """Build the whole model.

    Inputs: "signal" float32[B, T, K] in the channels' own units, NaN where missing, and "frames"
    int32[B], how many frames of a row are real. Output: log-probabilities float32[B, T, 1 + C];
    id 0 is padding and never an answer, and all are 0 beyond the end of a row. `portable` leaves
    out cuDNN kernels.
    """
    signal = keras.Input((None, len(artifacts.channels)), name="signal")
    frames = keras.Input((), dtype="int32", name="frames")
    seen = SignalAugmentation(
        artifacts.triples, artifacts.spread, mirror=artifacts.mirror, turn=config.turn,
        gain=config.gain, noise=config.noise, seed=config.seed, name="augmentation",
    )(signal)  # fmt: skip
    scaled = SignalScaling(
        artifacts.mean, artifacts.spread, flags=artifacts.missing, name="scaling"
    )(seen)
    # Whatever fills a row up, in a batch or a request, looks the same to its last patch.
    real = RealSteps(name="real")(scaled, frames)[..., None]
    scaled = ops.where(real, scaled, 0.0)
    patches = PatchEmbedding(config.sizes[0], size=config.patch, seed=config.seed, name="patches")(
        scaled
    )
    mask = RealSteps(config.patch, name="real_patches")(patches, frames)
    states = _stack(config, portable=portable)(patches, mask=mask)
    states = keras.layers.Dropout(config.output_dropout, seed=config.seed)(states)
    classes = len(artifacts.classes) + 1
    scores = keras.layers.Dense(classes, dtype="float32", name="scores")(states)
    lasting = LabelPersistence(causal=config.causal, name="persistence")(scores, mask)
    return keras.Model([signal, frames], _of_frames(lasting, signal, real, config))


def learner(model: keras.Model, config: FrameConfig) -> keras.Model:
    """Return what `fit` trains, sharing layers: the scores of frames before labels have to last."""
    real = model.get_layer("real").output[..., None]
    scores = _of_frames(model.get_layer("scores").output, model.inputs[0], real, config)
    return keras.Model(model.inputs, scores)


def _of_frames(values: Any, signal: Any, real: Any, config: FrameConfig) -> Any:
    """Give every frame the values of its patch, and 0 beyond the end of its row."""
    spread = StatesOfFrames(config.patch, causal=config.causal)(values, signal)
    return ops.where(real, spread, 0.0)


def fit_lasting(model: keras.Model, batches: Batches, config: FrameConfig) -> None:
    """Choose by the likelihood of held-out labels how long labels last.

    Args:
        model: what `build` returned, trained.
        batches: whole streams of the validation split.
        config: the settings it was built with.
    """
    if not config.lasting:
        return
    scores = keras.Model(model.inputs, model.get_layer("scores").output)
    found, targets = predict_model(scores, batches), batches.corpus.ragged("target")
    # A patch is asked for the label in the middle of the frames that are labelled by it.
    middle = config.patch // 2 + (config.patch - 1 if config.causal else 0)
    rows, ends = [], np.cumsum(targets.lengths)
    for values, end, length in zip(found, ends, targets.lengths, strict=True):
        labels = targets.values[end - length : end][middle :: config.patch]
        if len(labels):  # a stream may be shorter than half a patch
            rows.append((values[: len(labels)], labels))
    if not rows:
        return
    likelihood = fit_persistence(model.get_layer("persistence"), rows)
    layer = model.get_layer("persistence")
    _log.info(
        "labels last: a change costs %.3g nats, a patch counts %.3g; %.3f nats a held-out label",
        float(layer.cost), float(layer.sharpness), -likelihood,
    )  # fmt: skip


def _stack(config: FrameConfig, *, portable: bool) -> RecurrentStack:
    kernels = {"use_cudnn": False} if portable else {}
    return RecurrentStack.from_run_config(config, direction=config.reads, name="stack", **kernels)


def read_scores(scores: np.ndarray, frames: np.ndarray, classes: Sequence[str]) -> Outputs:
    """Return labels and confidences as the exported model gives them.

    Args:
        scores: the model's output, float32[B, T, 1 + C].
        frames: real frames of each row, int[B].
        classes: names of ids from 1 on.
    """
    known = np.asarray(scores, np.float32)[..., 1:]
    shares = softmax(known, axis=-1)
    labels = np.array(classes, object)[known.argmax(axis=-1)]
    real = np.arange(known.shape[1]) < frames[:, None]
    return {
        "labels": np.where(real, labels, ""),
        "confidence": np.where(real, shares.max(axis=-1), 0.0),
    }

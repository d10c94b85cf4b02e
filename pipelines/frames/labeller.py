"""A recurrent frame labeller: raw channels in, scores of every class for every frame out.

    signal -> scaled -> patches of frames -> recurrent stack -> states of frames -> scores

Everything between raw values and scores is inside the model: scaling, missing values, patches.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops
from scipy.special import softmax

from pipelines.frames.artifacts import FrameArtifacts
from pipelines.frames.frame_config import FrameConfig
from pipelines.layers.recurrent import RecurrentStack
from pipelines.layers.signals import (
    PatchEmbedding,
    RealSteps,
    SignalAugmentation,
    SignalScaling,
    StatesOfFrames,
)
from pipelines.task import Outputs


def build(config: FrameConfig, artifacts: FrameArtifacts, *, portable: bool = False) -> keras.Model:
    """Build the whole model.

    Inputs: "signal" float32[B, T, K] in the channels' own units, NaN where missing, and "frames"
    int32[B], how many frames of a row are real. Output: scores float32[B, T, 1 + C]; id 0 is
    padding and is never an answer, and scores beyond the end of a row are 0. `portable` leaves out
    cuDNN kernels.
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
    spread = StatesOfFrames(config.patch, causal=config.causal, name="of_frames")(states, signal)
    dropped = keras.layers.Dropout(config.output_dropout, seed=config.seed)(spread)
    classes = len(artifacts.classes) + 1
    scores = keras.layers.Dense(classes, dtype="float32", name="scores")(dropped)
    return keras.Model([signal, frames], ops.where(real, scores, 0.0))


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

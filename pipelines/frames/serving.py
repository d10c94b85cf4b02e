"""The exported frame labeller: raw channels in, a label for every frame out."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from pipelines.export.saved_model import Endpoint
from pipelines.frames.artifacts import FrameArtifacts
from pipelines.frames.streaming import StreamReader

STATE = "state_{}"


class FrameServing:
    """Makes the endpoints of a frame labeller.

    Args:
        model: what `labeller.build` returned.
        artifacts: the channels and classes it was built for.
        causal: whether it can read frame by frame.
    """

    def __init__(self, model: keras.Model, artifacts: FrameArtifacts, *, causal: bool) -> None:
        self.model, self.artifacts = model, artifacts
        self._reader = StreamReader(model) if causal else None
        self._labels = tf.constant(["", *artifacts.classes])

    def endpoints(self) -> dict[str, Endpoint]:
        """Return `serve` and, of a causal model, `start` and `step`."""
        channels = self.artifacts.channels
        inputs = {
            "signal": tf.TensorSpec([None, None, len(channels)], tf.float32),
            "frames": tf.TensorSpec([None], tf.int32),
        }
        meaning = {
            "labels": f"string[B, T], one of {', '.join(self.artifacts.classes)}; empty where the "
            f"row has ended. Channels of signal: {', '.join(channels)}",
            "confidence": "float32[B, T], probability of the label; 0 where the row has ended",
        }
        found = {"serve": Endpoint(self._serve, inputs, meaning, resources=(self.model,))}
        return found if self._reader is None else found | self._streaming(self._reader)

    def _serve(self, signal: tf.Tensor, frames: tf.Tensor) -> dict[str, tf.Tensor]:
        scores = self.model([signal, frames], training=False)
        real = tf.sequence_mask(frames, tf.shape(signal)[1])
        labels, confidence = self._read(scores[..., 1:])  # id 0 is padding
        return {
            "labels": tf.where(real, labels, ""),
            "confidence": tf.where(real, confidence, 0.0),
        }

    def _read(self, scores: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the likeliest class and its probability, of scores [..., C]."""
        known = tf.nn.softmax(scores)
        best = tf.argmax(known, axis=-1, output_type=tf.int32)
        return tf.gather(self._labels, best + 1), tf.reduce_max(known, axis=-1)

    def _streaming(self, reader: StreamReader) -> dict[str, Endpoint]:
        """Return `start` and `step`, whose state goes out and comes in."""
        states = {
            STATE.format(place): tf.TensorSpec([None, *shape], dtype)
            for place, (shape, dtype) in enumerate(reader.state_specs)
        }
        told = dict.fromkeys(states, "state of the streams; pass it to the next step")

        def start(streams: tf.Tensor) -> dict[str, tf.Tensor]:
            return _named(reader.start(tf.shape(streams)[0]))

        def step(signal: tf.Tensor, *state: tf.Tensor) -> dict[str, tf.Tensor]:
            scores, after = reader.step(signal, list(state))
            labels, confidence = self._read(scores)
            return {"labels": labels, "confidence": confidence, **_named(after)}

        channels = tf.TensorSpec([None, len(self.artifacts.channels)], tf.float32)
        meaning = {
            "labels": "string[B], of the frame; what `serve` says of it in its stream",
            "confidence": "float32[B], probability of the label",
        }
        return {
            "start": Endpoint(
                start, {"streams": tf.TensorSpec([None], tf.int32)}, told, resources=(self.model,)
            ),
            "step": Endpoint(
                step, {"signal": channels, **states}, meaning | told, resources=(self.model,)
            ),
        }


def _named(state: list[Any]) -> dict[str, tf.Tensor]:
    return {STATE.format(place): tensor for place, tensor in enumerate(state)}

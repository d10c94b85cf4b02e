"""The last layer of a tagger: the best path through a chain, and how sure each of its tags is."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from pipelines.layers.crf_decoding import path_confidences, viterbi


@keras.saving.register_keras_serializable(package="pipelines")
class PathDecoder(keras.layers.Layer):
    """Turns log-potentials float32[B, T, K, K] and a mask bool[B, T] into three outputs.

    - codes int32[B, T]: tag + 1 along the most probable path, 0 at padding, as targets are encoded;
    - left and right float32[B, T]: exp(left[i] + right[j]) is the probability that tags i to j are
      as on the path (see `path_confidences`); 0 at padding.
    """

    def call(self, potentials: Any, mask: Any) -> tuple[Any, Any, Any]:
        """Return codes, left and right."""
        tags, _ = viterbi(potentials)
        left, right = path_confidences(potentials, ops.where(mask, tags, -1))
        return ops.where(mask, tags + 1, 0), ops.where(mask, left, 0.0), ops.where(mask, right, 0.0)

    def compute_output_spec(self, potentials: Any, mask: Any) -> tuple[Any, Any, Any]:
        """Return the shapes and types of the outputs."""
        del mask
        shape = potentials.shape[:2]
        scores = [keras.KerasTensor(shape, dtype="float32") for _ in range(2)]
        return keras.KerasTensor(shape, dtype="int32"), *scores

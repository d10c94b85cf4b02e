"""Noise on token ids during training."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="pipelines")
class WordDropout(keras.layers.Layer):
    """Replace tokens by the unknown token during training (Dai & Le, 2015, sec. 3).

    The network learns to do without any one word, and what to make of unknown ones. Maps
    int32[B, T] to int32[B, T]; padding (0) stays, and nothing changes at inference.
    """

    def __init__(
        self, rate: float, *, unknown: int = 1, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.rate, self.unknown, self.seed = rate, unknown, seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.built = True

    def call(self, ids: Any, training: bool = False) -> Any:
        """Return ids with a share of the real ones replaced when training."""
        if not training or self.rate == 0:
            return ids
        noise = keras.random.uniform(ops.shape(ids), seed=self.seed_generator)
        hit = ops.logical_and(noise < self.rate, ids != 0)
        return ops.where(hit, ops.cast(self.unknown, ids.dtype), ids)

    def compute_output_spec(self, ids: Any, training: bool = False) -> Any:
        """Return the shape and type of the input."""
        del training
        return keras.KerasTensor(ids.shape, dtype=ids.dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        own = {"rate": self.rate, "unknown": self.unknown, "seed": self.seed}
        return super().get_config() | own

"""Tokens as vectors of their number alone."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="pipelines")
class OneHot(keras.layers.Layer):
    """What an embedding with an identity table gives, without the table; padding is all 0.

    Maps ids int32[B, T] to float[B, T, size]: 1 at the id's place and 0 elsewhere.

    Args:
        size: of the vocabulary; ids are below it.
    """

    def __init__(self, size: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.size = size
        self.built = True

    def call(self, ids: Any) -> Any:
        """Return the vectors."""
        # No place is that of a negative id.
        return ops.one_hot(ops.where(ids == 0, -1, ids), self.size, dtype=self.compute_dtype)

    def compute_output_spec(self, ids: Any) -> Any:
        """Return [B, T, size]."""
        return keras.KerasTensor((*ids.shape, self.size), dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return super().get_config() | {"size": self.size}

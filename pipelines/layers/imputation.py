"""Fill missing values of a window from its own past."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops


@keras.saving.register_keras_serializable(package="pipelines")
class ForwardFill(keras.layers.Layer):
    """Put for every NaN the last value observed `step`, 2 × `step`, ... steps before it.

    Maps float32[B, T, F] to the same; what has no such value stays NaN. Nothing looks ahead, and
    nothing outside the window: what is filled in training is what is filled when served.

    Args:
        step: 1 carries the last value forward; a season takes the value one season before.
    """

    def __init__(self, step: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs | {"trainable": False, "dtype": "float32"})
        self.step = step

    def call(self, values: Any) -> Any:
        """Return the filled window."""
        length, width = values.shape[1], values.shape[2]
        rounds = -(-length // self.step)
        lacking = rounds * self.step - length
        padded = ops.pad(values, [(0, 0), (lacking, 0), (0, 0)], constant_values=np.nan)
        phases = ops.reshape(padded, (-1, rounds, self.step, width))
        number = ops.reshape(ops.arange(rounds, dtype="int32"), (1, rounds, 1, 1))
        seen = ops.where(ops.isnan(phases), -1, number)
        last = ops.associative_scan(ops.maximum, seen, axis=1)
        last = ops.reshape(last, (-1, rounds, self.step, width))  # a graph lost it
        filled = ops.take_along_axis(phases, ops.maximum(last, 0), axis=1)
        return ops.reshape(filled, (-1, rounds * self.step, width))[:, lacking:]

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape of the input."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return super().get_config() | {"step": self.step}

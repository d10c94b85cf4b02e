"""Dense layers on top of one another, before or after the recurrence of a stack."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="pipelines")
class DenseLayers(keras.layers.Layer):
    """Dense layers with tanh, of one width: float[..., D] to float[..., units].

    The deep input and the deep output of Pascanu et al. (2014, "How to construct deep recurrent
    neural networks", sec. 3).

    Args:
        layers: how many.
        units: width of each.
        seed: of the weights.
    """

    def __init__(self, layers: int, units: int, *, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.layers, self.units, self.seed = layers, units, seed
        self.supports_masking = True
        self._parts = [
            keras.layers.Dense(
                units,
                activation="tanh",
                kernel_initializer=keras.initializers.GlorotUniform(
                    None if seed is None else seed + number
                ),
                name=f"dense_{number}",
            )
            for number in range(layers)
        ]

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights."""
        for part in self._parts:
            part.build(input_shape)
            input_shape = (*input_shape[:-1], self.units)
        self.built = True

    def call(self, inputs: Any) -> Any:
        """Return what the last layer makes of inputs, float[..., D]."""
        for part in self._parts:
            inputs = part(inputs)
        return inputs

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return [..., units]."""
        return (*input_shape[:-1], self.units)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        own = {"layers": self.layers, "units": self.units, "seed": self.seed}
        return super().get_config() | own


def by_rows(layer: Any, inputs: Any, **options: Any) -> Any:
    """Apply a layer of the last axis to float[B, N, D], as to [B N, D] where N is known.

    A product of rank 3 whose B is not known finds its shapes out anew at every step of decoding,
    which takes longer than a small product.
    """
    count = inputs.shape[1]
    if count is None:
        return layer(inputs, **options)
    outputs = layer(ops.reshape(inputs, (-1, inputs.shape[-1])), **options)
    return ops.reshape(outputs, (-1, count, outputs.shape[-1]))

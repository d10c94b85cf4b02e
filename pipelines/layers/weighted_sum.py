"""Several systems' scores added up, each with a weight: a product of experts."""

from __future__ import annotations

from typing import Any

import keras


@keras.saving.register_keras_serializable(package="pipelines")
class WeightedSum(keras.layers.Layer):
    """A weighted sum of arrays of one shape.

    Of log-potentials it is a product of experts (Hinton, 2002): a path is likely where all systems
    find it so. The weights are positive, start at 1, and are set on held-out rows, not by gradient
    descent.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs | {"trainable": False})

    def build(self, input_shape: list[tuple[int | None, ...]]) -> None:
        """Create one weight a system."""
        self.mix = self.add_weight(shape=(len(input_shape),), initializer="ones", name="mix")
        self.built = True

    def call(self, scores: list[Any]) -> Any:
        """Return the sum."""
        return sum(self.mix[number] * part for number, part in enumerate(scores))

    def compute_output_shape(self, input_shape: list[tuple[Any, ...]]) -> tuple[Any, ...]:
        """Return the shape of each part."""
        return input_shape[0]

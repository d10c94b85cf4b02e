"""Detectors of n-grams of several widths: the layer a convolutional encoder is made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="pipelines")
class NgramDetectors(keras.layers.Layer):
    """Detectors of n-grams of several widths side by side: products, biases and tanh.

    Maps float[B, T, D] to float[B, T, units × len(widths)]; beyond the ends all is 0.

    Args:
        units: detectors of each width.
        widths: steps each spans.
        dilation: distance between the steps of an n-gram.
        causal: an n-gram ends at its step, instead of having it in the middle.
        seed: of the weights.
    """

    def __init__(
        self,
        units: int,
        *,
        widths: Sequence[int],
        dilation: int = 1,
        causal: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.settings: dict[str, Any] = {
            "units": units, "widths": list(widths), "dilation": dilation, "causal": causal,
            "seed": seed,
        }  # fmt: skip

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create filters [width, D, units] of each width, and biases."""
        units, seed = self.settings["units"], self.settings["seed"]
        self.filters = [
            self.add_weight(
                (width, input_shape[-1], units),
                # The same seed would give filters of several widths the same first values.
                initializer=keras.initializers.GlorotUniform(
                    None if seed is None else seed * 100 + width
                ),
                name=f"filters_{width}",
            )
            for width in self.settings["widths"]
        ]
        biases = (len(self.filters) * units,)
        self.biases = self.add_weight(biases, initializer="zeros", name="biases")
        self.built = True

    def offsets(self, width: int) -> list[int]:
        """Return where the steps of an n-gram stand, counted from the step it is detected at."""
        last = 0 if self.settings["causal"] else width // 2
        return [self.settings["dilation"] * (last - width + 1 + step) for step in range(width)]

    def call(self, inputs: Any) -> Any:
        """Return the responses, in the order of the widths.

        One product of every step with all filters, whose parts are then shifted and summed: unlike
        those of Keras' convolution, its gradients do not depend on where in memory a batch lies.
        """
        places = [self.offsets(width) for width in self.settings["widths"]]
        before = max(0, *(-offset for group in places for offset in group))
        after = max(0, *(offset for group in places for offset in group))
        padded = ops.pad(inputs, ((0, 0), (before, after), (0, 0)))
        found = []
        for filters, group in zip(self.filters, places, strict=True):
            parts = ops.split(self._products(padded, filters), len(group), axis=-1)
            pairs = zip(parts, group, strict=True)
            found.append(sum(part[:, before + o : (o - after) or None] for part, o in pairs))
        # Bounded like recurrent states: one learning rate and one clipping norm then suit both.
        return ops.tanh(ops.concatenate(found, axis=-1) + self.biases)

    @staticmethod
    def _products(padded: Any, filters: Any) -> Any:
        """Return what each place of a filter makes of each step, [B, T', width × units]."""
        size = padded.shape[-1]
        return ops.matmul(padded, ops.reshape(ops.transpose(filters, (1, 0, 2)), (size, -1)))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[Any, ...]:
        """Return [B, T, units × len(widths)]."""
        return (*input_shape[:-1], self.settings["units"] * len(self.settings["widths"]))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return super().get_config() | self.settings

"""A valve for gradients, so that the layers below it can be frozen for the first epochs."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="pipelines")
class GradientGate(keras.layers.Layer):
    """Pass values on unchanged, and gradients only while the gate is open.

    The layers below a closed gate get gradients of exactly zero, so nothing is compiled anew when
    it opens, as it would be with `trainable`. Gradual unfreezing (Howard & Ruder, 2018, sec. 3.3)
    is a row of gates that open one after another, from the top of the model to its bottom:
    `RunConfig.unfreeze_every` says when. A penalty that a layer below adds to the loss by itself
    does not pass through the gate.

    Args:
        number: 1 for the gate that opens first, the topmost, 2 for the next and so on; 0 for one
            that no schedule opens or closes.
        opened: the state at the start; without a schedule an open gate stays open.
    """

    def __init__(self, number: int = 1, *, opened: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.number, self.opened = number, opened
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        """Create the weight that says whether the gate is open: 1.0, or 0.0 for closed."""
        del input_shape
        start = keras.initializers.Constant(float(self.opened))
        self.open = self.add_weight((), initializer=start, trainable=False, name="open")
        self.built = True

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Return the inputs, float[...]; gradients stop here if it is closed."""
        if not training:
            return inputs
        # A choice, not a product: the values stay the same to the last bit, infinite ones too.
        return ops.where(ops.convert_to_tensor(self.open) > 0.5, inputs, ops.stop_gradient(inputs))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the inputs."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return super().get_config() | {"number": self.number, "opened": self.opened}


def gradient_gates(model: keras.Model) -> list[GradientGate]:
    """Return the gates of a model that a schedule opens, the topmost first."""
    layers = model._flatten_layers()  # Keras has no public way to reach layers within layers
    gates = [layer for layer in layers if isinstance(layer, GradientGate) and layer.number > 0]
    return sorted(gates, key=lambda gate: gate.number)


def open_gates(model: keras.Model, due: int) -> None:
    """Open the gates numbered up to `due` and close the others."""
    for gate in gradient_gates(model):
        gate.open.assign(float(gate.number <= due))

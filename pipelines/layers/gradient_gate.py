"""A valve for gradients, so that the layers below it can be frozen for the first epochs."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from pipelines.errors import ConfigError


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


def unfreeze(model: keras.Model, epoch: int, every: int) -> int:
    """Open the gates that are due before an epoch, and close the others.

    Args:
        model: has at least one gate.
        epoch: counted from 0.
        every: gate n opens before epoch n * every.

    Returns:
        The epoch before which the last of the open gates opened; 0 if all are closed.
    """
    gates, due = gradient_gates(model), epoch // every
    for gate in gates:
        gate.open.assign(float(gate.number <= due))
    return every * min(due, gates[-1].number)


def check_unfreezing(model: keras.Model, every: int, epochs: int) -> None:
    """Check that all gates of a model open in time; with `every` 0 there is nothing to check.

    Raises:
        ConfigError: the model has no gate, or a gate would never open.
    """
    gates = gradient_gates(model)
    if not every:
        return
    if not gates:
        raise ConfigError(
            f"option --unfreeze-every is {every}, but no layer of this model can be frozen; it "
            "must be 0 unless the model starts from a pretrained one: leave it out"
        )
    needed = every * gates[-1].number + 1
    if epochs < needed:
        raise ConfigError(
            f"option --epochs is {epochs}; with --unfreeze-every {every} it must be at least "
            f"{needed}, or some of the {len(gates)} frozen parts would never be trained"
        )

"""Deep transition: several layers between a state and the next."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="pipelines")
class DeepTransitionCell(keras.layers.Layer):
    """A cell whose h passes through dense tanh layers before it is given out and carried on.

    The deep transition of Pascanu et al. (2014, "How to construct deep recurrent neural networks",
    sec. 3.3.1), with the cell as its first layer. The c of an LSTM is left alone.

    Args:
        cell: a simple, GRU, LSTM or peephole LSTM cell.
        layers: number of dense layers, at least 1.
        skips: the last of them also reads the h before the step: DT(S), whose gradient has a
            shorter way back.
        seed: of the dense layers' weights.
    """

    def __init__(
        self,
        cell: Any,
        layers: int,
        *,
        skips: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.cell, self.layers, self.skips, self.seed = cell, layers, skips, seed
        self.units = cell.units
        self.state_size, self.output_size = cell.state_size, cell.units

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights for inputs [B, D]."""
        if not self.cell.built:
            self.cell.build(input_shape)
        self.dense = [self._square(f"transition_{n}", n) for n in range(self.layers)]
        self.biases = [
            self.add_weight((self.units,), "zeros", name=f"transition_bias_{n}")
            for n in range(self.layers)
        ]
        self.shortcut = self._square("shortcut", self.layers) if self.skips else None
        self.built = True

    def _square(self, name: str, number: int) -> Any:
        # Apart from the seeds of the cell and of the stack's other layers.
        seed = None if self.seed is None else self.seed * 1000 + number + 1
        initializer = keras.initializers.Orthogonal(seed=seed)
        return self.add_weight((self.units, self.units), initializer, name=name)

    def call(self, inputs: Any, states: Any, training: bool = False) -> tuple[Any, list[Any]]:
        """Read one step.

        Args:
            inputs: float[B, D].
            states: of the cell, h first, each float[B, units].
            training: whether the cell's recurrent dropout acts.

        Returns:
            h, and the states after.
        """
        state, after = self.cell(inputs, list(states), training=training)
        for number, (kernel, bias) in enumerate(zip(self.dense, self.biases, strict=True)):
            read = ops.matmul(state, kernel) + bias
            if self.skips and number == self.layers - 1:
                read += ops.matmul(states[0], self.shortcut)
            state = ops.tanh(read)
        rest = list(after)[1:] if isinstance(after, (list, tuple)) else []
        return state, [state, *rest]

    @property
    def kernel(self) -> Any:
        """Weights of the inputs, [D, gates × units]."""
        return self.cell.kernel

    @property
    def recurrent_kernel(self) -> Any:
        """Weights of h in the cell, [units, gates × units]; `drop_connect` replaces them."""
        return self.cell.recurrent_kernel

    @recurrent_kernel.setter
    def recurrent_kernel(self, kernel: Any) -> None:
        object.__setattr__(self.cell, "recurrent_kernel", kernel)

    @property
    def seed_generator(self) -> Any:
        """Of the cell's dropout."""
        return self.cell.seed_generator

    def draw_masks(self, inputs: Any) -> None:
        """Draw the cell's dropout before a loop over steps, out of which none can be carried.

        Args:
            inputs: of any step, float[B, D].
        """
        self.forget_masks()
        state = ops.zeros((ops.shape(inputs)[0], self.units), self.compute_dtype)
        self.cell.get_dropout_mask(inputs)
        self.cell.get_recurrent_dropout_mask(state)

    def forget_masks(self) -> None:
        """Let go of what `draw_masks` drew."""
        self.cell.reset_dropout_mask()
        self.cell.reset_recurrent_dropout_mask()

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        own = {"layers": self.layers, "skips": self.skips, "seed": self.seed}
        cell = keras.saving.serialize_keras_object(self.cell)
        return super().get_config() | own | {"cell": cell}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> DeepTransitionCell:
        """Make the cell that a config describes."""
        cell = keras.saving.deserialize_keras_object(config["cell"])
        return cls(**config | {"cell": cell})


@keras.saving.register_keras_serializable(package="pipelines")
class DeepTransitionRNN(keras.layers.RNN):
    """Runs a `DeepTransitionCell` over a sequence, float[B, T, D] to float[B, T, units].

    Takes the arguments of `keras.layers.RNN`.
    """

    @property
    def units(self) -> int:
        """Size of h."""
        return self.cell.units

    def call(
        self, sequences: Any, initial_state: Any = None, mask: Any = None, training: bool = False
    ) -> Any:
        """Read a sequence; as `keras.layers.RNN`."""
        self.cell.draw_masks(sequences[:, 0])
        read = super().call(sequences, initial_state=initial_state, mask=mask, training=training)
        self.cell.forget_masks()
        return read

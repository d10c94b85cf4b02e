"""An LSTM whose gates see the memory: peephole connections."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="pipelines")
class PeepholeLSTMCell(keras.layers.LSTMCell):
    """An LSTM cell whose gates see the memory (Gers, Schraudolph & Schmidhuber, 2002, sec. 3).

    The input and the forget gate see the memory before the step, the output gate the one after,
    each unit its own (diagonal weights, 0 at first: it starts as the plain cell). Takes the
    arguments of `keras.layers.LSTMCell`; activations are tanh and sigmoid.
    """

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights for inputs [B, D]."""
        super().build(input_shape)
        self.peephole = self.add_weight(shape=(3, self.units), initializer="zeros", name="peephole")

    def call(self, inputs: Any, states: Any, training: bool = False) -> tuple[Any, list[Any]]:
        """Read one step.

        Args:
            inputs: float[B, D].
            states: h and c, each float[B, units].
            training: whether recurrent dropout acts.

        Returns:
            h, and [h, c].
        """
        before, memory = states[0], states[1]
        read = ops.matmul(inputs, self.kernel) + self.bias + self._recurrent(before, training)
        to_input, to_forget, candidate, to_output = ops.split(read, 4, axis=-1)
        sees_input, sees_forget, sees_output = ops.unstack(ops.convert_to_tensor(self.peephole))
        admitted = ops.sigmoid(to_input + sees_input * memory)
        kept = ops.sigmoid(to_forget + sees_forget * memory)
        memory = kept * memory + admitted * ops.tanh(candidate)
        state = ops.sigmoid(to_output + sees_output * memory) * ops.tanh(memory)
        return state, [state, memory]

    def _recurrent(self, state: Any, training: bool) -> Any:
        if not (training and self.recurrent_dropout):
            return ops.matmul(state, self.recurrent_kernel)
        masks = self.get_recurrent_dropout_mask(state)
        kernels = ops.split(ops.convert_to_tensor(self.recurrent_kernel), 4, axis=-1)
        read = [
            ops.matmul(state * mask, kernel) for mask, kernel in zip(masks, kernels, strict=True)
        ]
        return ops.concatenate(read, axis=-1)


@keras.saving.register_keras_serializable(package="pipelines")
class PeepholeLSTM(keras.layers.RNN):
    """Runs a `PeepholeLSTMCell` over a sequence, float[B, T, D] to float[B, T, units].

    Args:
        units: size of h and of c.
        recurrent_dropout: share of state channels dropped in training, the same at every step.
        kernel_initializer: of the weights of the inputs.
        recurrent_initializer: of those of h.
        bias_initializer: of the bias, where `unit_forget_bias` is False.
        unit_forget_bias: the forget gate's bias is 1 at first and the others are 0.
        seed: of dropout.
    """

    def __init__(
        self,
        units: int,
        *,
        recurrent_dropout: float = 0.0,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        cell = PeepholeLSTMCell(
            units,
            recurrent_dropout=recurrent_dropout,
            kernel_initializer=kernel_initializer,
            recurrent_initializer=recurrent_initializer,
            bias_initializer=bias_initializer,
            unit_forget_bias=unit_forget_bias,
            seed=seed,
            dtype=kwargs.get("dtype"),
            name="peephole_lstm_cell",
        )
        super().__init__(cell, **kwargs)
        self.units = units

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        names = ("units", "recurrent_dropout", "unit_forget_bias", "seed")
        initializers = ("kernel_initializer", "recurrent_initializer", "bias_initializer")
        config = super().get_config() | {name: getattr(self.cell, name) for name in names}
        del config["cell"]
        return config | {
            name: keras.initializers.serialize(getattr(self.cell, name)) for name in initializers
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> PeepholeLSTM:
        """Make the layer that a config describes."""
        return cls(**config)

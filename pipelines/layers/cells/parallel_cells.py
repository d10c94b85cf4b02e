"""Cells whose gates do not see the state, so that all steps can be computed in parallel.

Each is linear in its state: h_t = a_t h_{t-1} + b_t, a and b of the inputs alone. A cell holds the
weights and reads one step; `ParallelRecurrence` reads a sequence with the same weights.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import keras
from keras import ops


class ParallelCell(keras.layers.Layer):
    """A recurrent cell that is linear in its state.

    Its state is [h]; of the SRU [h, c], of which c is carried by the recurrence.

    Args:
        units: size of the state.
        seed: of the weights.
    """

    gates = 2  # blocks of the kernel, each [D, units]
    biased = 2  # of which so many, the first ones, have a bias

    def __init__(self, units: int, *, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units, self.seed = units, seed
        self.state_size: Any = units
        self.output_size = units

    def build(self, input_shape: tuple[Any, ...]) -> None:
        """Create the weights for inputs [B, D]."""
        width = input_shape[-1]
        count = self.count_of(width)
        # The range of one gate, not that of a matrix as wide as all of them.
        limit = (6 / (width + self.units)) ** 0.5
        initializer = keras.initializers.RandomUniform(-limit, limit, seed=self.seed)
        self.kernel = self.add_weight((width, count * self.units), initializer, name="kernel")
        self.bias = self.add_weight((self.biased * self.units,), "zeros", name="bias")
        self.built = True

    def count_of(self, width: int) -> int:  # noqa: ARG002 - the SRU's depends on it
        """Return the number of the kernel's blocks for inputs of a width."""
        return self.gates

    def project(self, inputs: Any) -> list[Any]:
        """Return what the gates get of the inputs: of [..., D], blocks [..., units]."""
        blocks = ops.split(ops.matmul(inputs, self.kernel), self.count_of(inputs.shape[-1]), -1)
        biases = ops.split(ops.convert_to_tensor(self.bias), self.biased, -1)
        return [a + b for a, b in zip(blocks, biases, strict=False)] + blocks[self.biased :]

    @abstractmethod
    def terms(self, blocks: list[Any]) -> tuple[Any, Any]:
        """Return a and b of the recurrence, each [..., units]."""

    def give_out(self, blocks: list[Any], inputs: Any, carried: Any) -> Any:  # noqa: ARG002
        """Return the output of steps, [..., units], of what the recurrence carried."""
        return carried

    def call(
        self,
        inputs: Any,
        states: Any,
        training: bool = False,  # noqa: ARG002 - Keras' signature of a cell
    ) -> tuple[Any, list[Any]]:
        """Read one step.

        Args:
            inputs: float[B, D].
            states: the state, each float[B, units].
            training: changes nothing.

        Returns:
            h, and the state after.
        """
        blocks = self.project(inputs)
        factor, term = self.terms(blocks)
        carried = factor * states[-1] + term
        output = self.give_out(blocks, inputs, carried)
        return output, [output] if isinstance(self.state_size, int) else [output, carried]

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return super().get_config() | {"units": self.units, "seed": self.seed}


@keras.saving.register_keras_serializable(package="pipelines")
class MinGRUCell(ParallelCell):
    """The minimal GRU of Feng et al. (2024, "Were RNNs all we needed?", sec. 3.1).

    z = sigmoid(W_z x + b_z), candidate = W x + b (no tanh), h = (1 - z) h' + z candidate.
    """

    def terms(self, blocks: list[Any]) -> tuple[Any, Any]:
        """Return a = 1 - z and b = z × candidate; blocks are those of z and of the candidate."""
        update, candidate = blocks
        # Of a large argument 1 - sigmoid(z) is exactly 0; sigmoid(-z) is not.
        return ops.sigmoid(-update), ops.sigmoid(update) * candidate


@keras.saving.register_keras_serializable(package="pipelines")
class MinLSTMCell(ParallelCell):
    """The minimal LSTM of Feng et al. (2024, sec. 3.2), whose two gates add up to 1.

    f = sigmoid(W_f x + b_f), i = sigmoid(W_i x + b_i), candidate = W x + b (no tanh),
    h = f / (f + i) h' + i / (f + i) candidate.
    """

    gates = biased = 3

    def terms(self, blocks: list[Any]) -> tuple[Any, Any]:
        """Return a = f / (f + i) and b; blocks are those of f, of i and of the candidate."""
        forget, admit, candidate = blocks
        # f / (f + i) = sigmoid(log f - log i), which divides by nothing.
        ratio = ops.softplus(-admit) - ops.softplus(-forget)
        return ops.sigmoid(ratio), ops.sigmoid(-ratio) * candidate


@keras.saving.register_keras_serializable(package="pipelines")
class SRUCell(ParallelCell):
    """The simple recurrent unit of Lei et al. (2018), in the form whose gates do not see c.

    f = sigmoid(W_f x + b_f), r = sigmoid(W_r x + b_r), c = f c' + (1 - f) W x,
    h = r tanh(c) + (1 - r) x. Where D is not units, a matrix of its own takes x to the highway.
    """

    gates = 3

    def __init__(self, units: int, *, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(units, seed=seed, **kwargs)
        self.state_size = [units, units]

    def count_of(self, width: int) -> int:
        """Return 3 blocks, and a fourth for the highway where widths differ."""
        return 3 if width == self.units else 4

    def terms(self, blocks: list[Any]) -> tuple[Any, Any]:
        """Return a = f and b = (1 - f) W x; blocks are those of f, of r and of W x."""
        return ops.sigmoid(blocks[0]), ops.sigmoid(-blocks[0]) * blocks[2]

    def give_out(self, blocks: list[Any], inputs: Any, carried: Any) -> Any:
        """Return h of c: the highway past the recurrence."""
        past = blocks[3] if len(blocks) == 4 else inputs
        return ops.sigmoid(blocks[1]) * ops.tanh(carried) + ops.sigmoid(-blocks[1]) * past


PARALLEL = {"mingru": MinGRUCell, "minlstm": MinLSTMCell, "sru": SRUCell}

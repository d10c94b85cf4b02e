"""Compiled blocks of recurrent steps: what `fast_recurrent` runs inside its loops.

A block is K steps of R rows. Its forward function projects the K × R inputs in one product, then
steps; beside the states it keeps the factors that turn the gradient of a step's state into the
gradient of its gates. The backward function therefore only multiplies by them while it steps back,
and forms the gradients of weights and inputs in one product each over the whole block.

XLA compiles both once for each shape [K, R, D] and number of units, whatever the lengths of
sequences and the size of the batch: `steps` says how many of the K steps are real.

With states h, c and gates i, f, g, o (sigmoid, sigmoid, tanh, sigmoid) of an LSTM

    c_t = f c_{t-1} + i g        h_t = o tanh(c_t)
    dc += dh o (1 - tanh²(c_t))  d[i, f, g, o] = [dc, dc, dc, dh] × A_t
    A_t = [i (1 - i) g, f (1 - f) c_{t-1}, (1 - g²) i, o (1 - o) tanh(c_t)]

and z, r, g of a GRU whose reset gate follows the product, u = U_g h_{t-1} + b_g,

    g = tanh(x_g + r u)          h_t = z h_{t-1} + (1 - z) g
    d[z, r, u, g] = dh × A_t     A_t = [z (1 - z) (h_{t-1} - g), r (1 - r) u A_g, r A_g, A_g],
                                 A_g = (1 - z) (1 - g²).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cache
from typing import Any

import tensorflow as tf

Tensors = tuple[Any, ...]


class CellBlocks(ABC):
    """The two compiled functions of a cell, for blocks of K steps and R rows.

    A state is a tuple of float32[R, units]: h, or h and c.

    Args:
        units: size of h.
        steps: K.
        rows: R.
        whole_states: whether the states given out hold all parts or h alone.
    """

    parts = 1  # of the state
    gates = 3  # columns of the kernel, in units

    def __init__(self, units: int, steps: int, rows: int, whole_states: bool) -> None:
        self.units, self.steps, self.rows = units, steps, rows
        self.given = self.parts if whole_states else 1
        self.forward = tf.function(self._forward, jit_compile=True, autograph=False)
        self.backward = tf.function(self._backward, jit_compile=True, autograph=False)

    @property
    def kept(self) -> list[tuple[int, ...]]:
        """Shapes of what the forward function gives after the state, for the backward one."""
        shapes = [(self.units,)] * self.given + self.factors
        return [(self.rows, self.units), *((self.steps, self.rows, *shape) for shape in shapes)]

    @property
    @abstractmethod
    def bias_shape(self) -> list[int]:
        """Shape of the bias, as Keras has it."""

    @property
    @abstractmethod
    def factors(self) -> list[tuple[int, ...]]:
        """Shapes of the factors of one step and row."""

    @abstractmethod
    def prepare(self, weights: Tensors) -> Tensors:
        """Return what the steps multiply by, of kernel, recurrent kernel and bias."""

    @abstractmethod
    def project(self, inputs: Any, weights: Tensors) -> Any:
        """Return W x + b of all gates, [N, gates × units], of inputs [N, D]; not compiled."""

    @abstractmethod
    def step(self, projected: Any, weights: Tensors, state: Tensors) -> tuple[Tensors, Tensors]:
        """Return the next state and the factors of this step."""

    @abstractmethod
    def step_back(
        self, gradients: Tensors, factors: Tensors, recurrent: Any
    ) -> tuple[Tensors, Any]:
        """Return the gradients of the state before and of the gates, the latter [R, 4 × units]."""

    @abstractmethod
    def split_gates(self, gates: Any) -> tuple[Any, Any]:
        """Return the gradients of what inputs and what states gave, from those of the gates."""

    @abstractmethod
    def bias_gradient(self, by_inputs: Any, by_states: Any) -> Any:
        """Return the gradient of the bias."""

    def _array(self, *shape: int) -> Any:
        return tf.TensorArray(tf.float32, size=self.steps, element_shape=[self.rows, *shape])

    def _forward(self, projected: Any, weights: Tensors, state: Tensors, steps: Any) -> Tensors:
        """Run a block.

        Args:
            projected: share of the inputs in the gates, float32[K, R, gates × units].
            weights: of `prepare`.
            state: before the block.
            steps: how many of the K steps to run.

        Returns:
            the state after it, and the tensors of `kept`; 0 at the steps not run.
        """

        def body(t: Any, now: Tensors, arrays: list[Any]) -> tuple[Any, Tensors, list[Any]]:
            now, factors = self.step(projected[t], weights, now)
            values = (*now[: self.given], *factors)
            return t + 1, now, [a.write(t, v) for a, v in zip(arrays, values, strict=True)]

        arrays = [self._array(*shape[2:]) for shape in self.kept[1:]]
        loop = (tf.constant(0), state, arrays)
        _, after, arrays = tf.while_loop(lambda t, *_: t < steps, body, loop)
        return after, (state[0], *(array.stack() for array in arrays))

    def _backward(
        self, recurrent: Any, kept: Tensors, upstream: Tensors, later: Tensors, steps: Any
    ) -> tuple[Any, Tensors]:
        """Walk a block back.

        Args:
            recurrent: recurrent kernel, transposed.
            kept: what the forward function kept.
            upstream: gradients of the parts of the states given out, each float32[K, R, units].
            later: gradient of the state after the block.
            steps: how many of the K steps were run.

        Returns:
            the gradient of the gates, float32[K, R, 4 × units], and of the state before.
        """
        factors = kept[1 + self.given :]

        def body(t: Any, after: Tensors, array: Any) -> tuple[Any, Tensors, Any]:
            given = tuple(a + b[t] for a, b in zip(after, upstream, strict=False))
            total = (*given, *after[self.given :])
            ahead, gates = self.step_back(total, tuple(f[t] for f in factors), recurrent)
            return t - 1, ahead, array.write(t, gates)

        loop = (steps - 1, later, self._array(4 * self.units))
        _, gradient, array = tf.while_loop(lambda t, *_: t >= 0, body, loop)
        return array.stack(), gradient

    def weight_gradients(self, inputs: Any, hidden: Any, gates: Any, kernel: Any) -> Tensors:
        """Return the gradients of inputs, kernel, recurrent kernel and bias; not compiled.

        Args:
            inputs: float32[N, D].
            hidden: h before each step, float32[N, units].
            gates: gradient of the gates, float32[N, 4 × units].
            kernel: float32[D, gates × units].
        """
        by_inputs, by_states = self.split_gates(gates)
        return (
            tf.matmul(by_inputs, kernel, transpose_b=True),
            tf.matmul(inputs, by_inputs, transpose_a=True),
            tf.matmul(hidden, by_states, transpose_a=True),
            self.bias_gradient(by_inputs, by_states),
        )


class LSTMBlocks(CellBlocks):
    """Hochreiter & Schmidhuber's (1997) cell with a forget gate; gates i, f, g, o as Keras."""

    parts, gates = 2, 4

    @property
    def bias_shape(self) -> list[int]:
        """Return the shape of one bias."""
        return [4 * self.units]

    @property
    def factors(self) -> list[tuple[int, ...]]:
        """Return dc of dh, dc of the next dc, and A."""
        return [(self.units,), (self.units,), (4, self.units)]

    def prepare(self, weights: Tensors) -> Tensors:
        """Halve what sigmoids take: sigmoid(x) = (1 + tanh(x / 2)) / 2, so all gates are tanh."""
        scale = tf.repeat(tf.constant([0.5, 0.5, 1.0, 0.5]), self.units)
        kernel, recurrent, bias = weights
        return kernel * scale, recurrent * scale, bias * scale, scale

    def project(self, inputs: Any, weights: Tensors) -> Any:
        """Return W x + b."""
        return tf.nn.bias_add(tf.matmul(inputs, weights[0]), weights[2])

    def step(self, projected: Any, weights: Tensors, state: Tensors) -> tuple[Tensors, Tensors]:
        """Return h and c, and the factors."""
        _, recurrent, _, scale = weights
        hidden, memory = state
        gates = scale * tf.tanh(projected + tf.matmul(hidden, recurrent)) + (1.0 - scale)
        i, f, g, o = tf.split(gates, 4, axis=1)
        new = f * memory + i * g
        bounded = tf.tanh(new)
        gates = tf.reshape(gates, [self.rows, 4, self.units])
        is_tanh = tf.constant([0.0, 0.0, 1.0, 0.0])[None, :, None]
        slope = (gates + is_tanh) * (1.0 - gates) * _choose([g, memory, i, bounded])
        return (o * bounded, new), (o * (1.0 - bounded * bounded), f, slope)

    def step_back(
        self, gradients: Tensors, factors: Tensors, recurrent: Any
    ) -> tuple[Tensors, Any]:
        """Return the gradients of h and c before, and of i, f, g, o."""
        to_memory, forget, slope = factors
        hidden, memory = gradients
        memory += hidden * to_memory
        above = (memory, memory, memory, hidden)
        gates = tf.concat([part * slope[:, n] for n, part in enumerate(above)], axis=1)
        return (tf.matmul(gates, recurrent), memory * forget), gates

    def split_gates(self, gates: Any) -> tuple[Any, Any]:
        """Return them twice: inputs and states enter every gate alike."""
        return gates, gates

    def bias_gradient(self, by_inputs: Any, by_states: Any) -> Any:
        """Return float32[4 × units]."""
        del by_states
        return _column_sums(by_inputs)


class GRUBlocks(CellBlocks):
    """Cho et al.'s (2014) cell, its reset gate after the product; gates z, r, g as Keras."""

    @property
    def bias_shape(self) -> list[int]:
        """Return the shape of two biases: of inputs and of states."""
        return [2, 3 * self.units]

    @property
    def factors(self) -> list[tuple[int, ...]]:
        """Return z and A."""
        return [(self.units,), (4, self.units)]

    def prepare(self, weights: Tensors) -> Tensors:
        """Halve what sigmoids take, as for the LSTM."""
        scale = tf.repeat(tf.constant([0.5, 0.5, 1.0]), self.units)
        kernel, recurrent, bias = weights
        return kernel * scale, recurrent * scale, bias * scale, scale

    def project(self, inputs: Any, weights: Tensors) -> Any:
        """Return W x + b."""
        return tf.nn.bias_add(tf.matmul(inputs, weights[0]), weights[2][0])

    def step(self, projected: Any, weights: Tensors, state: Tensors) -> tuple[Tensors, Tensors]:
        """Return h and the factors."""
        n, (hidden,) = self.units, state
        inner = tf.matmul(hidden, weights[1]) + weights[2][1]
        z, r = tf.split(0.5 + 0.5 * tf.tanh(projected[:, : 2 * n] + inner[:, : 2 * n]), 2, axis=1)
        u = inner[:, 2 * n :]
        g = tf.tanh(projected[:, 2 * n :] + r * u)
        slope = (1.0 - z) * (1.0 - g * g)
        slopes = _choose(
            [z * (1.0 - z) * (hidden - g), r * (1.0 - r) * u * slope, r * slope, slope]
        )
        return (z * hidden + (1.0 - z) * g,), (z, slopes)

    def step_back(
        self, gradients: Tensors, factors: Tensors, recurrent: Any
    ) -> tuple[Tensors, Any]:
        """Return the gradients of h before, and of z, r, u, g."""
        (gradient,), (keep, slopes) = gradients, factors
        gates = tf.concat([gradient * slopes[:, n] for n in range(4)], axis=1)
        return (gradient * keep + tf.matmul(gates[:, : 3 * self.units], recurrent),), gates

    def split_gates(self, gates: Any) -> tuple[Any, Any]:
        """Return those of z, r, g and of z, r, u."""
        n = self.units
        return tf.concat([gates[:, : 2 * n], gates[:, 3 * n :]], axis=1), gates[:, : 3 * n]

    def bias_gradient(self, by_inputs: Any, by_states: Any) -> Any:
        """Return float32[2, 3 × units]."""
        return tf.stack([_column_sums(by_inputs), _column_sums(by_states)])


def _column_sums(values: Any) -> Any:
    """Return the sum over rows, as a product: TensorFlow's sums over the first axis are slow."""
    return tf.matmul(tf.ones([1, tf.shape(values)[0]]), values)[0]


def _choose(parts: list[Any]) -> Any:
    """Stack four [R, H] to [R, 4, H] by selection: XLA does not vectorise `tf.stack`."""
    number = tf.range(4)[None, :, None]
    chosen = parts[-1][:, None, :]
    for index in reversed(range(3)):
        chosen = tf.where(number <= index, parts[index][:, None, :], chosen)
    return chosen


@cache
def blocks(cell: str, units: int, steps: int, rows: int, whole_states: bool) -> CellBlocks:
    """Return the compiled blocks of "lstm" or "gru"; each kind is made once in a process."""
    kind = LSTMBlocks if cell == "lstm" else GRUBlocks
    return kind(units, steps, rows, whole_states)

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
from collections.abc import Callable
from functools import cache
from typing import Any

import tensorflow as tf

Tensors = tuple[Any, ...]


class CellBlocks(ABC):
    """The two compiled functions of a cell, for blocks of K steps and R rows.

    A state is float32[R, S], S = units × the number of its parts: h, or h beside c.

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
        self.exposed = units * (self.parts if whole_states else 1)
        self.forward = tf.function(self._forward, jit_compile=True, autograph=False)
        self.backward = tf.function(self._backward, jit_compile=True, autograph=False)

    @property
    def kept(self) -> list[tuple[int, ...]]:
        """Shapes of what the forward function gives after the state, for the backward one."""
        shapes = [(self.steps, self.rows, self.exposed), (self.rows, self.units)]
        return shapes + [(self.steps, self.rows, *shape) for shape in self.factors]

    @property
    @abstractmethod
    def factors(self) -> list[tuple[int, ...]]:
        """Shapes of the factors of one step and row."""

    @abstractmethod
    def prepare(self, weights: Tensors) -> Tensors:
        """Return what the steps multiply by, of kernel, recurrent kernel and bias."""

    @abstractmethod
    def project(self, inputs: Any, weights: Tensors) -> Any:
        """Return the share of the inputs in the gates of all steps, [K, R, gates × units]."""

    @abstractmethod
    def step(self, projected: Any, weights: Tensors, state: Any) -> tuple[Any, Tensors]:
        """Return the next state and the factors of this step."""

    @abstractmethod
    def step_back(self, gradient: Any, factors: Tensors, recurrent: Any) -> tuple[Any, Any]:
        """Return the gradients of the state before and of the gates, [R, S] and [R, 4 × units]."""

    @abstractmethod
    def split_gates(self, gates: Any) -> tuple[Any, Any]:
        """Return the gradients of what inputs and what states gave, from those of the gates."""

    @abstractmethod
    def bias_gradient(self, by_inputs: Any, by_states: Any) -> Any:
        """Return the gradient of the bias, from the sums over a block."""

    def _array(self, *shape: int) -> Any:
        return tf.TensorArray(tf.float32, size=self.steps, element_shape=[self.rows, *shape])

    def _forward(self, inputs: Any, weights: Tensors, state: Any, steps: Any) -> Tensors:
        """Run a block.

        Args:
            inputs: float32[K, R, D].
            weights: kernel [D, G], recurrent kernel [units, G], bias as Keras has it.
            state: before the block, float32[R, S].
            steps: how many of the K steps to run.

        Returns:
            the state after it, and the tensors of `kept`; 0 at the steps not run.
        """
        prepared = self.prepare(weights)
        projected = self.project(inputs, prepared)

        def body(t: Any, state: Any, arrays: list[Any]) -> tuple[Any, Any, list[Any]]:
            state, factors = self.step(projected[t], prepared, state)
            values = (state[:, : self.exposed], *factors)
            return t + 1, state, [a.write(t, v) for a, v in zip(arrays, values, strict=True)]

        arrays = [self._array(self.exposed), *(self._array(*shape) for shape in self.factors)]
        _, after, arrays = tf.while_loop(
            lambda t, *_: t < steps, body, (tf.constant(0), state, arrays)
        )
        states, *factors = (array.stack() for array in arrays)
        return after, states, state[:, : self.units], *factors

    def _backward(
        self,
        inputs: Any,
        weights: Tensors,
        kept: Tensors,
        upstream: Any,
        later: tuple[Any, Tensors],
        steps: Any,
    ) -> tuple[Any, Any, Tensors]:
        """Walk a block back.

        Args:
            inputs: of the forward function, float32[K, R, D].
            weights: of the forward function.
            kept: what the forward function kept.
            upstream: gradient of the states given out, float32[K, R, exposed].
            later: gradient of the state after the block, and sums of the gradients of weights.
            steps: how many of the K steps were run.

        Returns:
            the gradients of the inputs, of the state before the block, and the sums.
        """
        states, before, *factors = kept
        kernel, recurrent, _ = weights
        transposed = tf.transpose(recurrent)

        def body(t: Any, gradient: Any, gates: Any) -> tuple[Any, Any, Any]:
            more = tf.pad(upstream[t], [[0, 0], [0, gradient.shape[1] - self.exposed]])
            now = tuple(factor[t] for factor in factors)
            gradient, gate = self.step_back(gradient + more, now, transposed)
            return t - 1, gradient, gates.write(t, gate)

        gradient, sums = later
        _, gradient, array = tf.while_loop(
            lambda t, *_: t >= 0, body, (steps - 1, gradient, self._array(4 * self.units))
        )
        by_inputs, by_states = self.split_gates(
            tf.reshape(array.stack(), [-1, 4 * self.units])
        )
        hidden = tf.concat([before[None], states[:-1, :, : self.units]], axis=0)
        flat = tf.reshape(inputs, [-1, inputs.shape[-1]])
        new = (
            tf.matmul(flat, by_inputs, transpose_a=True),
            tf.matmul(tf.reshape(hidden, [-1, self.units]), by_states, transpose_a=True),
            self.bias_gradient(tf.reduce_sum(by_inputs, 0), tf.reduce_sum(by_states, 0)),
        )
        to_inputs = tf.matmul(by_inputs, kernel, transpose_b=True)
        sums = tuple(total + more for total, more in zip(sums, new, strict=True))
        return tf.reshape(to_inputs, inputs.shape), gradient, sums


class LSTMBlocks(CellBlocks):
    """Hochreiter & Schmidhuber's (1997) cell with a forget gate; gates i, f, g, o as Keras."""

    parts, gates = 2, 4

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
        """Return W x + b of all gates."""
        flat = tf.matmul(tf.reshape(inputs, [-1, inputs.shape[-1]]), weights[0]) + weights[2]
        return tf.reshape(flat, [self.steps, self.rows, 4 * self.units])

    def step(self, projected: Any, weights: Tensors, state: Any) -> tuple[Any, Tensors]:
        """Return [h, c] and the factors."""
        *_, recurrent, _, scale = weights
        hidden, memory = tf.split(state, 2, axis=1)
        gates = scale * tf.tanh(projected + tf.matmul(hidden, recurrent)) + (1.0 - scale)
        i, f, g, o = tf.split(gates, 4, axis=1)
        new = f * memory + i * g
        bounded = tf.tanh(new)
        gates = tf.reshape(gates, [self.rows, 4, self.units])
        is_tanh = tf.constant([0.0, 0.0, 1.0, 0.0])[None, :, None]
        slope = (gates + is_tanh) * (1.0 - gates) * _choose([g, memory, i, bounded])
        state = tf.concat([o * bounded, new], axis=1)
        return state, (o * (1.0 - bounded * bounded), f, slope)

    def step_back(self, gradient: Any, factors: Tensors, recurrent: Any) -> tuple[Any, Any]:
        """Return the gradients of [h, c] before and of i, f, g, o."""
        to_memory, forget, slope = factors
        hidden, memory = tf.split(gradient, 2, axis=1)
        memory += hidden * to_memory
        gates = _choose([memory, memory, memory, hidden]) * slope
        gates = tf.reshape(gates, [self.rows, 4 * self.units])
        return tf.concat([tf.matmul(gates, recurrent), memory * forget], axis=1), gates

    def split_gates(self, gates: Any) -> tuple[Any, Any]:
        """Return them twice: inputs and states enter every gate alike."""
        return gates, gates

    def bias_gradient(self, by_inputs: Any, by_states: Any) -> Any:
        """Return float32[4 × units]."""
        del by_states
        return by_inputs


class GRUBlocks(CellBlocks):
    """Cho et al.'s (2014) cell, its reset gate after the product; gates z, r, g as Keras."""

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
        """Return W x + b of all gates."""
        flat = tf.matmul(tf.reshape(inputs, [-1, inputs.shape[-1]]), weights[0]) + weights[2][0]
        return tf.reshape(flat, [self.steps, self.rows, 3 * self.units])

    def step(self, projected: Any, weights: Tensors, state: Any) -> tuple[Any, Tensors]:
        """Return h and the factors."""
        n = self.units
        inner = tf.matmul(state, weights[1]) + weights[2][1]
        z, r = tf.split(
            0.5 + 0.5 * tf.tanh(projected[:, : 2 * n] + inner[:, : 2 * n]), 2, axis=1
        )
        u = inner[:, 2 * n :]
        g = tf.tanh(projected[:, 2 * n :] + r * u)
        slope = (1.0 - z) * (1.0 - g * g)
        slopes = _choose([z * (1.0 - z) * (state - g), r * (1.0 - r) * u * slope, r * slope, slope])
        return z * state + (1.0 - z) * g, (z, slopes)

    def step_back(self, gradient: Any, factors: Tensors, recurrent: Any) -> tuple[Any, Any]:
        """Return the gradients of h before and of z, r, u, g."""
        keep, slopes = factors
        gates = tf.reshape(gradient[:, None, :] * slopes, [self.rows, 4 * self.units])
        return gradient * keep + tf.matmul(gates[:, : 3 * self.units], recurrent), gates

    def split_gates(self, gates: Any) -> tuple[Any, Any]:
        """Return those of z, r, g and of z, r, u."""
        n = self.units
        return tf.concat([gates[:, : 2 * n], gates[:, 3 * n :]], axis=1), gates[:, : 3 * n]

    def bias_gradient(self, by_inputs: Any, by_states: Any) -> Any:
        """Return float32[2, 3 × units]."""
        return tf.stack([by_inputs, by_states])


def _choose(parts: list[Any]) -> Any:
    """Stack four [R, H] to [R, 4, H] by selection, which XLA vectorises and a concatenation not."""
    number = tf.range(4)[None, :, None]
    chosen = parts[-1][:, None, :]
    for index in reversed(range(3)):
        chosen = tf.where(number <= index, parts[index][:, None, :], chosen)
    return chosen


@cache
def blocks(cell: str, units: int, steps: int, rows: int, whole_states: bool) -> CellBlocks:
    """Return the compiled blocks of "lstm" or "gru"; each kind is made once in a process."""
    kinds: dict[str, Callable[..., CellBlocks]] = {"lstm": LSTMBlocks, "gru": GRUBlocks}
    return kinds[cell](units, steps, rows, whole_states)

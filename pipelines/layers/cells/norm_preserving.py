"""A simple recurrent layer that is trained to hand gradients back at their length."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from pipelines.errors import require

# Of a gradient; shorter ones, no longer told apart from 0 by float32 after a step, are left out.
FAINTEST = 1e-30


@keras.saving.register_keras_serializable(package="pipelines")
class NormPreservingRNN(keras.layers.SimpleRNN):
    """Trains a simple tanh layer so that gradients neither vanish nor explode on their way back.

    The regulariser of Pascanu, Mikolov & Bengio (2013, eq. 9 and 10). With e_t = dE/dh_t of one
    row, all ways from h_t to the loss E together,

        Omega_t = (|e_t dh_t/dh_{t-1}| / |e_t| - 1)²,

    and Omega is the mean over the pairs of row and real step that a gradient reaches, the first
    step among them. (The paper sums over the steps, and the authors' program takes the mean as
    here, but of squared norms; a mean lets one weight serve any length.) Only the immediate
    derivative with respect to the recurrent kernel W counts: e_t and the states are held constant.
    As h_t = tanh(a_t) with a_t = x_t K + h_{t-1} W + b, and with d_t = dE/da_t = e_t (1 - h_t²),
    e_t dh_t/dh_{t-1} is p_t = d_t W', so with the ratio r_t = |p_t| / |e_t|

        dOmega_t/dW = 2 (r_t - 1) (p_t / |p_t|)' (d_t / |e_t|).

    All of it is known only on the way back, so it is added to W's gradient there: what is shown as
    the loss does not contain it, clipping sees it. Omega is the same for any multiple of E, and the
    weight therefore relative to how E is scaled.

    Weights and everything outside of training are those of `keras.layers.SimpleRNN`, whose
    further arguments it takes.

    Args:
        units: size of the state.
        weight: of Omega, beside the loss.
        activation: tanh.
        dropout: 0, as `recurrent_dropout`.
        recurrent_dropout: 0.

    Raises:
        ConfigError: an argument has another value than these, the weight is below 0, or the layer
            computes in float16.
    """

    def __init__(
        self,
        units: int,
        weight: float,
        *,
        activation: Any = "tanh",
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        reason = ": the regulariser is defined without dropout"
        require(0 <= weight < float("inf"), "norm_preserving", weight, "0 or more")
        require(dropout == 0, "dropout", dropout, f"0{reason}")
        require(recurrent_dropout == 0, "recurrent_dropout", recurrent_dropout, f"0{reason}")
        tanh = keras.activations.get(activation) is keras.activations.tanh
        require(tanh, "activation", activation, "'tanh': the regulariser is worked out for it")
        super().__init__(units, activation=activation, **kwargs)
        self.weight = weight
        require(
            not weight or self.compute_dtype != "float16", "norm_preserving", weight,
            "0 in half precision, which would divide it by the scale of the loss: "
            "train without --mixed-precision",
        )  # fmt: skip

    def inner_loop(
        self, sequences: Any, initial_state: Any, mask: Any, training: bool = False
    ) -> tuple[Any, Any, Any]:
        """Read a sequence; called by the `call` of Keras.

        Args:
            sequences: [B, T, D].
            initial_state: a list of [B, units].
            mask: bool[B, T] or None; where it is False the state is carried on.
            training: whether the gradient gets the regulariser's.

        Returns:
            the last output [B, units], the outputs [B, T, units] in the order of reading, and a
            list of the final state.
        """
        if not (training and self.weight):
            return super().inner_loop(sequences, initial_state, mask, training=training)
        cell, dtype = self.cell, self.compute_dtype
        read = ops.matmul(sequences, ops.cast(cell.kernel, dtype))
        read = read if cell.bias is None else read + ops.cast(cell.bias, dtype)
        real = (
            ops.ones_like(read[..., 0]) if mask is None else ops.cast(ops.cast(mask, "bool"), dtype)
        )
        if self.go_backwards:
            read, real = ops.flip(read, axis=1), ops.flip(real, axis=1)
        states = ops.cast(
            simple_states(read, initial_state[0], cell.recurrent_kernel, real, self.weight), dtype
        )
        outputs = states * real[..., None] if self.zero_output_for_mask else states
        return outputs[:, -1], outputs, [states[:, -1]]

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return super().get_config() | {"weight": self.weight, "seed": self.cell.seed}


def simple_states(read: Any, start: Any, kernel: Any, real: Any, weight: float) -> Any:
    """Return the states of a simple cell, whose gradient holds weight × dOmega/dW for the kernel.

    Args:
        read: x_t K + b, float[B, T, H].
        start: the state before the first step, float[B, H].
        kernel: W, float[H, H].
        real: float[B, T]: 1 on real steps; where it is 0 the state is carried on.
        weight: of Omega, see `NormPreservingRNN`.

    Returns:
        float[B, T, H], in single precision or better; it has no second gradient.
    """
    dtype = keras.backend.result_type(read.dtype, "float32")
    parts = [ops.transpose(read, (1, 0, 2)), start, kernel, ops.transpose(real)[..., None]]

    def recurrence(read: Any, start: Any, kernel: Any, real: Any) -> tuple[Any, Any]:
        # TensorFlow would otherwise also trace the gradient that is not used.
        read, start, kernel, real = map(ops.stop_gradient, (read, start, kernel, real))
        states = _forward(read, start, kernel, real)

        def gradient(*args: Any, upstream: Any = None) -> tuple[Any, ...]:
            given = args[0] if upstream is None else upstream
            slopes = (1 - ops.square(states)) * real
            passed = _backward(given, slopes, kernel, real)
            reaching = given + ops.concatenate([passed[1:], ops.zeros_like(passed[:1])], axis=0)
            before = ops.concatenate([start[None], states[:-1]], axis=0)
            to_read = reaching * slopes
            to_kernel = _outer(before, to_read)
            if weight:
                to_kernel += weight * _omega_gradient(reaching, to_read, passed, real)
            return to_read, passed[0], to_kernel, ops.zeros_like(real)

        return states, gradient

    states = ops.custom_gradient(recurrence)(*(ops.cast(part, dtype) for part in parts))
    return ops.transpose(states, (1, 0, 2))


def _forward(read: Any, start: Any, kernel: Any, real: Any) -> Any:
    """Return the states, [T, B, H]."""

    def step(state: Any, given: Any) -> tuple[Any, Any]:
        read, real = given[..., :-1], given[..., -1:]
        after = ops.where(real > 0, ops.tanh(read + ops.matmul(state, kernel)), state)
        return after, after

    # Joined, because Keras' scan fails on two inputs of unknown length under TensorFlow.
    _, states = ops.scan(step, start, ops.concatenate([read, real], axis=-1))
    return ops.reshape(states, ops.shape(read))


def _backward(given: Any, slopes: Any, kernel: Any, real: Any) -> Any:
    """Return what every step passes on to the state before it, [T, B, H]: p_t on real steps.

    Args:
        given: gradient of the states themselves, [T, B, H].
        slopes: 1 - h², 0 on padding.
        kernel: W.
        real: [T, B, 1].
    """
    width = given.shape[-1]
    transposed = ops.transpose(kernel)

    def step(passed: Any, part: Any) -> tuple[Any, Any]:
        given, slope, real = part[..., :width], part[..., width:-1], part[..., -1:]
        reaching = given + passed
        before = ops.matmul(reaching * slope, transposed) + (1 - real) * reaching
        return before, before

    parts = ops.concatenate([given, slopes, real], axis=-1)
    _, passed = ops.scan(step, ops.zeros_like(given[0]), parts, reverse=True)
    return ops.reshape(passed, ops.shape(given))


def _omega_gradient(reaching: Any, to_read: Any, passed: Any, real: Any) -> Any:
    """Return the immediate derivative of Omega with respect to the kernel, [H, H].

    Args:
        reaching: e, [T, B, H].
        to_read: d.
        passed: p.
        real: [T, B, 1].
    """
    length, passed_length = _norm(reaching), _norm(passed)
    counted = ops.cast((real > 0) & (length > FAINTEST), length.dtype)
    length, away = ops.where(counted > 0, length, 1.0), ops.maximum(passed_length, FAINTEST**1.2)
    pull = 2 * counted * (passed_length / length - 1) / ops.maximum(ops.sum(counted), 1.0)
    return _outer(pull * passed / away, to_read / length)


def _norm(vectors: Any) -> Any:
    """Return norms [..., 1] of vectors [..., H] whose squares float32 may be unable to hold."""
    largest = ops.max(ops.abs(vectors), axis=-1, keepdims=True)
    scale = ops.maximum(largest, FAINTEST**1.2)
    return scale * ops.sqrt(ops.sum(ops.square(vectors / scale), axis=-1, keepdims=True))


def _outer(left: Any, right: Any) -> Any:
    """Return the sum over steps and rows of the outer products of [T, B, H] and [T, B, H]."""
    return ops.einsum("tbi,tbj->ij", left, right)

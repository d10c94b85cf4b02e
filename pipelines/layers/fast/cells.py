"""Steps of LSTM and GRU cells, forward and back, for loops compiled by Numba.

A row of gates is four parts of `width` floats, the candidate g first; of an LSTM g, i, f, o, of a
GRU g, z, r and u, the recurrent share of the candidate. Columns of sigmoid gates are handed over
halved: sigmoid(x) = (1 + tanh(x / 2)) / 2, so that every gate is a tanh.

    LSTM  c' = f c + i g         h' = o tanh(c')
          dc += dh o (1 - tanh²(c'))
          dg = dc i (1 - g²)     di = dc g i (1 - i)     df = dc c f (1 - f)
          do = dh tanh(c') o (1 - o)                     dc <- dc f
    GRU   g = tanh(x_g + r u)    h' = z h + (1 - z) g
          dg = dh (1 - z) (1 - g²)   dz = dh (h - g) z (1 - z)
          dr = dg u r (1 - r)        du = dg r           dh <- dh z

Inner loops touch few arrays, so that LLVM can tell them apart and vectorise them; they index whole
blocks, since a view of a row costs as much as some of its arithmetic.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from pipelines.layers.fast.compiling import compiled
from pipelines.layers.fast.records import Array

_F = np.float32
_ZERO, _HALF, _ONE, _TWO = _F(0.0), _F(0.5), _F(1.0), _F(2.0)
_PER_OCTAVE = _F(1.0 / np.log(2.0))
# ln 2 in two parts, the first with few bits, so that a whole number times it is exact.
_OCTAVE = _F(round(np.log(2.0) * 2**15) / 2**15)
_OCTAVE_REST = _F(np.log(2.0) - float(_OCTAVE))
_ROUNDER = _F(1.5 * 2**23)  # what is added to it loses its fraction
_LARGEST = _F(18.0)  # tanh(9) is 1 in float32
_TERMS = tuple(_F(1.0 / np.prod(np.arange(1.0, n + 1))) for n in range(1, 8))  # 1 / n!


def _write_power_of_two(_: Any, exponent: Any) -> Any:
    """Write code for 2 to the power of a whole float32 between -126 and 127."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        del context, signature
        integer = ir.IntType(32)
        biased = builder.add(builder.fptosi(arguments[0], integer), integer(127))
        return builder.bitcast(builder.shl(biased, integer(23)), ir.FloatType())

    return types.float32(exponent), generate


_power_of_two: Any = intrinsic(_write_power_of_two)


@compiled
def tanh(x: Any) -> Any:
    """Return (e^2x - 1) / (e^2x + 1) to 2e-7 of its size, small x included.

    e^y - 1 is 2^n (e^r - 1) + 2^n - 1 with y = n ln 2 + r, and e^r - 1 a Taylor polynomial of
    degree 7, whose first missing term is below 1e-8 of it.
    """
    y = x + x
    y = _LARGEST if y > _LARGEST else y
    y = -_LARGEST if y < -_LARGEST else y
    octaves = (y * _PER_OCTAVE + _ROUNDER) - _ROUNDER
    r = y - octaves * _OCTAVE - octaves * _OCTAVE_REST
    p = _TERMS[5] + r * _TERMS[6]
    p = _TERMS[4] + r * p
    p = _TERMS[3] + r * p
    p = _TERMS[2] + r * p
    p = _TERMS[1] + r * p
    p = r + r * r * p
    scale = _power_of_two(octaves)
    less_one = scale * p + (scale - _ONE)
    return less_one / (less_one + _TWO)


@compiled
def lstm_step(gates: Array, memory: Array, hidden: Array, rows: int) -> None:
    """Take a step.

    Args:
        gates: float32[R, 4, width], products and biases; become the gates.
        memory: float32[R, width], c; become the next ones.
        hidden: float32[R, width]; become the next h.
        rows: how many take it.
    """
    n = memory.shape[1]
    for i in range(rows):
        for part in range(4):
            for j in range(n):
                gates[i, part, j] = tanh(gates[i, part, j])
        for part in range(1, 4):
            for j in range(n):
                gates[i, part, j] = _HALF + _HALF * gates[i, part, j]
        for j in range(n):
            memory[i, j] = gates[i, 2, j] * memory[i, j] + gates[i, 1, j] * gates[i, 0, j]
        for j in range(n):
            hidden[i, j] = gates[i, 3, j] * tanh(memory[i, j])


@compiled
def gru_step(gates: Array, hidden: Array, rows: int) -> None:
    """Take a step.

    Args:
        gates: float32[R, 4, width], products and biases; become the gates.
        hidden: float32[R, width], h; become the next ones.
        rows: how many take it.
    """
    n = hidden.shape[1]
    for i in range(rows):
        for part in range(1, 3):
            for j in range(n):
                gates[i, part, j] = tanh(gates[i, part, j])
            for j in range(n):
                gates[i, part, j] = _HALF + _HALF * gates[i, part, j]
        for j in range(n):
            gates[i, 0, j] += gates[i, 2, j] * gates[i, 3, j]
        for j in range(n):
            gates[i, 0, j] = tanh(gates[i, 0, j])
        for j in range(n):
            g = gates[i, 0, j]
            hidden[i, j] = g + gates[i, 1, j] * (hidden[i, j] - g)


@compiled
def lstm_step_back(
    gates: Array, before: Array, d_hidden: Array, d_memory: Array, d_gates: Array
) -> None:
    """Step back with as many rows as there are gates.

    Args:
        gates: float32[R, 4, width], as `lstm_step` left them.
        before: float32[R, width], c before the step.
        d_hidden: gradients of h after it; become 0.
        d_memory: gradients of c after it; become those before it, by way of c alone.
        d_gates: float32[R, 4, width]; become the gradients of the products.
    """
    rows, n = gates.shape[0], before.shape[1]
    for i in range(rows):
        for j in range(n):  # tanh(c), kept where the gradient of i will be
            c = gates[i, 2, j] * before[i, j] + gates[i, 1, j] * gates[i, 0, j]
            d_gates[i, 1, j] = tanh(c)
        for j in range(n):
            bent = d_gates[i, 1, j]
            d_memory[i, j] += d_hidden[i, j] * gates[i, 3, j] * (_ONE - bent * bent)
        for j in range(n):
            o = gates[i, 3, j]
            d_gates[i, 3, j] = d_hidden[i, j] * d_gates[i, 1, j] * o * (_ONE - o)
        for j in range(n):
            g = gates[i, 0, j]
            d_gates[i, 0, j] = d_memory[i, j] * gates[i, 1, j] * (_ONE - g * g)
        for j in range(n):
            rise = gates[i, 1, j]
            d_gates[i, 1, j] = d_memory[i, j] * gates[i, 0, j] * rise * (_ONE - rise)
        for j in range(n):
            f = gates[i, 2, j]
            d_gates[i, 2, j] = d_memory[i, j] * before[i, j] * f * (_ONE - f)
        for j in range(n):
            d_memory[i, j] *= gates[i, 2, j]
        for j in range(n):
            d_hidden[i, j] = _ZERO


@compiled
def gru_step_back(gates: Array, before: Array, d_hidden: Array, d_gates: Array) -> None:
    """Step back with as many rows as there are gates.

    Args:
        gates: float32[R, 4, width], as `gru_step` left them.
        before: float32[R, width], h before the step.
        d_hidden: gradients of h after it; become those before it, by way of z h alone.
        d_gates: float32[R, 4, width]; become the gradients of the products.
    """
    rows, n = gates.shape[0], before.shape[1]
    for i in range(rows):
        for j in range(n):
            g, z, d = gates[i, 0, j], gates[i, 1, j], d_hidden[i, j]
            d_gates[i, 0, j] = d * (_ONE - z) * (_ONE - g * g)
            d_gates[i, 1, j] = d * (before[i, j] - g) * z * (_ONE - z)
            d_hidden[i, j] = d * z
        for j in range(n):
            r, d = gates[i, 2, j], d_gates[i, 0, j]
            d_gates[i, 2, j] = d * gates[i, 3, j] * r * (_ONE - r)
            d_gates[i, 3, j] = d * r

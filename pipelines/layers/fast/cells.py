"""Rows of LSTM and GRU steps, forward and back, for loops compiled by Numba.

A row of gates is four parts of `width` floats, the candidate g first; of an LSTM g, i, f, o, of a
GRU g, z, r and u, the recurrent share of the candidate. Columns of sigmoid gates are handed over
halved: sigmoid(x) = (1 + tanh(x / 2)) / 2, so that a row of gates is one run of tanh.

    LSTM  c' = f c + i g         h' = o tanh(c')
          dc += dh o (1 - tanh²(c'))
          dg = dc i (1 - g²)     di = dc g i (1 - i)     df = dc c f (1 - f)
          do = dh tanh(c') o (1 - o)                     dc <- dc f
    GRU   g = tanh(x_g + r u)    h' = z h + (1 - z) g
          dg = dh (1 - z) (1 - g²)   dz = dh (h - g) z (1 - z)
          dr = dg u r (1 - r)        du = dg r           dh <- dh z

Every loop reads and writes few arrays, so that LLVM can prove them apart and vectorise it.
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
_HALF, _ONE, _TWO = _F(0.5), _F(1.0), _F(2.0)
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
def _bend(row: Array) -> None:
    for j in range(row.size):
        row[j] = tanh(row[j])


@compiled
def _to_sigmoid(row: Array) -> None:
    for j in range(row.size):
        row[j] = _HALF + _HALF * row[j]


@compiled
def lstm_row(gates: Array, memory: Array, hidden: Array) -> None:
    """Take a step.

    Args:
        gates: float32[4 × width], products and biases; becomes the gates.
        memory: float32[width], c; becomes the next one.
        hidden: float32[width]; becomes the next h.
    """
    n = memory.size
    _bend(gates)
    _to_sigmoid(gates[n:])
    g, i, f, o = gates[:n], gates[n : 2 * n], gates[2 * n : 3 * n], gates[3 * n :]
    for j in range(n):
        memory[j] = f[j] * memory[j] + i[j] * g[j]
    for j in range(n):
        hidden[j] = o[j] * tanh(memory[j])


@compiled
def gru_row(gates: Array, hidden: Array) -> None:
    """Take a step.

    Args:
        gates: float32[4 × width], products and biases; becomes the gates.
        hidden: float32[width], h; becomes the next one.
    """
    n = hidden.size
    g, z, r, u = gates[:n], gates[n : 2 * n], gates[2 * n : 3 * n], gates[3 * n :]
    _bend(gates[n : 3 * n])
    _to_sigmoid(gates[n : 3 * n])
    for j in range(n):
        g[j] = tanh(g[j] + r[j] * u[j])
    for j in range(n):
        hidden[j] = g[j] + z[j] * (hidden[j] - g[j])


@compiled
def lstm_row_back(
    gates: Array, before: Array, d_hidden: Array, d_memory: Array, d_gates: Array
) -> None:
    """Step back.

    Args:
        gates: as `lstm_row` left them.
        before: float32[width], c before the step.
        d_hidden: gradient of h after it; becomes 0.
        d_memory: gradient of c after it; becomes that before it, by way of c alone.
        d_gates: becomes the gradient of the products, float32[4 × width].
    """
    n = before.size
    g, i, f, o = gates[:n], gates[n : 2 * n], gates[2 * n : 3 * n], gates[3 * n :]
    d_g, d_i = d_gates[:n], d_gates[n : 2 * n]
    d_f, d_o = d_gates[2 * n : 3 * n], d_gates[3 * n :]
    bent = d_i  # until that is written
    for j in range(n):
        bent[j] = tanh(f[j] * before[j] + i[j] * g[j])
    for j in range(n):
        d_memory[j] += d_hidden[j] * o[j] * (_ONE - bent[j] * bent[j])
    for j in range(n):
        d_o[j] = d_hidden[j] * bent[j] * o[j] * (_ONE - o[j])
    for j in range(n):
        d_g[j] = d_memory[j] * i[j] * (_ONE - g[j] * g[j])
    for j in range(n):
        d_i[j] = d_memory[j] * g[j] * i[j] * (_ONE - i[j])
    for j in range(n):
        d_f[j] = d_memory[j] * before[j] * f[j] * (_ONE - f[j])
    for j in range(n):
        d_memory[j] *= f[j]
    for j in range(n):
        d_hidden[j] = _F(0.0)


@compiled
def gru_row_back(gates: Array, before: Array, d_hidden: Array, d_gates: Array) -> None:
    """Step back.

    Args:
        gates: as `gru_row` left them.
        before: float32[width], h before the step.
        d_hidden: gradient of h after it; becomes that before it, by way of z h alone.
        d_gates: becomes the gradient of the products, float32[4 × width].
    """
    n = before.size
    g, z, r, u = gates[:n], gates[n : 2 * n], gates[2 * n : 3 * n], gates[3 * n :]
    d_g, d_z = d_gates[:n], d_gates[n : 2 * n]
    d_r, d_u = d_gates[2 * n : 3 * n], d_gates[3 * n :]
    for j in range(n):
        d_g[j] = d_hidden[j] * (_ONE - z[j]) * (_ONE - g[j] * g[j])
    for j in range(n):
        d_z[j] = d_hidden[j] * (before[j] - g[j]) * z[j] * (_ONE - z[j])
    for j in range(n):
        d_r[j] = d_g[j] * u[j] * r[j] * (_ONE - r[j])
    for j in range(n):
        d_u[j] = d_g[j] * r[j]
    for j in range(n):
        d_hidden[j] *= z[j]

"""Weights of Keras' LSTM and GRU as panels of the fast path, and its gradients as theirs.

Keras' gates stand in the order i, f, g, o and z, r, g; here g comes first (see `cells`). The bias
is one more row of a matrix, whose input is 1. Units are filled up to a multiple of `LANES`: the
weights of the added ones are 0, hence their states and gradients.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from pipelines.layers.fast.compiling import entry
from pipelines.layers.fast.products import LANES, ROWS, round_up
from pipelines.layers.fast.records import Array

_SIGMOID, _TANH = 0.5, 1.0  # what the columns of a gate are multiplied by on the way forward


class Columns(NamedTuple):
    """The columns of a kernel: Keras' gates in our order, how they are scaled, and their units."""

    gates: tuple[int, ...]
    scales: tuple[float, ...]
    units: int

    @property
    def width(self) -> int:
        """Floats of a gate in a row of gates."""
        return round_up(self.units, LANES)

    def one_by_one(self) -> list[Columns]:
        """Return the columns of each gate."""
        pairs = zip(self.gates, self.scales, strict=True)
        return [Columns((gate,), (scale,), self.units) for gate, scale in pairs]


def columns_of(cell: str, units: int) -> tuple[Columns, Columns]:
    """Return the columns of the kernel and of the recurrent kernel of "lstm" or "gru"."""
    if cell == "lstm":
        both = Columns((2, 0, 1, 3), (_TANH, _SIGMOID, _SIGMOID, _SIGMOID), units)
        return both, both
    return (
        Columns((2, 0, 1), (_TANH, _SIGMOID, _SIGMOID), units),
        Columns((0, 1, 2), (_SIGMOID, _SIGMOID, _TANH), units),
    )


def panels_of(matrix: Array, bias: Array | None, columns: Columns) -> Array:
    """Return panels float32[P, K + 1, 16] of a kernel [K, gates × units] and its bias."""
    depth = matrix.shape[0]
    panels = np.zeros((len(columns.gates) * columns.width // LANES, depth + 1, LANES), np.float32)
    bias = np.zeros(matrix.shape[1], np.float32) if bias is None else bias
    _pack(matrix, bias, _numbers(columns), columns.units, panels)
    return panels


def transposed_panels_of(matrix: Array, columns: Columns) -> Array:
    """Return panels float32[P, parts × width, 16] of a transposed kernel, P × 16 at least K."""
    depth = len(columns.gates) * columns.width
    panels = np.zeros((round_up(matrix.shape[0], LANES) // LANES, depth, LANES), np.float32)
    _pack_transposed(matrix, _numbers(columns), columns.units, panels)
    return panels


def sum_shape(rows: int, columns: Columns) -> tuple[int, int]:
    """Return the shape of the sums of a kernel's gradient, its bias included."""
    return round_up(rows + 1, ROWS), len(columns.gates) * columns.width


def unpack(total: Array, rows: int, columns: Columns) -> tuple[Array, Array]:
    """Return the gradients of a kernel [rows, gates × units] and of its bias."""
    count, units = len(columns.gates), columns.units
    parts = total[: rows + 1].reshape(rows + 1, count, -1)[:, :, :units]
    gradient = np.empty((rows + 1, count, units), np.float32)
    gradient[:, list(columns.gates)] = parts
    flat = gradient.reshape(rows + 1, -1)
    return flat[:rows], flat[rows]


def _numbers(columns: Columns) -> tuple[Array, Array]:
    return np.array(columns.gates), np.array(columns.scales, np.float32)


@entry
def _pack(matrix: Array, bias: Array, columns: Any, units: int, panels: Array) -> None:
    gates, scales = columns
    rows, each = matrix.shape[0], panels.shape[0] // gates.size
    for number in range(panels.shape[0]):
        gate, panel = number // each, number % each
        first, count = gates[gate] * units + panel * LANES, min(LANES, units - panel * LANES)
        into, scale = panels[number], scales[gate]
        for row in range(rows):
            for j in range(count):
                into[row, j] = matrix[row, first + j] * scale
        for j in range(count):
            into[rows, j] = bias[first + j] * scale


@entry
def _pack_transposed(matrix: Array, columns: Any, units: int, panels: Array) -> None:
    gates, _ = columns
    width = panels.shape[1] // gates.size
    for panel in range(panels.shape[0]):
        into, low = panels[panel], panel * LANES
        count = min(LANES, matrix.shape[0] - low)
        for gate in range(gates.size):
            first, start = gates[gate] * units, gate * width
            for j in range(units):
                for lane in range(count):
                    into[start + j, lane] = matrix[low + lane, first + j]

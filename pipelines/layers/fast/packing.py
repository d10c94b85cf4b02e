"""Weights of Keras' LSTM and GRU as panels of the fast path, and its gradients as theirs.

Keras' gates stand in the order i, f, g, o and z, r, g; here g comes first (see `cells`). The bias
is one more row of a matrix, whose input is 1. Units are filled up to a multiple of `LANES`: the
weights of the added ones are 0, hence their states and gradients.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipelines.layers.fast.cells import entry
from pipelines.layers.fast.products import LANES, ROWS, round_up

Array = np.ndarray
_SIGMOID, _TANH = 0.5, 1.0  # what the columns of a gate are multiplied by on the way forward


@dataclass(frozen=True)
class Columns:
    """Which of Keras' gates the parts of a row of gates are that a matrix makes, and their scales."""

    gates: tuple[int, ...]
    scales: tuple[float, ...]


@dataclass(frozen=True)
class Cell:
    """How a kind of cell is packed: the columns of the kernel, and of the recurrent kernel."""

    kernel: Columns
    recurrent: Columns

    @property
    def gates(self) -> int:
        """How many gates the kernels of Keras have."""
        return len(self.kernel.gates)


_LSTM = Columns((2, 0, 1, 3), (_TANH, _SIGMOID, _SIGMOID, _SIGMOID))
CELLS = {
    "lstm": Cell(_LSTM, _LSTM),
    "gru": Cell(
        Columns((2, 0, 1), (_TANH, _SIGMOID, _SIGMOID)),
        Columns((0, 1, 2), (_SIGMOID, _SIGMOID, _TANH)),
    ),
}


def panels_of(matrix: Array, bias: Array | None, columns: Columns, units: int) -> Array:
    """Return panels float32[P, K + 1, 16] of a kernel [K, gates × units] and its bias."""
    parts, scales = np.array(columns.gates), np.array(columns.scales, np.float32)
    bias = np.zeros(matrix.shape[1], np.float32) if bias is None else bias
    width = round_up(units, LANES)
    panels = np.zeros((len(parts) * width // LANES, matrix.shape[0] + 1, LANES), np.float32)
    _pack(matrix, bias, parts, scales, units, panels)
    return panels


def transposed_panels_of(matrix: Array, columns: Columns, units: int) -> Array:
    """Return panels float32[P, parts × width, 16] of a transposed kernel, P × 16 at least K."""
    parts, width = np.array(columns.gates), round_up(units, LANES)
    shape = (round_up(matrix.shape[0], LANES) // LANES, len(parts) * width, LANES)
    panels = np.zeros(shape, np.float32)
    _pack_transposed(matrix, parts, units, width, panels)
    return panels


def sum_shape(rows: int, columns: Columns, units: int) -> tuple[int, int]:
    """Return the shape of the sums of a kernel's gradient, its bias included."""
    return round_up(rows + 1, ROWS), len(columns.gates) * round_up(units, LANES)


def unpack(total: Array, rows: int, columns: Columns, units: int) -> tuple[Array, Array]:
    """Return the gradients of a kernel [rows, gates × units] and of its bias."""
    parts = total[: rows + 1].reshape(rows + 1, len(columns.gates), -1)[:, :, :units]
    gradient = np.empty((rows + 1, len(columns.gates), units), np.float32)
    gradient[:, list(columns.gates)] = parts
    flat = gradient.reshape(rows + 1, -1)
    return flat[:rows], flat[rows]


@entry  # type: ignore[untyped-decorator]
def _pack(matrix, bias, parts, scales, units, panels):  # type: ignore[no-untyped-def]
    rows, width = matrix.shape[0], panels.shape[0] * LANES // parts.size
    for part in range(parts.size):
        scale, first = scales[part], parts[part] * units
        for panel in range(width // LANES):
            into = panels[part * width // LANES + panel]
            low = first + panel * LANES
            count = min(LANES, units - panel * LANES)
            for row in range(rows):
                for j in range(count):
                    into[row, j] = matrix[row, low + j] * scale
            for j in range(count):
                into[rows, j] = bias[low + j] * scale


@entry  # type: ignore[untyped-decorator]
def _pack_transposed(matrix, parts, units, width, panels):  # type: ignore[no-untyped-def]
    for row in range(matrix.shape[0]):
        into, lane = panels[row // LANES], row % LANES
        for part in range(parts.size):
            source = matrix[row, parts[part] * units : (parts[part] + 1) * units]
            for j in range(units):
                into[part * width + j, lane] = source[j]

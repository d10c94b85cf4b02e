"""How the gates of recurrent layers stand, on a few rows: how many values are saturated."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import keras
import numpy as np

from pipelines.batching import Batches
from pipelines.gradients.gates import gate_values, saturated_shares
from pipelines.gradients.naming import readable_names
from pipelines.layers.cells.norm_preserving import NormPreservingRNN

ROWS = 32
COST = 0.02  # most seconds of looking, as a share of those of training
KINDS = {
    keras.layers.LSTM: "lstm",
    keras.layers.GRU: "gru",
    keras.layers.SimpleRNN: "simple",
    NormPreservingRNN: "simple",
}


class SaturationProbe:
    """Looks at gates after an epoch, unless that would take too long beside the training."""

    def __init__(self) -> None:
        self._cost = self._trained = 0.0

    def look(self, model: keras.Model, valid: Batches, seconds: float) -> dict[str, Any]:
        """Return the shares of saturated values by layer; empty if it is too soon to look again.

        Args:
            model: what is trained.
            valid: validation batches; the first rows of the first are read.
            seconds: that training took since the last call.
        """
        self._trained += seconds
        if self._trained * COST < self._cost:
            return {}
        started = time.perf_counter()
        found = saturation(model, _few_rows(model, valid))
        self._cost, self._trained = time.perf_counter() - started, 0.0
        return found


def saturation(model: keras.Model, inputs: Any) -> dict[str, dict[str, float]]:
    """Return, of every LSTM, GRU and simple recurrent layer, shares of saturated values by gate.

    The layers are called as in validation, and their gates computed anew from their inputs. Layers
    of other kinds, and those whose gates are not the usual ones, are left out.
    """
    order = {id(variable): place for place, variable in enumerate(model.variables)}
    layers = [layer for layer in model._flatten_layers() if _usual(layer)]
    layers.sort(key=lambda layer: order.get(id(layer.cell.kernel), len(order)))
    names = readable_names([layer.path for layer in layers])
    with _weights_kept(model), ExitStack() as recorders:
        seen = [recorders.enter_context(_recorded(layer)) for layer in layers]
        if layers:
            model(inputs, training=False)
    found = {}
    for name, layer, calls in zip(names, layers, seen, strict=True):
        if calls:  # a layer that is called step by step is seen in its first call
            gates = gate_values(KINDS[type(layer)], _weights(layer), **calls[0])
            found[name] = saturated_shares(gates.values, gates.real)
    return found


def _usual(layer: Any) -> bool:
    if type(layer) not in KINDS or not layer.built:
        return False
    cell = layer.cell
    gates = getattr(cell, "recurrent_activation", keras.activations.sigmoid)
    tanh = cell.activation is keras.activations.tanh
    return tanh and gates is keras.activations.sigmoid and getattr(cell, "reset_after", True)


def _weights(layer: Any) -> list[np.ndarray]:
    cell = layer.cell
    kernel, recurrent = (
        np.asarray(_numpy(one), np.float32) for one in (cell.kernel, cell.recurrent_kernel)
    )
    bias = np.zeros(recurrent.shape[1]) if cell.bias is None else _numpy(cell.bias)
    return [kernel, recurrent, bias.astype(np.float32)]


@contextmanager
def _recorded(layer: Any) -> Iterator[list[dict[str, Any]]]:
    """Keep what a layer is called with while the block runs."""
    calls: list[dict[str, Any]] = []
    original = layer.call

    def call(sequences: Any, *args: Any, **kwargs: Any) -> Any:
        state = kwargs.get("initial_state", args[0] if args else None)
        mask = kwargs.get("mask")
        if not calls and not keras.backend.is_keras_tensor(sequences):
            calls.append(
                {
                    "inputs": _numpy(sequences),
                    "mask": None if mask is None else _numpy(mask).astype(bool),
                    "state": [_numpy(one) for one in keras.tree.flatten(state)]
                    if state is not None
                    else [],
                    "backwards": layer.go_backwards,
                }
            )
        return original(sequences, *args, **kwargs)

    object.__setattr__(layer, "call", call)
    try:
        yield calls
    finally:
        object.__delattr__(layer, "call")


def _numpy(value: Any) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(value))


@contextmanager
def _weights_kept(model: keras.Model) -> Iterator[None]:
    """Put back what a call changes, such as a state that is carried from batch to batch."""
    variables = model.non_trainable_variables
    # By way of NumPy: a tensor of a variable may be the variable itself.
    before = [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]
    try:
        yield
    finally:
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value)


def _few_rows(model: keras.Model, valid: Batches) -> Any:
    inputs, _, _ = valid.epoch(0)[0]
    fixed = any(tensor.shape and tensor.shape[0] is not None for tensor in model.inputs)
    return inputs if fixed else {name: value[:ROWS] for name, value in inputs.items()}

"""Recurrent layers that train faster than `keras.layers.LSTM` and `GRU`, from their own weights.

The same numbers in another order of work, explained in docs/fast-recurrent.md: inputs are projected
and weight gradients formed in large products, and the steps run in blocks that XLA compiled once
(`recurrent_loops`, `recurrent_blocks`). Forward and backward reading, any mask, any batch size and
any length share two compiled functions. It is for training on a processor under TensorFlow;
`applicable` says whether that is so. An exported graph must use the Keras layer itself: the
functions here put XLA calls into a graph.

TensorFlow is imported when a function is called, so that other backends never load it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras


class Applicable(NamedTuple):
    """Whether the fast path may run, and why not."""

    holds: bool
    reason: str = ""


def applicable(layer: Any, inputs: Any, training: Any) -> Applicable:
    """Say whether `call_layer` may stand in for a layer in this call; the reason if not.

    Args:
        layer: a Keras layer.
        inputs: what it is called on, [B, T, D].
        training: as the layer's `call` gets it; only True will do, so that no inference graph, and
            hence no export, ever holds XLA calls.
    """
    both = isinstance(layer, keras.layers.Bidirectional)
    parts = (layer.forward_layer, layer.backward_layer) if both else (layer,)
    reason = _objection_to_call(inputs, training)
    if both and layer.merge_mode != "concat":
        reason = reason or f"merge_mode is {layer.merge_mode!r}, not 'concat'"
    for part in parts:
        reason = reason or _objection_to_layer(part)
    return Applicable(not reason, reason)


def _objection_to_call(inputs: Any, training: Any) -> str:
    """Return what forbids the fast path whatever the layer, or ""."""
    if training is not True:
        return "not training: inference and exports use the Keras layer"
    if keras.backend.backend() != "tensorflow":
        return f"the backend is {keras.backend.backend()}, not tensorflow"
    import tensorflow as tf

    if not tf.is_tensor(inputs) or not tf.inside_function():
        return "not inside a TensorFlow graph: run step by step, the loops are slow"
    if tf.config.list_physical_devices("GPU"):
        return "a GPU is visible: Keras has cuDNN for it"
    if inputs.dtype != tf.float32 or inputs.shape.rank != 3 or inputs.shape[-1] is None:
        return "inputs are not float32[B, T, D] with a fixed D"
    return ""


def _objection_to_layer(layer: Any) -> str:
    """Return what a single layer has that the blocks lack, or ""."""
    if type(layer) not in {keras.layers.LSTM, keras.layers.GRU}:
        return f"the layer is a {type(layer).__name__}, not an LSTM or GRU"
    cell = layer.cell
    wanted = {
        "built": (layer.built, True),
        "compute_dtype": (layer.compute_dtype, "float32"),
        "activation": (cell.activation, keras.activations.tanh),
        "recurrent_activation": (cell.recurrent_activation, keras.activations.sigmoid),
        "dropout": (cell.dropout, 0.0),
        "recurrent_dropout": (cell.recurrent_dropout, 0.0),
        "reset_after": (getattr(cell, "reset_after", True), True),
        "return_sequences": (layer.return_sequences, True),
        "return_state": (layer.return_state, False),
        "stateful": (layer.stateful, False),
        "unroll": (layer.unroll, False),
    }
    for name, (value, needed) in wanted.items():
        if value != needed:
            got, expected = (getattr(v, "__name__", v) for v in (value, needed))
            return f"{name} is {got}, not {expected}"
    return ""


def call_layer(layer: Any, inputs: Any, mask: Any = None, *, lanes: int | None = None) -> Any:
    """Return what a Keras LSTM or GRU, or a Bidirectional of them, gives with `training=True`.

    Args:
        layer: one for which `applicable` holds.
        inputs: float32[B, T, D].
        mask: bool[B, T], False where a step is skipped; None is all True.
        lanes: rows of tiles worked on at the same time; None is the number of processors.

    Returns:
        float32[B, T, units], or [B, T, 2 × units] of a Bidirectional.
    """
    import tensorflow as tf

    from pipelines.layers.recurrent_loops import run_layer

    both = isinstance(layer, keras.layers.Bidirectional)
    outputs = []
    for part in (layer.forward_layer, layer.backward_layer) if both else (layer,):
        weights = (part.cell.kernel, part.cell.recurrent_kernel, part.cell.bias)
        states, _ = run_layer(
            "lstm" if isinstance(part, keras.layers.LSTM) else "gru",
            inputs,
            tuple(_value(weight) for weight in weights),
            mask,
            go_backwards=part.go_backwards,
            zero_masked=part.zero_output_for_mask,
            in_time=both,
            return_state=False,
            lanes=max(1, _lanes(lanes) // (2 if both else 1)),
        )
        outputs.append(states)
    return tf.concat(outputs, axis=-1) if both else outputs[0]


def run_from(layer: Any, inputs: Any, state: Sequence[Any]) -> tuple[Any, list[Any]]:
    """Return what a Keras LSTM or GRU gives with `training=True`, read on from a state.

    Args:
        layer: one for which `applicable` holds, and no Bidirectional.
        inputs: float32[B, T, D].
        state: (h, c) of an LSTM, (h,) of a GRU, each float32[B, units].

    Returns:
        float32[B, T, units] and the final state.
    """
    run = fast_lstm if isinstance(layer, keras.layers.LSTM) else fast_gru
    cell = layer.cell
    weights = (cell.kernel, cell.recurrent_kernel, cell.bias)
    values = [_value(weight) for weight in weights]
    outputs, final = run(inputs, *values, initial_state=tuple(state))
    return outputs, list(final)


def fast_lstm(
    inputs: Any,
    kernel: Any,
    recurrent_kernel: Any,
    bias: Any,
    mask: Any = None,
    *,
    initial_state: Any = None,
    go_backwards: bool = False,
    lanes: int | None = None,
) -> tuple[Any, tuple[Any, ...]]:
    """Run an LSTM, with the weights and the meaning of `keras.layers.LSTM`.

    Args:
        inputs: float32[B, T, D], B and T at least 1.
        kernel: float32[D, 4 × units].
        recurrent_kernel: float32[units, 4 × units].
        bias: float32[4 × units], or None.
        mask: bool[B, T]; outputs and state repeat at False steps. None is all True.
        initial_state: (h, c), each float32[B, units]; None is 0.
        go_backwards: read from the last step to the first; outputs are in the order of reading.
        lanes: rows of tiles worked on at the same time; None is the number of processors.

    Returns:
        outputs float32[B, T, units] and the final (h, c).
    """
    from pipelines.layers.recurrent_loops import run_layer

    weights = (kernel, recurrent_kernel, bias)
    return run_layer(
        "lstm",
        inputs,
        weights,
        mask,
        initial_state=initial_state,
        go_backwards=go_backwards,
        lanes=_lanes(lanes),
    )


def fast_gru(
    inputs: Any,
    kernel: Any,
    recurrent_kernel: Any,
    bias: Any,
    mask: Any = None,
    *,
    initial_state: Any = None,
    go_backwards: bool = False,
    lanes: int | None = None,
) -> tuple[Any, tuple[Any, ...]]:
    """Run a GRU, with the weights and the meaning of `keras.layers.GRU(reset_after=True)`.

    Args:
        inputs: float32[B, T, D], B and T at least 1.
        kernel: float32[D, 3 × units].
        recurrent_kernel: float32[units, 3 × units].
        bias: float32[2, 3 × units], or None.
        mask: as for `fast_lstm`.
        initial_state: (h,), float32[B, units]; None is 0.
        go_backwards: as for `fast_lstm`.
        lanes: as for `fast_lstm`.

    Returns:
        outputs float32[B, T, units] and the final (h,).
    """
    from pipelines.layers.recurrent_loops import run_layer

    weights = (kernel, recurrent_kernel, bias)
    return run_layer(
        "gru",
        inputs,
        weights,
        mask,
        initial_state=initial_state,
        go_backwards=go_backwards,
        lanes=_lanes(lanes),
    )


def _lanes(lanes: int | None) -> int:
    return lanes or max(1, min(8, os.cpu_count() or 1))


def _value(weight: Any) -> Any:
    """Return what a variable holds; a weight that stands in for one is a tensor already."""
    return weight.value if isinstance(weight, keras.Variable) else weight

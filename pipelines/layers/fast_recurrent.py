"""Recurrent layers that train faster than `keras.layers.LSTM` and `GRU`, from their own weights.

The same numbers in another order of work, explained in docs/fast-recurrent.md and computed by
`pipelines.layers.fast` outside the graph. It is for training on a processor under TensorFlow;
`applicable` says whether that is so. Inference, hence every export, uses the Keras layer itself.

TensorFlow and Numba are imported when a function is called, so that other backends never load them.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras


class Applicable(NamedTuple):
    """Whether the fast path may run, and why not."""

    holds: bool
    reason: str = ""


def applicable(layer: Any, inputs: Any, training: Any) -> Applicable:
    """Say whether `run_fast` may stand in for a layer in this call; the reason if not.

    Args:
        layer: a Keras layer.
        inputs: what it is called on, [B, T, D].
        training: as the layer's `call` gets it; only True will do, so that no inference graph, and
            hence no export, ever leaves TensorFlow's own operations.
    """
    both = isinstance(layer, keras.layers.Bidirectional)
    parts = (layer.forward_layer, layer.backward_layer) if both else (layer,)
    reason = _objection_to_call(inputs, training)
    if both and layer.merge_mode != "concat":
        reason = reason or f"merge_mode is {layer.merge_mode!r}, not 'concat'"
    for part in parts:
        reason = reason or objection_to_layer(part)
    return Applicable(not reason, reason)


def _objection_to_call(inputs: Any, training: Any) -> str:
    """Return what forbids the fast path whatever the layer, or ""."""
    if training is not True:
        return "not training: inference and exports use the Keras layer"
    reason = objection_to_machine()
    if reason:
        return reason
    import tensorflow as tf

    if not tf.is_tensor(inputs):
        return "inputs are symbolic: nothing is computed yet"
    if inputs.dtype != tf.float32 or inputs.shape.rank != 3 or inputs.shape[-1] is None:
        return "inputs are not float32[B, T, D] with a fixed D"
    return ""


def objection_to_machine() -> str:
    """Return why no layer could take the fast path here, or ""."""
    if keras.backend.backend() != "tensorflow":
        return f"the backend is {keras.backend.backend()}, not tensorflow"
    if importlib.util.find_spec("numba") is None:
        return "numba is not installed (requirements.txt)"
    import tensorflow as tf

    if tf.config.list_physical_devices("GPU"):
        return "a GPU is visible: Keras has cuDNN for it"
    return ""


def objection_to_layer(layer: Any) -> str:
    """Return what a single layer, not a Bidirectional, has that the fast path lacks, or ""."""
    if type(layer) not in {keras.layers.LSTM, keras.layers.GRU}:
        return f"the layer is a {type(layer).__name__}, not an LSTM or GRU"
    cell = layer.cell
    wanted = {
        "built": (layer.built, True),
        "compute_dtype": (layer.compute_dtype, "float32"),
        "activation": (cell.activation, keras.activations.tanh),
        "recurrent_activation": (cell.recurrent_activation, keras.activations.sigmoid),
        "dropout": (cell.dropout, 0.0),
        "reset_after": (getattr(cell, "reset_after", True), True),
        "return_sequences": (layer.return_sequences, True),
        "stateful": (layer.stateful, False),
        "unroll": (layer.unroll, False),
    }
    for name, (value, needed) in wanted.items():
        if value != needed:
            got, expected = (getattr(v, "__name__", v) for v in (value, needed))
            return f"{name} is {got}, not {expected}"
    return ""


def run_fast(
    layer: Any, inputs: Any, mask: Any = None, initial_state: Sequence[Any] | None = None
) -> tuple[Any, list[Any]]:
    """Return what a Keras LSTM or GRU, or a Bidirectional of them, gives with `training=True`.

    Args:
        layer: one for which `applicable` holds.
        inputs: float32[B, T, D].
        mask: bool[B, T], False where a step is skipped; None is all True.
        initial_state: (h, c) of an LSTM, (h,) of a GRU, each float32[B, units], of a Bidirectional
            those of the forward and then of the backward layer; None is 0.

    Returns:
        float32[B, T, units], or [B, T, 2 × units] of a Bidirectional, and the final state.
    """
    import tensorflow as tf

    both = isinstance(layer, keras.layers.Bidirectional)
    parts = (layer.forward_layer, layer.backward_layer) if both else (layer,)
    share = len(initial_state or ()) // len(parts)
    outputs, final = [], []
    for number, part in enumerate(parts):
        state = initial_state[number * share : (number + 1) * share] if initial_state else None
        states, after = _run_one(part, inputs, mask, state, in_time=both)
        outputs.append(states)
        final += after
    return (tf.concat(outputs, axis=-1) if both else outputs[0]), final


def _run_one(
    layer: Any, inputs: Any, mask: Any, state: Any, *, in_time: bool
) -> tuple[Any, list[Any]]:
    """Run a layer that is no Bidirectional; as `run_fast`."""
    import tensorflow as tf

    from pipelines.layers.fast.layer import Layer

    cell = layer.cell
    kind = "lstm" if isinstance(layer, keras.layers.LSTM) else "gru"
    reading = Layer(kind, layer.go_backwards, in_time, bool(layer.zero_output_for_mask), _lanes())
    zeros = tf.zeros([tf.shape(inputs)[0], layer.units])
    state = tuple(state or [zeros] * (2 if kind == "lstm" else 1))
    weights = tuple(_value(w) for w in (cell.kernel, cell.recurrent_kernel, cell.bias))
    outputs, *final = recurrence(
        reading, inputs, mask, (*state, zeros)[:2], _dropout_masks(cell, zeros), weights
    )
    return outputs, final[: len(state)]


def recurrence(
    reading: Any, inputs: Any, mask: Any, state: Any, masks: Any, weights: Any
) -> tuple[Any, Any, Any]:
    """Run a layer in one direction as an operation with a gradient of its own.

    Args:
        reading: a `pipelines.layers.fast.layer.Layer`.
        inputs: float32[B, T, D].
        mask: bool[B, T], or None.
        state: h and c, float32[B, units]; a GRU has no use for the second.
        masks: of recurrent dropout, float32[gates, B, units], or float32[1, 1, units] of 1.
        weights: kernel, recurrent kernel, and bias or None.

    Returns:
        outputs float32[B, T, units], and h and c after them.
    """
    import tensorflow as tf

    from pipelines.layers.fast.layer import Kept, backward, forward

    mask = tf.ones(tf.shape(inputs)[:2], tf.bool) if mask is None else tf.cast(mask, tf.bool)
    biased = weights[2] is not None
    weights = tuple(tf.convert_to_tensor(weight) for weight in weights[: 2 + biased])
    floats, integers = [tf.float32], [tf.int32]
    units = state[0].shape[-1]

    def run(inputs: Any, h: Any, c: Any, *weights: Any) -> Any:
        def ahead(inputs: Any, mask: Any, h: Any, c: Any, masks: Any, *weights: Any) -> Any:
            outputs, final, kept = forward(reading, inputs, mask, (h, c), masks, _three(weights))
            return outputs, *final, *kept

        given = (inputs, mask, h, c, masks, *weights)
        found = tf.numpy_function(ahead, given, floats * 7 + integers * 2, stateful=False)
        outputs, *kept = found[0], *found[3:]

        def gradient(upstream: Any, d_h: Any, d_c: Any) -> Any:
            def back(upstream: Any, d_h: Any, d_c: Any, masks: Any, *rest: Any) -> Any:
                own, kept = rest[: 2 + biased], Kept(*rest[2 + biased :])
                later = (d_h, d_c)
                d_inputs, d_state, d_weights = backward(
                    reading, upstream, later, masks, _three(own), kept
                )
                return d_inputs, *d_state, *d_weights[: 2 + biased]

            given = (upstream, d_h, d_c, masks, *weights, *kept)
            found = tf.numpy_function(back, given, floats * (5 + biased), stateful=False)
            for value, like in zip(found, (inputs, h, c, *weights), strict=True):
                value.set_shape(like.shape)
            return found

        outputs.set_shape([*inputs.shape[:2], units])
        for value in found[1:3]:
            value.set_shape([inputs.shape[0], units])
        return tuple(found[:3]), gradient

    result: tuple[Any, Any, Any] = tf.custom_gradient(run)(inputs, *state, *weights)
    return result


def _three(weights: Sequence[Any]) -> tuple[Any, Any, Any]:
    return (*weights, None)[:3]


def _dropout_masks(cell: Any, like: Any) -> Any:
    """Return the cell's masks for its gates, float32[gates, B, units], or 1 for all."""
    import tensorflow as tf

    if not cell.recurrent_dropout:
        return tf.ones([1, 1, cell.units])
    masks = tf.stack(cell.get_recurrent_dropout_mask(like))
    cell.reset_recurrent_dropout_mask()
    return masks


def _lanes() -> int:
    """Return how many rows of work TensorFlow was told to have at a time; 0 if it was not."""
    import tensorflow as tf

    told = tf.config.threading.get_intra_op_parallelism_threads()
    return int(told or os.environ.get("TF_NUM_INTRAOP_THREADS") or 0)


def _value(weight: Any) -> Any:
    """Return what a variable holds; a weight that stands in for one is a tensor already."""
    return weight.value if isinstance(weight, keras.Variable) else weight

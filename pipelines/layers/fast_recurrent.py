"""Recurrent layers that train faster than `keras.layers.LSTM` and `GRU`, from their own weights.

The same numbers in another order of work, explained in docs/fast-recurrent.md and computed by
`pipelines.layers.fast` outside the graph. It is for training on a processor under TensorFlow;
`applicable` says whether that is so. Inference, hence every export, has `inference_recurrence`.

TensorFlow and Numba are imported when a function is called, so that other backends never load them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import keras

from pipelines.layers.fast.ready import has_numba

CUDNN = "cuDNN"  # in the place of a reason: what Keras trains a layer by


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
        reason = reason or _on_gpu(part) or _objection_to_layer(part)
    return Applicable(not reason, reason)


def _objection_to_call(inputs: Any, training: Any) -> str:
    """Return what forbids the fast path whatever the layer, or ""."""
    if training is not True:
        return "not training: inference and exports keep to TensorFlow's operations"
    reason = _objection_to_machine()
    if reason:
        return reason
    import tensorflow as tf

    if not tf.is_tensor(inputs):
        return "inputs are symbolic: nothing is computed yet"
    if inputs.dtype != tf.float32 or inputs.shape.rank != 3 or inputs.shape[-1] is None:
        return "inputs are not float32[B, T, D] with a fixed D"
    return ""


def _objection_to_machine() -> str:
    """Return why no layer could take the fast path here, or ""."""
    if keras.backend.backend() != "tensorflow":
        return f"the backend is {keras.backend.backend()}, not tensorflow"
    if not has_numba():
        return "numba is not installed (requirements.txt)"
    return ""


def _on_gpu(layer: Any) -> str:
    """Return what Keras does with a layer where there is a GPU, or "" where there is none.

    The conditions are those of `keras.layers.LSTM` and `GRU` for cuDNN's kernels.
    """
    import tensorflow as tf

    if not tf.config.list_physical_devices("GPU"):
        return ""
    lacking = _objection_to_layer(layer, also={"recurrent_dropout": 0.0, "use_bias": True})
    if not lacking and layer.use_cudnn is False:
        lacking = "use_cudnn is False"
    return f"cuDNN, which there is a GPU for, cannot run it: {lacking}" if lacking else CUDNN


def _objection_to_layer(layer: Any, also: Mapping[str, Any] | None = None) -> str:
    """Return what a single layer, not a Bidirectional, has that the fast path lacks, or "".

    `also` names further attributes of its cell, and what they must be.
    """
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
    } | {name: (getattr(cell, name), needed) for name, needed in (also or {}).items()}
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

    from pipelines.layers.fast.dealing import Reading

    cell = layer.cell
    kind = "lstm" if isinstance(layer, keras.layers.LSTM) else "gru"
    reading = Reading(
        kind,
        layer.go_backwards,
        in_time,
        bool(layer.zero_output_for_mask),
        _lanes(2 if in_time else 1),
    )
    zeros = tf.zeros([tf.shape(inputs)[0], layer.units])
    state = tuple(state or [zeros] * (2 if kind == "lstm" else 1))
    weights = [_value(w) for w in (cell.kernel, cell.recurrent_kernel, cell.bias) if w is not None]
    mask = tf.ones(tf.shape(inputs)[:2], tf.bool) if mask is None else tf.cast(mask, tf.bool)
    dropout = _dropout_masks(cell, zeros)
    outputs, *final = _recurrence(reading, mask, dropout)(inputs, *(*state, zeros)[:2], *weights)
    return outputs, final[: len(state)]


def _recurrence(reading: Any, mask: Any, dropout: Any) -> Any:
    """Return a function, with a gradient of its own, that runs a layer in one direction.

    Args:
        reading: see `pipelines.layers.fast.layer`.
        mask: bool[B, T].
        dropout: masks of h, as for `pipelines.layers.fast.layer.Given`.

    Returns:
        a function of inputs [B, T, D], h, c [B, units], kernel, recurrent kernel, and bias if there
        is one, that gives outputs [B, T, units] and the final h and c.
    """
    import tensorflow as tf

    from pipelines.layers.fast.layer import Given, Kept, backward, forward

    def ahead(inputs: Any, mask: Any, h: Any, c: Any, dropout: Any, *weights: Any) -> Any:
        given = Given(dropout, _three(weights))
        outputs, final, kept = forward(reading, inputs, mask, (h, c), given)
        return outputs, *final, *kept

    def back(upstream: Any, d_h: Any, d_c: Any, dropout: Any, *rest: Any) -> Any:
        weights, kept = rest[: -len(Kept._fields)], Kept(*rest[-len(Kept._fields) :])
        given = Given(dropout, _three(weights))
        d_inputs, d_state, d_weights = backward(reading, upstream, (d_h, d_c), given, kept)
        return d_inputs, *d_state, *d_weights[: len(weights)]

    def run(inputs: Any, h: Any, c: Any, *weights: Any) -> Any:
        types = [tf.float32] * 7 + [tf.int32] * 2
        given = (inputs, mask, h, c, dropout, *weights)
        outputs, h_after, c_after, *kept = tf.numpy_function(ahead, given, types, stateful=False)

        def gradient(*upstream: Any) -> Any:
            sources = (inputs, h, c, *weights)
            given = (*upstream, dropout, *weights, *kept)
            types = [tf.float32] * len(sources)
            found = tf.numpy_function(back, given, types, stateful=False)
            for value, source in zip(found, sources, strict=True):
                value.set_shape(source.shape)
            return found

        outputs.set_shape([*inputs.shape[:2], h.shape[-1]])
        for value in (h_after, c_after):
            value.set_shape([inputs.shape[0], h.shape[-1]])
        return (outputs, h_after, c_after), gradient

    return tf.custom_gradient(run)


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


def _lanes(directions: int) -> int:
    """Return how many lanes a direction has: TensorFlow runs both directions at the same time."""
    import tensorflow as tf

    from pipelines.layers.fast.dealing import processors

    told = tf.config.threading.get_intra_op_parallelism_threads()
    told = told or int(os.environ.get("TF_NUM_INTRAOP_THREADS") or 0) or processors()
    return max(1, told // directions)


def _value(weight: Any) -> Any:
    """Return what a variable holds; a weight that stands in for one is a tensor already."""
    return weight.value if isinstance(weight, keras.Variable) else weight

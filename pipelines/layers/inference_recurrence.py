"""LSTM and GRU layers read for inference, from the weights of the Keras layer.

Keras runs some twenty small operations a step: for one request, starting them takes longer than
computing them. Here the inputs of all steps are projected in one product, and padding costs
nothing: rows end with it, so it is left out of the loop instead of being masked at every step. An
LSTM of few rows needs no loop in the graph at all: `BlockLSTMV2`, a core operation with kernels for
processors and GPUs, runs all steps. Outputs are those of the layer, up to rounding.

Training has `fast_recurrent`. A layer that is given a state can be differentiated all the same, for
models that learn from what they read; that operation cannot: its gradients are not the layer's, so
asking for them is an error. TensorFlow is imported when a function is called, so that other
backends never load it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras

from pipelines.layers.recurrent_state import joined, parts_of

FEW_ROWS = 4  # up to which one operation for all steps beats a loop of products over more rows

States = tuple[Any, list[Any]]


def suits(layer: Any, inputs: Any, training: Any) -> bool:
    """Tell whether `run` may stand in for a layer in this call.

    Args:
        layer: a Keras layer.
        inputs: what it is called on, [B, T, D].
        training: as the layer's `call` gets it.
    """
    if training or keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    both = isinstance(layer, keras.layers.Bidirectional)
    if both and layer.merge_mode != "concat":
        return False
    if not tf.is_tensor(inputs) or not tf.inside_function() or inputs.dtype != tf.float32:
        return False
    return all(_plain(part) for part in parts_of(layer)) and _no_kernel(layer)


def _plain(layer: Any) -> bool:
    """Tell whether a layer is an LSTM or GRU as Keras makes it."""
    if type(layer) not in (keras.layers.LSTM, keras.layers.GRU) or layer.stateful:
        return False
    functions = (layer.activation, layer.recurrent_activation)
    usual = functions == (keras.activations.tanh, keras.activations.sigmoid)
    usual = usual and layer.return_sequences and not layer.unroll
    return usual and (isinstance(layer, keras.layers.LSTM) or layer.reset_after)


def _no_kernel(layer: Any) -> bool:
    """Tell whether Keras could not take cuDNN for a layer: that is faster still."""
    import tensorflow as tf

    refused = all(part.use_cudnn is False for part in parts_of(layer))
    return refused or not tf.config.list_physical_devices("GPU")


def run(layer: Any, inputs: Any, mask: Any = None, initial_state: Any = None) -> States:
    """Run a layer that `suits`.

    Args:
        layer: a built LSTM, GRU, or Bidirectional of one.
        inputs: float32[B, T, D].
        mask: bool[B, T], True on real steps, which stand first; None is all True.
        initial_state: float32[B, units] each: of the forward and then of the backward layer, h of
            a GRU and h, c of an LSTM; None is 0.

    Raises:
        LookupError: from a tape, if it is asked for gradients of an LSTM without initial state.

    Returns:
        states float32[B, T, H] in the order of time, any value at padding, and the state after the
        last step that was read, in the form of `initial_state`.
    """
    import tensorflow as tf

    lengths = None if mask is None else tf.reduce_sum(tf.cast(mask, tf.int32), axis=1)
    parts = parts_of(layer)
    size = len(initial_state or ()) // len(parts)
    found, final = [], []
    for number, part in enumerate(parts):
        given = initial_state[number * size : (number + 1) * size] if size else None
        states, after = _run_one(part, inputs, lengths, given)
        found.append(states)
        final += after
    return joined(found), final


def _run_one(layer: Any, inputs: Any, lengths: Any, state: Any) -> States:
    """Run a layer of one direction; as `run`."""
    import tensorflow as tf

    rows = tf.shape(inputs)[0]
    cell = layer.cell
    read = _lstm if isinstance(layer, keras.layers.LSTM) else _gru
    inputs = tf.transpose(_turned(inputs, lengths) if layer.go_backwards else inputs, [1, 0, 2])
    if state is None:
        zeros = [tf.zeros([rows, layer.units])] * (2 if read is _lstm else 1)
        sequences = read(cell, inputs, zeros)
    else:
        sequences = (_lstm_loop if read is _lstm else _gru)(cell, inputs, list(state))
    final = [_last(sequence, lengths) for sequence in sequences]
    states = tf.transpose(sequences[0], [1, 0, 2])
    return (_turned(states, lengths) if layer.go_backwards else states), final


def _turned(values: Any, lengths: Any) -> Any:
    """Reverse the real steps of rows [B, T, D]."""
    import tensorflow as tf

    if lengths is None:
        return tf.reverse(values, [1])
    return tf.reverse_sequence(values, lengths, seq_axis=1, batch_axis=0)


def _last(sequence: Any, lengths: Any) -> Any:
    """Return the values [B, units] of the last real step, of [T, B, units]."""
    import tensorflow as tf

    if lengths is None:
        return sequence[-1]
    places = tf.stack([tf.maximum(lengths - 1, 0), tf.range(tf.size(lengths))], axis=1)
    return tf.gather_nd(sequence, places)


def _lstm(cell: Any, inputs: Any, state: list[Any]) -> list[Any]:
    """Return h and c after every step, float32[T, B, units], of inputs [T, B, D]."""
    import tensorflow as tf

    found = tf.cond(
        tf.shape(inputs)[1] <= FEW_ROWS,
        lambda: _lstm_block(cell, inputs, state),
        lambda: _lstm_loop(cell, inputs, state),
    )
    return list(found)


def _lstm_block(cell: Any, inputs: Any, state: Sequence[Any]) -> list[Any]:
    """As `_lstm`, by one operation that has Keras' order of gates and no further bias."""
    import tensorflow as tf

    kernel = tf.concat([_value(cell.kernel), _value(cell.recurrent_kernel)], axis=0)
    no_peephole = tf.zeros([cell.units])
    found = tf.raw_ops.BlockLSTMV2(
        seq_len_max=tf.shape(inputs, out_type=tf.int64)[0],
        x=inputs,
        cs_prev=state[1],
        h_prev=state[0],
        w=kernel,
        wci=no_peephole,
        wcf=no_peephole,
        wco=no_peephole,
        b=_value(cell.bias) if cell.use_bias else tf.zeros([4 * cell.units]),
        cell_clip=-1.0,  # none
    )
    stop = "the one operation for all steps of an LSTM has no gradients: see inference_recurrence"
    return [tf.raw_ops.PreventGradient(input=part, message=stop) for part in (found.h, found.cs)]


def _lstm_loop(cell: Any, inputs: Any, state: Sequence[Any]) -> list[Any]:
    """As `_lstm`, by a loop of products."""
    import tensorflow as tf

    recurrent = _value(cell.recurrent_kernel)
    bias = _value(cell.bias) if cell.use_bias else None

    def step(given: Any, state: Sequence[Any]) -> list[Any]:
        before, memory = state
        i, f, c, o = tf.split(given + tf.matmul(before, recurrent), 4, axis=1)
        memory = tf.sigmoid(f) * memory + tf.sigmoid(i) * tf.tanh(c)
        return [tf.sigmoid(o) * tf.tanh(memory), memory]

    return _loop(_projected(inputs, cell, bias), state, step)


def _gru(cell: Any, inputs: Any, state: list[Any]) -> list[Any]:
    """Return h after every step, float32[T, B, units], of inputs [T, B, D], in a list."""
    import tensorflow as tf

    recurrent, sizes = _value(cell.recurrent_kernel), [2 * cell.units, cell.units]
    bias, own = tf.unstack(_value(cell.bias)) if cell.use_bias else (None, None)

    def step(given: Any, state: Sequence[Any]) -> list[Any]:
        (before,) = state
        product = tf.matmul(before, recurrent)
        product = product if own is None else tf.nn.bias_add(product, own)
        gates, candidate = tf.split(given, sizes, axis=1)
        more, past = tf.split(product, sizes, axis=1)
        update, reset = tf.split(tf.sigmoid(gates + more), 2, axis=1)
        candidate = tf.tanh(candidate + reset * past)
        return [candidate + update * (before - candidate)]

    return _loop(_projected(inputs, cell, bias), state, step)


def _projected(inputs: Any, cell: Any, bias: Any) -> Any:
    """Return what the gates of all steps get of the inputs, float32[T, B, gates × units]."""
    import tensorflow as tf

    found = tf.matmul(tf.reshape(inputs, [-1, inputs.shape[-1]]), _value(cell.kernel))
    found = found if bias is None else tf.nn.bias_add(found, bias)
    return tf.reshape(found, tf.concat([tf.shape(inputs)[:2], tf.shape(found)[1:]], axis=0))


def _loop(
    given: Any, state: Sequence[Any], step: Callable[[Any, Sequence[Any]], list[Any]]
) -> list[Any]:
    """Run `step` on given [T, B, G] from a state; return the state after every step, [T, B, H]."""
    import tensorflow as tf

    steps = tf.shape(given)[0]
    read = tf.TensorArray(tf.float32, steps).unstack(given)
    width = given.shape[-1]
    written = [tf.TensorArray(tf.float32, steps, element_shape=part.shape) for part in state]

    def body(number: Any, state: list[Any], written: list[Any]) -> tuple[Any, ...]:
        at = tf.ensure_shape(read.read(number), [None, width])
        after = step(at, state)
        after = [tf.ensure_shape(new, old.shape) for new, old in zip(after, state, strict=True)]
        kept = [array.write(number, new) for array, new in zip(written, after, strict=True)]
        return number + 1, after, kept

    *_, written = tf.while_loop(
        lambda number, *_: number < steps,
        body,
        (0, list(state), written),
        parallel_iterations=1,
    )
    return [array.stack() for array in written]


def _value(weight: Any) -> Any:
    """Return what a variable holds; a weight that stands in for one is a tensor already."""
    return weight.value if isinstance(weight, keras.Variable) else weight

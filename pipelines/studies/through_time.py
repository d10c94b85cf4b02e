"""How much a recurrent layer's last state depends on its earlier ones, on real inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from pipelines.batching import EpochPlan
from pipelines.errors import ConfigError
from pipelines.layers.recurrent import RecurrentStack
from pipelines.layers.recurrent_state import parts_of

DIRECTIONS = 8  # random directions a row
MOST_BATCHES = 64  # that are read to find the longest rows


def gradient_norms(cell: Any, inputs: np.ndarray, *, distance: int, seed: int) -> list[np.ndarray]:
    """Return how the last output's gradient shrinks or grows on its way back through time.

    The cell reads each row from the zero state. The loss is u·h_T, the last output along a random
    unit direction u, and the norm at distance d that of its gradient with respect to the state
    after step T - d: its root mean square over directions, hence that of the singular values of the
    Jacobian ∂h_T/∂h_{T-d}. At distance 0 it is 1, where the output is the state itself.

    Args:
        cell: of Keras, or one that behaves like it; without dropout.
        inputs: in the order in which they are read, float32[R, T, D], T above `distance`.
        distance: most steps to look back.
        seed: of the directions.

    Returns:
        for every tensor of the state (h; of an LSTM h and c) float64[R, distance + 1].

    Raises:
        ConfigError: the backend is not TensorFlow.
    """
    if keras.backend.backend() != "tensorflow":
        raise ConfigError(
            f"gradients: the Keras backend is {keras.backend.backend()}; it must be tensorflow, "
            "whose tape this study uses: leave KERAS_BACKEND out"
        )
    import tensorflow as tf

    rows = len(inputs)
    repeated = tf.constant(np.repeat(inputs, DIRECTIONS, axis=0))
    with tf.GradientTape() as tape:
        output, states = _read(cell, repeated, tape)
        drawn = np.random.default_rng(seed).normal(size=output.shape)
        drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
        loss = tf.reduce_sum(output * tf.constant(drawn, output.dtype))
    kept = states[::-1][: distance + 1]
    found = tape.gradient(loss, kept, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    return [
        np.stack([_root_mean_square(step[part], rows) for step in found], axis=1)
        for part in range(len(kept[0]))
    ]


def _read(cell: Any, inputs: Any, tape: Any) -> tuple[Any, list[list[Any]]]:
    """Return the last output and the states after every step."""
    sizes = cell.state_size
    sizes = list(sizes) if isinstance(sizes, (list, tuple)) else [sizes]
    before = [keras.ops.zeros((len(inputs), size)) for size in sizes]
    output, states = before[0], []
    for step in range(inputs.shape[1]):
        output, after = cell(inputs[:, step], before, training=False)
        before = list(after) if isinstance(after, (list, tuple)) else [after]
        tape.watch(before)
        states.append(before)
    return output, states


def _root_mean_square(gradient: Any, rows: int) -> np.ndarray:
    """Return the norms of each row's gradients, over its directions, float64[R]."""
    values = np.asarray(gradient, np.float64).reshape(rows, DIRECTIONS, -1)
    return np.asarray(np.sqrt((values**2).sum(axis=2).mean(axis=1)))


def first_stack(*models: keras.Model) -> RecurrentStack:
    """Return the first recurrent stack of a model, the encoder's where there is a decoder too.

    Raises:
        ConfigError: there is none.
    """
    for model in models:
        for layer in model._flatten_layers():
            if isinstance(layer, RecurrentStack):
                return layer
    raise ConfigError(
        "gradients: the model has no recurrent stack; expected one: choose settings with a "
        "recurrent encoder or decoder"
    )


def inputs_read(
    stack: RecurrentStack, model: keras.Model, plan: EpochPlan, *, rows: int, distance: int
) -> np.ndarray:
    """Return what the lowest layer of a stack reads of the longest rows of a plan.

    The model runs eagerly, batch by batch, from the end of the plan, where rows are longest.

    Returns:
        as they are read, float32[R, T, D]: R at most `rows`, T the length of the shortest of them,
        at most `distance` + 1.

    Raises:
        ConfigError: no row has two steps.
    """
    found: list[np.ndarray] = []
    for number in range(len(plan) - 1, max(-1, len(plan) - 1 - MOST_BATCHES), -1):
        found += _rows_read(stack, model, plan[number][0])
        if len(found) >= 2 * rows and number < len(plan) - 1:
            break
    longest = sorted(found, key=len, reverse=True)[:rows]
    longest = [row for row in longest if len(row) >= 2]
    if not longest:
        raise ConfigError(
            "gradients: no row that was looked at has two steps; expected longer rows: check the "
            "data, or the settings that cut rows"
        )
    steps = min(distance + 1, min(map(len, longest)))
    return np.stack([row[:steps] for row in longest])


def _rows_read(stack: RecurrentStack, model: keras.Model, inputs: Any) -> list[np.ndarray]:
    """Return what a stack's lowest layer reads of each row of a batch, padding cut off."""
    recurrence = stack._recurrences[0]
    sequences: list[tuple[np.ndarray, np.ndarray | None]] = []
    steps: list[np.ndarray] = []

    def see_sequence(values: Any, *_: Any, mask: Any = None, **__: Any) -> None:
        sequences.append((np.asarray(values), None if mask is None else np.asarray(mask)))

    def see_step(values: Any, *_: Any, **__: Any) -> None:
        steps.append(np.asarray(values))

    part = parts_of(recurrence)[0]
    with _watched(recurrence, see_sequence), _watched(part.cell, see_step):
        model({name: keras.ops.convert_to_tensor(value) for name, value in inputs.items()})
    values, mask = sequences[0] if sequences else (np.stack(steps, axis=1), None)
    real = np.ones(values.shape[:2], bool) if mask is None else mask
    order = -1 if part.go_backwards else 1
    return [row[kept][::order] for row, kept in zip(values, real, strict=True)]


@contextmanager
def _watched(layer: Any, see: Callable[..., None]) -> Iterator[None]:
    """Show the arguments of every call of a layer to `see` while the block runs."""
    original = layer.call

    def call(*arguments: Any, **named: Any) -> Any:
        see(*arguments, **named)
        return original(*arguments, **named)

    object.__setattr__(layer, "call", call)
    try:
        yield
    finally:
        object.__delattr__(layer, "call")

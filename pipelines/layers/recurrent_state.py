"""One Keras recurrent layer with its state in the open: run over a sequence, or stepped once.

The layers of a `RecurrentStack` keep no state between calls. A decoder hands it over: the flat list
[h] of a simple or GRU layer, [h, c] of an LSTM, each [B, units]; a bidirectional layer's list is
the forward layer's followed by the backward layer's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
from keras import ops

from pipelines.errors import ConfigError


def parts_of(layer: Any) -> tuple[Any, ...]:
    """Return the layers a Bidirectional joins, or the layer alone."""
    both = isinstance(layer, keras.layers.Bidirectional)
    return (layer.forward_layer, layer.backward_layer) if both else (layer,)


def state_sizes(layer: Any) -> list[int]:
    """Return the width of every tensor of a layer's state."""
    sizes = []
    for part in parts_of(layer):
        size = part.cell.state_size
        sizes += list(size) if isinstance(size, (list, tuple)) else [size]
    return sizes


def run_layer(
    layer: Any, inputs: Any, mask: Any, initial_state: Sequence[Any] | None, training: bool
) -> tuple[Any, list[Any]]:
    """Return a layer's states [B, T, H] and its final state, as a flat list.

    Where the mask is False the state is carried on unchanged.

    Args:
        layer: an LSTM, GRU or SimpleRNN that returns sequences, or a Bidirectional of one.
        inputs: [B, T, D].
        mask: bool[B, T], or None.
        initial_state: a flat list as above; None is 0.
        training: whether dropout acts.
    """
    given = None if initial_state is None else list(initial_state)
    with _returning_state(layer):
        states, *final = layer(inputs, initial_state=given, mask=mask, training=training)
    return states, final


@contextmanager
def _returning_state(layer: Any) -> Iterator[None]:
    """Make a layer return its final state for one call.

    `call` of the stack asks for none, and its fast path wants a layer that returns none.
    """
    parts = {layer, *parts_of(layer)}
    for part in parts:
        part.return_state = True
    try:
        yield
    finally:
        for part in parts:
            part.return_state = False


def step_layer(layer: Any, inputs: Any, state: Sequence[Any]) -> tuple[Any, list[Any]]:
    """Advance a layer that reads forward by one step of inference.

    Args:
        layer: an LSTM, GRU or SimpleRNN.
        inputs: [B, D].
        state: the state before, a flat list.

    Returns:
        output [B, units] and the state after.
    """
    output, after = layer.cell(inputs, list(state), training=False)
    return output, list(after) if isinstance(after, (list, tuple)) else [after]


def zero_state(layers: Sequence[Any], batch: Any) -> list[Any]:
    """Return zeros for the states of several layers, one flat list of [B, units]."""
    return [
        ops.zeros((batch, size), dtype=layer.compute_dtype)
        for layer in layers
        for size in state_sizes(layer)
    ]


def split_state(name: str, layers: Sequence[Any], state: Sequence[Any]) -> list[list[Any]]:
    """Cut a flat list into the list of every layer.

    Args:
        name: of the stack, for the error.
        layers: the recurrent layers, bottom first.
        state: one flat list.

    Raises:
        ConfigError: the list is longer or shorter than the layers' states together.
    """
    counts = [len(state_sizes(layer)) for layer in layers]
    if len(state) != sum(counts):
        raise ConfigError(
            f"state of recurrent stack {name!r}: got {len(state)} tensors, expected "
            f"{sum(counts)} ({' + '.join(map(str, counts))} of its layers, bottom first); pass "
            "what `run`, `step` or `zero_state` of a stack with the same settings returned"
        )
    rest = iter(state)
    return [[next(rest) for _ in range(count)] for count in counts]


def require_forward(name: str, layer: Any) -> None:
    """Refuse to step a layer that reads in both directions.

    Raises:
        ConfigError: the layer is a Bidirectional.
    """
    if isinstance(layer, keras.layers.Bidirectional):
        raise ConfigError(
            f"recurrent stack {name!r} cannot be stepped: got direction='both', expected a stack "
            "that reads forward only (the backward states of a step need the steps after it); "
            "build the decoder with direction='forward'"
        )

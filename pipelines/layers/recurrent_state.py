"""One Keras recurrent layer with its state in the open: run over a sequence, or stepped once.

The layers of a `RecurrentStack` keep no state between calls. A decoder hands it over: the flat list
[h] of a simple or GRU layer, [h, c] of an LSTM, each [B, units]; a bidirectional layer's list is
the forward layer's followed by the backward layer's. The final state of a layer that reads backward
is the one after the first step in time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
from keras import ops

from pipelines.errors import ConfigError
from pipelines.layers.cells.parallel_cells import ParallelCell


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


def unread_tensors(layer: Any) -> list[bool]:
    """Tell of every tensor of a layer's state whether no step reads it: h of an SRU."""
    found = []
    for part in parts_of(layer):
        size = part.cell.state_size
        count = len(size) if isinstance(size, (list, tuple)) else 1
        linear = isinstance(part.cell, ParallelCell)
        found += [linear and number < count - 1 for number in range(count)]
    return found


def reads_backward(layer: Any) -> bool:
    """Tell whether a layer reads from the last step to the first, and in no other direction."""
    return not isinstance(layer, keras.layers.Bidirectional) and bool(layer.go_backwards)


def reads_forward(layer: Any) -> bool:
    """Tell whether a layer reads from the first step to the last, and in no other direction."""
    return len(parts_of(layer)) == 1 and not reads_backward(layer)


def in_time(layer: Any, states: Any) -> Any:
    """Return states [B, T, H] in the order of time.

    A Keras layer that reads backward gives them in the order of reading.
    """
    return ops.flip(states, axis=1) if reads_backward(layer) else states


def run_layer(
    layer: Any, inputs: Any, mask: Any, initial_state: Sequence[Any] | None, training: bool
) -> tuple[Any, list[Any]]:
    """Return a layer's states [B, T, H], in the order of time, and its final state, a flat list.

    Where the mask is False the state is carried on unchanged.

    Args:
        layer: what `make_recurrence` gives, or a Bidirectional of it.
        inputs: [B, T, D].
        mask: bool[B, T], or None.
        initial_state: a flat list as above; None is 0.
        training: whether dropout acts.
    """
    given = None if initial_state is None else list(initial_state)
    with _returning_state(layer):
        states, *final = layer(inputs, initial_state=given, mask=mask, training=training)
    return in_time(layer, states), final


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
        layer: what `make_recurrence` gives.
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


def require_forward(name: str, direction: str, layers: Sequence[Any]) -> None:
    """Refuse to step layers of which one reads backward, alone or in both directions.

    Args:
        name: of the stack, for the error.
        direction: its setting, likewise.
        layers: the recurrent layers.

    Raises:
        ConfigError: one of them does.
    """
    if not all(reads_forward(layer) for layer in layers):
        raise ConfigError(
            f"recurrent stack {name!r} cannot be stepped: got direction={direction!r}, expected a "
            "stack that reads forward only (the backward states of a step need the steps after "
            "it); build the decoder with direction='forward'"
        )


def joined(parts: Sequence[Any]) -> Any:
    """Return parts [..., H] side by side; one alone as it is."""
    return parts[0] if len(parts) == 1 else ops.concatenate(list(parts), axis=-1)

"""The recurrent stack every task uses.

Backend-neutral: `keras.layers` and `keras.ops` only. Sequences are right-padded; the mask is
bool[B, T], True on real tokens, and every row needs at least one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from pipelines.config import RunConfig
from pipelines.layers import inference_recurrence
from pipelines.layers.drop_connect import dropped_weights
from pipelines.layers.fast_recurrent import applicable, run_fast
from pipelines.layers.pooling import SequencePooling
from pipelines.layers.recurrent_parts import (
    Parts,
    ReadLayer,
    deepen,
    drop_inputs,
    make_deep_output,
    make_layer,
    make_top,
)
from pipelines.layers.recurrent_settings import (
    FIELDS,
    backward_columns,
    layer_widths,
    settings_of,
    stack_settings,
)
from pipelines.layers.recurrent_state import (
    in_time,
    joined,
    require_forward,
    run_layer,
    split_state,
    state_sizes,
    step_layer,
    zero_state,
)
from pipelines.recurrent_config import RecurrentConfig

__all__ = ["RecurrentStack", "SequencePooling"]

PACKAGE = "pipelines"
FAST = "the fast path"


@keras.saving.register_keras_serializable(package=PACKAGE)
class RecurrentStack(keras.layers.Layer):
    """Recurrent layers on top of one another, of any cell, forward, backward or both.

    Maps float32[B, T, D] and a mask bool[B, T] to float32[B, T, H], H the units of the top layer
    (× 2 in both directions); with shortcuts, of all layers together. Padding steps come out exactly
    0 whatever the backend does with them; a layer that reads backward starts at the last real step.

    A layer is: variational dropout, input dropout, dense layers (`deep_input`, lowest layer only),
    recurrence, layer normalisation, residual sum. Then, once: penalties and locked dropout of the
    stack's states, dense layers (`deep_output`). All dense layers are as wide as the states
    they stand next to. A deep output of states of both directions hands on as many columns for each
    direction, pooled as if they were its states. With shortcuts (Graves, 2013, sec. 2.1; Pascanu et
    al., 2014), layers above the lowest read the states of the one below and the stack's inputs.

    A decoder reads on from a state: `run` over a sequence, `step` one step at a time. A state is a
    flat list of tensors [B, units], bottom layer first: h of a simple or GRU layer, h and c of an
    LSTM; of a bidirectional layer, those of the forward and then of the backward direction.

    Args:
        use_cudnn: "auto" for training; False for a graph that must run on any device.
        seed: of weights and dropouts.
        return_state: `call` returns the states and then every tensor of the final state.
        **kwargs: any field of `RecurrentConfig`, with its default there but for `input_dropout`,
            which is 0, and arguments of a Keras layer. `fast` trains by the fast path where it
            applies (see `fast_recurrent`).

    Raises:
        ConfigError: a setting is out of range, or the cell cannot have it.
    """

    def __init__(
        self,
        *,
        use_cudnn: bool | str = "auto",
        seed: int | None = None,
        return_state: bool = False,
        **kwargs: Any,
    ) -> None:
        given = {name: kwargs.pop(name) for name in FIELDS if name in kwargs}
        config = RecurrentConfig(**{"input_dropout": 0.0} | given)
        super().__init__(**kwargs)
        others = {"use_cudnn": use_cudnn, "seed": seed, "return_state": return_state}
        self.settings: dict[str, Any] = settings_of(config) | others
        self.supports_masking = True
        # What states of layer n, 0 the inputs, pass on their way up: (n, states, training) -> them.
        self.gate: Callable[[int, Any, bool], Any] | None = None
        # By which path each layer trained, or why not by the fast one.
        self.paths: dict[str, str] = {}
        self._widths = layer_widths(self.settings)
        self.width = sum(self._widths) if config.skips else self._widths[-1]
        self.backward = backward_columns(self.settings)
        self.depth = len(self._widths)
        self._layers_of_depth = [make_layer(self.settings, n) for n in range(self.depth)]
        self._top = make_top(self.settings)
        self._deep_output = make_deep_output(self.settings, self.width)

    @classmethod
    def from_run_config(cls, config: RunConfig, **overrides: Any) -> RecurrentStack:
        """Build the stack a task's settings describe."""
        return cls(**stack_settings(config, **overrides))

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights of every layer for inputs [B, T, D]."""
        *rows, size = input_shape
        shortcut: Any = size if self.settings["skips"] else 0
        self._read_widths = [size, *(width + shortcut for width in self._widths[:-1])]
        layers = zip(self._layers_of_depth, self._read_widths, self._widths, strict=True)
        for parts, read, width in layers:
            for name, part in parts.items():
                part.build((*rows, width if name == "layer_norm" else read))
                read = width if name == "deep_input" else read
        if self._deep_output is not None:
            self._deep_output.build((*rows, self.width))
        self.built = True

    def call(
        self, inputs: Any, mask: Any = None, initial_state: Any = None, training: bool = False
    ) -> Any:
        """Return the states of the top layer, float32[B, T, H]; see `return_state`."""
        states, final = self.run(inputs, mask, initial_state, training)
        return (states, *final) if self.settings["return_state"] else states

    def run(
        self, inputs: Any, mask: Any = None, initial_state: Any = None, training: bool = False
    ) -> tuple[Any, list[Any]]:
        """Read a sequence from a state to a state; for use within another layer's `call`.

        Args:
            inputs: float32[B, T, D].
            mask: bool[B, T], True on real tokens; the state is carried over padding.
            initial_state: a state; None is 0.
            training: whether dropout acts.

        Returns:
            the states of the top layer, float32[B, T, H], and the final state.

        Raises:
            ConfigError: `initial_state` has too many or too few tensors.
        """
        self._build_for(inputs)
        before: list[Any] = [None] * self.depth
        if initial_state is not None:
            before = split_state(self.name, self._recurrences, initial_state)

        def read(parts: Parts, given: Any, state: Any) -> tuple[Any, list[Any]]:
            given = deepen(parts, drop_inputs(parts, given, training))
            with dropped_weights(parts, training):
                return self._read(parts["recurrence"], given, mask, state, training)

        states, final = self._climb(inputs, before, read, training)
        return self._give_out(states, mask, training), final

    def _climb(
        self, inputs: Any, before: Sequence[Any], read: ReadLayer, training: bool = False
    ) -> tuple[Any, list[Any]]:
        """Pass inputs through all layers, bottom first.

        Args:
            inputs: float32[B, T, D] or [B, D].
            before: what `read` gets as the state of each layer.
            read: reads one layer.
            training: whether this is a step of training.

        Returns:
            the states of the top layer, or with shortcuts of all, and the flat state after.
        """
        skips, after = self.settings["skips"], []
        below = bottom = self._handed_on(0, inputs, training)
        outputs = []
        layers = zip(self._layers_of_depth, before, self._widths, strict=True)
        for number, (parts, state, width) in enumerate(layers, start=1):
            shortcut = skips and number > 1
            given = joined([below, bottom]) if shortcut else below
            states, new = read(parts, given, state)
            if "layer_norm" in parts:
                states = parts["layer_norm"](states)
            if self.settings["residual"] and below.shape[-1] == width:
                states += below
            below = self._handed_on(number, states, training)
            outputs.append(below)
            after += new
        return (joined(outputs) if skips else below), after

    def _handed_on(self, number: int, states: Any, training: bool) -> Any:
        return states if self.gate is None else self.gate(number, states, training)

    def _read(
        self, layer: Any, inputs: Any, mask: Any, state: Any, training: bool
    ) -> tuple[Any, list[Any]]:
        """Run one layer; as `run_layer`."""
        if inference_recurrence.suits(layer, inputs, training):
            return inference_recurrence.run(layer, inputs, mask, state)
        if not (training and self._takes_fast_path(layer, inputs)):
            return run_layer(layer, inputs, mask, state, training)
        states, final = run_fast(layer, inputs, mask, state)
        return in_time(layer, states), final

    def _takes_fast_path(self, layer: Any, inputs: Any) -> bool:
        """Tell whether a layer trains by the fast path in this call, and note it for the report."""
        holds, reason = applicable(layer, inputs, True)
        if not self.settings["fast"]:
            holds, reason = False, "it is switched off (--no-fast)"
        if not keras.backend.is_keras_tensor(inputs):
            number = self._recurrences.index(layer) + 1
            self.paths = {**self.paths, f"{self.name} {number}": FAST if holds else reason}
        return holds

    def step(self, inputs: Any, state: Any) -> tuple[Any, list[Any]]:
        """Read one step of inference: T of them equal `run` over T steps.

        Args:
            inputs: float32[B, D].
            state: the state before.

        Returns:
            the top layer's output, float32[B, H], and the state after.

        Raises:
            ConfigError: a layer reads backward, or `state` is not one of this stack.
        """
        require_forward(self.name, self.settings["direction"], self._recurrences)
        self._build_for(inputs[:, None])
        before = split_state(self.name, self._recurrences, state)

        def read(parts: Parts, given: Any, old: Any) -> tuple[Any, list[Any]]:
            return step_layer(parts["recurrence"], deepen(parts, given), old)

        states, after = self._climb(inputs, before, read)
        return self._read_out(states), after

    def zero_state(self, batch: Any) -> list[Any]:
        """Return the state before anything was read; `batch` is a number or a scalar tensor."""
        return zero_state(self._recurrences, batch)

    @property
    def state_sizes(self) -> list[int]:
        """Return the width of every tensor of a state."""
        return [size for layer in self._recurrences for size in state_sizes(layer)]

    @property
    def _recurrences(self) -> list[keras.layers.Layer]:
        return [parts["recurrence"] for parts in self._layers_of_depth]

    def _build_for(self, inputs: Any) -> None:
        if not self.built:
            self.build(tuple(inputs.shape))

    def _read_out(self, states: Any) -> Any:
        return states if self._deep_output is None else self._deep_output(states)

    def _give_out(self, states: Any, mask: Any, training: bool) -> Any:
        if self._top is not None and training:
            states = self._top(states, mask=mask, training=True)
        states = self._read_out(states)
        return states if mask is None else states * ops.cast(mask[..., None], states.dtype)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> Any:
        """Return [B, T, H], and the shapes of the final state where it is returned."""
        states = (*input_shape[:-1], self.width)
        if not self.settings["return_state"]:
            return states
        return (states, *((input_shape[0], size) for size in self.state_sizes))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return super().get_config() | self.settings

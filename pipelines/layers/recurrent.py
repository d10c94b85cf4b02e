"""The recurrent stack every task uses.

Backend-neutral: `keras.layers` and `keras.ops` only. Sequences are right-padded; the mask is
bool[B, T], True on real tokens, and every row needs at least one.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import keras
from keras import ops

from pipelines.config import RunConfig
from pipelines.layers.drop_connect import drawn_kernels, recurrent_kernels
from pipelines.layers.fast_recurrent import applicable, call_layer, run_from
from pipelines.layers.pooling import SequencePooling
from pipelines.layers.recurrent_parts import make_layer, make_top
from pipelines.layers.recurrent_state import (
    require_forward,
    run_layer,
    split_state,
    state_sizes,
    step_layer,
    zero_state,
)
from pipelines.recurrent_config import Cell, Direction

__all__ = ["RecurrentStack", "SequencePooling"]

PACKAGE = "pipelines"


@keras.saving.register_keras_serializable(package=PACKAGE)
class RecurrentStack(keras.layers.Layer):
    """Recurrent layers on top of one another, forward or in both directions.

    Maps float32[B, T, D] and a mask bool[B, T] to float32[B, T, H], H = units (× 2 in both
    directions). Padding steps come out exactly 0 whatever the backend does with them. A layer
    is: variational dropout, input dropout, recurrence, layer normalisation, residual sum.

    A decoder reads on from a state: `run` over a sequence, `step` one step at a time. A state is a
    flat list of tensors [B, units], bottom layer first: h of a simple or GRU layer, h and c of an
    LSTM; of a bidirectional layer, those of the forward and then of the backward direction.

    Args:
        cell: "simple" (tanh, Elman 1990), "gru" (Cho et al., 2014) or "lstm" (Hochreiter &
            Schmidhuber, 1997, with forget-gate bias 1).
        units: size of the state in each direction.
        depth: number of layers.
        direction: "forward", or "both", which concatenates a forward and a backward layer
            (Schuster & Paliwal, 1997).
        input_dropout: share of input values dropped, drawn anew at every step.
        variational_dropout: share of input channels dropped, the same at every step
            (Gal & Ghahramani, 2016).
        recurrent_dropout: share of state channels dropped, the same at every step.
        weight_dropout: share of recurrent weights dropped, the same ones for the rows and steps of
            a call (Wan et al., 2013; Merity et al., 2018).
        locked_output_dropout: share of the top layer's channels dropped, the same at every step.
        activation_penalty: weight of the mean square of the top layer's states in the loss, and
        temporal_activation_penalty: of their mean square change, of a step (Merity et al., 2017).
        layer_norm: normalise every layer's output (Ba et al., 2016).
        residual: add a layer's input to its output where the widths agree (He et al., 2016).
        fast: train by the fast path where it applies (see `fast_recurrent`); same weights.
        use_cudnn: "auto" for training; False for a graph that must run on any device.
        return_state: `call` returns the states and then every tensor of the final state.
    """

    def __init__(
        self,
        *,
        cell: Cell = "lstm",
        units: int = 64,
        depth: int = 1,
        direction: Direction = "both",
        input_dropout: float = 0.0,
        variational_dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        weight_dropout: float = 0.0,
        locked_output_dropout: float = 0.0,
        activation_penalty: float = 0.0,
        temporal_activation_penalty: float = 0.0,
        layer_norm: bool = False,
        residual: bool = False,
        fast: bool = False,
        use_cudnn: bool | str = "auto",
        seed: int | None = None,
        return_state: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.settings: dict[str, Any] = {
            "cell": cell,
            "units": units,
            "depth": depth,
            "direction": direction,
            "input_dropout": input_dropout,
            "variational_dropout": variational_dropout,
            "recurrent_dropout": recurrent_dropout,
            "weight_dropout": weight_dropout,
            "locked_output_dropout": locked_output_dropout,
            "activation_penalty": activation_penalty,
            "temporal_activation_penalty": temporal_activation_penalty,
            "layer_norm": layer_norm,
            "residual": residual,
            "fast": fast,
            "use_cudnn": use_cudnn,
            "seed": seed,
            "return_state": return_state,
        }
        self.supports_masking = True
        self.directions = 2 if direction == "both" else 1
        self.width = units * self.directions
        self._layers_of_depth = [make_layer(self.settings, number) for number in range(depth)]
        self._top = make_top(self.settings)

    @classmethod
    def from_run_config(cls, config: RunConfig, **overrides: Any) -> RecurrentStack:
        """Build the stack a task's settings describe."""
        names = (
            "cell", "units", "depth", "direction", "input_dropout", "variational_dropout",
            "recurrent_dropout", "weight_dropout", "locked_output_dropout", "activation_penalty",
            "temporal_activation_penalty", "layer_norm", "residual", "fast", "seed",
        )  # fmt: skip
        return cls(**{name: getattr(config, name) for name in names} | overrides)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights of every layer for inputs [B, T, D]."""
        width = input_shape[-1]
        for parts in self._layers_of_depth:
            for name, part in parts.items():
                part.build((*input_shape[:-1], width if name != "layer_norm" else self.width))
            width = self.width
        self.built = True

    def call(
        self, inputs: Any, mask: Any = None, initial_state: Any = None, training: bool = False
    ) -> Any:
        """Return the states of the top layer, float32[B, T, H]; see `return_state`.

        The fast path reads from zeros to no further end, or from a given state: see `run`.
        """
        if self.settings["return_state"] or initial_state is not None:
            states, final = self.run(inputs, mask, initial_state, training)
            return (states, *final) if self.settings["return_state"] else states
        states = inputs
        for parts in self._layers_of_depth:
            states = self._apply(parts, states, mask, training)
        return self._give_out(states, mask, training)

    def run(
        self, inputs: Any, mask: Any = None, initial_state: Any = None, training: bool = False
    ) -> tuple[Any, list[Any]]:
        """Read a sequence from a state to a state; for use within another layer's `call`.

        With `fast`, a forward stack given a state and no mask takes the fast path where it applies.

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
        before: list[Any] = [None] * len(self._layers_of_depth)
        if initial_state is not None:
            before = split_state(self.name, self._recurrences, initial_state)
        states, final = inputs, []
        for parts, state in zip(self._layers_of_depth, before, strict=True):
            read = self._drop(parts, states, training)
            with self._dropped_weights(parts, training):
                read, after = self._read(parts["recurrence"], read, mask, state, training)
            states = self._finish(parts, states, read)
            final += after
        return self._give_out(states, mask, training), final

    def _read(
        self, layer: Any, inputs: Any, mask: Any, state: Any, training: bool
    ) -> tuple[Any, list[Any]]:
        """Run one layer; as `run_layer`."""
        settings = self.settings
        fast = settings["fast"] and settings["direction"] == "forward" and mask is None
        if fast and state is not None and applicable(layer, inputs, training).holds:
            return run_from(layer, inputs, state)
        return run_layer(layer, inputs, mask, state, training)

    def step(self, inputs: Any, state: Any) -> tuple[Any, list[Any]]:
        """Read one step of inference: T of them equal `run` over T steps.

        Args:
            inputs: float32[B, D].
            state: the state before.

        Returns:
            the top layer's output, float32[B, H], and the state after.

        Raises:
            ConfigError: the stack is bidirectional, or `state` is not one of this stack.
        """
        require_forward(self.name, self._recurrences[0])
        self._build_for(inputs[:, None])
        before = split_state(self.name, self._recurrences, state)
        after: list[Any] = []
        for parts, old in zip(self._layers_of_depth, before, strict=True):
            read, new = step_layer(parts["recurrence"], inputs, old)
            inputs = self._finish(parts, inputs, read)
            after += new
        return inputs, after

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

    def _apply(
        self, parts: dict[str, keras.layers.Layer], inputs: Any, mask: Any, training: bool
    ) -> Any:
        states = self._drop(parts, inputs, training)
        recurrence = parts["recurrence"]
        with self._dropped_weights(parts, training):
            if self.settings["fast"] and applicable(recurrence, states, training).holds:
                states = call_layer(recurrence, states, mask)
            else:
                states = recurrence(states, mask=mask, training=training)
        return self._finish(parts, inputs, states)

    @staticmethod
    def _dropped_weights(
        parts: dict[str, keras.layers.Layer], training: bool
    ) -> AbstractContextManager[None]:
        return recurrent_kernels(parts["recurrence"], drawn_kernels(parts, training))

    @staticmethod
    def _drop(parts: dict[str, keras.layers.Layer], inputs: Any, training: bool) -> Any:
        for name in ("variational_dropout", "input_dropout"):
            if name in parts:
                inputs = parts[name](inputs, training=training)
        return inputs

    def _finish(self, parts: dict[str, keras.layers.Layer], inputs: Any, states: Any) -> Any:
        if "layer_norm" in parts:
            states = parts["layer_norm"](states)
        if self.settings["residual"] and inputs.shape[-1] == self.width:
            states += inputs
        return states

    def _give_out(self, states: Any, mask: Any, training: bool) -> Any:
        if self._top is not None and training:
            states = self._top(states, mask=mask, training=True)
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

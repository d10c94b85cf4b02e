"""The recurrence of a decoder: where it starts, and how it trains a step at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
from keras import ops

from pipelines.layers.drop_connect import drawn_kernels, recurrent_kernels
from pipelines.layers.horizon_decoders import decoder_stack
from pipelines.layers.recurrent import RecurrentStack
from pipelines.layers.recurrent_parts import Parts, deepen, drop_inputs
from pipelines.layers.recurrent_state import (
    joined,
    split_state,
    state_sizes,
    step_layer,
    unread_tensors,
)

State = dict[str, Any]


class Prepared(NamedTuple):
    """What every step of a request reads and no hypothesis changes.

    Attributes:
        memory: float[B, S, D], or None.
        mask: bool[B, S], or None.
        keys: what the attention compares queries with, or None without attention.
        summary: float[B, D'] for a decoder without attention, or None.
        vectors: of the memory's tokens, float[B, S, E], for a lexical decoder, or None.
    """

    memory: Any = None
    mask: Any = None
    keys: Any = None
    summary: Any = None
    vectors: Any = None


class StepNoise(NamedTuple):
    """Dropout of a training step, drawn before the loop over steps; None where there is none.

    Random numbers must not be drawn within a loop: JAX could not carry the generator out of it.

    Attributes:
        inputs: factors of the inputs of every layer, each [T, B, D].
        state: factors of h of every layer, each [B, units], the same at every step.
        weights: recurrent kernels of every layer, as `DropConnect.draw` gives them.
    """

    inputs: list[Any]
    state: list[Any]
    weights: list[Any]


class DecoderStack(RecurrentStack):
    """A forward `RecurrentStack` that trains from a given state, at once or step by step."""

    @classmethod
    def of(cls, settings: dict[str, Any], **options: Any) -> DecoderStack:
        """Make the stack that settings describe; direction is left aside.

        Raises:
            ConfigError: a setting is not one of `RecurrentStack`.
        """
        fast = bool(settings.get("fast", True))
        return cls(**decoder_stack(settings).settings | {"fast": fast} | options)

    def draw_noise(self, rows: Any, steps: Any) -> StepNoise:
        """Draw the dropout of a training step over B rows and T steps.

        Variational and recurrent dropout are the same at every step, input dropout is not.
        """
        inputs, state, weights = [], [], []
        for parts, width in zip(self._layers_of_depth, self._read_widths, strict=True):
            ones = ops.ones((rows, steps, width), self.compute_dtype)
            noisy = "input_dropout" in parts or "variational_dropout" in parts
            drawn = drop_inputs(parts, ones, True) if noisy else None
            inputs.append(None if drawn is None else ops.transpose(drawn, (1, 0, 2)))
            state.append(self._state_noise(parts["recurrence"], rows))
            weights.append(drawn_kernels(parts, True))
        return StepNoise(inputs, state, weights)

    def _state_noise(self, recurrence: Any, rows: Any) -> Any:
        rate = self.settings["recurrent_dropout"]
        if not rate:
            return None
        ones = ops.ones((rows, state_sizes(recurrence)[0]), self.compute_dtype)
        return keras.random.dropout(ones, rate, seed=recurrence.cell.seed_generator)

    def begin(self, vector: Any, training: bool = False) -> list[Any]:
        """Return the state after one step over a vector, float[B, E], from nothing.

        Whatever else a step reads is 0, and so is the state: no recurrent dropout has anything to
        drop. Dropout of inputs is drawn apart from that of the steps that follow.
        """
        missing = self._read_widths[0] - vector.shape[-1]
        inputs = ops.pad(vector, ((0, 0), (0, missing)))
        before = split_state(self.name, self._recurrences, self.zero_state(ops.shape(vector)[0]))

        def read(parts: Parts, given: Any, old: Any) -> tuple[Any, list[Any]]:
            given = drop_inputs(parts, given[:, None], training)[:, 0]
            return step_layer(parts["recurrence"], deepen(parts, given), old)

        return self._climb(inputs, before, read, training)[1]

    def top(self, state: Any) -> Any:
        """Return h of the top layer, [..., H], of leaves [..., units]; with shortcuts, of all.

        Of an SRU c, which is all that its next step knows.
        """
        layers = split_state(self.name, self._recurrences, state)
        places = [unread_tensors(layer).index(False) for layer in self._recurrences]
        found = [parts[place] for parts, place in zip(layers, places, strict=True)]
        return joined(found if self.settings["skips"] else found[-1:])

    def bridge(self, seed: int | None) -> StateBridge:
        """Make what gives the first state; what no step reads of it is 0."""
        unread = [flag for layer in self._recurrences for flag in unread_tensors(layer)]
        return StateBridge(self.state_sizes, unread=unread, seed=seed, name="bridge")

    def noisy_step(self, inputs: Any, state: Any, noise: StepNoise) -> tuple[Any, list[Any]]:
        """Read one step with dropout: T of them equal `run` in training.

        Args:
            inputs: float[B, D].
            state: the state before, as a flat list.
            noise: of this step: the parts of `inputs` are [B, D].
        """
        before = split_state(self.name, self._recurrences, state)

        def read(parts: Parts, given: Any, known: Any) -> tuple[Any, list[Any]]:
            old, factor, kept, kernels = known
            given = deepen(parts, given if factor is None else given * factor)
            # Only h is read by the recurrence's products; c of an LSTM is carried whole.
            hidden = old[0] if kept is None else old[0] * kept
            with recurrent_kernels(parts["recurrence"], kernels):
                return step_layer(parts["recurrence"], given, [hidden, *old[1:]])

        known = list(zip(before, *noise, strict=True))
        states, after = self._climb(inputs, known, read, True)
        return self._read_out(states), after


@keras.saving.register_keras_serializable(package="pipelines")
class StateBridge(keras.layers.Layer):
    """Makes a decoder's first state of a summary of what it will write about.

    A dense layer with tanh for every tensor of the state (Cho et al., 2014, A.1.2): maps
    float[B, D] to a list of float[B, size].

    Args:
        sizes: widths of the state's tensors.
        unread: of each, whether it is 0, as nothing reads it; () is no.
        seed: of the weights.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        unread: Sequence[bool] = (),
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.sizes, self.seed = [int(size) for size in sizes], seed
        self.unread = [bool(flag) for flag in unread] or [False] * len(self.sizes)
        initial = keras.initializers.GlorotUniform
        self._parts = [
            keras.layers.Dense(
                size,
                activation="tanh",
                kernel_initializer=initial(None if seed is None else seed * 1000 + number),
                dtype=self.dtype_policy,
                name=f"state_{number}",
            )
            for number, size in enumerate(self.sizes)
            if not self.unread[number]
        ]

    def build(self, summary_shape: tuple[Any, ...]) -> None:
        """Create the weights."""
        for part in self._parts:
            part.build(summary_shape)
        self.built = True

    def call(self, summary: Any) -> list[Any]:
        """Return the state."""
        parts, rows = iter(self._parts), ops.shape(summary)[0]
        return [
            ops.zeros((rows, size), self.compute_dtype) if unread else next(parts)(summary)
            for size, unread in zip(self.sizes, self.unread, strict=True)
        ]

    def compute_output_shape(self, summary_shape: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        """Return [B, size] of every tensor."""
        return [(summary_shape[0], size) for size in self.sizes]

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        own = {"sizes": self.sizes, "unread": self.unread, "seed": self.seed}
        return super().get_config() | own


def widened(state: State) -> State:
    """Return leaves [B, 1, ...] of leaves [B, ...]."""
    return keras.tree.map_structure(lambda part: part[:, None], state)


def as_rows(part: Any) -> Any:
    """Return [B K, H] of [B, K, H]."""
    return ops.reshape(part, (-1, part.shape[-1]))


def as_hypotheses(part: Any, like: Any) -> Any:
    """Return [B, K, H] of [B K, H], for like [B, K, ...]."""
    if like.shape[1] is not None:  # no shape to find out at every step
        return ops.reshape(part, (-1, like.shape[1], part.shape[-1]))
    return ops.reshape(part, (*ops.shape(like)[:2], part.shape[-1]))


def repeated(summary: Any, like: Any) -> Any:
    """Return [B, N, D] of [B, D], for like [B, N, ...]."""
    shape = (*ops.shape(like)[:2], summary.shape[-1])
    return ops.broadcast_to(ops.cast(summary, like.dtype)[:, None], shape)

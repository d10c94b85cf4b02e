"""The recurrent stack every task uses, and the pooling that makes one vector of its states.

Backend-neutral: `keras.layers` and `keras.ops` only. Sequences are right-padded; the mask is
bool[B, T], True on real tokens, and every row needs at least one.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from pipelines.config import Cell, Pooling, RunConfig
from pipelines.layers.fast_recurrent import applicable, call_layer

PACKAGE = "pipelines"


@keras.saving.register_keras_serializable(package=PACKAGE)
class RecurrentStack(keras.layers.Layer):
    """Recurrent layers on top of one another, forward or in both directions.

    Maps float32[B, T, D] and a mask bool[B, T] to float32[B, T, H], H = units (× 2 when
    bidirectional). Padding steps come out exactly 0 whatever the backend does with them. A layer
    is: variational dropout, input dropout, recurrence, layer normalisation, residual sum.

    Args:
        cell: "simple" (tanh, Elman 1990), "gru" (Cho et al., 2014) or "lstm" (Hochreiter &
            Schmidhuber, 1997, with forget-gate bias 1).
        units: size of the state in each direction.
        depth: number of layers.
        bidirectional: concatenate a forward and a backward layer (Schuster & Paliwal, 1997).
        input_dropout: share of input values dropped, drawn anew at every step.
        variational_dropout: share of input channels dropped, the same at every step
            (Gal & Ghahramani, 2016).
        recurrent_dropout: share of state channels dropped, the same at every step.
        layer_norm: normalise every layer's output (Ba et al., 2016).
        residual: add a layer's input to its output where the widths agree (He et al., 2016).
        fast: train by the fast path where it applies (see `fast_recurrent`); same weights.
        use_cudnn: "auto" for training; False for a graph that must run on any device.
    """

    def __init__(
        self,
        *,
        cell: Cell = "lstm",
        units: int = 64,
        depth: int = 1,
        bidirectional: bool = True,
        input_dropout: float = 0.0,
        variational_dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        layer_norm: bool = False,
        residual: bool = False,
        fast: bool = False,
        use_cudnn: bool | str = "auto",
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.settings: dict[str, Any] = {
            "cell": cell,
            "units": units,
            "depth": depth,
            "bidirectional": bidirectional,
            "input_dropout": input_dropout,
            "variational_dropout": variational_dropout,
            "recurrent_dropout": recurrent_dropout,
            "layer_norm": layer_norm,
            "residual": residual,
            "fast": fast,
            "use_cudnn": use_cudnn,
            "seed": seed,
        }
        self.supports_masking = True
        self.width = units * (2 if bidirectional else 1)
        self._layers_of_depth = [self._make_layer(number) for number in range(depth)]

    @classmethod
    def from_run_config(cls, config: RunConfig, **overrides: Any) -> RecurrentStack:
        """Build the stack a task's settings describe."""
        names = (
            "cell", "units", "depth", "bidirectional", "input_dropout", "variational_dropout",
            "recurrent_dropout", "layer_norm", "residual", "fast", "seed",
        )  # fmt: skip
        return cls(**{name: getattr(config, name) for name in names} | overrides)

    def _make_layer(self, number: int) -> dict[str, keras.layers.Layer]:
        """Make the parts of one layer; absent parts are absent, not identities."""
        settings, seed = self.settings, self._seed(number)
        parts: dict[str, keras.layers.Layer] = {}
        if settings["variational_dropout"]:
            parts["variational_dropout"] = keras.layers.SpatialDropout1D(
                settings["variational_dropout"], seed=seed
            )
        if settings["input_dropout"]:
            parts["input_dropout"] = keras.layers.Dropout(settings["input_dropout"], seed=seed)
        recurrence = self._make_recurrence(seed)
        if settings["bidirectional"]:
            recurrence = keras.layers.Bidirectional(recurrence)
        parts["recurrence"] = recurrence
        if settings["layer_norm"]:
            parts["layer_norm"] = keras.layers.LayerNormalization()
        return parts

    def _seed(self, number: int) -> int | None:
        seed = self.settings["seed"]
        return None if seed is None else seed * 1000 + number

    def _make_recurrence(self, seed: int | None) -> keras.layers.Layer:
        cells = {
            "simple": keras.layers.SimpleRNN,
            "gru": keras.layers.GRU,
            "lstm": keras.layers.LSTM,
        }
        cell = self.settings["cell"]
        # SimpleRNN has no cuDNN path to choose.
        extra = {} if cell == "simple" else {"use_cudnn": self.settings["use_cudnn"]}
        return cells[cell](
            self.settings["units"],
            return_sequences=True,
            recurrent_dropout=self.settings["recurrent_dropout"],
            kernel_initializer=keras.initializers.GlorotUniform(seed),
            recurrent_initializer=keras.initializers.Orthogonal(seed=seed),
            seed=seed,
            **extra,
        )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights of every layer for inputs [B, T, D]."""
        width = input_shape[-1]
        for parts in self._layers_of_depth:
            for name, part in parts.items():
                part.build((*input_shape[:-1], width if name != "layer_norm" else self.width))
            width = self.width
        self.built = True

    def call(self, inputs: Any, mask: Any = None, training: bool = False) -> Any:
        """Return the states of the top layer, float32[B, T, H]."""
        states = inputs
        for parts in self._layers_of_depth:
            states = self._apply(parts, states, mask, training)
        if mask is not None:
            states *= ops.cast(ops.expand_dims(mask, -1), states.dtype)
        return states

    def _apply(
        self, parts: dict[str, keras.layers.Layer], inputs: Any, mask: Any, training: bool
    ) -> Any:
        states = inputs
        for name in ("variational_dropout", "input_dropout"):
            if name in parts:
                states = parts[name](states, training=training)
        recurrence = parts["recurrence"]
        if self.settings["fast"] and applicable(recurrence, states, training).holds:
            states = call_layer(recurrence, states, mask)
        else:
            states = recurrence(states, mask=mask, training=training)
        if "layer_norm" in parts:
            states = parts["layer_norm"](states)
        if self.settings["residual"] and inputs.shape[-1] == self.width:
            states += inputs
        return states

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return [B, T, H]."""
        return (*input_shape[:-1], self.width)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return super().get_config() | self.settings


@keras.saving.register_keras_serializable(package=PACKAGE)
class SequencePooling(keras.layers.Layer):
    """One vector from the states of a sequence, blind to padding.

    Maps float32[B, T, H] and a mask bool[B, T] to float32[B, H × len(kinds)].

    Args:
        kinds: any of "last" (final state of each direction), "mean", "max", and "attention"
            (a learned query weighs the states; Yang et al., 2016, sec. 2.2 without the MLP).
        directions: 2 when the states concatenate a forward and a backward half: the backward
            half's final state stands at the first step.
    """

    def __init__(
        self, kinds: tuple[Pooling, ...] = ("last",), *, directions: int = 1, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.kinds, self.directions = tuple(kinds), directions
        self.supports_masking = True
        self._pools = {
            "last": self._last, "mean": self._mean, "max": self._max, "attention": self._attention,
        }  # fmt: skip

    def build(self, input_shape: tuple[Any, ...]) -> None:
        """Create the attention query when it is used."""
        if "attention" in self.kinds:
            self.query = self.add_weight(shape=(input_shape[-1], 1), name="query")
        self.built = True

    def call(self, states: Any, mask: Any) -> Any:
        """Pool and concatenate, in the order of `kinds`."""
        return ops.concatenate([self._pools[kind](states, mask) for kind in self.kinds], axis=-1)

    def compute_mask(self, states: Any, previous_mask: Any = None) -> None:
        """Return None: the time axis is gone."""

    def _last(self, states: Any, mask: Any) -> Any:
        final = ops.sum(ops.cast(mask, "int32"), axis=1) - 1
        forward = ops.squeeze(ops.take_along_axis(states, final[:, None, None], axis=1), 1)
        if self.directions == 1:
            return forward
        half = states.shape[-1] // 2
        return ops.concatenate([forward[:, :half], states[:, 0, half:]], axis=-1)

    def _mean(self, states: Any, mask: Any) -> Any:
        real = ops.cast(ops.expand_dims(mask, -1), states.dtype)
        return ops.sum(states * real, axis=1) / ops.sum(real, axis=1)

    def _max(self, states: Any, mask: Any) -> Any:
        return ops.max(ops.where(ops.expand_dims(mask, -1), states, -1e4), axis=1)

    def _attention(self, states: Any, mask: Any) -> Any:
        scores = ops.where(ops.expand_dims(mask, -1), ops.matmul(states, self.query), -1e4)
        return ops.sum(ops.softmax(scores, axis=1) * states, axis=1)

    def compute_output_shape(
        self, states_shape: tuple[Any, ...], mask_shape: Any = None
    ) -> tuple[Any, ...]:
        """Return [B, H × len(kinds)]."""
        del mask_shape
        return (states_shape[0], states_shape[-1] * len(self.kinds))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return super().get_config() | {"kinds": list(self.kinds), "directions": self.directions}

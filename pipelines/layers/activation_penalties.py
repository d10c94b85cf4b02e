"""Penalties on the states of a recurrent stack, and the dropout they go with."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="pipelines")
class RegularisedStates(keras.layers.Layer):
    """Dropout and penalties on the top layer's states in training (Merity et al., 2017).

    Maps states float[B, T, H] and a mask bool[B, T] or None to the states with locked dropout. Adds
    to the loss: activation × mean(d²) of the dropped states d, which keeps them small, and
    temporal × mean((h_t - h_{t-1})²) of the states h before dropout, which keeps them slow. Both
    means run over the values of real steps.

    Args:
        dropout: share of channels dropped, the same ones at every step (Gal & Ghahramani, 2016).
        activation: weight of the first penalty.
        temporal: weight of the second.
        seed: of the dropout.
    """

    def __init__(
        self,
        *,
        dropout: float = 0.0,
        activation: float = 0.0,
        temporal: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.settings: dict[str, Any] = {
            "dropout": dropout, "activation": activation, "temporal": temporal, "seed": seed
        }  # fmt: skip
        self.dropout = keras.layers.SpatialDropout1D(dropout, seed=seed) if dropout else None
        self.supports_masking = self.built = True

    def call(self, states: Any, mask: Any = None, training: bool = False) -> Any:
        """Return the states; those of padding may hold anything."""
        if not training:
            return states
        dropped = states if self.dropout is None else self.dropout(states, training=True)
        if self.settings["activation"]:
            self.add_loss(self.settings["activation"] * mean_square(dropped, mask))
        if self.settings["temporal"]:
            self.add_loss(self.settings["temporal"] * mean_square_change(states, mask))
        return dropped

    def compute_output_shape(
        self, states_shape: tuple[int | None, ...], *_: Any
    ) -> tuple[int | None, ...]:
        """Return [B, T, H]."""
        return states_shape

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return super().get_config() | self.settings


def mean_square(states: Any, mask: Any = None) -> Any:
    """Return the mean of the squared values of real steps, a float32 scalar; 0 if there are none.

    Args:
        states: float[B, T, H].
        mask: bool[B, T], True on real steps; None is all True.
    """
    squares = ops.square(ops.cast(states, "float32"))
    if mask is None:
        return ops.sum(squares) / ops.maximum(ops.cast(ops.size(squares), "float32"), 1.0)
    squares = ops.where(mask, ops.mean(squares, axis=-1), 0.0)
    return ops.sum(squares) / ops.maximum(ops.sum(ops.cast(mask, "float32")), 1.0)


def mean_square_change(states: Any, mask: Any = None) -> Any:
    """Return the mean of the squared changes from one real step to the next, as `mean_square`."""
    states = ops.cast(states, "float32")
    both = None if mask is None else ops.logical_and(mask[:, 1:], mask[:, :-1])
    return mean_square(states[:, 1:] - states[:, :-1], both)

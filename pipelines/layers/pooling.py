"""Pooling that makes one vector of the states of a sequence.

Backend-neutral: `keras.layers` and `keras.ops` only.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from pipelines.config import Pooling

PACKAGE = "pipelines"


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

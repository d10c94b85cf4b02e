"""Pooling that makes one vector of the states of a sequence.

Backend-neutral: `keras.layers` and `keras.ops` only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from pipelines.config import Pooling
from pipelines.layers.recurrent_state import joined

PACKAGE = "pipelines"


def final_states(first: Any, last: Any, backward: Sequence[Sequence[int]]) -> Any:
    """Return the state after everything was read, float[B, H].

    Args:
        first: states at the first step in time, float[B, H].
        last: states at the last step, likewise.
        backward: columns [start, stop) that read backward: they come from the first step.
    """
    cuts, done = [], 0
    for start, stop in backward:
        cuts += [(last, done, start), (first, start, stop)]
        done = stop
    cuts.append((last, done, last.shape[-1]))
    parts = [states[:, start:stop] for states, start, stop in cuts if start < stop]
    return joined(parts)


@keras.saving.register_keras_serializable(package=PACKAGE)
class SequencePooling(keras.layers.Layer):
    """One vector from the states of a sequence, blind to padding.

    Maps float32[B, T, H] and a mask bool[B, T] to float32[B, H × len(kinds)].

    Args:
        kinds: any of "last" (final state of each direction), "mean", "max", and "attention"
            (a learned query weighs the states; Yang et al., 2016, sec. 2.2 without the MLP).
        backward: columns [start, stop) of the states that read backward, as
            `RecurrentStack.backward` gives them: their final state stands at the first step.
    """

    def __init__(
        self,
        kinds: tuple[Pooling, ...] = ("last",),
        *,
        backward: Sequence[Sequence[int]] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.kinds, self.backward = tuple(kinds), [list(columns) for columns in backward]
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
        rows, steps, width = ops.shape(states)
        final = ops.maximum(ops.sum(ops.cast(mask, "int32"), axis=1) - 1, 0)
        # By whole rows: the gradient of `take_along_axis` adds up single values.
        flat = ops.reshape(states, (-1, width))
        last = ops.take(flat, ops.arange(rows) * steps + final, axis=0)
        return final_states(states[:, 0], last, self.backward)

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
        backward = [list(columns) for columns in self.backward]
        return super().get_config() | {"kinds": list(self.kinds), "backward": backward}

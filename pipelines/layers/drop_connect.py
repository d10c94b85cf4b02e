"""DropConnect: recurrent weights, not states, are dropped in training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import keras
from keras import ops

from pipelines.layers.recurrent_state import parts_of


@keras.saving.register_keras_serializable(package="pipelines")
class DropConnect(keras.layers.Layer):
    """Drops hidden-to-hidden weights of a recurrent layer (Wan et al., 2013).

    As in Merity et al. (2018, sec. 2): one mask for all rows and steps of a call, so that the
    recurrence stays as it is and any implementation of it will do, compiled or cuDNN's. What is
    kept is divided by the share kept; the layer's variables never change.

    Args:
        rate: share of weights dropped.
        seed: of the masks.
    """

    def __init__(self, rate: float, *, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rate, self.seed = rate, seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.built = True

    def draw(self, layer: Any) -> list[Any]:
        """Return recurrent kernels with some weights dropped, [units, gates × units] each.

        Args:
            layer: an LSTM, GRU or SimpleRNN, or a Bidirectional, whose two kernels are dropped
                apart.
        """
        kernels = (ops.convert_to_tensor(part.cell.recurrent_kernel) for part in parts_of(layer))
        return [
            # Without autocasting a float32 weight would widen half-precision states.
            ops.cast(
                keras.random.dropout(kernel, self.rate, seed=self.seed_generator),
                layer.compute_dtype,
            )
            for kernel in kernels
        ]

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return super().get_config() | {"rate": self.rate, "seed": self.seed}


def drawn_kernels(parts: Mapping[str, Any], training: bool) -> list[Any] | None:
    """Return dropped recurrent kernels for a layer of a stack, or None if nothing is dropped.

    Args:
        parts: of the layer, by name.
        training: whether dropout acts.
    """
    drop = parts.get("weight_dropout")
    return drop.draw(parts["recurrence"]) if drop is not None and training else None


@contextmanager
def recurrent_kernels(layer: Any, kernels: Sequence[Any] | None) -> Iterator[None]:
    """Let a recurrent layer compute with other recurrent kernels for a while.

    Gradients reach the layer's variables through what the kernels were made of.

    Args:
        layer: as for `DropConnect.draw`.
        kernels: one for the layer, or one for each direction; None leaves the layer alone.
    """
    cells = [part.cell for part in parts_of(layer)] if kernels is not None else []
    own = [cell.recurrent_kernel for cell in cells]
    try:
        # Not by plain assignment, which would have Keras track a passing tensor.
        for cell, kernel in zip(cells, kernels or (), strict=True):
            object.__setattr__(cell, "recurrent_kernel", kernel)
        yield
    finally:
        for cell, kernel in zip(cells, own, strict=True):
            object.__setattr__(cell, "recurrent_kernel", kernel)


def dropped_weights(parts: Mapping[str, Any], training: bool) -> AbstractContextManager[None]:
    """Let a layer of a stack compute with kernels that are drawn now, if any are to be dropped.

    Args:
        parts: of the layer, by name.
        training: whether dropout acts.
    """
    return recurrent_kernels(parts["recurrence"], drawn_kernels(parts, training))

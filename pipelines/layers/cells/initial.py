"""First weights of recurrent cells, gate by gate."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="pipelines")
class ForgetBias(keras.initializers.Initializer):
    """Bias of an LSTM as Keras orders its gates: `value` for the forget gate, 0 for the others.

    A gate that begins open lets gradients through from the first step on (Gers, Schmidhuber &
    Cummins, 2000; Jozefowicz et al., 2015). Goes with `unit_forget_bias=False`.

    Args:
        value: bias of the forget gate.
    """

    def __init__(self, value: float = 1.0) -> None:
        self.value = value

    def __call__(self, shape: tuple[int, ...], dtype: Any = None) -> Any:
        """Return float[4 × units]: input, forget, candidate and output gate."""
        units = shape[0] // 4
        forget = ops.full((units,), self.value, dtype=dtype)
        rest = [ops.zeros((size,), dtype=dtype) for size in (units, 2 * units)]
        return ops.concatenate([rest[0], forget, rest[1]])

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"value": self.value}


@keras.saving.register_keras_serializable(package="pipelines")
class GateIdentity(keras.initializers.Initializer):
    """Recurrent kernel whose every gate's block is the identity times a gain.

    Of a simple cell it copies the state, as Le, Jaitly & Hinton (2015) start theirs; there with
    rectifiers, here with tanh.

    Args:
        gain: factor of the identity.
    """

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = gain

    def __call__(self, shape: tuple[int, ...], dtype: Any = None) -> Any:
        """Return float[units, gates × units]."""
        units, width = shape
        return ops.tile(self.gain * ops.eye(units, dtype=dtype), (1, width // units))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"gain": self.gain}


@keras.saving.register_keras_serializable(package="pipelines")
class GateGlorot(keras.initializers.Initializer):
    """Recurrent kernel whose every gate's block has the range of Glorot & Bengio (2010).

    Keras' own takes the width of all gates for the fan-out, and so starts an LSTM's smaller.

    Args:
        seed: of the draw.
    """

    def __init__(self, seed: int | None = None) -> None:
        self.seed = seed

    def __call__(self, shape: tuple[int, ...], dtype: Any = None) -> Any:
        """Return float[units, gates × units]."""
        limit = (3 / shape[0]) ** 0.5  # 6 over fan-in and fan-out, both of which are units
        return keras.initializers.RandomUniform(-limit, limit, seed=self.seed)(shape, dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"seed": self.seed}


def recurrent_initializer(name: str, seed: int | None) -> keras.initializers.Initializer:
    """Return the initializer of a recurrent kernel, [units, gates × units].

    Args:
        name: "orthogonal" (Saxe et al., 2014; rows orthonormal over all gates, as in Keras),
            "identity" or "glorot" (both gate by gate).
        seed: of the draw.
    """
    if name == "identity":
        return GateIdentity()
    return GateGlorot(seed) if name == "glorot" else keras.initializers.Orthogonal(seed=seed)

"""Sensor signals on their way into a recurrent stack, and its states on their way out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

PACKAGE = "pipelines"


@keras.saving.register_keras_serializable(package=PACKAGE)
class SignalAugmentation(keras.layers.Layer):
    """Changes a window of a sensor's signal in training so that its labels still hold.

    Maps float32[B, T, K] to the same; outside training nothing changes. Every window has a draw of
    its own, and missing values (NaN) stay missing.

    Args:
        triples: channels that are x, y and z of one sensor. All of them are turned by the same
            random rotation, as if the device sat differently on the body (Um et al., 2017).
        spread: deviation of every channel, the unit of the noise.
        mirror: channels whose sign changes in half of the windows, as if the movement were
            mirrored.
        turn: largest angle of the rotation in degrees.
        gain: largest change of a channel's scale, as a share.
        noise: deviation of what is added to every value, as a share of `spread`.
        seed: of the draws.
    """

    def __init__(
        self,
        triples: Sequence[Sequence[int]],
        spread: Sequence[float],
        *,
        mirror: Sequence[int] = (),
        turn: float = 0.0,
        gain: float = 0.0,
        noise: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs | {"dtype": "float32"})
        self.settings: dict[str, Any] = {
            "triples": [list(triple) for triple in triples], "spread": list(spread),
            "mirror": list(mirror), "turn": turn, "gain": gain, "noise": noise, "seed": seed,
        }  # fmt: skip
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.built = True

    def call(self, signal: Any, training: bool = False) -> Any:
        """Return the changed signal when training."""
        if not training:
            return signal
        settings, rows = self.settings, ops.shape(signal)[0]
        if settings["mirror"]:
            chosen = self._uniform((rows, 1, 1)) < 0
            signal = ops.where(chosen, signal * self._signs(signal.shape[-1]), signal)
        if settings["turn"] and settings["triples"]:
            signal = self._turned(signal, rows)
        if settings["gain"]:
            shape = (rows, 1, signal.shape[-1])
            signal = signal * (1 + settings["gain"] * self._uniform(shape))
        if settings["noise"]:
            drawn = keras.random.normal(ops.shape(signal), seed=self.seed_generator)
            signal = signal + drawn * settings["noise"] * ops.array(settings["spread"], "float32")
        return signal

    def _uniform(self, shape: Any) -> Any:
        return keras.random.uniform(shape, -1.0, 1.0, seed=self.seed_generator)

    def _signs(self, channels: int) -> Any:
        signs = [-1.0 if place in self.settings["mirror"] else 1.0 for place in range(channels)]
        return ops.array(signs, "float32")

    def _turned(self, signal: Any, rows: Any) -> Any:
        """Turn the axes of all sensors of a window alike, about a random axis."""
        axis = keras.random.normal((rows, 3), seed=self.seed_generator)
        axis = axis / ops.maximum(ops.norm(axis, axis=-1, keepdims=True), 1e-6)
        angle = math.radians(self.settings["turn"]) * self._uniform((rows,))
        turning = rotations(axis, angle)
        columns = [signal[..., place : place + 1] for place in range(signal.shape[-1])]
        for triple in self.settings["triples"]:
            axes = ops.concatenate([columns[place] for place in triple], axis=-1)
            turned = ops.einsum("btj,bij->bti", axes, turning)
            for number, place in enumerate(triple):
                columns[place] = turned[..., number : number + 1]
        return ops.concatenate(columns, axis=-1)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the input."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return super().get_config() | self.settings


def rotations(axis: Any, angle: Any) -> Any:
    """Return the matrices that turn about unit vectors, float32[B, 3, 3] (Rodrigues' formula).

    Args:
        axis: float32[B, 3], of length 1.
        angle: float32[B], radians.
    """
    x, y, z = (axis[:, place] for place in range(3))
    zero = ops.zeros_like(x)
    rows = [zero, -z, y, z, zero, -x, -y, x, zero]
    across = ops.reshape(ops.stack(rows, axis=-1), (-1, 3, 3))
    sine, rest = ops.sin(angle)[:, None, None], (1 - ops.cos(angle))[:, None, None]
    return ops.eye(3) + sine * across + rest * ops.matmul(across, across)


@keras.saving.register_keras_serializable(package=PACKAGE)
class SignalScaling(keras.layers.Layer):
    """Standardises channels; what is missing (NaN or infinite) becomes 0, and is told of.

    Maps float32[..., K] to float32[..., K], or with `flags` to [..., 2 K]: 1 where a value is
    missing.

    Args:
        mean, spread: of every channel, from the training split.
        flags: whether to tell of missing values.
    """

    def __init__(
        self, mean: Sequence[float], spread: Sequence[float], *, flags: bool, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs | {"dtype": "float32", "trainable": False})
        self.settings = {"mean": list(mean), "spread": list(spread), "flags": flags}
        self.width = len(self.settings["mean"]) * (2 if flags else 1)  # type: ignore[arg-type]
        self.built = True

    def call(self, signal: Any) -> Any:
        """Return scaled values."""
        mean = ops.array(self.settings["mean"], "float32")
        spread = ops.array(self.settings["spread"], "float32")
        seen = ops.isfinite(signal)
        scaled = ops.where(seen, (signal - mean) / spread, 0.0)
        if not self.settings["flags"]:
            return scaled
        return ops.concatenate([scaled, ops.cast(ops.logical_not(seen), "float32")], axis=-1)

    def compute_output_shape(self, input_shape: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return the shape with the width of the output."""
        return (*input_shape[:-1], self.width)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return super().get_config() | self.settings


@keras.saving.register_keras_serializable(package=PACKAGE)
class RealSteps(keras.layers.Layer):
    """Which steps hold a real frame: from values [B, N, ...] and frames int32[B] to bool[B, N].

    Args:
        size: frames of a step.
    """

    def __init__(self, size: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.size = size
        self.built = True

    def call(self, values: Any, frames: Any) -> Any:
        """Return True where the first frame of a step is one of the row's."""
        first = ops.arange(ops.shape(values)[1], dtype="int32") * self.size
        return first[None] < ops.cast(frames, "int32")[:, None]

    def compute_output_spec(self, values: Any, frames: Any) -> Any:
        """Return bool[B, N]."""
        del frames
        return keras.KerasTensor(values.shape[:2], dtype="bool")

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return super().get_config() | {"size": self.size}


@keras.saving.register_keras_serializable(package=PACKAGE)
class PatchEmbedding(keras.layers.Layer):
    """A vector of every `size` frames that follow one another.

    Maps float[B, T, K] to float[B, ceil(T / size), 2 × units]: the frames of a patch side by side
    through one dense layer, and each channel's mean, deviation and mean step from frame to frame
    (the last two as logarithms) through another. What tells movements apart is often how strong
    they are, which a layer of sums can hardly learn from few recordings. A last patch that is not
    full is filled up with 0.

    Args:
        units: width of each half of a vector.
        size: frames of a patch.
        seed: of the weights.
    """

    def __init__(self, units: int, *, size: int, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.settings: dict[str, Any] = {"units": units, "size": size, "seed": seed}
        self.shape_layer, self.strength_layer = (
            keras.layers.Dense(
                units, "relu", kernel_initializer=keras.initializers.GlorotUniform(seed), name=name
            )
            for name in ("shape", "strength")
        )

    def build(self, input_shape: tuple[Any, ...]) -> None:
        """Create the weights."""
        width = input_shape[-1]
        self.shape_layer.build((None, None, width * self.settings["size"]))
        self.strength_layer.build((None, None, 3 * width))
        self.built = True

    def call(self, signal: Any) -> Any:
        """Return the vectors of patches."""
        size, width = self.settings["size"], signal.shape[-1]
        padded = ops.pad(signal, [(0, 0), (0, size - 1), (0, 0)])
        count = ops.shape(padded)[1] // size
        return self.embed(ops.reshape(padded[:, : count * size], (-1, count, size, width)))

    def embed(self, patches: Any) -> Any:
        """Return the vectors of patches float[B, N, size, K]."""
        size, width = patches.shape[-2:]
        mean = ops.mean(patches, axis=-2)
        spread = ops.sqrt(ops.mean((patches - mean[..., None, :]) ** 2, axis=-2) + 1e-4)
        steps = ops.abs(patches[..., 1:, :] - patches[..., :-1, :])
        step = ops.sum(steps, axis=-2) / max(1, size - 1)
        strength = ops.concatenate([mean, ops.log(spread + 0.05), ops.log(step + 0.02)], axis=-1)
        flat = ops.reshape(patches, (-1, ops.shape(patches)[1], size * width))
        return ops.concatenate([self.shape_layer(flat), self.strength_layer(strength)], axis=-1)

    def compute_output_shape(self, input_shape: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return [B, patches, 2 × units]."""
        rows, frames, _ = input_shape
        count = None if frames is None else -(-frames // self.settings["size"])
        return (rows, count, 2 * self.settings["units"])

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return super().get_config() | self.settings


@keras.saving.register_keras_serializable(package=PACKAGE)
class StatesOfFrames(keras.layers.Layer):
    """The state that is known of every frame, from the states of patches.

    Maps states float[B, N, H] and a signal [B, T, K] of N = ceil(T / size) patches to
    float[B, T, H]. Frame t gets the state of its own patch; of a causal model that of the last
    patch that is complete with frame t, and 0 before the first.

    Args:
        size: frames of a patch.
        causal: look at no later frame.
    """

    def __init__(self, size: int, *, causal: bool, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.settings = {"size": size, "causal": causal}
        self.supports_masking = True
        self.built = True

    def compute_mask(self, states: Any, previous_mask: Any = None) -> None:
        """Return None: the mask was of patches."""

    def call(self, states: Any, signal: Any) -> Any:
        """Return the states of frames."""
        size, frames = self.settings["size"], ops.shape(signal)[1]
        if self.settings["causal"]:
            states = ops.pad(states, [(0, 0), (1, 0), (0, 0)])
        first = 1 if self.settings["causal"] else 0
        return ops.repeat(states, size, axis=1)[:, first : first + frames]

    def compute_output_shape(
        self, states_shape: tuple[Any, ...], signal_shape: tuple[Any, ...]
    ) -> tuple[Any, ...]:
        """Return [B, T, H]."""
        return (states_shape[0], signal_shape[1], states_shape[-1])

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return super().get_config() | self.settings

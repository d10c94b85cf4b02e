"""From pixels to what a decoder attends to: any network of `keras.applications`."""

from __future__ import annotations

import logging
import sys
import warnings as python_warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from pipelines.datasets.storage import file_sha256
from pipelines.errors import ConfigError, did_you_mean

_log = logging.getLogger(__name__)
IMAGENET = "imagenet"
SUFFIXES = (".h5", ".keras")


def network_names() -> tuple[str, ...]:
    """Return the names of all networks that `PretrainedEncoder` knows, sorted."""
    found = vars(keras.applications).items()
    return tuple(sorted(name for name, value in found if name[:1].isupper() and callable(value)))


def network_name(name: str) -> str:
    """Return a network's name as Keras spells it.

    Args:
        name: in any case.

    Raises:
        ConfigError: `keras.applications` has no such network.
    """
    known = {one.lower(): one for one in network_names()}
    if name.lower() not in known:
        guess = did_you_mean(name.lower(), known)
        for lower, spelt in known.items():
            guess = guess.replace(f"'{lower}'", f"'{spelt}'")
        raise ConfigError(f"unknown network {name!r}{guess}; known: {', '.join(known.values())}")
    return known[name.lower()]


def weights_fingerprint(network: str, weights: str) -> str:
    """Return what identifies a network with its weights, for the key of a cache of its features.

    Args:
        network: as for `PretrainedEncoder`.
        weights: as for `PretrainedEncoder`. Random weights have no identity of their own: add the
            seed that they came from.

    Raises:
        ConfigError: there is no such network or file.
    """
    name = network_name(network)
    known = {"": "random", IMAGENET: f"{IMAGENET}-keras-{keras.__version__}"}
    return f"{name}:{known.get(weights) or file_sha256(_weights_file(name, weights))}"


@keras.saving.register_keras_serializable(package="pipelines")
class PretrainedEncoder(keras.layers.Layer):
    """Reads images with a known network without its classifier, by weights made elsewhere.

    Maps images [B, S, S, 3], uint8 or float from 0 to 255, to (memory float32[B, P, C], summary
    float32[B, C]) as `ResidualEncoder` does; what the network wants done to pixels is done inside.
    Weights are read when the layer is built, not when a saved model that holds them is loaded.

    With `trainable=False` the network is as it was read, batch statistics and all. Fine-tuned, it
    keeps its batch statistics too: those of a few small batches would undo it. Random weights
    gather statistics as usual, or stay random if not trainable.

    Args:
        network: a name of `network_names`, in any case.
        weights: "" for random ones from Keras' global seed, "imagenet" to have Keras fetch them,
            else the path of a .weights.h5, .h5 or .keras file of the network, with or without its
            classifier of 1000 classes.

    Raises:
        ConfigError: an unknown network, weights that are absent, do not fit or cannot be fetched;
            from `build`: a side that the network refuses.
    """

    def __init__(self, network: str, *, weights: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.network, self.weights_source = network_name(network), str(weights)
        self._reads_weights = True

    @property
    def width(self) -> int:
        """Return C, the width of memory and summary; known once built."""
        return int(self.features.output_shape[-1])

    def grid(self, images_shape: Sequence[int] | None = None) -> tuple[int, int]:
        """Return the rows and columns of the map; known once built, for the side built for."""
        del images_shape  # what `ResidualEncoder` needs to tell them
        rows, columns = self.features.output_shape[1:3]
        return rows, columns

    def build(self, images_shape: tuple[Any, ...]) -> None:
        """Make the network for the side of the images and read its weights."""
        source = self.weights_source if self._reads_weights else None
        file = None if source in {None, "", IMAGENET} else _weights_file(self.network, str(source))
        self.features = _make(self.network, tuple(images_shape[1:]), fetch=source == IMAGENET)
        if source == "":
            _log.warning(
                "%s starts from random weights: it has learnt nothing yet; give the path of its "
                "weights, or 'imagenet' to fetch them",
                self.network,
            )
        if file is not None:
            _read(self.features, self.network, file)
        self.features.trainable = self.trainable
        self.built = True

    def call(self, images: Any, training: bool = False) -> tuple[Any, Any]:
        """Return memory and summary."""
        module = sys.modules[getattr(keras.applications, self.network).__module__]
        pixels = module.preprocess_input(ops.cast(images, "float32"))
        learns = training and self.trainable and self.weights_source == ""
        maps = self.features(pixels, training=learns)
        rows, columns = self.grid()
        memory = ops.cast(ops.reshape(maps, (-1, rows * columns, self.width)), "float32")
        return memory, ops.mean(memory, axis=1)

    def compute_output_spec(self, images: Any, *_: Any, **__: Any) -> tuple[Any, Any]:
        """Return float32[B, P, C] and float32[B, C]."""
        (rows, columns), batch = self.grid(), images.shape[0]
        return (
            keras.KerasTensor((batch, rows * columns, self.width), dtype="float32"),
            keras.KerasTensor((batch, self.width), dtype="float32"),
        )

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return super().get_config() | {"network": self.network, "weights": self.weights_source}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> PretrainedEncoder:
        """Make the layer of a saved model: its weights come with the model, not from their file."""
        layer = cls(**config)
        layer._reads_weights = False
        return layer


def _make(network: str, shape: tuple[Any, ...] | None, *, fetch: bool = False) -> keras.Model:
    """Return a network for images of a shape, or for None the one with classifier, as published."""
    maker = getattr(keras.applications, network)
    weights = IMAGENET if fetch else None
    try:
        with python_warnings.catch_warnings():
            # Said of sides other than ImageNet's, which is known here and does no harm.
            python_warnings.simplefilter("ignore")
            return maker(include_top=shape is None, weights=weights, input_shape=shape)
    except ValueError as error:
        raise ConfigError(
            f"{network} cannot read images of shape {shape}: {_short(error)}; give images of "
            "another side, or choose another network"
        ) from error
    except Exception as error:
        if not fetch:
            raise
        raise ConfigError(
            f"the ImageNet weights of {network} cannot be fetched: {_short(error)}; fetch the "
            "file on a machine with network access and give its path instead of 'imagenet'"
        ) from error


def _weights_file(network: str, weights: str) -> Path:
    path = Path(weights).expanduser()
    if not path.is_file() or path.suffix not in SUFFIXES:
        found = "not a .weights.h5, .h5 or .keras file" if path.is_file() else "no such file"
        raise ConfigError(
            f"weights of {network}: {weights!r}: {found}; expected a file that Keras saved, "
            "'imagenet' to fetch them, or '' for random ones; correct the path"
        )
    return path


def _read(features: keras.Model, network: str, path: Path) -> None:
    """Give a network without classifier the weights of a file, with or without classifier."""
    refusal = ""
    for with_classifier in (False, True)[: 1 if path.suffix == ".keras" else 2]:
        try:
            return _assign(features, _saved(features, network, path, with_classifier))
        except (ValueError, OSError, KeyError, TypeError) as error:
            refusal = refusal or _short(error)
    raise ConfigError(
        f"weights of {network}: {str(path)!r} does not hold them: {refusal}; expected a file saved "
        f"from {network} with or without its classifier of 1000 classes; give one, or the name of "
        "the network that the file is of"
    )


def _saved(
    features: keras.Model, network: str, path: Path, with_classifier: bool
) -> list[tuple[str, np.ndarray]]:
    """Return the names and values of a file's weights in the order of the network's."""
    with python_warnings.catch_warnings():
        # Keras warns of empty groups; weights that are missing make it fail.
        python_warnings.simplefilter("ignore")
        if path.suffix == ".keras":
            model = keras.saving.load_model(path, compile=False)
        else:
            model = _make(network, None) if with_classifier else features
            model.load_weights(path)
    names = [weight.path for weight in model.weights]
    return list(zip(names, model.get_weights(), strict=True))


def _assign(features: keras.Model, saved: list[tuple[str, np.ndarray]]) -> None:
    """Set the weights; what follows them in a file is its classifier's."""
    own = features.weights
    for number, weight in enumerate(own):
        name, value = saved[number] if number < len(saved) else ("nothing", np.zeros(0))
        if tuple(value.shape) != tuple(weight.shape):
            raise ValueError(
                f"weight {number + 1} of {len(own)} is {name} {list(value.shape)}, "
                f"expected {weight.path} {list(weight.shape)}"
            )
    features.set_weights([value for _, value in saved[: len(own)]])


def _short(error: Exception) -> str:
    """Return the first line of an error, at most 200 characters of it."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:200].rstrip(". ")

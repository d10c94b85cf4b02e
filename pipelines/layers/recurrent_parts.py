"""The parts of one layer of a `RecurrentStack`, made from the stack's settings."""

from __future__ import annotations

from typing import Any

import keras

from pipelines.layers.activation_penalties import RegularisedStates
from pipelines.layers.drop_connect import DropConnect

CELLS = {"simple": keras.layers.SimpleRNN, "gru": keras.layers.GRU, "lstm": keras.layers.LSTM}


def make_layer(settings: dict[str, Any], number: int) -> dict[str, keras.layers.Layer]:
    """Make the parts of a layer by name; absent parts are absent, not identities.

    Args:
        settings: of the stack.
        number: of the layer, from 0 at the bottom.
    """
    seed = _seed(settings, number)
    parts: dict[str, keras.layers.Layer] = {}
    if settings["variational_dropout"]:
        parts["variational_dropout"] = keras.layers.SpatialDropout1D(
            settings["variational_dropout"], seed=seed
        )
    if settings["input_dropout"]:
        parts["input_dropout"] = keras.layers.Dropout(settings["input_dropout"], seed=seed)
    if settings["weight_dropout"]:
        parts["weight_dropout"] = DropConnect(settings["weight_dropout"], seed=seed)
    recurrence = _make_recurrence(settings, seed)
    if settings["direction"] == "both":
        recurrence = keras.layers.Bidirectional(recurrence)
    parts["recurrence"] = recurrence
    if settings["layer_norm"]:
        parts["layer_norm"] = keras.layers.LayerNormalization()
    return parts


def make_top(settings: dict[str, Any]) -> RegularisedStates | None:
    """Make what acts on the top layer's states in training; None if nothing does."""
    names = {
        "dropout": "locked_output_dropout",
        "activation": "activation_penalty",
        "temporal": "temporal_activation_penalty",
    }
    values = {name: settings[option] for name, option in names.items()}
    if not any(values.values()):
        return None
    return RegularisedStates(**values, seed=_seed(settings, settings["depth"]), name="top")


def _seed(settings: dict[str, Any], number: int) -> int | None:
    seed = settings["seed"]
    return None if seed is None else seed * 1000 + number


def _make_recurrence(settings: dict[str, Any], seed: int | None) -> keras.layers.Layer:
    # SimpleRNN has no cuDNN path to choose.
    extra = {} if settings["cell"] == "simple" else {"use_cudnn": settings["use_cudnn"]}
    return CELLS[settings["cell"]](
        settings["units"],
        return_sequences=True,
        recurrent_dropout=settings["recurrent_dropout"],
        kernel_initializer=keras.initializers.GlorotUniform(seed),
        recurrent_initializer=keras.initializers.Orthogonal(seed=seed),
        seed=seed,
        **extra,
    )

"""The parts of one layer of a `RecurrentStack`, made from the stack's settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from pipelines.layers.activation_penalties import RegularisedStates
from pipelines.layers.cells.making import make_recurrence
from pipelines.layers.dense_layers import DenseLayers
from pipelines.layers.drop_connect import DropConnect
from pipelines.layers.recurrent_settings import layer_directions, layer_sizes, layer_widths

Parts = dict[str, keras.layers.Layer]
# Reads a layer: its parts, its inputs and what stands for its state -> states and the state after.
ReadLayer = Callable[[Parts, Any, Any], tuple[Any, list[Any]]]


def make_layer(settings: dict[str, Any], number: int) -> Parts:
    """Make the parts of a layer by name; absent parts are absent, not identities.

    Args:
        settings: of the stack.
        number: of the layer, from 0 at the bottom.
    """
    seed = _seed(settings, number)
    parts: Parts = {}
    if settings["variational_dropout"]:
        parts["variational_dropout"] = keras.layers.SpatialDropout1D(
            settings["variational_dropout"], seed=seed
        )
    if settings["input_dropout"]:
        parts["input_dropout"] = keras.layers.Dropout(settings["input_dropout"], seed=seed)
    if settings["weight_dropout"]:
        parts["weight_dropout"] = DropConnect(settings["weight_dropout"], seed=seed)
    if settings["deep_input"] and number == 0:
        width = layer_widths(settings)[0]
        parts["deep_input"] = DenseLayers(settings["deep_input"], width, seed=_seed(settings, 500))
    parts["recurrence"] = _make_recurrence(settings, number, seed)
    if settings["layer_norm"]:
        parts["layer_norm"] = keras.layers.LayerNormalization()
    return parts


def _make_recurrence(settings: dict[str, Any], number: int, seed: int | None) -> keras.layers.Layer:
    direction, units = layer_directions(settings)[number], layer_sizes(settings)[number]
    backward = direction == "backward"
    recurrence = make_recurrence(settings, seed, units=units, go_backwards=backward)
    return keras.layers.Bidirectional(recurrence) if direction == "both" else recurrence


def make_top(settings: dict[str, Any]) -> RegularisedStates | None:
    """Make what acts on the stack's states in training; None if nothing does."""
    names = {
        "dropout": "locked_output_dropout",
        "activation": "activation_penalty",
        "temporal": "temporal_activation_penalty",
    }
    values = {name: settings[option] for name, option in names.items()}
    if not any(values.values()):
        return None
    seed = _seed(settings, len(layer_sizes(settings)))
    return RegularisedStates(**values, seed=seed, name="top")


def make_deep_output(settings: dict[str, Any], width: int) -> DenseLayers | None:
    """Make the dense layers on the stack's states, as wide as these; None if there are none."""
    layers = settings["deep_output"]
    return DenseLayers(layers, width, seed=_seed(settings, 600)) if layers else None


def drop_inputs(parts: Parts, inputs: Any, training: bool) -> Any:
    """Return a layer's inputs, [B, T, D], after its dropout."""
    for name in ("variational_dropout", "input_dropout"):
        if name in parts:
            inputs = parts[name](inputs, training=training)
    return inputs


def deepen(parts: Parts, inputs: Any) -> Any:
    """Return what the recurrence of a layer reads of the layer's inputs, [..., D]."""
    return parts["deep_input"](inputs) if "deep_input" in parts else inputs


def _seed(settings: dict[str, Any], number: int) -> int | None:
    seed = settings["seed"]
    return None if seed is None else seed * 1000 + number

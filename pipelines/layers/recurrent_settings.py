"""The settings of a `RecurrentStack`, and what follows from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Literal

from pipelines.config import RunConfig
from pipelines.recurrent_config import RecurrentConfig

FIELDS = tuple(field.name for field in fields(RecurrentConfig))
NAMES = (*FIELDS, "use_cudnn", "seed", "return_state")


def stack_settings(config: RunConfig, **changes: Any) -> dict[str, Any]:
    """Return the arguments of the `RecurrentStack` that a task's settings describe.

    Args:
        config: of the task.
        changes: arguments that differ.
    """
    return settings_of(config) | {"seed": config.seed} | changes


def settings_of(config: RecurrentConfig) -> dict[str, Any]:
    """Return every field by name; `layer_units` is a list, as it is in a saved model."""
    named = {name: getattr(config, name) for name in FIELDS}
    return named | {"layer_units": list(config.layer_units)}


def layer_sizes(settings: Mapping[str, Any]) -> list[int]:
    """Return the units of each layer, the lowest first."""
    return list(settings["layer_units"]) or [settings["units"]] * settings["depth"]


def layer_directions(settings: Mapping[str, Any]) -> list[Literal["forward", "backward", "both"]]:
    """Return how each layer reads, the lowest first."""
    count, direction = len(layer_sizes(settings)), settings["direction"]
    if direction == "alternating":
        return ["backward" if number % 2 else "forward" for number in range(count)]
    return [direction] * count


def layer_widths(settings: Mapping[str, Any]) -> list[int]:
    """Return the width of the states of each layer, the lowest first."""
    factor = 2 if settings["direction"] == "both" else 1
    return [size * factor for size in layer_sizes(settings)]


def backward_columns(settings: Mapping[str, Any]) -> list[list[int]]:
    """Return the columns [start, stop) of a stack's output that read backward.

    Of a stack with shortcuts all layers are there, side by side; else the top layer alone.
    """
    found, start = [], 0
    layers = list(zip(layer_directions(settings), layer_widths(settings), strict=True))
    for direction, width in layers if settings["skips"] else layers[-1:]:
        if direction != "forward":
            found.append([start + (width // 2 if direction == "both" else 0), start + width])
        start += width
    return found

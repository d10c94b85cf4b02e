"""Which way the recurrent layers of a model were trained, for the manifest and the report."""

from __future__ import annotations

import keras

from pipelines.layers.recurrent import RecurrentStack


def paths_taken(model: keras.Model) -> dict[str, str]:
    """Return of every recurrent layer that was trained "the fast path", or why Keras' own ran."""
    taken: dict[str, str] = {}
    for layer in model._flatten_layers():
        if isinstance(layer, RecurrentStack):
            taken |= dict(layer.paths)
    return taken

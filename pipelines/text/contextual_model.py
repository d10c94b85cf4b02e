"""Put a trained language model into the model of a receiving task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np

from pipelines.errors import DataError
from pipelines.layers.contextual_vectors import ContextualVectors
from pipelines.layers.language_model import LanguageModel
from pipelines.text.contextual import LANGUAGE_MODEL, Context
from pipelines.text.contextual_config import ContextualConfig

_LAYER = "contextual"
_PROBE = 16  # steps on which the encoder must equal the language model it was taken from


def contextual_vectors(
    config: ContextualConfig, context: Context | None, *, portable: bool
) -> tuple[list[Any], list[Any]]:
    """Return the inputs "context" and "context_places", and the vectors float32[B, T, D].

    Both lists are empty without a language model.
    """
    if context is None:
        return [], []
    layer = ContextualVectors(
        context.layer,
        config.context_size,
        dropout=config.context_dropout,
        tuned=config.unfreeze_every > 0,
        use_cudnn=False if portable else "auto",
        seed=config.seed,
        name=_LAYER,
    )
    names = ("context", "context_places")
    inputs = [keras.Input((None,), dtype="int32", name=name) for name in names]
    return inputs, [layer(*inputs)]


def set_language_model(
    model: keras.Model, config: ContextualConfig, context: Context | None
) -> None:
    """Give the model the weights of its language model, if it has one.

    Raises:
        DataError: the language model is another than `context` was read from, or computes its
            states otherwise than its settings say.
    """
    if context is None:
        return
    version = Path(config.init_from)
    if Context.read(version).fingerprint() != context.fingerprint():
        raise DataError(
            f"--init-from {version}: the language model changed while this run went on; expected "
            "the one that was there when it started: start the run again, with a version's own "
            f"number instead of `latest`, such as saved_models/{LANGUAGE_MODEL}/1"
        )
    kept = keras.saving.load_model(version / "assets.extra" / "model.keras", compile=False)
    trained = kept.get_layer(LANGUAGE_MODEL)
    layer = model.get_layer(_LAYER)
    if not isinstance(trained, LanguageModel) or not _takes(layer, trained):
        raise DataError(
            f"--init-from {version}: the encoder made from its settings does not compute its "
            "states; expected a recurrent stack over token vectors and nothing else before the "
            "output: train one with the default options of `make train-language-model`"
        )


def _takes(layer: ContextualVectors, trained: LanguageModel) -> bool:
    """Copy the weights; tell whether the states are the language model's own."""
    try:
        layer.take_weights(trained)
    except ValueError:
        return False
    size = trained.settings["vocabulary_size"]
    tokens = (np.arange(_PROBE, dtype=np.int32) % size)[None]
    wanted = trained.states(tokens, trained.start(1))[0]
    return bool(np.allclose(layer.states(tokens), wanted, atol=1e-5))

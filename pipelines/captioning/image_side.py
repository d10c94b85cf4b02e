"""What reads images in a captioner: made, given weights, and identified for the cache."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import keras
import numpy as np

from pipelines.captioning.captioner_config import COMPACT, CaptionerConfig
from pipelines.datasets.storage import file_sha256
from pipelines.errors import ConfigError
from pipelines.layers.attention_decoder import AttentionDecoder
from pipelines.layers.caption_bank import CaptionBank
from pipelines.layers.image_encoder import ResidualEncoder
from pipelines.layers.pretrained_encoder import PretrainedEncoder, weights_fingerprint

FEATURE_ROWS = 64  # images through a frozen encoder at once
# Keras loads layers that it has met: images are encoded before anything else imports these.
_KEPT_LAYERS = {layer.__name__: layer for layer in (AttentionDecoder, CaptionBank)}


def make_encoder(config: CaptionerConfig) -> keras.layers.Layer:
    """Make the encoder of the settings; a network of keras.applications reads its weights.

    Raises:
        ConfigError: no such network, or weights that are absent or do not fit it.
    """
    kept = _kept_model(config)
    if config.encoder == COMPACT:
        if kept is None:
            _require_version(config)
        return ResidualEncoder(
            config.widths,
            blocks=config.blocks,
            coordinates=config.coordinates,
            seed=config.seed,
            name="encoder",
        )
    settings = {"network": config.encoder, "weights": config.encoder_weights, "name": "encoder"}
    # What a version keeps is assigned by `start_encoder`: there is no file of weights to read.
    return PretrainedEncoder.from_config(settings) if kept else PretrainedEncoder(**settings)


def start_encoder(encoder: keras.layers.Layer, config: CaptionerConfig) -> None:
    """Give a built encoder the weights of an earlier version of this task, if one is named.

    Raises:
        ConfigError: its encoder is another.
    """
    path = _kept_model(config)
    if path is None:
        return
    kept = keras.saving.load_model(path, custom_objects=_KEPT_LAYERS).get_layer("encoder")
    ours, theirs = ([tuple(it.shape) for it in layer.weights] for layer in (encoder, kept))
    if type(kept) is not type(encoder) or ours != theirs:
        raise ConfigError(
            f"option --encoder-weights {config.encoder_weights}: its encoder is a "
            f"{type(kept).__name__} with {len(theirs)} weights of other shapes, expected that of "
            "these settings; give the --encoder, --widths, --blocks and --coordinates it was "
            "trained with"
        )
    encoder.set_weights(kept.get_weights())


def _require_version(config: CaptionerConfig) -> None:
    if config.encoder == COMPACT and config.encoder_weights:
        raise ConfigError(
            f"option --encoder-weights {config.encoder_weights}: no assets.extra/model.keras in "
            "it; of the compact encoder, expected a version of this task, such as "
            "saved_models/captioning/1: train one first, or leave the option out"
        )


def _kept_model(config: CaptionerConfig) -> Path | None:
    if not config.encoder_weights:
        return None
    path = Path(config.encoder_weights) / "assets.extra" / "model.keras"
    return path if path.is_file() else None


def encoder_fingerprint(config: CaptionerConfig) -> str:
    """Return what identifies the frozen encoder whose features are kept; "" if they are not.

    Raises:
        ConfigError: its weights are absent.
    """
    if not config.frozen:
        return ""
    path = _kept_model(config)
    if path is not None:
        return file_sha256(path)
    _require_version(config)
    return weights_fingerprint(config.encoder, config.encoder_weights)


# Every split is encoded by one network: a new one would be built and traced each time.
@lru_cache(maxsize=1)
def frozen_features(config: CaptionerConfig) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function from pixels uint8[N, S, S, 3] to the maps of the frozen encoder.

    It gives float32[N, P, C]; the encoder in the exported model has the same weights.
    """
    side = config.image_size
    image = keras.Input((side, side, 3), dtype="uint8", name="image")
    encoder = make_encoder(config)
    model = keras.Model(image, encoder(image)[0])
    start_encoder(encoder, config)
    model.trainable = False

    def features(pixels: np.ndarray) -> np.ndarray:
        blocks: list[Any] = [
            model.predict_on_batch(pixels[start : start + FEATURE_ROWS])
            for start in range(0, len(pixels), FEATURE_ROWS)
        ]
        return np.concatenate(blocks)

    return features

"""A captioner with random weights and pictures to show it."""

import io

import keras
import numpy as np
from PIL import Image

from pipelines.captioning import captioner
from pipelines.captioning.artifacts import CaptionArtifacts
from pipelines.captioning.captioner_config import CaptionerConfig
from pipelines.datasets.captions_options import CaptionedImage
from pipelines.datasets.rows import Rows
from pipelines.text.vocabulary import EOS, RESERVED, Vocabulary

WORDS = Vocabulary((*RESERVED, "a", "red", "green", "dog", "cup", "sees", "blue"))
CAPTIONS = np.array([[4, 5, 7, 3, 0], [4, 6, 8, 3, 0], [5, 7, 9, 8, 3], [6, 8, 3, 0, 0]], np.int32)


OPTIONS = {
    "units": 5, "embedding_size": 4, "max_tokens": 12, "beam": 3, "length_penalty": 0.0,
    "image_size": 16, "widths": (4, 6), "blocks": (1, 1), "neighbours": 2, "seed": 5,
    "augmentation": False,
}  # fmt: skip


def config_of(**changes):
    return CaptionerConfig(**OPTIONS | changes)


def artifacts_of(config):
    settings = {
        "level": config.level, "lowercase": True, "max_tokens": config.max_tokens,
        "size": config.image_size, "fit": config.fit, "encoder": "", "tuned": False,
    }  # fmt: skip
    return CaptionArtifacts(WORDS, settings, frozenset({"a red dog"}), *CAPTIONS.shape)


def model_of(config):
    """Return a model whose weights are random; its bank holds `CAPTIONS` of random images."""
    keras.utils.set_random_seed(5)
    model = captioner.build(config, artifacts_of(config), portable=True)
    rng = np.random.default_rng(3)
    for weight in model.trainable_variables:
        weight.assign(rng.normal(size=weight.shape, scale=0.9))
    bias = model.get_layer("decoder").output_layer.bias
    bias.assign(np.where(np.arange(len(WORDS)) == EOS, 2.0, bias))  # captions come to an end
    if config.consensus:
        bank = model.get_layer("bank")
        captions = np.zeros(bank.captions.shape, np.int32)
        captions[:, : CAPTIONS.shape[1]] = CAPTIONS
        bank.fill(rng.normal(size=bank.features.shape).astype(np.float32), captions)
    return model


def picture(number, size=(20, 14)):
    """Return pixels of a picture of its own, uint8[height, width, 3]."""
    rng = np.random.default_rng(number)
    return rng.integers(0, 256, (size[1], size[0], 3), np.uint8)


def png(pixels):
    """Return the bytes of a PNG."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


PICTURES = [png(picture(number)) for number in range(5)]


def rows_of(folder, captions, pictures=PICTURES):
    """Return images on disk, one for each tuple of captions."""
    folder.mkdir(exist_ok=True)
    rows = []
    for number, (texts, content) in enumerate(zip(captions, pictures, strict=False)):
        path = folder / f"{number}.png"
        path.write_bytes(content)
        rows.append(CaptionedImage(str(path), texts))
    return Rows.of(CaptionedImage, rows)


def version_of(folder, config):
    """Write what a version directory of the task keeps of its model; return it and the model."""
    model, place = model_of(config), folder / "assets.extra"
    place.mkdir(parents=True, exist_ok=True)
    model.save(place / "model.keras")
    return folder, model

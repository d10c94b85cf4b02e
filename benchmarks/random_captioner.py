"""What the captioning benchmark needs: pictures with captions, and networks without training."""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
from common import ROOT
from PIL import Image, ImageDraw

sys.path.insert(0, str(ROOT))

COLOURS = ("red", "green", "blue", "black", "orange", "purple")
SHAPES = {"circle": "ellipse", "square": "rectangle"}
CAPTIONS = 2  # of an image
LONGEST = 12  # tokens of a caption that is served
WORDS, REMEMBERED = 1_000, 3_000  # as the default set has


def draw_images(folder: Path, count: int, name: str, side: int) -> Path:
    """Draw a shape in each of `count` pictures; return their captions.csv."""
    folder.mkdir(exist_ok=True)
    lines = ["image,caption\n"]
    for number in range(count):
        draw = random.Random(number)
        colour, shape = draw.choice(COLOURS), draw.choice(list(SHAPES))
        path = folder / f"{number}.png"
        if not path.exists():
            _draw(draw, side, colour, shape).save(path, compress_level=1)
        lines += [f"{path.name},a {colour} {shape}\n", f"{path.name},the {shape} is {colour}\n"]
    captions = folder / f"{name}.csv"
    captions.write_text("".join(lines))
    return captions


def _draw(draw: random.Random, side: int, colour: str, shape: str) -> Image.Image:
    ground = tuple(draw.randint(200, 255) for _ in range(3))
    image = Image.new("RGB", (side, side), ground)
    size = draw.randint(side // 4, side // 2)
    left, top = draw.randint(0, side - size), draw.randint(0, side - size)
    box = [left, top, left + size, top + size]
    getattr(ImageDraw.Draw(image), SHAPES[shape])(box, fill=colour)
    return image


def make_task(**settings: Any) -> Any:
    """Return the task with settings that all ways of this file share."""
    from tasks.captioning import Captioning, CaptioningConfig

    shared = {"augmentation": False, "word_loss": 0.0, "rows_per_epoch": 10**9}
    return Captioning(CaptioningConfig(**shared | settings))


def save_weights(folder: Path, **settings: Any) -> Path:
    """Save random weights of an encoder as a user would have them; return their place."""
    import keras

    task = make_task(**settings)
    name, side = task.config.encoder, task.config.image_size
    if name == "compact":
        return keep(random_model(task), folder)
    maker = getattr(keras.applications, name)
    path = folder / "network.weights.h5"
    maker(include_top=False, weights=None, input_shape=(side, side, 3)).save_weights(path)
    return path


def random_artifacts(task: Any) -> Any:
    """Return a vocabulary of made-up words, and the sizes of a set of captions."""
    from pipelines.captioning.artifacts import CaptionArtifacts
    from pipelines.text.vocabulary import RESERVED, Vocabulary

    config = task.config
    settings = {
        "level": "word", "lowercase": True, "max_tokens": config.max_tokens,
        "size": config.image_size, "fit": config.fit, "encoder": "", "tuned": False,
    }  # fmt: skip
    vocabulary = Vocabulary((*RESERVED, *(f"w{number}" for number in range(WORDS))))
    return CaptionArtifacts(vocabulary, settings, frozenset(), REMEMBERED, LONGEST)


def random_model(task: Any) -> Any:
    """Return the model with random weights and remembered captions."""
    model = task.build_model(random_artifacts(task), portable=True)
    if task.config.consensus:
        bank, drawn = model.get_layer("bank"), np.random.default_rng(0)
        captions = drawn.integers(4, WORDS, (REMEMBERED, LONGEST)).astype(np.int32)
        bank.fill(drawn.random(bank.features.shape, np.float32), captions)
        bank.set_vote(0.5, 0.5, 1.0)
    return model


def keep(model: Any, folder: Path) -> Path:
    """Save a model where a version has it; return the version."""
    extra = folder / "assets.extra"
    extra.mkdir(parents=True)
    model.save(extra / "model.keras")
    return folder


def export_random(folder: Path, **settings: Any) -> Path:
    """Export a network of the default size whose weights are random; return its folder."""
    from pipelines.export.saved_model import write_saved_model

    task = make_task(max_tokens=LONGEST, **settings)
    endpoints = task.endpoints(random_model(task), random_artifacts(task))
    write_saved_model(folder, {"serve": endpoints["serve"]})
    return folder

"""Draw where an exported translator looks."""

from __future__ import annotations

import json
from pathlib import Path

from pipelines.errors import ConfigError
from pipelines.evaluation.attention_picture import attention_picture, require_picture
from pipelines.export.loading import load_served
from pipelines.translation.evidence import align


def draw_attention(version: Path, text: str, path: Path) -> None:
    """Translate a text and draw the attention of the translation to a picture file."""
    model = load_served(version)
    translation = str(model.call({"text": [text]})["translation"][0])
    attention_picture(align(model.call, text, translation), path)


def require_drawable(version: Path, path: Path) -> None:
    """Find out before translating whether attention can be drawn.

    Raises:
        ConfigError: the model has no attention, or the ending of the path is of no picture.
    """
    require_picture(path)
    manifest = json.loads((version / "assets.extra" / "manifest.json").read_text())
    if manifest["config"]["attention"] == "none":
        raise ConfigError(
            f"option --attention: {version} was trained with --attention none, so there is nothing "
            "to draw; train with --attention dot or additive"
        )

"""Options of `predict` for a captioner."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipelines.errors import ConfigError
from pipelines.options import PredictOptions


@dataclass(frozen=True, kw_only=True)
class CaptionPredictOptions(PredictOptions):
    """What to caption: an image, or all images of a folder."""

    file: Path | None = None
    """An image (PNG, JPEG, GIF, WebP or BMP), or a folder of them."""
    n_best: int = 1
    """Show so many captions of each image, best first."""
    scores: bool = False
    """Show the score of each caption: its log-probability, made up for its length."""
    json: bool = False
    """Print a JSON line for each image."""
    attention: Path | None = None
    """Also draw where the model looked for each word, as a .png, .svg or .pdf; of one image."""

    def __post_init__(self) -> None:
        """Refuse what does not go together, before a model is looked for."""
        if self.file is None:
            raise ConfigError(
                "predict needs --file (in Make: FILE=photo.jpg), an image or a folder of images"
            )
        if not self.file.exists():
            raise ConfigError(f"option --file: {self.file}: no such file or folder")
        if self.n_best < 1:
            raise ConfigError(f"option --n-best is {self.n_best}; it must be at least 1")
        if self.attention is not None and self.file.is_dir():
            raise ConfigError(
                "option --attention draws one image; --file is a folder: give one image of it"
            )

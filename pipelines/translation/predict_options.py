"""Options of `predict` for a translator."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipelines.errors import ConfigError
from pipelines.options import TextPredictOptions


@dataclass(frozen=True, kw_only=True)
class TranslateOptions(TextPredictOptions):
    """What to translate; give --text or --file. A file's answers come in the order of its lines."""

    n_best: int = 1
    """Show so many translations of each text, best first."""
    scores: bool = False
    """Show the score of each translation: its log-probability, made up for its length."""
    plain: bool = False
    """With --file, print the translations alone, a line each, instead of JSON."""
    attention: Path | None = None
    """With --text, also draw where the model looked for each word, as a .png, .svg or .pdf."""

    def __post_init__(self) -> None:
        """Refuse what does not go together, before a model is looked for."""
        super().__post_init__()
        if self.n_best < 1:
            raise ConfigError(f"option --n-best is {self.n_best}; it must be at least 1")
        if self.attention is not None and self.file is not None:
            raise ConfigError(
                "option --attention draws one text; with --file there are many: give --text"
            )
        if self.plain and (self.file is None or self.n_best > 1 or self.scores):
            raise ConfigError(
                "option --plain prints one bare translation a line of a file; it goes with --file "
                "and without --n-best and --scores"
            )

"""Options of the command line's verbs; a field's docstring is its `--help` text."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipelines.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """Where rows come from."""

    data: str | None = None
    """A file, a glob, a folder, a built-in name, or tfds:NAME; without it the task's default."""


@dataclass(frozen=True, kw_only=True)
class TrainOptions(DataOptions):
    """How a training run starts."""

    resume: bool = False
    """Go on with the interrupted run of the same settings and data."""


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions(DataOptions):
    """What to score."""

    model: Path | None = None
    """A version directory; without it the latest of the task."""


@dataclass(frozen=True, kw_only=True)
class PredictOptions:
    """Which model predicts; tasks add what it predicts from."""

    model: Path | None = None
    """A version directory; without it the latest of the task."""


@dataclass(frozen=True, kw_only=True)
class TextPredictOptions(PredictOptions):
    """What to predict; give --text or --file."""

    text: str | None = None
    """One text."""
    file: str | None = None
    """A file with one text a line, or - for standard input: one JSON line comes out for each."""
    json: bool = False
    """Print JSON for --text as well."""

    def __post_init__(self) -> None:
        """Refuse neither and both, before a model is looked for."""
        if (self.text is None) == (self.file is None):
            raise ConfigError("predict needs one of --text and --file (in Make: TEXT= or FILE=)")

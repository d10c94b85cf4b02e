"""Options of the studies; a field's docstring is its `--help` text.

The settings of the task are options too: what is given there holds for all runs of a study.
"""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.config import RunConfig
from pipelines.encoder_config import Encoder, EncoderConfig
from pipelines.errors import ConfigError, require
from pipelines.options import DataOptions
from pipelines.recurrent_config import Cell

MOST_RUNS = 500  # more are a typing mistake


@dataclass(frozen=True, kw_only=True)
class StudyOptions(DataOptions):
    """How a study starts."""

    resume: bool = False
    """Go on with the interrupted study of the same settings and data."""
    study_linear: bool = False
    """Also fit the part that counts n-grams, in tasks that have one (--linear). Without, networks
    are compared alone."""

    def check(self, config: RunConfig) -> None:
        """Refuse settings of the task that the study cannot hold to."""

    def common(self, config: RunConfig) -> dict[str, object]:
        """Return the settings that every run of the study changes in the task's."""
        return {"linear": False} if hasattr(config, "linear") and not self.study_linear else {}


@dataclass(frozen=True, kw_only=True)
class CompareCellsOptions(StudyOptions):
    """What to compare."""

    study_cells: tuple[Cell, ...] = ("simple", "gru", "lstm", "mingru")
    """Recurrent cells to compare."""
    study_encoders: tuple[Encoder, ...] = ("rnn", "cnn", "dense")
    """Encoders to compare, in tasks that have a choice of them (--encoder); others take rnn."""
    study_depths: tuple[int, ...] = (1, 2)
    """Numbers of layers to compare."""
    study_seeds: int = 3
    """Trainings of each combination; they differ in --seed alone."""
    study_budget: int | None = None
    """Trained weights of every network, embedding tables left out: --units is chosen to reach it.
    Without it, as many as the task's own settings have."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        for name in ("study_cells", "study_encoders", "study_depths"):
            given = getattr(self, name)
            unique = bool(given) and len(set(given)) == len(given)
            require(unique, name, given, "one or more, each once")
        require(min(self.study_depths) >= 1, "study_depths", self.study_depths, "at least 1 each")
        require(self.study_seeds >= 1, "study_seeds", self.study_seeds, "at least 1")
        budget = self.study_budget
        require(budget is None or budget >= 1, "study_budget", budget, "at least 1 weight")

    def check(self, config: RunConfig) -> None:
        """Refuse settings of the task that the study sets itself.

        Raises:
            ConfigError: layers have sizes of their own, or there are far too many runs.
        """
        _refuse_layer_units(config, "compare-cells")
        require_default_encoder(config)
        runs = len(self.study_cells) * len(self.study_depths) * self.study_seeds
        require(runs <= MOST_RUNS, "study_seeds", self.study_seeds, f"fewer: {runs:,} runs of rnn")


def require_default_encoder(config: RunConfig) -> None:
    """Refuse --encoder where the study chooses it."""
    encoder = config.encoder if isinstance(config, EncoderConfig) else "rnn"
    require(encoder == "rnn", "encoder", encoder, "left out: --study-encoders says which")


@dataclass(frozen=True, kw_only=True)
class LadderOptions(StudyOptions):
    """How far to climb."""

    study_start: int = 4
    """Units of the first rung; each rung has twice as many as the one before."""
    study_most_units: int = 512
    """Units of the last rung at most."""
    study_most_depth: int = 4
    """Layers at most: once more units gain nothing, layers are doubled at the units chosen."""
    study_seeds: int = 3
    """Trainings of each rung; they differ in --seed alone."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        for name in ("study_start", "study_most_depth", "study_seeds"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        most = self.study_most_units
        expected = f"at least --study-start, {self.study_start}"
        require(most >= self.study_start, "study_most_units", most, expected)

    def check(self, config: RunConfig) -> None:
        """Refuse settings of the task that the study sets itself.

        Raises:
            ConfigError: layers have sizes of their own.
        """
        _refuse_layer_units(config, "ladder")


@dataclass(frozen=True, kw_only=True)
class GradientsOptions(StudyOptions):
    """What to look at."""

    study_cells: tuple[Cell, ...] = ("simple", "gru", "lstm")
    """Recurrent cells to compare."""
    study_rows: int = 32
    """Rows of the training split to look at, the longest."""
    study_distance: int = 100
    """Most steps to look back."""
    study_epochs: int = 1
    """Epochs of the short training after which gradients are looked at again; 0: none."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        cells = self.study_cells
        unique = bool(cells) and len(set(cells)) == len(cells)
        require(unique, "study_cells", cells, "one or more, each once")
        require(self.study_rows >= 1, "study_rows", self.study_rows, "at least 1")
        require(self.study_distance >= 2, "study_distance", self.study_distance, "at least 2")
        require(self.study_epochs >= 0, "study_epochs", self.study_epochs, "0 (none) or more")

    def check(self, config: RunConfig) -> None:
        """Refuse settings of the task under which there is no recurrent layer to look at.

        Raises:
            ConfigError: the encoder is not recurrent.
        """
        encoder = config.encoder if isinstance(config, EncoderConfig) else "rnn"
        require(encoder == "rnn", "encoder", encoder, "rnn: others have no gradient through time")


def _refuse_layer_units(config: RunConfig, study: str) -> None:
    if config.layer_units:
        raise ConfigError(
            f"option --layer-units is {config.layer_units!r}; it must be left out of {study}, "
            "which varies --units and --depth itself"
        )

"""Settings every task shares: one frozen dataclass, every default visible, every field documented.

The command line is generated from these classes, so a field's docstring is its `--help` text.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, Literal, TypeVar

from pipelines.errors import require
from pipelines.recurrent_config import RecurrentConfig

Pooling = Literal["last", "mean", "max", "attention"]
Optimizer = Literal["adamw", "sgd"]
Schedule = Literal["constant", "cosine", "plateau"]
Level = Literal["word", "char", "byte", "subword"]


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How any task trains."""

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}  # settings by name, for --preset

    preset: str = ""
    """Start from the settings of this name instead of the defaults; other options change them."""
    seed: int = 17
    """Fixes the initial weights, the order of batches and every other random choice."""
    split_seed: int = 17
    """Draws the split where the data has none; apart from the seed, so that seeds share rows."""
    limit: int | None = None
    """Use at most this many rows of each split: a quick look, not a result."""

    epochs: int = 10
    """Most passes over the training split; early stopping may end sooner."""
    patience: int = 3
    """Stop after this many epochs without a better validation score."""
    batch_tokens: int = 2048
    """Padded tokens in a batch: short rows come in large batches, long rows in small ones."""
    optimizer: Optimizer = "adamw"
    """Adam with decoupled weight decay, or stochastic gradient descent, whose rates are larger."""
    momentum: float = 0.0
    """Share of the last step that the next one keeps (sgd)."""
    learning_rate: float = 2e-3
    """Peak learning rate of the optimizer."""
    schedule: Schedule = "cosine"
    """Learning rate: raised and then lowered to zero along a cosine; held; or lowered whenever the
    validation score stands still (plateau)."""
    warmup: float = 0.05
    """Share of all steps over which the learning rate rises from zero (cosine)."""
    plateau_factor: float = 4.0
    """Divide the learning rate by this (plateau)."""
    plateau_patience: int = 1
    """Epochs without a better validation score after which the rate is lowered (plateau)."""
    weight_decay: float = 0.0
    """Decoupled weight decay; frozen layers keep their weights."""
    clip_norm: float = 1.0
    """Largest global norm of the gradients of one step; 0 switches clipping off."""
    clip_value: float = 0.0
    """Largest size of any single gradient value, instead of --clip-norm; 0 switches it off."""
    monitor: bool = True
    """Measure gradients, updates and gates while training, and warn in words."""
    weight_average: float = 0.0
    """Validate and keep a moving average of the weights of this decay, such as 0.99; 0: none."""
    average_epochs: int = 1
    """Average the weights of this many last epochs where that is better on the validation split
    than the best epoch (checkpoint averaging); 1: do not."""
    triggered_averaging: int = 0
    """Once the validation score is worse than the best of those more than this many epochs ago,
    keep the mean of all weights from then on (NT-ASGD; Merity et al., 2018); 0: never."""
    unfreeze_every: int = 0
    """Train the top of a pretrained model alone at first, and one layer more after every this many
    epochs (gradual unfreezing; Howard & Ruder, 2018); 0: all layers from the start."""
    mixed_precision: bool = False
    """Compute in float16 with float32 weights: for GPUs, slower on most CPUs."""
    tensorboard: bool = False
    """Write a TensorBoard log to data/cache/TASK-tensorboard (needs the tensorboard package)."""
    checkpoint_minutes: float = 5.0
    """Save the training state this often within an epoch, besides after every epoch."""

    def __post_init__(self) -> None:
        """Refuse values that cannot work, before any data is read."""
        for name in ("epochs", "batch_tokens", "average_epochs"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        for name in (
            "warmup",
            "weight_average",
            "momentum",
        ):
            require(0 <= getattr(self, name) < 1, name, getattr(self, name), "in [0, 1)")
        require(self.learning_rate > 0, "learning_rate", self.learning_rate, "above 0")
        for name in ("clip_norm", "clip_value"):
            require(getattr(self, name) >= 0, name, getattr(self, name), "0 (off) or more")
        both = self.clip_norm > 0 and self.clip_value > 0
        require(not both, "clip_value", self.clip_value, "0, or --clip-norm 0 with it")
        require(self.limit is None or self.limit >= 10, "limit", self.limit, "at least 10 rows")
        self._check_optimizing()

    def _check_optimizing(self) -> None:
        for name in ("unfreeze_every", "triggered_averaging"):
            require(getattr(self, name) >= 0, name, getattr(self, name), "0 (off) or more")
        require(self.plateau_factor > 1, "plateau_factor", self.plateau_factor, "above 1")
        require(self.plateau_patience >= 1, "plateau_patience", self.plateau_patience, "at least 1")
        needless = self.momentum > 0 and self.optimizer != "sgd"
        require(not needless, "momentum", self.momentum, f"0 with --optimizer {self.optimizer}")
        both = self.triggered_averaging > 0 and self.weight_average > 0
        got = self.triggered_averaging
        require(not both, "triggered_averaging", got, "0 with --weight-average")
        expected = f"at most --patience, {self.patience}: training would stop before it begins"
        require(got <= self.patience, "triggered_averaging", got, expected)

    def fingerprint(self) -> str:
        """Return a short hash of every setting, the same in every process."""
        return fingerprint(asdict(self))


@dataclass(frozen=True, kw_only=True)
class RunConfig(RecurrentConfig, TrainingConfig):
    """Training and recurrent settings of any task."""

    def __post_init__(self) -> None:
        """Refuse values that cannot work, before any data is read."""
        RecurrentConfig.__post_init__(self)
        TrainingConfig.__post_init__(self)


AnyConfig = TypeVar("AnyConfig", bound=RunConfig)


@dataclass(frozen=True, kw_only=True)
class TextConfig(RunConfig):
    """Settings of a task that reads text."""

    lowercase: bool = True
    """Fold case before looking a token up."""
    min_count: int = 1
    """Tokens seen less often than this in the training split are unknown."""
    vocabulary_size: int = 30_000
    """Most entries of the vocabulary, reserved ones included."""
    max_tokens: int = 256
    """Longer texts are cut here, at training and serving alike; the cut ones are counted."""
    embedding_size: int = 64
    """Dimensions of a token's vector; pretrained vectors set their own."""
    embeddings: str | None = None
    """Pretrained word vectors: a .vec or .txt file, plain or .gz (word2vec, GloVe, fastText)."""

    def __post_init__(self) -> None:
        """Refuse values that cannot work, before any data is read."""
        super().__post_init__()
        require(self.max_tokens >= 1, "max_tokens", self.max_tokens, "at least 1")
        require(self.vocabulary_size > 4, "vocabulary_size", self.vocabulary_size, "above 4")


def config_from_json(config_type: type[AnyConfig], content: Mapping[str, Any]) -> AnyConfig:
    """Rebuild settings from a manifest: JSON has lists where settings have tuples."""
    known = {entry.name for entry in fields(config_type)}
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in content.items()
        if name in known
    }
    return config_type(**values)


def fingerprint(value: Any) -> str:
    """Return 16 hexadecimal digits that identify a JSON-like value."""
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]

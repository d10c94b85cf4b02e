"""Settings of a task that may read its texts with a trained language model first."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.config import TextConfig
from pipelines.errors import require


@dataclass(frozen=True, kw_only=True)
class ContextualConfig(TextConfig):
    """Settings of word vectors in context (Akbik et al., 2018), and of tuning what makes them."""

    init_from: str = ""
    """A trained language model, such as saved_models/language_model/latest: what it remembers at
    the end of each token becomes part of the token's vector. The report then compares the model
    with one trained without it."""
    context_size: int = 100
    """Dimensions that the language model's states are projected to, with --init-from."""
    context_dropout: float = 0.3
    """Share of the projected values dropped in training, with --init-from."""
    unfreeze_every: int = 0
    """Train the language model too, its top layer after this many epochs and one layer more after
    as many again (gradual unfreezing; Howard & Ruder, 2018); 0: leave it as it is."""

    def __post_init__(self) -> None:
        """Refuse values that cannot work, before any data is read."""
        super().__post_init__()
        require(self.context_size >= 1, "context_size", self.context_size, "at least 1")
        dropout = self.context_dropout
        require(0 <= dropout < 1, "context_dropout", dropout, "in [0, 1)")
        require(self.unfreeze_every >= 0, "unfreeze_every", self.unfreeze_every, "0 (off) or more")
        possible = bool(self.init_from) or not self.unfreeze_every
        require(possible, "unfreeze_every", self.unfreeze_every, "0 without --init-from")

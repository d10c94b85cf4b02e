"""Settings of a translator; apart from the model, so that `--help` needs no Keras."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.config import Level
from pipelines.errors import require
from pipelines.text.decoder_config import DecoderConfig


@dataclass(frozen=True, kw_only=True)
class TranslatorConfig(DecoderConfig):
    """Settings of an encoder-decoder with attention."""

    level: Level = "subword"
    """Tokens of both languages are subword pieces learned on the training split, words or
    characters."""
    joint_vocabulary: bool = False
    """Learn one vocabulary for both languages, case kept: names are then cut alike in both."""
    lowercase: bool = True
    """Fold the case of the source; the translation keeps its case."""

    epochs: int = 8
    batch_tokens: int = 2560
    learning_rate: float = 3e-3
    fast: bool = True
    units: int = 256
    decoder_units: int = 384
    """Units of a layer of the decoder."""
    decoder_depth: int = 1
    """Layers of the decoder."""
    history: bool = True
    """Let attention know how far the translation has come, and what it has looked at (not with
    input feeding)."""
    lexical: bool = True
    """Translate a word also by itself, whatever its context, from a lexicon learned in advance."""

    input_dropout: float = 0.3

    coverage_penalty: float = 0.0
    """Weight of attending to every source token (Wu et al., 2016, equation 14)."""
    length_factor: float = 2.0
    """A translation has at most so many times the tokens of its source, and 10."""

    def __post_init__(self) -> None:
        """Refuse values that cannot work, before any data is read."""
        super().__post_init__()
        for name in ("decoder_units", "decoder_depth"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        require(self.length_factor > 0, "length_factor", self.length_factor, "above 0")
        coverage = self.coverage_penalty
        require(coverage >= 0, "coverage_penalty", coverage, "0 (off) or more")
        blind = coverage and self.attention == "none"
        require(not blind, "coverage_penalty", coverage, "0 without attention")

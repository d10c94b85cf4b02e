"""Settings of a translator; apart from the model, so that `--help` needs no Keras."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pipelines.config import Level, RunConfig, require

AttentionKind = Literal["dot", "additive", "none"]


@dataclass(frozen=True, kw_only=True)
class TranslatorConfig(RunConfig):
    """Settings of an encoder-decoder with attention."""

    level: Level = "subword"
    """Tokens of both languages are subword pieces learned on the training split, words or
    characters."""
    joint_vocabulary: bool = False
    """Learn one vocabulary for both languages, case kept: names are then cut alike in both."""
    vocabulary_size: int = 4_000
    """Most entries of a vocabulary, reserved ones included."""
    min_count: int = 1
    """Tokens (of subwords: merges) seen less often than this in the training split are unknown."""
    lowercase: bool = True
    """Fold the case of the source; the translation keeps its case."""
    max_tokens: int = 200
    """Longer texts, on either side, are cut here; an answer to a cut text is marked incomplete."""

    epochs: int = 8
    batch_tokens: int = 2560
    learning_rate: float = 3e-3
    fast: bool = True
    units: int = 256
    embedding_size: int = 256
    """Dimensions of a token's vector, in both languages."""
    decoder_units: int = 384
    """Units of a layer of the decoder."""
    decoder_depth: int = 1
    """Layers of the decoder."""
    attention: AttentionKind = "dot"
    """How the decoder looks at the source: scaled dot product (Luong et al., 2015), additive
    (Bahdanau et al., 2015), or not at all: the encoder's last state is all it has."""
    input_feeding: bool = False
    """Give the decoder at each step what it attended to at the last (Luong et al., 2015): slower,
    as steps can then not be computed together."""
    history: bool = True
    """Let attention know how far the translation has come, and what it has looked at (not with
    input feeding)."""
    lexical: bool = True
    """Translate a word also by itself, whatever its context, from a lexicon learned in advance."""
    tied: bool = True
    """Use the vectors of target tokens as output weights too (Press & Wolf, 2017)."""

    input_dropout: float = 0.3
    word_dropout: float = 0.0
    """Share of source and target tokens made unknown in training."""
    attention_dropout: float = 0.0
    """Share of attention weights dropped."""
    output_dropout: float = 0.3
    """Share of values dropped of what attention reads, and before the output layer."""
    label_smoothing: float = 0.1
    """Share of each target's probability spread over the vocabulary (Szegedy et al., 2016)."""
    scheduled_sampling: float = 0.0
    """Share of the decoder's inputs that are its own guesses in training (Bengio et al., 2015)."""

    beam: int = 5
    """Hypotheses kept while translating, and answers of the n-best endpoint."""
    length_penalty: float = 1.0
    """Exponent that makes up for the length of a hypothesis: 0 favours short ones (Wu et al.,
    2016, equation 14)."""
    coverage_penalty: float = 0.0
    """Weight of attending to every source token (Wu et al., 2016, equation 14)."""
    no_repeat_ngram: int = 0
    """Never write the same run of so many tokens twice; 0: no such rule."""
    length_factor: float = 2.0
    """A translation has at most so many times the tokens of its source, and 10."""

    def __post_init__(self) -> None:
        """Refuse values that cannot work, before any data is read."""
        super().__post_init__()
        for name in ("embedding_size", "decoder_units", "decoder_depth", "beam"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        for name in ("word_dropout", "attention_dropout", "output_dropout", "label_smoothing"):
            require(0 <= getattr(self, name) < 1, name, getattr(self, name), "in [0, 1)")
        sampled = self.scheduled_sampling
        require(0 <= sampled <= 1, "scheduled_sampling", sampled, "in [0, 1]")
        require(self.max_tokens >= 3, "max_tokens", self.max_tokens, "at least 3")
        require(self.vocabulary_size > 4, "vocabulary_size", self.vocabulary_size, "above 4")
        require(self.length_factor > 0, "length_factor", self.length_factor, "above 0")
        require(self.no_repeat_ngram >= 0, "no_repeat_ngram", self.no_repeat_ngram, "0 or more")
        coverage = self.coverage_penalty
        require(coverage >= 0, "coverage_penalty", coverage, "0 (off) or more")
        blind = coverage and self.attention == "none"
        require(not blind, "coverage_penalty", coverage, "0 without attention")
        feeding_nothing = self.input_feeding and self.attention == "none"
        require(not feeding_nothing, "input_feeding", True, "off without attention")

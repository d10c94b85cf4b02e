"""Settings of what writes a text; apart from the models, so that `--help` needs no Keras."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pipelines.config import Level, RunConfig
from pipelines.errors import require

DecoderOrder = Literal["luong", "bahdanau"]
AttentionKind = Literal["dot", "additive", "none"]


@dataclass(frozen=True, kw_only=True)
class DecoderConfig(RunConfig):
    """Settings of a recurrent decoder, and of how it is searched for the best text."""

    level: Level = "word"
    """Tokens are words, characters, or subword pieces learned on the training split."""
    vocabulary_size: int = 4_000
    """Most entries of a vocabulary, reserved ones included."""
    min_count: int = 1
    """Tokens (of subwords: merges) seen less often than this in the training split are unknown."""
    max_tokens: int = 200
    """Longer texts are cut here; an answer that was cut is marked incomplete."""
    embedding_size: int = 256
    """Dimensions of a token's vector."""
    attention: AttentionKind = "dot"
    """How the decoder looks at what it writes about: scaled dot product (Luong et al., 2015),
    additive (Bahdanau et al., 2015), or not at all: a summary is all it has."""
    input_feeding: bool = False
    """Give the decoder at each step what it attended to at the last (Luong et al., 2015): slower,
    as steps can then not be computed together."""
    order: DecoderOrder = "luong"
    """Look after a step of the recurrence, by its state (Luong et al., 2015), or before, by the
    state so far, so that the recurrence reads what was found (Bahdanau et al., 2015): slower."""
    tied: bool = True
    """Use the vectors of written tokens as output weights too (Press & Wolf, 2017)."""

    word_dropout: float = 0.0
    """Share of tokens that are read made unknown in training."""
    attention_dropout: float = 0.0
    """Share of attention weights dropped."""
    output_dropout: float = 0.3
    """Share of values dropped of what attention reads, and before the output layer."""
    label_smoothing: float = 0.1
    """Share of each target's probability spread over the vocabulary (Szegedy et al., 2016)."""
    scheduled_sampling: float = 0.0
    """Share of the decoder's inputs that are its own guesses in training (Bengio et al., 2015)."""

    beam: int = 5
    """Hypotheses kept while writing, and answers of the n-best endpoint."""
    length_penalty: float = 1.0
    """Exponent that makes up for the length of a hypothesis: 0 favours short ones (Wu et al.,
    2016, equation 14)."""
    no_repeat_ngram: int = 0
    """Never write the same run of so many tokens twice; 0: no such rule."""

    def __post_init__(self) -> None:
        """Refuse values that cannot work, before any data is read."""
        super().__post_init__()
        for name in ("embedding_size", "beam"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        for name in ("word_dropout", "attention_dropout", "output_dropout", "label_smoothing"):
            require(0 <= getattr(self, name) < 1, name, getattr(self, name), "in [0, 1)")
        sampled = self.scheduled_sampling
        require(0 <= sampled <= 1, "scheduled_sampling", sampled, "in [0, 1]")
        require(self.max_tokens >= 3, "max_tokens", self.max_tokens, "at least 3")
        require(self.vocabulary_size > 4, "vocabulary_size", self.vocabulary_size, "above 4")
        require(self.no_repeat_ngram >= 0, "no_repeat_ngram", self.no_repeat_ngram, "0 or more")
        looks = self.attention != "none"
        require(looks or not self.input_feeding, "input_feeding", True, "off without attention")
        require(looks or self.order == "luong", "order", self.order, "luong without attention")
        both = self.input_feeding and self.order == "bahdanau"
        require(not both, "order", self.order, "luong with --input-feeding")

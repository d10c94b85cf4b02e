"""Settings of a text classifier; apart from the model, so that `--help` needs no Keras."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.config import Level, Pooling
from pipelines.encoder_config import TextEncoderConfig
from pipelines.errors import require
from pipelines.text.contextual_config import ContextualConfig

GRAMS = ("words", "chars")  # the kinds of n-grams the linear part reads
BUCKETS = 1 << 18  # few collisions among the n-grams of a million words; 1 MB a class


@dataclass(frozen=True, kw_only=True)
class ClassifierConfig(ContextualConfig, TextEncoderConfig):
    """Settings of a text classifier of a network and a linear part."""

    level: Level = "word"
    """Tokens are words, characters, or subword pieces learned on the training split."""

    epochs: int = 8
    batch_tokens: int = 4096
    learning_rate: float = 4e-3
    embedding_size: int = 100
    pretrain: bool = True
    """Start word vectors from co-occurrence counts of the training texts."""
    input_dropout: float = 0.5
    variational_dropout: float = 0.2
    word_dropout: float = 0.15
    """Share of tokens made unknown in training, so that no single word is relied on."""
    output_dropout: float = 0.5
    """Share of the pooled state's values dropped before the last layer."""
    pooling: tuple[Pooling, ...] = ("max", "mean")
    """How the states of all steps become one vector; several are concatenated."""

    hierarchical: bool = False
    """Read the tokens of each sentence to a vector, and these vectors to the text's, each with an
    encoder of its own (Yang et al., 2016, who pool by attention): for longer documents."""
    max_sentences: int = 32
    """Sentences read of a text, with --hierarchical; what follows them is left out."""
    max_sentence_tokens: int = 40
    """Tokens after which a sentence is cut in two, with --hierarchical."""

    linear: bool = True
    """Blend the network with a linear model over word and character n-grams."""
    linear_penalty: float = 5.0
    """How closely the linear model fits the training rows (scikit-learn's C)."""
    linear_rows: int = 50_000
    """Most training rows the linear model is fitted on; evenly drawn beyond that."""
    extra_weight: float = 0.3
    """Weight of a row of another source beside a training row, in the linear model."""

    def __post_init__(self) -> None:
        """Refuse values that cannot work, before any data is read."""
        super().__post_init__()
        TextEncoderConfig.__post_init__(self)
        for name in ("word_dropout", "output_dropout"):
            require(0 <= getattr(self, name) < 1, name, getattr(self, name), "in [0, 1)")
        require(self.linear_penalty > 0, "linear_penalty", self.linear_penalty, "above 0")
        for name in ("max_sentences", "max_sentence_tokens"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        require(len(self.pooling) > 0, "pooling", self.pooling, "one kind or more")

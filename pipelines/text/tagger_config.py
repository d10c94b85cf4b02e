"""Settings of a tagger; apart from the model, so that `--help` needs no Keras."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

from pipelines.datasets.tagged import TaggedOptions
from pipelines.encoder_config import TextEncoderConfig
from pipelines.errors import require
from pipelines.text.contextual_config import ContextualConfig

CharacterEncoder = Literal["cnn", "simple", "gru", "lstm", "mingru", "minlstm", "sru", "none"]
Decoder = Literal["crf", "softmax"]
SpanScheme = Literal["bioes", "bio"]


@dataclass(frozen=True, kw_only=True)
class TaggerConfig(ContextualConfig, TextEncoderConfig, TaggedOptions):
    """Settings of a tagger."""

    epochs: int = 8
    batch_tokens: int = 1024
    learning_rate: float = 3e-3
    units: int = 128
    input_dropout: float = 0.4
    output_dropout: float = 0.4
    """Share of the recurrent states' values dropped before the scores of the tags."""
    max_tokens: int = 256
    """Longer sentences are cut here in training, and counted; never when the model is used."""

    embedding_size: int = 100
    pretrain: bool = True
    """Start word vectors from co-occurrence counts of the training sentences."""
    unlabelled: str = "auto"
    """Further sources to learn word vectors from, by comma; "auto" knows those of the default."""
    freeze_vectors: bool = False
    """Do not train the vectors words start from, but a projection of them: for small sets."""
    rare_dropout: float = 0.5
    """a in a / (a + count): how often a word of that count is made unknown in training."""
    word_dropout: float = 0.0
    """Share of all words made unknown in training, so that no single word is relied on."""

    character_encoder: CharacterEncoder = "cnn"
    """How the spelling of a word is read: by convolutions, in both directions by a recurrent layer
    of this cell, or not at all."""
    character_size: int = 24
    """Dimensions of a character's vector."""
    character_units: int = 32
    """Filters of each width (2 to 5) of the convolutions; units a direction of recurrence."""
    max_characters: int = 16
    """Characters read of a word; of longer ones the head and the tail."""
    casing_size: int = 8
    """Dimensions of the vector of a word's casing; 0 leaves casing out."""
    affix_size: int = 64
    """Dimensions of the summed vectors of a word's prefixes and suffixes; 0 leaves them out."""

    linear: bool = False
    """Join the network with a linear CRF over hashed features, fitted first: for small sets."""
    linear_penalty: float = 0.3
    """Weight of the squared weights of the linear CRF (c2 of CRFsuite)."""

    decoder: Decoder = "crf"
    """Score whole tag sequences (crf), or each tag by itself; both answer with legal ones only."""
    span_scheme: SpanScheme = "bioes"
    """How the model writes spans as tags inside; its answers are BIO."""

    def __post_init__(self) -> None:
        """Refuse values that cannot work, before any data is read."""
        super().__post_init__()
        TextEncoderConfig.__post_init__(self)
        for name in ("word_dropout", "output_dropout"):
            require(0 <= getattr(self, name) < 1, name, getattr(self, name), "in [0, 1)")
        require(self.rare_dropout >= 0, "rare_dropout", self.rare_dropout, "0 (off) or more")
        for name in ("character_size", "character_units"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        require(self.embedding_size >= 2, "embedding_size", self.embedding_size, "at least 2")
        for name in ("casing_size", "affix_size"):
            require(getattr(self, name) >= 0, name, getattr(self, name), "0 (off) or more")
        require(self.linear_penalty >= 0, "linear_penalty", self.linear_penalty, "0 or more")
        require(self.max_characters >= 2, "max_characters", self.max_characters, "at least 2")

    def reading(self) -> TaggedOptions:
        """Return the options of the reader."""
        names = [entry.name for entry in fields(TaggedOptions)]
        chosen = {name: getattr(self, name) for name in names} | {"seed": self.split_seed}
        return TaggedOptions(**chosen)

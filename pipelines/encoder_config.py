"""Settings of what reads a sequence: a recurrent stack, or one of those it is compared with."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal

from pipelines.errors import require
from pipelines.recurrent_config import RecurrentConfig

Encoder = Literal["rnn", "cnn", "dense"]
Inputs = Literal["embedding", "one-hot"]

RECURRENT_ONLY = (
    "cell", "forget_bias", "peephole", "recurrent_init", "deep_input", "deep_transition",
    "deep_output", "skips", "norm_preserving", "recurrent_dropout", "weight_dropout", "fast",
)  # fmt: skip
CONVOLUTIONAL_ONLY = ("filter_widths", "filter_dilation")
EMBEDDING_ONLY = ("embedding_size", "embeddings", "freeze_vectors")


@dataclass(frozen=True, kw_only=True)
class EncoderConfig(RecurrentConfig):
    """What reads the steps of a sequence."""

    encoder: Encoder = "rnn"
    """rnn: the recurrent stack; cnn: detectors of n-grams of several widths (Kim, 2014), which see
    only the past where --direction is forward; dense: layers that see one step each, a bag of
    embeddings (after Iyyer et al., 2015). Units, depth and dropout hold for each."""
    filter_widths: tuple[int, ...] = (2, 3, 4, 5)
    """Steps that the detectors of a convolutional layer span; each width has --units of them."""
    filter_dilation: int = 2
    """Times that a convolutional layer's detectors reach further apart than those of the layer
    below, by steps left out (Strubell et al., 2017); 1: no further."""

    def __post_init__(self) -> None:
        """Refuse values that cannot work, and options of another encoder than the one chosen.

        What the user left at its default is no such option, whatever the encoder makes of it.
        """
        widths = self.filter_widths
        usable = bool(widths) and min(widths) >= 1 and len(set(widths)) == len(widths)
        require(usable, "filter_widths", widths, "one or more different widths of at least 1 step")
        require(self.filter_dilation >= 1, "filter_dilation", self.filter_dilation, "at least 1")
        if self.encoder != "cnn":
            require_default(self, CONVOLUTIONAL_ONLY, "without --encoder cnn: nothing else has it")
        if self.encoder != "rnn":
            reason = f"with --encoder {self.encoder}: only recurrent layers have it"
            require_default(self, RECURRENT_ONLY, reason)
            require(
                self.direction in ("forward", "both"),
                "direction",
                self.direction,
                f"forward or both with --encoder {self.encoder}: only recurrent layers read "
                "backwards",
            )


@dataclass(frozen=True, kw_only=True)
class TextEncoderConfig(EncoderConfig):
    """What reads the tokens of a text, and as what it is given them."""

    inputs: Inputs = "embedding"
    """Tokens as learned vectors, or as vectors of their number alone, 1 at one place and 0
    elsewhere (one-hot): for vocabularies of at most 2,000 tokens, such as characters."""

    def __post_init__(self) -> None:
        """Refuse options of embeddings where there are none."""
        super().__post_init__()
        if self.inputs == "one-hot":
            require_default(self, EMBEDDING_ONLY, "with --inputs one-hot: there is no embedding")


def require_default(config: Any, names: tuple[str, ...], reason: str) -> None:
    """Raise a ConfigError that names the first of some options changed from its default.

    Args:
        config: a dataclass.
        names: of options; those that `config` lacks do not count.
        reason: ends the message, such as "with --encoder cnn: ...".
    """
    defaults = {entry.name: entry.default for entry in fields(config)}
    for name in names:
        if name in defaults:
            got, default = getattr(config, name), defaults[name]
            require(got == default, name, got, f"left at {default!r} {reason}")

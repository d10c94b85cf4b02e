"""Settings of an image captioner; apart from the model, so that `--help` needs no Keras."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pipelines.captioning.networks import require_network
from pipelines.errors import require
from pipelines.text.decoder_config import AttentionKind, DecoderConfig

Fit = Literal["pad", "crop", "stretch"]
COMPACT = "compact"  # the residual network of our own, as a name beside those of keras.applications


@dataclass(frozen=True, kw_only=True)
class CaptionerConfig(DecoderConfig):
    """Settings of an image encoder with a recurrent decoder."""

    lowercase: bool = True
    """Fold the case of captions."""
    max_tokens: int = 40
    """Longer captions are cut here; an answer that was cut is marked incomplete."""
    image_size: int = 64
    """Side, in pixels, of the square the network sees."""
    fit: Fit = "pad"
    """How an image becomes a square: padded, cropped at its centre, or stretched."""

    encoder: str = COMPACT
    """What reads images: "compact", a residual network trained from scratch, or the name of a
    network of keras.applications, such as MobileNetV2."""
    encoder_weights: str = ""
    """Where the encoder starts: a file of weights, "imagenet" (fetched by Keras), or a version of
    this task, such as saved_models/captioning/1, for its encoder; empty: from nothing."""
    frozen: bool = False
    """Leave the encoder as it starts: what it sees in an image is then computed once and kept on
    disk, and an epoch costs only the decoder."""
    fine_tune_epochs: int = 0
    """After training above a frozen encoder, train all for so many epochs more."""
    fine_tune_rate: float = 1e-4
    """Peak learning rate of these epochs."""
    widths: tuple[int, ...] = (32, 64, 128, 192)
    """Channels of the compact encoder, a stage each; every stage halves the side."""
    blocks: tuple[int, ...] = (0, 1, 1, 1)
    """Residual blocks of each stage of the compact encoder; with 0, the first is its stem alone."""
    coordinates: bool = True
    """Tell the compact encoder where in the image each place is (Liu et al., 2018)."""
    memory_dropout: float = 0.1
    """Share of the channels of an image's map dropped in training."""

    attention: AttentionKind = "dot"
    """How the decoder looks at the image: by scaled dot product, additive (Xu et al., 2015, after
    Bahdanau et al.), or not at all: the image is then its first input alone (Vinyals et al.,
    2015)."""
    gate: bool = True
    """Let the decoder weigh how much it heeds what it looks at (Xu et al., 2015, sec. 4.2.1)."""
    doubly_stochastic: float = 0.0
    """Weight of looking at every place equally often over a caption (Xu et al., 2015, sec.
    4.2.1)."""
    word_loss: float = 0.03
    """Weight of a second aim of the encoder: to tell from the whole image which words its caption
    has."""

    consensus: bool = True
    """Choose the caption that agrees most with the others found and with those of like training
    images, instead of the most probable one; how much either counts is set on the validation
    split."""
    neighbours: int = 32
    """Captions of like training images that have a say."""
    bank: int = 20_000
    """Most training captions to keep in the model for that."""
    monitored: int = 500
    """Most validation images that are captioned after every epoch, to show CIDEr-D; variants of one
    picture count together as one."""

    augmentation: bool = True
    """Vary images in training, in ways that leave their captions true."""
    shift: float = 0.08
    """Most an image is moved in training, as a share of its side."""
    zoom: float = 0.15
    """Most it is enlarged or made smaller, as a share."""
    rotation: float = 8.0
    """Most it is turned, in degrees."""
    brightness: float = 0.05
    """Most its brightness changes, as a share of the whole range."""
    contrast: float = 0.1
    """Most its contrast changes, as a share."""
    erase: float = 0.0
    """Largest sides of a rectangle that is blotted out in training, as a share of the side."""
    flip: bool = True
    """Mirror images, if nothing in their captions forbids it: sides, letters, flags, clocks."""

    epochs: int = 20
    patience: int = 20
    rows_per_epoch: int = 4_000
    """Captions drawn anew for every epoch; sets with fewer are read whole."""
    batch_tokens: int = 512
    learning_rate: float = 3e-3
    weight_decay: float = 0.02
    weight_average: float = 0.995
    units: int = 256
    embedding_size: int = 128
    input_dropout: float = 0.15
    beam: int = 10

    def __post_init__(self) -> None:
        """Refuse values that cannot work, before any data is read."""
        super().__post_init__()
        require(self.image_size >= 16, "image_size", self.image_size, "at least 16 pixels")
        same = len(self.blocks) == len(self.widths) > 0
        expected = f"as many numbers as --widths, {len(self.widths)}, and at least one"
        require(same, "blocks", self.blocks, expected)
        require(min(self.widths) >= 1, "widths", self.widths, "at least 1 each")
        some = min(self.blocks[1:], default=1) >= 1 and self.blocks[0] >= 0
        require(some, "blocks", self.blocks, "at least 1 each; 0 of the first")
        for name in ("memory_dropout", "shift", "zoom", "brightness", "contrast", "erase"):
            require(0 <= getattr(self, name) < 1, name, getattr(self, name), "in [0, 1)")
        require(0 <= self.rotation <= 180, "rotation", self.rotation, "0 to 180 degrees")
        for name in ("neighbours", "bank", "monitored"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        for name in ("doubly_stochastic", "word_loss"):
            require(getattr(self, name) >= 0, name, getattr(self, name), "0 (off) or more")
        self._check_encoder()

    def _check_encoder(self) -> None:
        needs = bool(self.encoder_weights) or not self.frozen
        require(needs, "frozen", True, "given with --encoder-weights: there is nothing to keep")
        if self.encoder != COMPACT:
            require_network(self.encoder)
        tuned = self.fine_tune_epochs
        require(tuned >= 0, "fine_tune_epochs", tuned, "0 (none) or more")
        require(not tuned or self.frozen, "fine_tune_epochs", tuned, "0 without --frozen")
        require(self.fine_tune_rate > 0, "fine_tune_rate", self.fine_tune_rate, "above 0")

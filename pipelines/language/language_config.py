"""Settings of a language model; apart from the model, so that `--help` needs no Keras."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from pipelines.config import RunConfig
from pipelines.errors import require
from pipelines.recurrent_config import Cell, Direction

# Settings of how a model may learn while it is judged.
ADAPTATION = ("dynamic_rate", "dynamic_decay", "cache_share", "cache_sharpness")
LanguageLevel = Literal["char", "byte", "subword"]


@dataclass(frozen=True, kw_only=True)
class LanguageModelConfig(RunConfig):
    """Settings of a recurrent language model."""

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "quick": {"units": 128, "epochs": 1},
        "full": {"units": 1024, "epochs": 12, "output_dropout": 0.3},
    }

    level: LanguageLevel = "char"
    """Tokens are characters, the bytes of UTF-8, or subword pieces; case and blanks are kept."""
    vocabulary_size: int = 4_000
    """Most entries of the vocabulary, reserved ones included."""
    min_count: int = 2
    """Characters (of subwords: merges) seen less often than this in training are unknown."""

    epochs: int = 4
    patience: int = 3
    batch_tokens: int = 2_048
    """Tokens of a step of training: streams × window."""
    window: int = 64
    """Mean number of tokens between two updates (truncated back-propagation through time); the
    state is carried from window to window, and lengths vary (Merity et al., 2018, sec. 4.1)."""
    learning_rate: float = 4e-3
    fast: bool = True
    cell: Cell = "gru"
    direction: Direction = "forward"
    units: int = 512
    embedding_size: int = 128
    """Dimensions of a token's vector; 0: one-hot input."""
    tied: bool = False
    """Score tokens against their own vectors (Press & Wolf, 2017): for subwords."""
    negative_samples: int = 0
    """Train against so many tokens drawn at each step instead of the whole vocabulary (sampled
    softmax; Jean et al., 2015): for large vocabularies; evaluation is exact. 0: off."""

    ngram_orders: tuple[int, ...] = ()
    """Lengths of n-grams connected to the output directly, such as 1 2 3 4: tables that learn in
    minutes what counts know, for a pass or two over the text (Mikolov et al., 2011)."""
    ngram_buckets: int = 65_536
    """Most n-grams of a length that have a row of their own; beyond, some share one."""
    match_span: int = 4_096
    """Tokens of the text's own past that are searched for what came after the same tokens, such as
    names; a learned gate tells how far to believe it (Merity et al., 2017). 0: none."""

    input_dropout: float = 0.0
    word_dropout: float = 0.0
    """Share of token types whose vectors are dropped (embedding dropout; Gal & Ghahramani,
    2016)."""
    locked_dropout: float = 0.0
    """Share of channels of the token vectors dropped, the same ones at every step of a window."""
    output_dropout: float = 0.1
    """Share of values dropped before the output layer."""

    dynamic_rate: float = 0.0
    """Also judge the model as it learns from the text it reads, with this learning rate (dynamic
    evaluation; Krause et al., 2018): 0.002, say. It takes minutes. 0: off."""
    dynamic_decay: float = 0.0
    """Share of the way back to the trained weights after each window of dynamic evaluation."""
    cache_share: float = 0.0
    """Also judge the model with a cache of its last 2,000 states, believed so far (neural cache;
    Grave et al., 2017): 0.1, say. 0: off."""
    cache_sharpness: float = 0.3
    """How alike two states must be for the cache: what their product is multiplied by."""

    def __post_init__(self) -> None:
        """Refuse values that cannot work, before any data is read."""
        super().__post_init__()
        for name in ("word_dropout", "locked_dropout", "output_dropout"):
            require(0 <= getattr(self, name) < 1, name, getattr(self, name), "in [0, 1)")
        require(self.embedding_size >= 0, "embedding_size", self.embedding_size, "0 or more")
        require(self.window >= 2, "window", self.window, "at least 2")
        fits = self.batch_tokens >= self.window
        require(fits, "batch_tokens", self.batch_tokens, f"at least the window, {self.window}")
        forward = self.direction == "forward"
        require(forward, "direction", self.direction, "forward: a writer reads forward only")
        require(self.vocabulary_size > 4, "vocabulary_size", self.vocabulary_size, "above 4")
        possible = self.embedding_size > 0 or not self.tied
        require(possible, "tied", True, "off where input is one-hot (--embedding-size 0)")
        for name in ("dynamic_rate", "cache_sharpness"):
            require(getattr(self, name) >= 0, name, getattr(self, name), "0 or more")
        for name in ("dynamic_decay", "cache_share"):
            require(0 <= getattr(self, name) < 1, name, getattr(self, name), "in [0, 1)")
        orders = self.ngram_orders
        distinct = len(set(orders)) == len(orders) and min(orders, default=1) >= 1
        require(distinct, "ngram_orders", orders, "different numbers from 1 on, or none")
        require(self.ngram_buckets >= 2, "ngram_buckets", self.ngram_buckets, "at least 2")
        require(self.match_span >= 0, "match_span", self.match_span, "0 (none) or more")
        negatives = self.negative_samples
        require(negatives >= 0, "negative_samples", negatives, "0 (off) or more")
        alone = self.tied and not self.ngram_orders and not self.match_span
        expected = "0 (off), or --tied and --match-span 0 with it, and no --ngram-orders"
        require(alone or not negatives, "negative_samples", negatives, expected)

    @property
    def adaptation(self) -> dict[str, float]:
        """How the model learns as it is judged, for the endpoint "adapt"; empty if not at all."""
        if not self.dynamic_rate and not self.cache_share:
            return {}
        return {
            "rate": self.dynamic_rate,
            "decay": self.dynamic_decay,
            "share": self.cache_share,
            "sharpness": self.cache_sharpness,
        }

    @property
    def streams(self) -> int:
        """Texts read side by side."""
        return max(1, self.batch_tokens // self.window)

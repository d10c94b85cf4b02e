"""Settings of the decoding loops."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pipelines.errors import ConfigError
from pipelines.text.vocabulary import BOS, EOS, PAD

Normalizer = Literal["wu", "power"]


@dataclass(frozen=True, kw_only=True)
class DecodingSettings:
    """Settings every way of decoding has; all a greedy one has.

    Attributes:
        banned: tokens never chosen; add UNK to keep it out of translations.
        stop: the token that ends a hypothesis.
        start: the token before the first, where the caller gives none.
        min_length: fewest tokens before the stop token may come, which counts as one of them.
        no_repeat_ngram: no sequence of this many tokens occurs twice in a hypothesis; 0 is off.
        repetition_penalty: factor on the log-probability of tokens the hypothesis already holds
            (Keskar et al., 2019), at least 1; it bears on choices and scores, never on
            `Decoded.log_probability`.
        length_penalty: alpha. Scores are log-probabilities over ((5 + n) / 6) ** alpha for n
            tokens (Wu et al., 2016); 0 ranks by log-probability.
        normalizer: "wu", or "power" for n ** alpha, which with alpha 1 is the mean per token.
        max_length: most tokens of any row. Without it the largest of the limits is; under JAX a
            traced `limits` needs it.

    Raises:
        ConfigError: a value is out of range.
    """

    banned: tuple[int, ...] = (PAD, BOS)
    stop: int = EOS
    start: int = BOS
    min_length: int = 0
    no_repeat_ngram: int = 0
    repetition_penalty: float = 1.0
    length_penalty: float = 1.0
    normalizer: Normalizer = "wu"
    max_length: int | None = None

    def __post_init__(self) -> None:
        _require("min_length", self.min_length, self.min_length >= 0, "0 or more")
        _require("no_repeat_ngram", self.no_repeat_ngram, self.no_repeat_ngram >= 0, "0 or more")
        _require(
            "repetition_penalty", self.repetition_penalty, self.repetition_penalty >= 1,
            "1 (off) or more",
        )  # fmt: skip
        known = self.normalizer in {"wu", "power"}
        _require("normalizer", self.normalizer, known, "'wu' or 'power'")
        allowed = self.max_length is None or self.max_length >= 1
        _require("max_length", self.max_length, allowed, "1 or more, or None")
        allowed = self.stop not in self.banned
        _require("banned", self.banned, allowed, f"tokens without the stop token {self.stop}")


@dataclass(frozen=True, kw_only=True)
class BeamSettings(DecodingSettings):
    """Settings of a beam search.

    Attributes:
        beams: K, hypotheses followed at once; with 1 the search is greedy.
        n_best: N, hypotheses returned, at most K; None is K. A row stops once none of its N best
            can be overtaken, so that asking for 1 is faster than for K; the first is the same.
        coverage_penalty: beta. Scores have beta * sum_i log(min(sum_t attention_ti, 1)) added
            (Wu et al., 2016); needs attention and a source mask.
        patience: a row also stops once patience * K hypotheses have finished (Kasai et al.,
            2022). None searches until no better score is possible; 1, the habit of most
            toolkits, is several times faster under a length penalty.
        complete_first: rank what has finished before what is cut at its limit, as a translation
            needs; otherwise the score alone ranks, as for continuations of a given length.
    """

    beams: int = 5
    n_best: int | None = None
    coverage_penalty: float = 0.0
    patience: float | None = None
    complete_first: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        _require("beams", self.beams, self.beams >= 1, "1 or more")
        allowed = self.n_best is None or 1 <= self.n_best <= self.beams
        _require("n_best", self.n_best, allowed, f"1 to {self.beams} (the beams), or None")
        _require("coverage_penalty", self.coverage_penalty, self.coverage_penalty >= 0, "0 or more")
        allowed = self.patience is None or self.patience >= 1
        _require("patience", self.patience, allowed, "1 or more, or None")


@dataclass(frozen=True, kw_only=True)
class SampleSettings(DecodingSettings):
    """Settings of sampling; cut down in the order given.

    Attributes:
        samples: K, drawn of each row.
        temperature: logits are divided by it; 0 takes the most probable token.
        top_k: draw among this many most probable tokens; 0 is all.
        top_p: draw among the fewest tokens that together have at least this probability (nucleus:
            Holtzman et al., 2020); 1 is all. Without `top_k` it sorts the vocabulary.
    """

    samples: int = 1
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _require("samples", self.samples, self.samples >= 1, "1 or more")
        _require("temperature", self.temperature, self.temperature >= 0, "0 (greedy) or more")
        _require("top_k", self.top_k, self.top_k >= 0, "0 (all) or more")
        _require("top_p", self.top_p, 0 < self.top_p <= 1, "above 0 and at most 1 (all)")


def _require(name: str, value: object, allowed: bool, expected: str) -> None:
    if not allowed:
        raise ConfigError(
            f"decoding setting {name!r}: got {value!r}, expected {expected}; change {name}"
        )

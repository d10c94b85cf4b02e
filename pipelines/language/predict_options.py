"""Options of `predict` for a language model."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from pathlib import Path

from pipelines.errors import ConfigError, require
from pipelines.options import PredictOptions

COMPLETIONS = 10  # continuations that an exported model searches for
LENGTH = 500  # tokens of a text
COMPLETION_LENGTH = 40  # tokens of a continuation that is searched for

_SAMPLING = ("temperature", "top_k", "top_p", "repetition_penalty", "samples", "stop", "seed")


@dataclass(frozen=True, kw_only=True)
class LanguageOptions(PredictOptions):
    """Write on from a prompt, search for its likeliest continuations, or weigh a file."""

    text: str | None = None
    """The prompt; without it a document is begun."""
    file: str | None = None
    """A file that holds the prompt, or with --score the text to weigh; - for standard input."""
    length: int | None = None
    """Most tokens to write (characters, bytes or pieces: the model's level); 500 if not given, of
    --complete 40."""
    temperature: float = 0.8
    """Below 1 the text keeps to what is likely, above it strays; 0 takes the likeliest token."""
    top_k: int = 0
    """Draw among so many likeliest tokens only; 0: all."""
    top_p: float = 1.0
    """Draw among the fewest tokens that together have at least this probability; 1: all."""
    repetition_penalty: float = 1.0
    """Factor on the log-probability of tokens among the last 64, such as 1.1; 1: off."""
    samples: int = 1
    """Write so many texts, with the seeds --seed, --seed + 1 and so on."""
    stop: tuple[str, ...] = ()
    """Texts that end the writing where they come; they are not printed."""
    seed: int = 0
    """The same seed writes the same text."""
    complete: int = 0
    """Show so many likeliest continuations of the prompt instead, at most 10 (beam search)."""
    score: bool = False
    """With --file, tell how many bits a character takes, and which characters surprise."""
    html: Path | None = None
    """Where --score writes its page; without it, beside the file, as NAME.score.html."""
    json: bool = False
    """Print JSON, once all is done."""

    def __post_init__(self) -> None:
        """Refuse what does not go together, before a model is looked for."""
        if self.text is not None and self.file is not None:
            raise ConfigError(
                "options --text and --file are both given; a prompt comes from one of them: leave "
                "the other out (in Make: TEXT= or FILE=)"
            )
        self._check_ranges()
        self._check_score()
        self._check_complete()
        self._check_greedy()

    @property
    def tokens(self) -> int:
        """Return the most tokens to write."""
        if self.length is not None:
            return self.length
        return COMPLETION_LENGTH if self.complete else LENGTH

    def _check_ranges(self) -> None:
        require(self.tokens >= 1, "length", self.length, "at least 1")
        heat = self.temperature
        good = heat >= 0 and math.isfinite(heat)
        require(good, "temperature", heat, "0 (the likeliest token) or more")
        require(self.top_k >= 0, "top_k", self.top_k, "0 (all tokens) or more")
        require(0 < self.top_p <= 1, "top_p", self.top_p, "above 0 and at most 1 (all tokens)")
        penalty = self.repetition_penalty
        good = penalty >= 1 and math.isfinite(penalty)
        require(good, "repetition_penalty", penalty, "1 (off) or more")
        require(self.samples >= 1, "samples", self.samples, "at least 1")
        require("" not in self.stop, "stop", self.stop, "texts of at least one character")
        good = self.seed >= 0 and self.seed + self.samples <= 2**31
        require(good, "seed", self.seed, f"from 0 to {2**31 - self.samples}")
        good = 0 <= self.complete <= COMPLETIONS
        require(good, "complete", self.complete, f"from 1 to {COMPLETIONS}, or 0 (off)")

    def _check_score(self) -> None:
        if not self.score:
            if self.html is not None:
                raise ConfigError(
                    f"option --html is {str(self.html)!r} without --score, which alone writes a "
                    "page; add --score, or leave --html out"
                )
            return
        if self.file is None:
            raise ConfigError(
                "option --score weighs the text of a file, and none is given; give --file (in "
                "Make: FILE=x.txt ARGS=--score), or - for standard input"
            )
        self._refuse_beside("--score, which writes nothing", ("length", "complete", *_SAMPLING))

    def _check_complete(self) -> None:
        if self.complete:
            self._refuse_beside("--complete, which searches and does not draw", _SAMPLING)

    def _check_greedy(self) -> None:
        if self.temperature == 0:
            self._refuse_beside(
                "--temperature 0, which draws nothing: every text would be the same",
                ("top_k", "top_p", "samples"),
            )

    def _refuse_beside(self, what: str, names: tuple[str, ...]) -> None:
        """Refuse options that would do nothing; one is meant where it is not its default."""
        defaults = {entry.name: entry.default for entry in fields(self)}
        for name in names:
            value = getattr(self, name)
            if value != defaults[name]:
                option = "--" + name.replace("_", "-")
                raise ConfigError(
                    f"option {option} is {value!r} beside {what}; leave one of the two out"
                )

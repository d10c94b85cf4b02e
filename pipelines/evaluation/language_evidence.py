"""What a report shows of a language model beside its bits: texts it wrote, tokens it weighed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.evaluation.language_measures import join_bytes, spread_bits

Array = NDArray[Any]


@dataclass(frozen=True)
class Written:
    """A text the model wrote from nothing, at a temperature."""

    temperature: float
    text: str


@dataclass(frozen=True)
class ScoredText:
    """The beginning of a test document, token by token.

    Attributes:
        row: number of the document among the test documents.
        name: of the document.
        text: the beginning.
        tokens: of it, T strings; at level "byte" those of the bytes of UTF-8.
        bits: of each token, float[T].
    """

    row: int
    name: str
    text: str
    tokens: tuple[str, ...]
    bits: Array

    def by_character(self) -> Array | None:
        """Bits of each character, float64[characters]; None where tokens do not spell the text."""
        if "".join(self.tokens) == self.text:
            return spread_bits(np.array(list(map(len, self.tokens)), np.int64), self.bits)
        # The bytes of a character beyond ASCII are no strings by themselves.
        if len(self.tokens) == len(self.text.encode("utf-8", "surrogatepass")):
            return join_bytes(self.text, self.bits)
        return None

    def shown(self) -> tuple[Sequence[str], Array]:
        """Tokens that a page can show, and their bits: characters in the place of bytes."""
        if "".join(self.tokens) == self.text:
            return self.tokens, self.bits
        bits = self.by_character()
        return (self.tokens, self.bits) if bits is None else (list(self.text), bits)


@dataclass(frozen=True)
class Guess:
    """What the model expected at one place of a test document.

    Attributes:
        name: of the document.
        before: the end of what it had read.
        actual: the token that came.
        bits: of that token.
        likeliest: tokens, the likeliest first.
        probability: of each of them, float[K].
    """

    name: str
    before: str
    actual: str
    bits: float
    likeliest: tuple[str, ...]
    probability: tuple[float, ...]


@dataclass(frozen=True)
class Evidence:
    """What an exported language model showed of itself.

    Attributes:
        samples: texts it wrote, of every temperature.
        scored: beginnings of test documents.
        guesses: what it expected at some places of them.
        adapted: what `serve` answers of all test documents if the model learns as it reads; None
            where it was not asked for.
    """

    samples: Sequence[Written] = ()
    scored: Sequence[ScoredText] = ()
    guesses: Sequence[Guess] = ()
    adapted: Mapping[str, Array] | None = None

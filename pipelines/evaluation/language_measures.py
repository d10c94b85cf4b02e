"""Bits of a text by passage, by distance from the document's start and by kind of character."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.datasets.documents import PASSAGE
from pipelines.errors import EvaluationError

Array = NDArray[Any]

# Characters since the start of a document; each step is about three times the one before.
EDGES = (0, 10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000, 100_000)
KINDS = (
    "first letter of a word",
    "later letter",
    "digit",
    "blank",
    "line break",
    "punctuation",
)
_FIRST, _LATER, _DIGIT, _BLANK, _BREAK, _SIGN = range(len(KINDS))
_LINE_BREAKS = "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"
_APOSTROPHES = "'’"


@dataclass(frozen=True)
class Band:
    """Bits per character from `start` to `end` characters after the start of a document.

    Attributes:
        start: first place of the band.
        end: first place behind it; None where it has no end.
        bits_per_character: mean over the characters of all documents.
        characters: how many they are.
    """

    start: int
    end: int | None
    bits_per_character: float
    characters: int

    @property
    def name(self) -> str:
        """Say where the band is, such as "10 to 30"."""
        return f"{self.start:,} on" if self.end is None else f"{self.start:,} to {self.end:,}"


@dataclass(frozen=True)
class CurvePoint:
    """Held-out bits per character after so many characters of training text."""

    characters: int
    bits_per_character: float


def passages(text: str) -> list[str]:
    """Cut a text every 1,000 characters; the last passage is shorter, an empty text has none."""
    return [text[start : start + PASSAGE] for start in range(0, len(text), PASSAGE)]


def passage_lengths(characters: int) -> Array:
    """Characters in each passage of a document of so many, int64[P]."""
    return np.diff(np.append(np.arange(0, characters, PASSAGE), characters))


def passage_sums(values: Array) -> Array:
    """Add up one value a character over each passage, float64[P]."""
    values = np.asarray(values, float)
    return np.add.reduceat(values, np.arange(0, len(values), PASSAGE)) if len(values) else values


def language_outputs(passage_bits: Sequence[Array], characters: Sequence[int]) -> dict[str, Array]:
    """Put bits by passage into the form that the exported model answers in.

    Args:
        passage_bits: float[P_n] of each document.
        characters: in each document.

    Returns:
        "bits" float64[N], "characters" int64[N], "passage_bits" float32[N, P] padded with 0.
    """
    table = np.zeros((len(passage_bits), max(map(len, passage_bits), default=0)), np.float32)
    for row, bits in enumerate(passage_bits):
        table[row, : len(bits)] = bits
    return {
        "bits": np.array([float(np.sum(bits)) for bits in passage_bits], np.float64),
        "characters": np.array(characters, np.int64),
        "passage_bits": table,
    }


def perplexity(bits_per_character: Array) -> Array:
    """How many equally likely characters would be as hard to guess: 2 to the power of the bits."""
    return np.asarray(np.exp2(bits_per_character))


def spread_bits(lengths: Array, bits: Array) -> Array:
    """Spread each token's bits evenly over its characters, as a subword has one probability.

    Args:
        lengths: characters of each token, int[T].
        bits: of each token, float[T].

    Returns:
        Bits of each character, float64[sum of lengths].

    Raises:
        EvaluationError: a token has bits but no character, so that they would be lost.
    """
    lengths, bits = np.asarray(lengths), np.asarray(bits, float)
    lost = np.flatnonzero((lengths == 0) & (bits != 0))
    if len(lost):
        raise EvaluationError(
            f"bits by character: token {lost[0]} has {bits[lost[0]]:.3g} bits and 0 characters; "
            "every token with bits needs a character: give a text's bytes to `join_bytes`, and "
            "leave the end mark out"
        )
    return np.repeat(bits / np.maximum(lengths, 1), lengths)


def join_bytes(text: str, bits: Array) -> Array:
    """Add up the bits of the bytes of each character, float[bytes] -> float64[characters].

    Raises:
        EvaluationError: the text has another number of bytes.
    """
    encoded = np.frombuffer(text.encode("utf-8", "surrogatepass"), np.uint8)
    if len(bits) != len(encoded):
        raise EvaluationError(
            f"bits by character: {len(bits):,} values for a text of {len(encoded):,} bytes; one a "
            "byte is needed: score the whole text, without its end mark"
        )
    # All bytes of a character but its first are of the form 10xxxxxx.
    starts = np.flatnonzero((encoded & 0xC0) != 0x80)
    return np.add.reduceat(np.asarray(bits, float), starts) if len(starts) else np.zeros(0)


def bits_by_position(character_bits: Iterable[Array], edges: Sequence[int] = EDGES) -> list[Band]:
    """Average bits by distance from the document's start, in bands that widen.

    Args:
        character_bits: bits of every character, float[characters], a document at a time.
        edges: where bands start; the last has no end.

    Returns:
        The bands that hold a character.
    """
    sums, counts = np.zeros(len(edges)), np.zeros(len(edges), np.int64)
    for bits in character_bits:
        band = np.searchsorted(edges, np.arange(len(bits)), "right") - 1
        sums += np.bincount(band, np.asarray(bits, float), minlength=len(edges))
        counts += np.bincount(band, minlength=len(edges))
    ends: list[int | None] = [*edges[1:], None]
    return [
        Band(start, end, float(total / count), int(count))
        for start, end, total, count in zip(edges, ends, sums, counts, strict=True)
        if count
    ]


def kinds_of(text: str) -> Array:
    """Tell the kind of every character: its number in `KINDS`, int64[characters].

    A word is a run of letters and their marks; an apostrophe between letters does not end it.
    """
    if not text:
        return np.zeros(0, np.int64)
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    distinct, places = np.unique(codes, return_inverse=True)
    kinds = np.array([_kind(chr(code)) for code in distinct])[places]
    letter = kinds == _LATER
    inner = np.array([chr(code) in _APOSTROPHES for code in distinct])[places]
    inner[1:] &= letter[:-1]
    inner[0] = False
    continues = letter | inner
    kinds[1:] = np.where(letter[1:] & ~continues[:-1], _FIRST, kinds[1:])
    kinds[0] = _FIRST if letter[0] else kinds[0]
    return kinds


def bits_by_kind(text: str, bits: Array) -> Array:
    """Add up bits and characters by kind in each passage, float64[P, kinds, 2].

    Raises:
        EvaluationError: there is not one value a character.
    """
    if len(bits) != len(text):
        raise EvaluationError(
            f"bits by kind: {len(bits):,} values for a text of {len(text):,} characters; one a "
            "character is needed: spread the bits of tokens with `spread_bits` or `join_bytes`"
        )
    count = -(-len(text) // PASSAGE)
    cells = np.arange(len(text)) // PASSAGE * len(KINDS) + kinds_of(text)
    columns = [
        np.bincount(cells, weights, minlength=count * len(KINDS))
        for weights in (np.asarray(bits, float), None)
    ]
    return np.stack(columns, axis=-1).reshape(count, len(KINDS), 2)


def learning_curve(
    history: Mapping[str, Sequence[float]],
    *,
    loss: str,
    tokens_per_epoch: int,
    characters_per_token: float,
) -> list[CurvePoint]:
    """Turn a training history into held-out bits per character by training text read.

    Args:
        history: name -> one value an epoch.
        loss: which of them, in nats a token.
        tokens_per_epoch: of the training text.
        characters_per_token: of the held-out text.

    Raises:
        EvaluationError: the history does not have that loss.
    """
    if loss not in history:
        raise EvaluationError(
            f"learning curve: no '{loss}' in the training history, which has {sorted(history)}; "
            "the held-out loss of every epoch is needed: train with a valid split"
        )
    per_character = 1 / (np.log(2) * characters_per_token)
    return [
        CurvePoint(
            round(epoch * tokens_per_epoch * characters_per_token), float(nats * per_character)
        )
        for epoch, nats in enumerate(history[loss], 1)
    ]


def _kind(character: str) -> int:
    if character in _LINE_BREAKS:
        return _BREAK
    if character.isspace():
        return _BLANK
    category = unicodedata.category(character)
    if category[0] in "LM":
        return _LATER
    return _DIGIT if category[0] == "N" else _SIGN

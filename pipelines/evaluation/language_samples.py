"""What generated texts are like: copied runs, real words, closed brackets, variety, line lengths.

Nobody can say how right a generated text is. Each measure therefore stands beside the same measure
of held-out text cut to the same lengths: what people wrote is the yardstick.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from pipelines.evaluation.language_balance import Balance, Language, balance
from pipelines.evaluation.language_copies import Copies, copied_runs
from pipelines.evaluation.words import WORD

SHORTEST_COPY = 20  # characters; shorter runs are common phrases
MAX_TRAINING = 50_000_000  # characters of training text read: ten to thirty seconds
ORDERS = (1, 2, 3)

_WORD = re.compile(WORD)


class Text(Protocol):
    """What is needed of a document."""

    @property
    def text(self) -> str:
        """All of it."""


@dataclass(frozen=True)
class Sample:
    """Measures of one text; a share is None where nothing could be counted.

    Attributes:
        text: the text.
        copies: what of it stands in the training text.
        copied_share: share of its characters in copied runs of 20 or more.
        real_words: share of its words that occur in the training text, capitals aside.
        balance: brackets and quotes with and without a partner.
        distinct: share of different ones among its words, pairs of words and triples (Li et al.,
            2016).
        line_length: mean characters of a line that is not empty.
    """

    text: str
    copies: Copies
    copied_share: float | None
    real_words: float | None
    balance: Balance
    distinct: tuple[float | None, ...]
    line_length: float | None


@dataclass(frozen=True)
class Trait:
    """One measure, averaged over the texts that have it.

    Attributes:
        name: of the measure.
        unit: of both values.
        generated: mean over generated texts; None where none has it.
        real: the same over held-out text cut to the same lengths.
    """

    name: str
    unit: str
    generated: float | None
    real: float | None


@dataclass(frozen=True)
class SampleReport:
    """Generated texts beside held-out texts of the same lengths.

    Attributes:
        samples: one for each generated text, in order.
        real: one for each piece of held-out text; fewer where there is not text enough.
        training_line_length: mean characters of a line of the training text that is not empty.
        notes: what a reader has to know, one sentence each.
    """

    samples: tuple[Sample, ...]
    real: tuple[Sample, ...]
    training_line_length: float | None
    notes: tuple[str, ...] = ()

    def traits(self) -> list[Trait]:
        """Average every measure over generated and over real texts."""
        return [
            Trait(name, unit, _mean(of, self.samples), _mean(of, self.real))
            for name, unit, of in _TRAITS
        ]


def examine_samples(
    texts: Sequence[str],
    train: Sequence[Text],
    held_out: Sequence[Text],
    *,
    language: Language = "prose",
    max_training: int = MAX_TRAINING,
) -> SampleReport:
    """Measure generated texts, and held-out text cut to the same lengths.

    Args:
        texts: generated texts.
        train: training documents; of more than `max_training` characters, the first and then every
            second, third, ... are read, and the report says so.
        held_out: test documents, the yardstick.
        language: which decides what brackets and quotes are.
        max_training: characters of training text to read.
    """
    known, notes = training_texts(train, max_training)
    pieces = real_pieces(held_out, [len(text) for text in texts])
    everything = [*texts, *pieces]
    words = {word.casefold() for text in known for word in _WORD.findall(text)}
    found = copied_runs(everything, known, shortest=SHORTEST_COPY)
    samples = [
        _sample(text, copies, words, language)
        for text, copies in zip(everything, found, strict=True)
    ]
    return SampleReport(
        tuple(samples[: len(texts)]),
        tuple(samples[len(texts) :]),
        _line_length(known),
        tuple(notes),
    )


def training_texts(documents: Sequence[Text], limit: int) -> tuple[list[str], list[str]]:
    """Take the texts of documents, evenly drawn where all have more than `limit` characters.

    Returns:
        The texts, and a note where something was left out.
    """
    total = sum(len(document.text) for document in documents)
    step = max(1, -(-total // limit))
    texts, room = [], limit
    for number, document in enumerate(documents):
        if number % step == 0 and room:
            texts.append(document.text[:room])
            room -= len(texts[-1])
    if step == 1:
        return texts, []
    return texts, [
        f"Copied runs and real words were looked for in {limit - room:,} of {total:,} characters "
        "of training text; more of both may be in the rest."
    ]


def real_pieces(documents: Sequence[Text], lengths: Sequence[int]) -> list[str]:
    """Cut pieces of given lengths from documents in turn, from their starts on, none twice.

    A length for which no document has room is left out.
    """
    texts = [document.text for document in documents]
    used = [0] * len(texts)
    pieces = []
    for number, length in enumerate(lengths):
        for offset in range(len(texts)):
            place = (number + offset) % len(texts)
            if length and used[place] + length <= len(texts[place]):
                pieces.append(texts[place][used[place] : used[place] + length])
                used[place] += length
                break
    return pieces


def distinct_share(words: Sequence[str], order: int) -> float | None:
    """Share of different runs of `order` words among all; None where there is none."""
    runs = list(zip(*(words[start:] for start in range(order)), strict=False))
    return len(set(runs)) / len(runs) if runs else None


def _sample(text: str, copies: Copies, known: set[str], language: Language) -> Sample:
    words = [word.casefold() for word in _WORD.findall(text)]
    copied = sum(end - start for start, end in copies.marked())
    return Sample(
        text,
        copies,
        copied / len(text) if text else None,
        sum(word in known for word in words) / len(words) if words else None,
        balance(text, language),
        tuple(distinct_share(words, order) for order in ORDERS),
        _line_length([text]),
    )


def _line_length(texts: Sequence[str]) -> float | None:
    characters = lines = 0
    for text in texts:
        written = [line for line in text.splitlines() if line.strip()]
        characters += sum(map(len, written))
        lines += len(written)
    return characters / lines if lines else None


def _mean(of: Callable[[Sample], float | None], samples: Sequence[Sample]) -> float | None:
    values = [value for value in map(of, samples) if value is not None]
    return sum(values) / len(values) if values else None


_TRAITS: tuple[tuple[str, str, Callable[[Sample], float | None]], ...] = (
    ("longest copied run", "characters", lambda sample: float(sample.copies.longest)),
    ("copied text", "fraction", lambda sample: sample.copied_share),
    ("real words", "fraction", lambda sample: sample.real_words),
    ("brackets closed", "fraction", lambda sample: sample.balance.bracket_share),
    ("quotes closed", "fraction", lambda sample: sample.balance.quote_share),
    ("different words", "fraction", lambda sample: sample.distinct[0]),
    ("different pairs of words", "fraction", lambda sample: sample.distinct[1]),
    ("different triples of words", "fraction", lambda sample: sample.distinct[2]),
    ("line length", "characters", lambda sample: sample.line_length),
)

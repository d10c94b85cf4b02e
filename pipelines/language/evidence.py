"""What a report needs of an exported language model beside the bits of the test documents."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pipelines.datasets.documents import Document
from pipelines.datasets.rows import Rows
from pipelines.task import Predict

TEMPERATURES = (0.4, 0.7, 1.0, 1.3)
SAMPLES = 4  # of each temperature
SAMPLE_LENGTH = 1_500  # tokens
SCORED_CHARACTERS = 20_000  # of the beginning of a document
SCORED_DOCUMENTS = 16


@dataclass(frozen=True)
class Sample:
    """A text the model wrote from nothing."""

    temperature: float
    text: str


@dataclass(frozen=True)
class ScoredText:
    """A test document, token by token.

    Attributes:
        name: of the document.
        tokens: from its beginning, T strings.
        bits: of each, float32[T].
    """

    name: str
    tokens: tuple[str, ...]
    bits: np.ndarray


@dataclass(frozen=True)
class Evidence:
    """Samples and scored texts."""

    samples: list[Sample]
    scored: list[ScoredText]


def gather_evidence(predict: Predict, rows: Rows[Document], *, seed: int) -> Evidence:
    """Let an exported model write, and score the beginnings of some test documents."""
    samples = [sample for t in TEMPERATURES for sample in _write(predict, t, seed)]
    return Evidence(samples, list(_score(predict, rows)))


def _write(predict: Predict, temperature: float, seed: int) -> Iterator[Sample]:
    same = {
        "prompt": "", "length": SAMPLE_LENGTH, "temperature": temperature, "top_k": 0,
        "top_p": 1.0, "repetition_penalty": 1.0,
    }  # fmt: skip
    inputs = {name: [value] * SAMPLES for name, value in same.items()}
    inputs["seed"] = [seed + number for number in range(SAMPLES)]
    for text in predict(inputs, "generate")["text"]:
        yield Sample(temperature, str(text))


def _score(predict: Predict, rows: Rows[Document]) -> Iterator[ScoredText]:
    chosen = list(rows[:SCORED_DOCUMENTS])
    texts = [document.text[:SCORED_CHARACTERS] for document in chosen]
    found = predict({"text": list(texts)}, "score")
    for document, tokens, bits in zip(chosen, found["tokens"], found["bits"], strict=True):
        length = int(np.count_nonzero(tokens != ""))
        yield ScoredText(document.name, tuple(tokens[:length]), bits[:length])

"""What a report needs of an exported language model beside the bits of the test documents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from pipelines.datasets.documents import Document
from pipelines.datasets.rows import Rows
from pipelines.padding import concatenate_padded
from pipelines.task import Outputs, Predict

TEMPERATURES = (0.4, 0.7, 1.0, 1.3)
SAMPLES = 4  # of each temperature
SAMPLE_LENGTH = 1_500  # tokens
SCORED_CHARACTERS = 20_000  # of the beginning of a document
SCORED_DOCUMENTS = 16
ADAPTED_ROWS = 32  # documents in a request


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
    """Samples, scored texts, and what the model answers if it learns as it reads.

    Attributes:
        samples: of every temperature.
        scored: beginnings of test documents.
        adapted: as `serve` answers, of all test documents; None where it was not asked for.
    """

    samples: list[Sample]
    scored: list[ScoredText]
    adapted: Outputs | None


def gather_evidence(
    predict: Predict, rows: Rows[Document], adaptation: Mapping[str, float], *, seed: int
) -> Evidence:
    """Let an exported model write, and score the beginnings of some test documents.

    Args:
        predict: the model.
        rows: the test documents.
        adaptation: inputs of its endpoint "adapt"; empty to leave it alone.
        seed: of the samples.
    """
    samples = [sample for t in TEMPERATURES for sample in _write(predict, t, seed)]
    adapted = _adapt(predict, rows, adaptation) if adaptation else None
    return Evidence(samples, list(_score(predict, rows)), adapted)


def _adapt(predict: Predict, rows: Rows[Document], adaptation: Mapping[str, float]) -> Outputs:
    """Weigh documents, each by a model that learns from it."""
    parts = []
    for chunk in rows.chunks(ADAPTED_ROWS):
        texts = [document.text for document in chunk]
        same = {name: [value] * len(texts) for name, value in adaptation.items()}
        parts.append(predict({"text": texts, **same}, "adapt"))
    return {name: concatenate_padded([part[name] for part in parts]) for name in parts[0]}


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

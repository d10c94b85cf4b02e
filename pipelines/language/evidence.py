"""What a report needs of an exported language model beside the bits of the test documents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from pipelines.datasets.documents import Document
from pipelines.datasets.rows import Rows
from pipelines.evaluation.language_evidence import Evidence, Guess, ScoredText, Written
from pipelines.padding import concatenate_padded
from pipelines.task import Outputs, Predict

TEMPERATURES = (0.4, 0.7, 1.0, 1.3)
SAMPLES = 4  # of each temperature
SAMPLE_LENGTH = 1_500  # tokens
SCORED_CHARACTERS = 20_000  # of the beginning of a document
SCORED_DOCUMENTS = 16
ADAPTED_ROWS = 32  # documents in a request
GUESSES = 10
LIKELIEST = 5
_GUESSED_FROM, _GUESSED_TO = 200, 4_000  # tokens that were read before a guess
_CONTEXT = 60  # characters of them that are kept


def gather_evidence(
    predict: Predict, rows: Rows[Document], adaptation: Mapping[str, float], *, seed: int
) -> Evidence:
    """Let an exported model write, score the beginnings of some test documents, and guess.

    Args:
        predict: the model.
        rows: the test documents.
        adaptation: inputs of its endpoint "adapt"; empty to leave it alone.
        seed: of the samples and of the places where it guesses.
    """
    samples = [sample for t in TEMPERATURES for sample in _write(predict, t, seed)]
    scored = list(_score(predict, rows))
    adapted = _adapt(predict, rows, adaptation) if adaptation else None
    return Evidence(samples, scored, _guess(predict, scored, seed), adapted)


def _adapt(predict: Predict, rows: Rows[Document], adaptation: Mapping[str, float]) -> Outputs:
    """Weigh documents, each by a model that learns from it."""
    parts = []
    for chunk in rows.chunks(ADAPTED_ROWS):
        texts = [document.text for document in chunk]
        same = {name: [value] * len(texts) for name, value in adaptation.items()}
        parts.append(predict({"text": texts, **same}, "adapt"))
    return {name: concatenate_padded([part[name] for part in parts]) for name in parts[0]}


def _write(predict: Predict, temperature: float, seed: int) -> Iterator[Written]:
    same = {
        "prompt": "", "length": SAMPLE_LENGTH, "temperature": temperature, "top_k": 0,
        "top_p": 1.0, "repetition_penalty": 1.0,
    }  # fmt: skip
    inputs = {name: [value] * SAMPLES for name, value in same.items()}
    inputs["seed"] = [seed + number for number in range(SAMPLES)]
    for text in predict(inputs, "generate")["text"]:
        yield Written(temperature, str(text))


def _score(predict: Predict, rows: Rows[Document]) -> Iterator[ScoredText]:
    """Score the beginnings of documents drawn evenly."""
    count = min(len(rows), SCORED_DOCUMENTS)
    numbers = [number * len(rows) // count for number in range(count)]
    chosen = [rows[number] for number in numbers]
    texts = [document.text[:SCORED_CHARACTERS] for document in chosen]
    found = predict({"text": list(texts)}, "score")
    columns = zip(numbers, chosen, texts, found["tokens"], found["bits"], strict=True)
    for number, document, text, tokens, bits in columns:
        length = int(np.count_nonzero(tokens != ""))
        yield ScoredText(number, document.name, text, tuple(tokens[:length]), bits[:length])


def _guess(predict: Predict, scored: Sequence[ScoredText], seed: int) -> list[Guess]:
    """Ask what may come next at places drawn at random, the documents in turn."""
    places = list(_places(scored, np.random.default_rng(seed)))
    if not places:
        return []
    read = ["".join(text.tokens[:place]) for text, place in places]
    found = predict({"text": list(read)}, "next")
    return [
        Guess(
            text.name,
            before[-_CONTEXT:],
            text.tokens[place],
            float(text.bits[place]),
            tuple(map(str, tokens[:LIKELIEST])),
            tuple(map(float, probability[:LIKELIEST])),
        )
        for (text, place), before, tokens, probability in zip(
            places, read, found["tokens"], found["probability"], strict=True
        )
    ]


def _places(
    scored: Sequence[ScoredText], random: np.random.Generator
) -> Iterator[tuple[ScoredText, int]]:
    for number in range(GUESSES if scored else 0):
        text = scored[number % len(scored)]
        last = min(len(text.tokens), _GUESSED_TO)
        if last <= _GUESSED_FROM:
            continue
        place = int(random.integers(_GUESSED_FROM, last))
        # A text cut within a character would be read as another.
        if text.text.startswith("".join(text.tokens[: place + 1])):
            yield text, place

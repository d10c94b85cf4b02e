"""What is asked of an exported language model for its report, with a model of a few lines."""

import numpy as np
import pytest

from pipelines.datasets.documents import Document
from pipelines.datasets.rows import Rows
from pipelines.language import evidence as asking

TEXT = "".join(f"Line {number} of a play.\n" for number in range(60))


class FakeModel:
    """Answers as an exported language model does, and keeps the requests."""

    def __init__(self, *, spelling=True):
        self.requests = []
        self.spelling = spelling

    def __call__(self, inputs, endpoint):
        self.requests.append((endpoint, inputs))
        return getattr(self, endpoint)(inputs)

    def generate(self, inputs):
        pairs = zip(inputs["temperature"], inputs["seed"], strict=True)
        return {"text": np.array([f"{t:g}/{seed}" for t, seed in pairs], object)}

    def score(self, inputs):
        rows = [list(text) if self.spelling else ["\ufffd"] * len(text) for text in inputs["text"]]
        width = max(map(len, rows))
        tokens = np.array([row + [""] * (width - len(row)) for row in rows], object)
        bits = np.where(tokens == "", 0.0, np.arange(width) % 7)
        return {"tokens": tokens, "bits": bits}

    def next(self, inputs):
        rows = len(inputs["text"])
        tokens = np.array([list("abcdefg")] * rows, object)
        return {"tokens": tokens, "probability": np.tile(np.linspace(0.4, 0.1, 7), (rows, 1))}

    def adapt(self, inputs):
        sizes = np.array(list(map(len, inputs["text"])))
        bits = 2.0 * sizes
        return {"bits": bits, "characters": sizes, "passage_bits": bits[:, None]}


def gathered(documents, *, adaptation=None, model=None):
    model = model or FakeModel()
    rows = Rows.of(Document, documents)
    return asking.gather_evidence(model, rows, adaptation or {}, seed=3), model


def test_samples_of_every_temperature_have_their_seeds():
    found, _ = gathered([Document(TEXT, "A")])
    assert [sample.temperature for sample in found.samples[:5]] == [0.4, 0.4, 0.4, 0.4, 0.7]
    assert [sample.text for sample in found.samples[:2]] == ["0.4/3", "0.4/4"]
    assert len({sample.text for sample in found.samples}) == 16


def test_documents_are_drawn_evenly_and_cut_at_their_length():
    documents = [Document(TEXT[: 300 + n], f"d{n}") for n in range(40)]
    found, _ = gathered(documents)
    assert len(found.scored) == asking.SCORED_DOCUMENTS
    assert [text.row for text in found.scored[:4]] == [0, 2, 5, 7]
    for text in found.scored:
        assert text.name == f"d{text.row}"
        assert "".join(text.tokens) == documents[text.row].text == text.text
        assert len(text.bits) == len(text.tokens)


def test_guesses_know_what_was_read_and_what_came():
    found, model = gathered([Document(TEXT, "A"), Document(TEXT[::-1], "B")])
    assert len(found.guesses) == asking.GUESSES
    read = dict(model.requests)["next"]["text"]
    for number, (guess, before) in enumerate(zip(found.guesses, read, strict=True)):
        text = [TEXT, TEXT[::-1]][number % 2]
        assert guess.name == "AB"[number % 2]
        assert text.startswith(before)
        assert before.endswith(guess.before)
        assert guess.actual == text[len(before)]
        assert guess.bits == len(before) % 7
        assert guess.likeliest == tuple("abcde")
        assert guess.probability[0] == pytest.approx(0.4)


def test_no_guess_in_short_texts_or_where_tokens_do_not_spell_the_text():
    assert gathered([Document("Short.", "A")])[0].guesses == []
    found, model = gathered([Document(TEXT, "A")], model=FakeModel(spelling=False))
    assert found.guesses == []
    assert "next" not in dict(model.requests)


def test_the_model_learns_as_it_reads_only_where_asked():
    documents = [Document("ab", "A")] * 33
    assert gathered(documents)[0].adapted is None
    found, model = gathered(documents, adaptation={"rate": 0.1})
    assert found.adapted["bits"].tolist() == [4.0] * 33
    requests = [inputs for endpoint, inputs in model.requests if endpoint == "adapt"]
    assert [len(inputs["rate"]) for inputs in requests] == [32, 1]

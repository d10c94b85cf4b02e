"""The language model's task without TensorFlow: presets, quick looks, timed requests, weighing."""

import json
from dataclasses import replace

import numpy as np
import pytest

from pipelines.cli import parse
from pipelines.datasets.documents import PASSAGE, Document
from pipelines.datasets.rows import Rows
from pipelines.datasets.splits import DataCard, Splits
from pipelines.errors import ConfigError
from pipelines.evaluate import trained_task
from pipelines.language import predicting
from pipelines.language.predict_options import LanguageOptions
from tasks.language_model import LanguageConfig, LanguageModel


def settings(*arguments):
    return parse("train", "language_model", LanguageModel, arguments)[1]


def test_a_preset_changes_the_defaults_and_other_options_change_the_preset():
    full = settings("--preset", "full", "--epochs", "3")
    assert (full.preset, full.units, full.epochs) == ("full", 1024, 3)
    assert settings("--preset=quick").units == 128
    assert settings().units == LanguageConfig().units


def test_an_unknown_preset_is_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match="'ful'; did you mean 'full'.*quick, full"):
        settings("--preset", "ful")


def splits(*texts):
    rows = Rows.of(Document, (Document(text) for text in texts))
    return Splits(rows, rows, rows, DataCard(source="here"))


def test_a_quick_look_takes_the_beginnings_of_documents():
    task = LanguageModel(LanguageConfig(limit=10))
    found = task.limited(splits("a" * 20_000, "b" * 300, "c" * 9_000, "d" * 9_000))
    assert [len(document.text) for document in found.train] == [2_500, 300, 2_500, 2_500]
    whole = splits("a" * 20_000)
    assert LanguageModel(LanguageConfig()).limited(whole) is whole


def test_a_timed_request_is_a_passage():
    rows = splits("a" * 20_000, "b" * 300).test
    found = LanguageModel(LanguageConfig()).latency_examples(rows)
    assert [len(document.text) for document in found] == [PASSAGE, 300]


def test_evaluation_takes_how_to_learn_while_reading_from_the_user_and_the_rest_from_training():
    asked = LanguageModel(LanguageConfig(units=9, dynamic_rate=0.5))
    kept = {"units": 33, "dynamic_rate": 0.0}
    found = trained_task(asked, {"config": kept}).config
    assert (found.units, found.dynamic_rate) == (33, 0.5)
    assert found.adaptation == {"rate": 0.5, "decay": 0.0, "share": 0.0, "sharpness": 0.3}
    assert LanguageConfig().adaptation == {}


class Scored:
    """Gives every byte of a text two bits."""

    def call(self, inputs, endpoint):
        assert endpoint == "score"
        count = len(inputs["text"][0].encode())
        tokens = np.array([["\ufffd"] * count], object)
        return {"tokens": tokens, "bits": np.full((1, count), 2.0, np.float32)}


def test_weighing_a_file_tells_bits_and_writes_a_page(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(predicting, "load_served", lambda version: Scored())
    path = tmp_path / "x.txt"
    path.write_text("ab\u00e9\n", encoding="utf-8")
    options = LanguageOptions(file=str(path), score=True, json=True)
    assert predicting.predict(tmp_path, options) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["bits_per_character"] == 2.5
    assert (told["characters"], told["bytes"], told["bytes_needed"]) == (4, 5, 1)
    page = (tmp_path / "x.txt.score.html").read_text(encoding="utf-8")
    assert "\u00e9" in page  # characters, not the bytes the model reads
    assert "\ufffd" not in page
    assert predicting.predict(tmp_path, replace(options, json=False)) == 0
    assert "2.500 bits per character of 4" in capsys.readouterr().out

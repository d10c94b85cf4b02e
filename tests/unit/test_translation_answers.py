"""What `predict-translation` prints of what the exported model says."""

import io
import json

import numpy as np
import pytest
from rich.console import Console

from pipelines.errors import ConfigError
from pipelines.translation.evidence import align
from pipelines.translation.predict_options import TranslateOptions
from tasks.translation import Translation, TranslationConfig

TASK = Translation(TranslationConfig())
ONE = {"translation": "Le roi", "score": -1.25, "complete": True}
SEVERAL = {
    "translations": np.array(["Le roi", "Un roi", ""], object),
    "scores": np.array([-1.25, -2.5, -np.inf]),
    "complete": np.array([True, False, False]),
}


class Served:
    """An exported model that answers every text alike, and remembers what it was asked."""

    def __init__(self):
        self.asked = []

    def call(self, inputs, endpoint="serve"):
        self.asked.append((endpoint, inputs["text"]))
        rows = len(inputs["text"])
        if endpoint == "n_best":
            return {name: np.stack([values] * rows) for name, values in SEVERAL.items()}
        return {name: np.array([value] * rows, object) for name, value in ONE.items()}


def printed(answer, **options):
    stream = io.StringIO()
    shown = TASK.render_prediction(answer, TranslateOptions(text="the king", **options))
    Console(file=stream, width=99).print(shown, highlight=False)
    return stream.getvalue().rstrip("\n")


def test_one_answer_is_printed_bare():
    assert printed(TASK.answer(ONE)) == "Le roi"
    assert printed(TASK.answer(ONE), scores=True).split() == ["-1.250", "Le", "roi"]


def test_a_cut_answer_says_so():
    assert printed(ONE | {"complete": False}) == "Le roi  (cut at the longest length)"


def test_several_answers_come_best_first_without_those_not_found():
    answer = TASK.answer(SEVERAL)
    assert [one["translation"] for one in answer["n_best"]] == ["Le roi", "Un roi"]
    lines = printed(answer, n_best=3).splitlines()
    assert lines[0].split() == ["-1.250", "Le", "roi"]
    assert lines[1].endswith("(cut at the longest length)")


def test_several_answers_are_asked_of_their_own_endpoint():
    served = Served()
    outputs = TASK.ask(served, ["a", "b"], TranslateOptions(text="a", n_best=2))
    assert outputs["translations"].shape == (2, 2)
    TASK.ask(served, ["a"], TranslateOptions(text="a"))
    assert served.asked == [("n_best", ["a", "b"]), ("serve", ["a"])]


def test_more_answers_than_beams_are_refused():
    with pytest.raises(ConfigError, match=r"--n-best is 4; it must be at most 3, the --beam"):
        TASK.ask(Served(), ["a"], TranslateOptions(text="a", n_best=4))


def test_a_cut_answer_is_told_of_beside_bare_lines(capsys):
    cut = {"text": "the king " * 99, **ONE, "complete": False}
    assert TASK.line(cut, TranslateOptions(file="x", plain=True)) == "Le roi"
    assert "cut at the longest length: the answer to 'the king" in capsys.readouterr().err


def test_a_line_of_a_file_is_json_or_bare():
    record = {"text": "the king", **ONE}
    assert json.loads(TASK.line(record, TranslateOptions(file="x"))) == record
    assert TASK.line(record, TranslateOptions(file="x", plain=True)) == "Le roi"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"text": "a", "n_best": 0}, "--n-best is 0; it must be at least 1"),
        ({"file": "a", "attention": "x.png"}, "--attention draws one text.*give --text"),
        ({"text": "a", "plain": True}, "--plain prints one bare translation a line of a file"),
        ({"file": "a", "plain": True, "scores": True}, "without --n-best and --scores"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        TranslateOptions(**options)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"beam": 0}, "--beam is 0; it must be at least 1"),
        ({"label_smoothing": 1.0}, r"--label-smoothing is 1.0; it must be in \[0, 1\)"),
        ({"max_tokens": 2}, "--max-tokens is 2; it must be at least 3"),
        ({"attention": "none", "input_feeding": True}, "--input-feeding is True.*attention"),
        ({"coverage_penalty": -1.0}, r"--coverage-penalty is -1.0; it must be 0 \(off\) or more"),
        ({"attention": "none", "coverage_penalty": 0.2}, "it must be 0 without attention"),
        ({"length_factor": 0}, "--length-factor is 0; it must be above 0"),
    ],
)
def test_settings_that_cannot_work_are_refused(setting, message):
    with pytest.raises(ConfigError, match=message):
        TranslationConfig(**setting)


def attention_of(target, source=("the", "<eos>")):
    """An exported model whose attention endpoint names these tokens."""
    weights = np.full((1, len(target), len(source)), 0.5)
    found = {
        "source_tokens": np.array([source], object),
        "target_tokens": np.array([target], object),
    }
    return lambda inputs, endpoint: found | {"weights": weights}


def test_the_end_of_a_translation_is_no_word_of_it():
    drawn = align(attention_of(["Le", "roi", "<eos>"]), "the", "Le roi")
    assert drawn.target_tokens == ("Le", "roi")
    assert drawn.weights.shape == (2, 2)


def test_an_empty_translation_can_be_drawn():
    """A model that learned little writes the end at once."""
    drawn = align(attention_of(["<eos>"]), "the", "")
    assert drawn.target_tokens == ("<eos>",)
    assert drawn.weights.shape == (1, 2)

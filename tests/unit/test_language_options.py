"""What `predict` refuses for a language model, and how it shows a text that comes in blocks."""

import io
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import ConfigError, DataError
from pipelines.language import writing
from pipelines.language.predict_options import LanguageOptions
from pipelines.language.writing import StopSearch, prompt_of, unseen_warning, write
from pipelines.text.vocabulary import RESERVED, Vocabulary

LETTERS = Vocabulary((*RESERVED, *"abcdefghijklmnopqrstuvwxyz "))


def options(**given):
    return LanguageOptions(**given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"length": 0}, "--length is 0; it must be at least 1"),
        ({"length": -3}, "--length is -3; it must be at least 1"),
        ({"temperature": -0.5}, "--temperature is -0.5; it must be 0 .the likeliest token. or"),
        ({"temperature": float("nan")}, "--temperature is nan; it must be 0"),
        ({"temperature": float("inf")}, "--temperature is inf; it must be 0"),
        ({"top_k": -1}, "--top-k is -1; it must be 0 .all tokens. or more"),
        ({"top_p": 0.0}, "--top-p is 0.0; it must be above 0 and at most 1"),
        ({"top_p": 1.5}, "--top-p is 1.5; it must be above 0 and at most 1"),
        ({"repetition_penalty": 0.9}, "--repetition-penalty is 0.9; it must be 1 .off. or more"),
        ({"samples": 0}, "--samples is 0; it must be at least 1"),
        ({"stop": ("",)}, "--stop is .'',.; it must be texts of at least one character"),
        ({"seed": -1}, "--seed is -1; it must be from 0 to 2147483647"),
        ({"seed": 2**31 - 1, "samples": 2}, "it must be from 0 to 2147483646"),
        ({"complete": 11}, "--complete is 11; it must be from 1 to 10, or 0 .off."),
        ({"complete": -1}, "--complete is -1; it must be from 1 to 10"),
        ({"text": "a", "file": "b"}, "--text and --file are both given; .* leave the other out"),
        ({"temperature": 0.0, "top_k": 5}, "--top-k is 5 beside --temperature 0, .* leave one"),
        ({"temperature": 0.0, "top_p": 0.9}, "--top-p is 0.9 beside --temperature 0"),
        ({"temperature": 0.0, "samples": 3}, "--samples is 3 beside --temperature 0"),
        ({"complete": 3, "samples": 2}, "--samples is 2 beside --complete, which searches"),
        ({"complete": 3, "temperature": 1.0}, "--temperature is 1.0 beside --complete"),
        ({"complete": 3, "stop": ("x",)}, "--stop is .'x',. beside --complete"),
        ({"score": True}, "--score weighs the text of a file, and none is given; give --file"),
        ({"score": True, "text": "a"}, "--score weighs the text of a file, and none is given"),
        ({"score": True, "file": "a", "length": 9}, "--length is 9 beside --score, which writes"),
        ({"score": True, "file": "a", "complete": 2}, "--complete is 2 beside --score"),
        ({"score": True, "file": "a", "seed": 2}, "--seed is 2 beside --score"),
        ({"html": "x.html"}, "--html is 'x.html' without --score, .* add --score, or leave"),
    ],
)
def test_what_cannot_work_is_refused(given, message):
    with pytest.raises(ConfigError, match=message):
        options(**given)


def test_the_defaults_write_500_tokens_from_the_start_of_a_document():
    assert prompt_of(options()) == "" == prompt_of(options(text=""))
    assert options().tokens == 500
    assert options(complete=3).tokens == 40
    assert options(complete=3, length=7).tokens == 7 == options(length=7).tokens
    assert options(score=True, file="x.txt").html is None


def test_a_prompt_comes_from_a_file_as_it_is(tmp_path):
    path = tmp_path / "prompt.txt"
    path.write_bytes("a\r\n\tö\n".encode())
    assert prompt_of(options(file=str(path))) == "a\r\n\tö\n"
    path.write_bytes(b"ab\xff")
    with pytest.raises(DataError, match=r"prompt.txt: byte 2 \(0xff\) is no UTF-8.*save the file"):
        prompt_of(options(file=str(path)))
    with pytest.raises(DataError, match="nowhere.txt: cannot be read: No such file.* give a text"):
        prompt_of(options(file=str(tmp_path / "nowhere.txt")))


def test_unseen_characters_are_named():
    assert unseen_warning("abc xyz", LETTERS) == ""
    message = unseen_warning("aж<b", LETTERS)
    assert "has not seen 2 of the prompt's characters: '<' (U+003C), 'ж' (U+0436); it" in message
    assert "reads each as <unk>" in message
    assert "and 2 more" in unseen_warning("0123456789", LETTERS)
    assert unseen_warning("ж\x00", Vocabulary.of_bytes()) == ""


@given(
    st.lists(st.text("ab\n", max_size=4), max_size=8),
    st.lists(st.text("ab\n", min_size=1, max_size=4), max_size=3),
)
def test_a_text_ends_at_the_first_stop_string_however_it_is_cut(pieces, stops):
    search = StopSearch(stops)
    shown = "".join([*(search.feed(piece) for piece in pieces), search.rest()])
    text = "".join(pieces)
    places = [place for stop in stops if (place := text.find(stop)) >= 0]
    assert shown == text[: min(places, default=len(text))]
    assert search.found == bool(places)


def test_nothing_is_held_back_that_cannot_begin_a_stop_string():
    search = StopSearch(["\n\n"])
    assert [search.feed(text) for text in ("ab", "c\n", "d\n")] == ["ab", "c", "\nd"]
    assert search.feed("\nmore") == "" == search.rest()
    assert search.found
    assert search.feed("more") == ""


class Writer:
    """Stands for an exported model: writes the letters of the alphabet in turn."""

    def __init__(self, ends_at=None, interrupt_at=None):
        self.ends_at, self.interrupt_at = ends_at, interrupt_at
        self.requests = []

    def call(self, inputs, endpoint="serve"):
        self.requests.append((endpoint, inputs))
        if endpoint == "begin":
            return {"state": np.array([[len(inputs["prompt"][0])]], "float32")}
        if endpoint == "complete":
            texts = np.array([["a\nb", "c", ""]], object)
            values = np.log(np.array([[0.5, 0.25, 0.0]], "float32") + 0)
            return {"texts": texts, "log_probability": values,
                    "complete": np.array([[False, True, False]])}  # fmt: skip
        rows = len(inputs["length"])
        start = inputs["position"][0] if endpoint == "write_on" else 0
        end = start + inputs["length"][0]
        if self.interrupt_at is not None and end > self.interrupt_at:
            raise KeyboardInterrupt
        if self.ends_at is not None:
            end = min(end, self.ends_at)
        text = "".join(chr(ord("a") + place % 26) for place in range(start, end))
        return {
            "text": np.array([text] * rows, object),
            "tokens": np.array([end - start] * rows),
            "complete": np.array([end == self.ends_at] * rows),
            "state": np.array([[end]] * rows, "float32"),
        }


class Terminal(io.StringIO):
    def isatty(self):
        return True


def written(model, out=None, vocabulary=LETTERS, **given):
    with np.errstate(divide="ignore"):
        out = out or io.StringIO()
        code = write(model, options(**given), out, vocabulary=vocabulary)
    return code, out.getvalue()


def test_blocks_grow_and_join_to_the_length_asked_for():
    model = Writer()
    code, text = written(model, text="ab", length=100)
    assert code == 0
    assert text == "ab" + ("abcdefghijklmnopqrstuvwxyz" * 4)[:100] + "\n"
    requests = [inputs for endpoint, inputs in model.requests if endpoint == "write_on"]
    assert [inputs["length"][0] for inputs in requests] == [1, 2, 4, 8, 16, 32, 37]
    assert [inputs["position"][0] for inputs in requests] == [0, 1, 3, 7, 15, 31, 63]


def test_samples_come_one_after_the_other_with_seeds_of_their_own():
    model = Writer()
    _, text = written(model, text="x", length=3, samples=2, seed=5)
    assert text == "sample 1 of 2, seed 5:\nxabc\n\nsample 2 of 2, seed 6:\nxabc\n"
    seeds = [inputs["seed"][0] for endpoint, inputs in model.requests if endpoint == "write_on"]
    assert seeds == [5, 5, 6, 6]
    assert [endpoint for endpoint, _ in model.requests].count("begin") == 1


@pytest.mark.parametrize("stop", [("klm",), ("lmn", "klm"), ("zzz", "k")])
def test_writing_ends_before_a_stop_string_that_two_blocks_share(stop):
    model = Writer()
    assert written(model, stop=stop, length=200) == (0, "abcdefghij\n")
    assert len(model.requests) <= 6  # of 1, 2, 4, 8 and perhaps 16 tokens


def test_a_text_that_ends_by_itself_is_written_on_no_more():
    model = Writer(ends_at=5)
    assert written(model, length=200) == (0, "abcde\n")
    assert len(model.requests) == 4


def test_ctrl_c_keeps_what_was_written():
    assert written(Writer(interrupt_at=10), length=200) == (130, "abcdefg\n")


def test_a_terminal_sees_the_prompt_in_bold_and_obeys_no_control_characters():
    _, text = written(Writer(), Terminal(), text="a\x1b\n\x9b", length=2)
    assert text == "\x1b[1ma␛\n\x9b\x1b[0mab\n".replace("\x9b", "\ufffd")


def test_json_holds_all_samples_of_one_request():
    model = Writer(ends_at=9)
    _, text = written(model, text="x", length=20, samples=2, stop=("d",), json=True)
    sample = {"text": "abc", "complete": False, "stopped": True}
    samples = [{"seed": 0, **sample}, {"seed": 1, **sample}]
    assert json.loads(text) == {"prompt": "x", "samples": samples}
    assert [endpoint for endpoint, _ in model.requests] == ["generate"]


def test_completions_are_shown_with_their_probability():
    _, text = written(Writer(), text="x", complete=3)
    assert text == " 50.0000%  a\\nb\n 25.0000%  c  (the text ends)\n"
    assert len(json.loads(written(Writer(), complete=1, json=True)[1])["completions"]) == 1


def test_a_warning_is_no_part_of_the_text(capsys):
    _, text = written(Writer(), text="É", length=1)
    assert text == "Éa\n"
    assert "warning: the model has not seen 1 of" in capsys.readouterr().err
    assert writing.INTERRUPTED == 130

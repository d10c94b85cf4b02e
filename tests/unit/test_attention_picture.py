import warnings
import xml.dom.minidom

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import ConfigError, EvaluationError
from pipelines.evaluation.attention_picture import (
    alignment_drawing,
    attention_picture,
    label,
    picture_bytes,
    whole_words,
)
from pipelines.evaluation.picture_fonts import fonts_for, missing_characters
from pipelines.evaluation.translation import Alignment

MAGIC = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}


def even(source, target):
    weights = np.full((len(target), len(source)), 1 / len(source))
    return Alignment(tuple(source), tuple(target), weights)


def test_pieces_become_words_and_rows_still_sum_to_one():
    source = ["▁be", "ginn", "ing", "▁God", ".", "<eos>"]
    target = ["▁commence", "ment", ",", "▁l", "'", "homme", "<eos>"]
    weights = np.random.default_rng(1).dirichlet(np.ones(len(source)), len(target))
    words = whole_words(Alignment(tuple(source), tuple(target), weights))
    assert words.source_tokens == ("beginning", "God", ".", "<eos>")
    assert words.target_tokens == ("commencement", ",", "l", "'", "homme", "<eos>")
    np.testing.assert_allclose(words.weights.sum(axis=1), 1)
    np.testing.assert_allclose(words.weights[0, 0], weights[:2, :3].sum() / 2)


def test_words_and_scripts_without_spaces_are_left_as_they_are():
    words = even(["God", "made"], ["神", "造"])
    assert whole_words(words).source_tokens == ("God", "made")
    pieces = even(["▁漢", "字"], ["▁a"])
    assert whole_words(pieces).source_tokens == ("漢", "字")


@given(st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=12))
def test_joining_pieces_loses_no_weight(tokens):
    alignment = even([f"▁{tokens[0]}", *tokens[1:]], ["▁x", "y"])
    np.testing.assert_allclose(whole_words(alignment).weights.sum(), 1)


@pytest.mark.parametrize("form", ["png", "svg", "pdf"])
def test_pictures_stand_alone_and_say_nothing_on_the_terminal(form, tmp_path):
    alignment = even(["漢字", "שלום", "$x^2$", "e\u0301"], ["<b>&", "a\x07", "\u0301", ""])
    path = tmp_path / f"a.{form}"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        attention_picture(alignment, path)
    assert path.read_bytes().startswith(MAGIC[form])
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
    if form == "svg":
        text = path.read_text(encoding="utf-8")
        xml.dom.minidom.parseString(text)
        assert "var(--" not in text
        assert "$x^2$" in text
        assert "&lt;b&gt;&amp;" in text


def test_missing_glyphs_are_said_in_the_picture(monkeypatch):
    seen = []
    module = "pipelines.evaluation.attention_picture"
    monkeypatch.setattr(
        f"{module}.fonts_for", lambda strange: seen.append(strange) or ([], strange)
    )
    alignment = even(["\u16a0"], ["a"])
    monkeypatch.setattr(f"{module}.missing_characters", lambda text: frozenset("\u16a0"))
    svg, png = picture_bytes(alignment, "svg"), picture_bytes(alignment, "png")
    assert b"Boxes stand for" not in svg  # its viewer has fonts of its own
    assert seen == [frozenset("\u16a0")] * 2
    monkeypatch.setattr(f"{module}.fonts_for", lambda _: ([], frozenset()))
    assert len(png) > len(picture_bytes(alignment, "png"))


def test_fonts_are_searched_only_for_what_is_missing():
    assert missing_characters("abc é") == frozenset()
    assert fonts_for(frozenset()) == ([], frozenset())
    strange = frozenset("\ue123")  # private use: no box of last resort may answer for it
    families, lacking = fonts_for(strange)
    assert lacking == strange or families


def test_long_sentences_keep_the_size_of_their_letters():
    short, long = (even([f"w{n}" for n in range(size)], ["a", "b"]) for size in (5, 60))
    assert alignment_drawing(long).width > 2 * alignment_drawing(short).width
    huge = even([f"w{n}" for n in range(400)], ["a"])
    drawing = alignment_drawing(huge)
    assert drawing.width < 4200
    assert "w1<" not in drawing.svg  # labels are thinned where cells are small
    assert ">w0<" in drawing.svg


def test_the_drawing_is_coloured_by_the_page():
    svg = alignment_drawing(even(["a"], ["<b>"])).svg
    assert "var(--series-1)" in svg
    assert "&lt;b&gt;" in svg


def test_labels_are_short_and_visible():
    assert label("▁word") == "word"
    assert label("e\u0301") == "é"
    assert label("\u0301") == "\u25cc\u0301"
    assert label("a\x00b\n") == "a\ufffdb"
    assert label(" ") == "␣"
    assert len(label("x" * 90)) == 22


def test_weights_must_fit_the_tokens():
    with pytest.raises(EvaluationError, match=r"shape \[3, 2\] for 1 written.*cut padding"):
        picture_bytes(Alignment(("a", "b"), ("c",), np.ones((3, 2))), "png")
    with pytest.raises(EvaluationError, match="one or more of each"):
        picture_bytes(Alignment((), ("c",), np.ones((1, 0))), "png")


def test_paths_are_checked_before_drawing(tmp_path):
    with pytest.raises(ConfigError, match=r"ends with '.gif'; expected one of .png.*attention.png"):
        attention_picture(even(["a"], ["b"]), tmp_path / "a.gif")
    with pytest.raises(ConfigError, match="there is no folder .*nowhere.*make it, or name another"):
        attention_picture(even(["a"], ["b"]), tmp_path / "nowhere" / "a.png")

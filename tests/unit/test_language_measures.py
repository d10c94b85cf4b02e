import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import EvaluationError
from pipelines.evaluation.language_measures import (
    KINDS,
    Band,
    bits_by_kind,
    bits_by_position,
    join_bytes,
    kinds_of,
    language_outputs,
    learning_curve,
    passage_lengths,
    passage_sums,
    passages,
    perplexity,
    spread_bits,
)

TEXT = st.text(st.characters(), max_size=60)


def kinds(text):
    return [KINDS[number] for number in kinds_of(text)]


@given(st.integers(0, 5000))
def test_passages_cover_a_text_once(characters):
    text = "x" * characters
    assert "".join(passages(text)) == text
    assert passage_lengths(characters).tolist() == [len(part) for part in passages(text)]
    assert passage_sums(np.ones(characters)).tolist() == passage_lengths(characters).tolist()


def test_outputs_are_padded():
    outputs = language_outputs([np.array([1.5, 2.0]), np.zeros(0), np.array([4.0])], [1500, 0, 9])
    assert outputs["passage_bits"].tolist() == [[1.5, 2], [0, 0], [4, 0]]
    assert outputs["passage_bits"].dtype == np.float32
    assert outputs["bits"].tolist() == [3.5, 0, 4]
    assert outputs["characters"].tolist() == [1500, 0, 9]


def test_perplexity_is_a_power_of_two():
    assert perplexity(np.array([0.0, 1.0, 3.0])).tolist() == [1, 2, 8]


def test_tokens_share_their_bits_evenly():
    assert spread_bits(np.array([1, 3, 0, 2]), np.array([2.0, 6.0, 0.0, 1.0])).tolist() == [
        2, 2, 2, 2, 0.5, 0.5,
    ]  # fmt: skip


def test_bits_of_a_token_without_characters_are_not_lost():
    with pytest.raises(EvaluationError, match=r"token 1 has 3 bits and 0 characters.*end mark"):
        spread_bits(np.array([2, 0]), np.array([1.0, 3.0]))


@given(TEXT, st.randoms())
def test_bytes_of_a_character_add_up(text, random):
    sizes = [len(char.encode("utf-8", "surrogatepass")) for char in text]
    bits = [random.random() for _ in range(sum(sizes))]
    ends = np.cumsum([0, *sizes])
    expected = [sum(bits[start:end]) for start, end in itertools.pairwise(ends)]
    assert join_bytes(text, np.array(bits)).tolist() == pytest.approx(expected)


def test_bytes_have_to_be_as_many_as_the_texts():
    with pytest.raises(EvaluationError, match=r"3 values for a text of 2 bytes.*end mark"):
        join_bytes("é", np.zeros(3))


def test_bits_by_position_average_over_documents():
    bands = bits_by_position([np.array([8.0, 2, 2, 1]), np.array([4.0, 4])], edges=(0, 1, 3))
    assert bands == [Band(0, 1, 6.0, 2), Band(1, 3, 8 / 3, 3), Band(3, None, 1.0, 1)]
    assert [band.name for band in bands] == ["0 to 1", "1 to 3", "3 on"]


def test_bands_without_a_character_are_left_out():
    assert [band.start for band in bits_by_position([np.ones(11)])] == [0, 10]
    assert bits_by_position([np.zeros(0)]) == []


def test_kinds_of_characters():
    first, later, digit, blank, line, sign = KINDS
    assert kinds("To be,\t12\n") == [
        first, later, blank, first, later, sign, blank, digit, digit, line,
    ]  # fmt: skip
    assert kinds("don’t 'tis") == [
        first, later, later, sign, later, blank, sign, first, later, later,
    ]  # fmt: skip
    assert kinds("e\u0301t\u2028") == [first, later, later, line]
    assert kinds("a1b") == [first, digit, first]
    assert kinds("'") == [sign]


@given(TEXT)
def test_a_word_has_one_first_letter(text):
    found = kinds_of(text)
    assert len(found) == len(text)
    assert not len(found) or KINDS[found[0]] != "later letter"
    for before, after in itertools.pairwise(found):
        if KINDS[after] == "later letter":
            assert KINDS[before] in {"first letter of a word", "later letter", "punctuation"}


@given(TEXT)
def test_bits_by_kind_keep_every_bit(text):
    found = bits_by_kind(text, np.arange(len(text)))
    assert found.shape == (len(passages(text)), len(KINDS), 2)
    assert found.sum(axis=(0, 1)).tolist() == [sum(range(len(text))), len(text)]


def test_bits_by_kind_are_apart_by_passage():
    found = bits_by_kind("a" + "b" * 999 + "c1", np.ones(1002))
    assert found[:, :, 1].tolist() == [[1, 999, 0, 0, 0, 0], [0, 1, 1, 0, 0, 0]]


def test_bits_by_kind_need_one_value_a_character():
    with pytest.raises(EvaluationError, match=r"2 values for a text of 3 characters.*spread_bits"):
        bits_by_kind("abc", np.zeros(2))


def test_learning_curve_in_bits_and_characters():
    points = learning_curve(
        {"val_loss": [np.log(16), np.log(4)]},
        loss="val_loss",
        tokens_per_epoch=100,
        characters_per_token=2.0,
    )
    assert [(point.characters, point.bits_per_character) for point in points] == [
        (200, pytest.approx(2.0)), (400, pytest.approx(1.0)),
    ]  # fmt: skip


def test_learning_curve_needs_a_held_out_loss():
    with pytest.raises(EvaluationError, match=r"no 'val_loss'.*\['loss'\].*valid split"):
        learning_curve(
            {"loss": [1.0]}, loss="val_loss", tokens_per_epoch=1, characters_per_token=1.0
        )

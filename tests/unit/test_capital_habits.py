import numpy as np
import pytest

from pipelines.text.capital_habits import HABITS, UNSEEN, capital_habits
from pipelines.text.vocabulary import RESERVED, Vocabulary


def habits(sentences, *words, **options):
    vocabulary = Vocabulary((*RESERVED, *words))
    found = capital_habits([sentence.split() for sentence in sentences], vocabulary, **options)
    assert found.dtype == np.int32
    assert found[: len(RESERVED)].tolist() == [0] * len(RESERVED)
    return found[len(RESERVED) :].tolist()


def in_context(word):
    return f"we saw {word} there"


def habit(share, often):
    """The class of a share of capitals, as a bin of 5, and of 1-2, 3-9 or 10 and more times."""
    return 2 + 3 * share + often


@pytest.mark.parametrize(
    ("capital", "small", "expected"),
    [
        (0, 0, UNSEEN), (0, 1, habit(0, 0)), (1, 0, habit(4, 0)), (2, 0, habit(4, 0)),
        (3, 0, habit(4, 1)), (9, 0, habit(4, 1)), (10, 0, habit(4, 2)), (0, 10, habit(0, 2)),
        (1, 1, habit(2, 0)), (1, 4, habit(1, 1)), (1, 5, habit(0, 1)), (4, 1, habit(4, 1)),
        (7, 3, habit(3, 2)),
    ],
)  # fmt: skip
def test_the_class_tells_the_share_of_capitals_and_how_often_the_word_was_seen(
    capital, small, expected
):
    texts = [in_context("Rome")] * capital + [in_context("rome")] * small
    assert habits(texts, "rome") == [expected]


def test_every_class_is_below_the_number_of_classes():
    assert habit(4, 2) == HABITS - 1


@pytest.mark.parametrize("before", [".", "!", "?", ":", '"', "'", "...", "``", "@someone", "-"])
def test_words_that_begin_a_sentence_tell_nothing(before):
    assert habits([f"we saw it {before} Rome is there"], "rome") == [UNSEEN]


def test_the_first_word_tells_nothing_and_a_comma_ends_no_sentence():
    assert habits(["Rome is far"], "rome", "is") == [UNSEEN, habit(0, 0)]
    assert habits(["we went on , Rome is far"], "rome") == [habit(4, 0)]


def test_text_that_is_capitalised_throughout_tells_nothing():
    headline = "Old Men Saw Rome today"
    assert habits([headline], "rome", "today") == [UNSEEN, UNSEEN]
    half = "we Saw Rome today"
    assert habits([half], "rome", "today") == [habit(4, 0), habit(0, 0)]


def test_signs_and_numbers_have_no_habit():
    assert habits(["we saw 3 , and 4"], "3", ",", "and") == [UNSEEN, UNSEEN, habit(0, 0)]


def test_a_vocabulary_in_its_own_case_looks_words_up_in_lower_case():
    found = habits([in_context("Rome")] * 3, "Rome", "rome", lowercase=False)
    assert found == [habit(4, 1)] * 2


def test_words_of_other_scripts_and_the_dotted_capital_i():
    texts = [in_context("Élan"), in_context("Москва"), in_context("漢字"), in_context("İstanbul")]
    # The vocabulary is in lower case as the graph lowers: one code point for one.
    expected = [habit(4, 0), habit(4, 0), habit(0, 0), habit(4, 0)]
    assert habits(texts, "élan", "москва", "漢字", "istanbul") == expected


def test_no_text_is_no_evidence():
    assert habits([], "a", "b") == [UNSEEN, UNSEEN]
    assert habits(["", "Alone"], "alone") == [UNSEEN]

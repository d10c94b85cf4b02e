"""Scores on raw text against ones worked out by hand, with a model that is a table."""

import numpy as np
import pytest

from pipelines.datasets.tagged import TaggedSentence
from pipelines.datasets.word_spans import word_spans
from pipelines.evaluation.raw_text import CHUNK, gold_places, raw_text_scores


def sentence(text, tags, **options):
    words = tuple(options.pop("tokens", text.split()))
    return TaggedSentence(words, tuple(tags.split()), text=text, **options)


def test_repeated_words_stand_one_after_the_other():
    row = sentence("no no, no", "X X P X", tokens=["no", "no", ",", "no"])
    assert gold_places(row) == [(0, 2, 0), (3, 5, 0), (5, 6, 0), (7, 9, 0)]


def test_a_word_inside_a_longer_one_is_not_taken_for_it():
    assert gold_places(sentence("another other", "X X")) == [(0, 7, 0), (8, 13, 0)]
    assert gold_places(sentence("another other", "X", tokens=["other"])) is None


def test_words_of_a_contraction_share_its_place_and_are_numbered():
    row = sentence(
        "Gosto do mar do sul",
        "V P D N P D N",
        tokens=["Gosto", "de", "o", "mar", "de", "o", "sul"],
        surfaces=("Gosto", "do", "mar", "do", "sul"),
        parts=(1, 2, 1, 2, 1),
    )
    assert gold_places(row) == [
        (0, 5, 0), (6, 8, 0), (6, 8, 1), (9, 12, 0), (13, 15, 0), (13, 15, 1), (16, 19, 0),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", ["a"]),  # the source has no text
        ("a c", ["a", "b"]),  # a word is missing
        ("a x b", ["a", "b"]),  # the text has a word more in between
        ("b a", ["a", "b"]),  # another order
        ("`` a", ['"', "a"]),  # quotes were rewritten
    ],
)
def test_words_that_are_not_in_the_text_as_told_have_no_place(text, tokens):
    assert gold_places(TaggedSentence(tuple(tokens), ("X",) * len(tokens), text=text)) is None


def test_offsets_count_code_points():
    row = sentence("e\u0301 \U0001f44d\U0001f3fd שלום", "X Y X")
    assert gold_places(row) == [(0, 2, 0), (3, 5, 0), (6, 10, 0)]


class Table:
    """A model that answers what it is told for each text, padded like an exported one."""

    def __init__(self, answers):
        self.answers, self.sizes = answers, []

    def __call__(self, inputs, endpoint="serve"):
        assert endpoint == "serve"
        self.sizes.append(len(inputs["text"]))
        found = [self.answers[text] for text in inputs["text"]]
        width = max(len(words) for words in found)
        tags = np.full((len(found), width), "", object)
        starts, limits = np.zeros((2, len(found), width), np.int32)
        for row, words in enumerate(found):
            for place, (start, limit, tag) in enumerate(words):
                tags[row, place], starts[row, place], limits[row, place] = tag, start, limit
        return {"tags": tags, "char_starts": starts, "char_limits": limits}


def scores(rows, answers, *, spans=False):
    return {
        score.name: (score.value, score.count)
        for score in raw_text_scores(rows, Table(answers), spans=spans, seed=1)
    }


def test_a_word_is_right_where_place_and_tag_agree():
    rows = [sentence("ab cd", "X Y"), sentence("e.", "X P", tokens=["e", "."])]
    answers = {
        "ab cd": [(0, 2, "X"), (3, 5, "X")],  # both found, one tag right
        "e.": [(0, 2, "X")],  # not cut: none of two found
    }
    # Of words: 2 right, 3 said, 4 gold; of tagged words 1 right.
    assert scores(rows, answers) == {
        "word_f1": (pytest.approx(2 * 2 / (3 + 4)), 4),
        "raw_text_f1": (pytest.approx(2 * 1 / (3 + 4)), 4),
    }


def test_words_of_a_contraction_must_agree_one_by_one():
    row = sentence("do", "P D", tokens=["de", "o"], surfaces=("do",), parts=(2,))
    whole = scores([row], {"do": [(0, 2, "P"), (0, 2, "D")]})
    assert (whole["word_f1"], whole["raw_text_f1"]) == ((1, 2), (1, 2))
    swapped = scores([row], {"do": [(0, 2, "D"), (0, 2, "P")]})
    assert (swapped["word_f1"], swapped["raw_text_f1"]) == ((1, 2), (0, 2))
    unknown = scores([row], {"do": [(0, 2, "P")]})
    assert unknown["word_f1"] == (pytest.approx(2 / 3), 2)


def test_spans_must_agree_in_the_text_whatever_their_tokens():
    rows = [
        sentence("New-York is", "B-p I-p I-p O", tokens=["New", "-", "York", "is"]),
        sentence("Bo and Al", "B-n O B-n"),
    ]
    answers = {
        "New-York is": [(0, 8, "B-p"), (9, 11, "O")],  # one token, the same place
        "Bo and Al": [(0, 2, "B-p"), (3, 6, "O"), (7, 9, "B-n")],  # one of another type
    }
    found = scores(rows, answers, spans=True)
    # 2 right, 3 said, 3 gold; of words the first text gives 1 of 2 said and 4 gold.
    assert found["raw_text_f1"] == (pytest.approx(2 * 2 / 6), 3)
    assert found["word_f1"] == (pytest.approx(2 * 4 / (5 + 7)), 7)


def test_sentences_without_a_known_text_are_passed_over():
    known = sentence("a b", "X Y")
    rows = [TaggedSentence(("a",), ("X",)), known, sentence("a c b", "X Y", tokens=["a", "b"])]
    assert scores(rows, {"a b": [(0, 1, "X"), (2, 3, "Y")]}) == {
        "word_f1": (1, 2), "raw_text_f1": (1, 2),
    }  # fmt: skip
    assert raw_text_scores(rows[:1], Table({}), spans=False, seed=1) == []
    assert raw_text_scores([], Table({}), spans=True, seed=1) == []


def test_no_right_word_scores_0():
    assert scores([sentence("ab", "X")], {"ab": [(0, 1, "X"), (1, 2, "X")]}) == {
        "word_f1": (0, 1), "raw_text_f1": (0, 1),
    }  # fmt: skip


def test_texts_are_sent_in_chunks_and_answers_keep_their_rows():
    texts = [f"w{number} is" for number in range(2 * CHUNK + 3)]
    rows = [sentence(text, "X Y") for text in texts]
    answers = {
        text: [(*span, tag) for span, tag in zip(word_spans(text), "XY", strict=True)]
        for text in texts
    }
    model = Table(answers)
    found = raw_text_scores(rows, model, spans=False, seed=1)
    assert model.sizes == [CHUNK, CHUNK, 3]
    assert [(score.value, score.count) for score in found] == [(1, 2 * len(rows))] * 2

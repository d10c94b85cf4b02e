"""Forms that stand for several words: which are learned, and how they are taken apart."""

import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.datasets.tagged import TaggedSentence
from pipelines.text.contractions import Contractions, learn_contractions
from pipelines.text.tokenizer import Tokenizer
from tests.graph.tiny_taggers import ODD_WORDS

SPLITTER = Tokenizer(level="word", lowercase=False)
FORMS = {"do": ("de", "o"), "Das": ("De", "as"), "dámelo": ("dá", "me", "lo"), "שב": ("ש", "ב")}


def written(*surfaces):
    """A sentence of written forms; "do=de+o" stands for two words."""
    pairs = [item.partition("=") for item in surfaces]
    words = [tuple((after or form).split("+")) for form, _, after in pairs]
    tokens = tuple(word for group in words for word in group)
    if all(len(group) == 1 for group in words):
        return TaggedSentence(tokens, ("X",) * len(tokens))
    return TaggedSentence(
        tokens,
        ("X",) * len(tokens),
        surfaces=tuple(form for form, _, _ in pairs),
        parts=tuple(map(len, words)),
    )


def test_forms_with_their_words_are_learned_in_alphabetical_order():
    rows = [written("vem", "do=de+o", "mar"), written("dámelo=dá+me+lo"), written("a", "b")]
    found = learn_contractions(rows)
    assert found["do"] == ("de", "o")
    assert found["dámelo"] == ("dá", "me", "lo")
    assert list(found) == ["DO", "Do", "DÁMELO", "Dámelo", "do", "dámelo"]


def test_the_words_a_form_mostly_stands_for_win():
    rows = [written("das=de+as")] * 2 + [written("das=de+estas")] * 3
    assert learn_contractions(rows)["das"] == ("de", "estas")


@pytest.mark.parametrize(("alone", "learned"), [(1, True), (2, True), (4, False)])
def test_uses_as_one_word_count_in_sentences_with_contractions_and_without(alone, learned):
    rows = [written("nos=em+os", "x")] * 3 + [written("nos")] * (alone - 1)
    rows += [written("nos", "do=de+o")]
    assert ("nos" in learn_contractions(rows)) is learned


def test_case_is_kept_apart():
    rows = [written("Do=De+o"), written("do=de+o"), written("Da"), written("da=de+a")]
    assert learn_contractions(rows) == {
        "DA": ("DE", "A"), "DO": ("DE", "O"), "Do": ("De", "o"), "da": ("de", "a"),
        "do": ("de", "o"),
    }  # fmt: skip


def test_nothing_to_learn():
    assert learn_contractions([]) == {}
    assert learn_contractions([written("a"), TaggedSentence((), ())]) == {}


def expand(texts, forms=None):
    split = SPLITTER.split(tf.constant(texts, tf.string, shape=[len(texts)]))
    return split, Contractions(FORMS if forms is None else forms).expand(split)


def words_of(tokens):
    return [[word.decode() for word in row] for row in tokens.pieces.to_list()]


def test_forms_are_replaced_wherever_they_stand():
    _, found = expand(["do mar, vem do", "", "Das Dos", "do", "dámelo ya"])
    assert words_of(found) == [
        ["de", "o", "mar", ",", "vem", "de", "o"], [], ["De", "as", "Dos"], ["de", "o"],
        ["dá", "me", "lo", "ya"],
    ]  # fmt: skip
    assert found.char_starts.to_list()[0] == [0, 0, 3, 6, 8, 12, 12]
    assert found.char_limits.to_list()[0] == [2, 2, 6, 7, 11, 14, 14]
    assert found.byte_limits.to_list()[4] == [7, 7, 7, 10]  # á takes two bytes
    assert found.normalised.to_list() == found.pieces.to_list()


def test_only_whole_words_of_the_very_case_are_replaced():
    _, found = expand(["dono DO Do d'o"])
    assert words_of(found) == [["dono", "DO", "Do", "d'o"]]


def test_a_language_without_contractions():
    split, found = expand(["do mar", "", "שלום"], forms={})
    for before, after in zip(split, found, strict=True):
        assert before.to_list() == after.to_list()


texts = st.lists(
    st.lists(st.one_of(st.sampled_from([*FORMS, *ODD_WORDS, " ", "\t", ","]), st.text(max_size=3)))
    .map(" ".join)
    .map(lambda text: text.encode("utf-8", "replace").decode()),
    max_size=4,
)


@given(texts)
@settings(max_examples=40, deadline=None)
def test_every_word_keeps_the_place_of_the_form_it_is_in(batch):
    split, found = expand(batch)
    assert found.pieces.nrows() == len(batch)
    for row, text in enumerate(batch):
        expected = []
        forms = split.pieces.to_list()[row]
        places = [
            tuple(int(part.to_list()[row][number]) for part in split[2:])
            for number in range(len(forms))
        ]
        for form, place in zip(forms, places, strict=True):
            expected += [(word, place) for word in FORMS.get(form.decode(), (form.decode(),))]
            assert text[place[2] : place[3]].encode() == form
            assert text.encode()[place[0] : place[1]] == form
        columns = [part.to_list()[row] for part in found[2:]]
        words = [word.decode() for word in found.pieces.to_list()[row]]
        got = [(word, tuple(map(int, place))) for word, *place in zip(words, *columns, strict=True)]
        assert got == expected


def test_a_form_is_also_known_with_capitals_unless_those_are_a_word():
    def sentence(surface, *words):
        return TaggedSentence(words, ("X",) * len(words), surfaces=(surface,), parts=(len(words),))

    learned = learn_contractions([sentence("do", "de", "o"), sentence("nas", "em", "as")])
    assert learned["Do"] == ("De", "o")
    assert learned["DO"] == ("DE", "O")
    learned = learn_contractions([sentence("nas", "em", "as"), sentence("NAS", "NAS")])
    assert learned == {"Nas": ("Em", "as"), "nas": ("em", "as")}

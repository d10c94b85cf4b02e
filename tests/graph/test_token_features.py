"""What a tagger sees of a token; a sentence's features are its own, whatever stands beside it."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.text.feature_sizes import AFFIXES, CASINGS, CLUES
from pipelines.text.token_features import TokenFeatures, casing, ragged_tokens, unpadded
from pipelines.text.vocabulary import UNK
from tests.graph.tiny_taggers import ODD_WORDS, artifacts

TRAIN = ["Rome/B is/O old/O", "we/O saw/O Rome/B ,/O abcdefghij/O", "İst/B don't/O Ёлка/O שלום/O"]
WIDTH = 6


@pytest.fixture(scope="module")
def features():
    return TokenFeatures(artifacts(TRAIN, spans=True, linear=True)[1])


@pytest.mark.parametrize(
    ("expected", "tokens"),
    [
        (1, ["McDonald", "iPhone", "aB", "O'Neil", "ǅaB"]),
        (2, [",", "?!", "$", "--", ":)", "\U0001f44d", "«", "```"]),
        (3, ["1", "3.5", "1,000", "10:30", "٣", "-7", "5%", "\u0967"]),
        (4, ["3rd", "B2B", "v1.2", "COVID-19", "x\n1"]),
        (5, ["word", "don't", "#tag", "漢字", "שלום", "e\u0301", "ß", "\0", "a\nb", "ª"]),
        (6, ["I", "É", "Ж", "ǅ"]),
        (7, ["Rome", "Élan", "Don't", "Ёлка", "ǅungla", "R.", "A-b", "E\u0301a", "R漢"]),
        (8, ["USA", "U.S.A", "ЖЖ", "E\u0301A", "#TAG", "'S"]),
    ],
)
def test_classes_of_casing(expected, tokens):
    assert casing(tf.constant(tokens)).numpy().tolist() == [expected] * len(tokens)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=6), max_size=5))
@settings(max_examples=50, deadline=None)
def test_every_token_has_one_class(tokens):
    found = casing(tf.constant(tokens, tf.string, shape=[len(tokens)]))
    assert found.dtype == tf.int32
    assert all(1 <= number < CASINGS for number in found.numpy())


def spelled(features, *tokens):
    found = features.ragged(ragged_tokens([tokens]))["characters"].to_list()[0]
    names = features.characters.vocabulary.tokens
    assert all(len(row) == WIDTH for row in found)
    return ["".join("_" if number == 0 else names[number] for number in row) for row in found]


def test_of_long_words_the_head_and_the_tail_are_kept(features):
    assert spelled(features, "abcdefghij", "abcdef", "Rome", "a") == [
        "abchij", "abcdef", "Rome__", "a_____",
    ]  # fmt: skip


def test_unknown_characters_are_unknown_and_case_is_kept(features):
    assert spelled(features, "Q漢a", "ROME", "e\u0301") == [
        "<unk><unk>a___", "R<unk><unk><unk>__", "e<unk>____",
    ]  # fmt: skip


def test_an_odd_width_keeps_one_character_more_of_the_tail():
    made = artifacts(TRAIN, spans=True, max_characters=5)[1]
    found = TokenFeatures(made).ragged(ragged_tokens([["abcdefghij"]]))["characters"]
    names = made.characters.tokens
    assert "".join(names[number] for number in found.to_list()[0][0]) == "abhij"


def test_words_are_looked_up_in_lower_case_and_habits_go_with_them(features):
    tokens = [["ROME", "rome", "İST", "never", "ЁЛКА"]]
    found = features.ragged(ragged_tokens(tokens))
    names = features.words.vocabulary.tokens
    ids = found["words"].to_list()[0]
    assert [names[number] for number in ids] == ["rome", "rome", "ist", "<unk>", "ёлка"]
    assert found["habits"].to_list()[0] == [int(features.habits[number]) for number in ids]


def test_words_in_their_own_case():
    made = artifacts(TRAIN, spans=True, lowercase=False)[1]
    ids = TokenFeatures(made).ragged(ragged_tokens([["Rome", "ROME", "rome"]]))["words"]
    assert made.words.tokens[ids.to_list()[0][0]] == "Rome"
    assert ids.to_list()[0][1:] == [UNK, UNK]


def test_clues_are_made_for_a_linear_part_only(features):
    plain = TokenFeatures(artifacts(TRAIN, spans=True)[1])
    names = {"words", "characters", "casing", "habits", "affixes"}
    assert set(plain.ragged(ragged_tokens([["a"]]))) == names
    assert set(features.ragged(ragged_tokens([["a"]]))) == {*names, "clues"}


words = st.one_of(
    st.sampled_from((*ODD_WORDS, "rome", "we", "saw")),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=9),
)
batches = st.lists(st.lists(words, max_size=5), min_size=1, max_size=4)


@given(batches)
@settings(max_examples=20, deadline=None)
def test_features_of_a_sentence_do_not_depend_on_the_others(features, batch):
    together = features.ragged(ragged_tokens(batch))
    for name, values in together.items():
        assert values.dtype == tf.int32
        assert values.row_lengths().numpy().tolist() == [len(row) for row in batch], name
    for number, row in enumerate(batch):
        for name, values in features.ragged(ragged_tokens([row])).items():
            assert values.to_list()[0] == together[name].to_list()[number], name


@given(batches)
@settings(max_examples=20, deadline=None)
def test_padded_features_are_those_of_the_corpus(features, batch):
    """Training reads `encode`, serving `dense`: they must say the same of every real token."""
    dense = features.dense(ragged_tokens(batch))
    encoded = features.encode(batch)
    assert set(dense) == set(encoded)
    lengths = [len(row) for row in batch]
    for name, padded in dense.items():
        flat = encoded[name]
        assert flat.lengths.tolist() == lengths
        real = np.arange(padded.shape[1]) < np.array(lengths)[:, None]
        np.testing.assert_array_equal(padded.numpy()[real], flat.values, name)
        blank = ~real
        blank[np.array(lengths) == 0, 0] = False  # the stand-in of an empty row
        assert not padded.numpy()[blank].any(), name


def test_a_row_without_tokens_has_one_unknown_token(features):
    found = features.dense(ragged_tokens([["Rome", "is"], [], []]))
    assert found["words"].shape == (3, 2)
    assert found["words"].numpy()[1:].tolist() == [[UNK, 0]] * 2
    assert features.dense(ragged_tokens([[]]))["words"].numpy().tolist() == [[UNK]]
    shapes = {name: values.shape[2:] for name, values in found.items()}
    assert shapes["characters"] == (WIDTH,)
    assert shapes["affixes"] == (AFFIXES,)
    assert shapes["clues"] == (CLUES,)


def test_ill_formed_bytes_and_blanks_inside_are_read_one_for_one(features):
    tokens = tf.ragged.constant([[b"\xff\xfe", b"a\xc3", b" ", b"", b"x y"], [b"Rome"]])
    found = features.dense(tokens)
    assert all(values.shape[:2] == (2, 5) for values in found.values())
    assert (found["words"].numpy()[0] == UNK).all()


def test_corpora_hold_ids_as_narrow_as_they_fit(features):
    encoded = features.encode([["Rome"], ["is", "old"]])
    assert {name: part.values.dtype.str for name, part in encoded.items()} == {
        "words": "<u2", "characters": "<u2", "casing": "<u2", "habits": "<u2", "affixes": "<u2",
        "clues": "<i4",
    }  # fmt: skip


def test_only_the_padding_on_the_right_is_cut_off():
    found = unpadded(tf.constant([["a", "", "b", ""], ["", "", "", ""], ["c", "", "", ""]]))
    assert found.to_list() == [[b"a", b"", b"b"], [], [b"c"]]
    assert unpadded(tf.zeros([2, 0], tf.string)).to_list() == [[], []]

"""Hashed features against plain loops over the same strings."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.text.clues import clues
from pipelines.text.feature_sizes import (
    AFFIX_BUCKETS,
    AFFIX_LENGTHS,
    AFFIXES,
    CLUE_BUCKETS,
    CLUE_LENGTHS,
    CLUES,
)
from pipelines.text.token_hashes import affixes, hashed, neighbours, of_distinct, shape
from pipelines.text.units import lower
from tests.graph.tiny_taggers import ODD_WORDS

characters = st.characters(exclude_categories=["Cs"])
words = st.one_of(st.sampled_from(ODD_WORDS), st.text(characters, min_size=1, max_size=7))
sentences = st.lists(st.lists(words, max_size=5), min_size=1, max_size=4)
OWN = 2 + 2 * len(CLUE_LENGTHS)


def strings(values):
    return tf.constant(list(values), tf.string, shape=[len(values)])


def bucket(text, buckets):
    return int(tf.strings.to_hash_bucket_fast(text, buckets - 2)) + 2


def expected_affixes(word, lengths, buckets):
    whole = lower(strings([word])).numpy()[0].decode()
    return [
        bucket(f"{name}{size}={whole[:size] if name == 'prefix' else whole[-size:]}", buckets)
        if len(whole) >= size
        else 0
        for name, sizes in lengths.items()
        for size in sizes
    ]


@given(st.lists(words, max_size=6))
@settings(max_examples=40, deadline=None)
def test_affixes_are_those_of_a_plain_loop_over_code_points(tokens):
    found = affixes(strings(tokens)).numpy()
    assert found.shape == (len(tokens), AFFIXES)
    assert found.dtype == np.int32
    for token, row in zip(tokens, found.tolist(), strict=True):
        assert row == expected_affixes(token, AFFIX_LENGTHS, AFFIX_BUCKETS)
    assert ((found == 0) | ((found >= 2) & (found < AFFIX_BUCKETS))).all()


def test_a_prefix_is_no_suffix_and_case_does_not_count():
    one, other, short, empty = affixes(strings(["Abab", "ABAB", "ab", ""])).numpy()
    prefixes = len(AFFIX_LENGTHS["prefix"])
    np.testing.assert_array_equal(one, other)
    assert not set(one[:prefixes].tolist()) & set(one[prefixes:].tolist())
    # "ab" as a prefix of either, as the suffix of either; what is longer than the word is 0.
    assert (short[1], short[prefixes + 1]) == (one[1], one[prefixes + 1])
    assert short[[2, 3, prefixes + 2, prefixes + 3, prefixes + 4]].tolist() == [0] * 5
    assert not empty.any()


def test_ill_formed_tokens_have_features_too():
    found = affixes(tf.constant([b"\xff\xfe", b"a\xc3", b"\x80"])).numpy()
    assert found.shape == (3, AFFIXES)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("iPhone-4", "xXxx-d"), ("USA", "XX"), ("U", "X"), ("Rome", "Xxx"), ("McX", "XxX"),
        ("2006", "dd"), ("7", "d"), ("٣٤", "dd"), ("Élan", "Xxx"), ("ǅ", "X"), ("漢字", "xx"),
        ("שלום", "xx"), ("e\u0301", "xx"), ("dX9", "xXd"), ("...", "..."), ("", ""),
        ("a\0b", "x\0x"), ("X" * 50 + "x", "XXx"),
    ],
)  # fmt: skip
def test_shapes_of_words(word, expected):
    assert shape(strings([word])).numpy()[0].decode() == expected


@pytest.mark.parametrize("buckets", [3, 16, CLUE_BUCKETS])
def test_hashes_leave_0_and_1_free_and_depend_on_the_name(buckets):
    values = strings([f"w{number}" for number in range(200)])
    one, other = (hashed(values, name, buckets).numpy() for name in ("word", "shape"))
    assert (one.min(), other.min()) >= (2, 2)
    assert (one.max(), other.max()) < (buckets, buckets)
    np.testing.assert_array_equal(one, hashed(values, "word", buckets))
    if buckets == CLUE_BUCKETS:
        assert (one != other).all()
        assert len(set(one.tolist())) == 200


def test_a_function_is_asked_once_for_each_distinct_token():
    asked = []

    def length(tokens):
        asked.extend(tokens.numpy().tolist())
        return tf.strings.length(tokens)

    assert of_distinct(length, strings(["bb", "a", "bb", "a"])).numpy().tolist() == [2, 1, 2, 1]
    assert asked == [b"bb", b"a"]
    assert of_distinct(length, strings([])).shape == (0,)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=5), st.sampled_from([-2, -1, 1, 2]))
@settings(max_examples=40, deadline=None)
def test_neighbours_never_come_from_another_row(lengths, offset):
    buckets = 64
    ids = (np.arange(2 * sum(lengths)) % 62 + 2).reshape(-1, 2)
    rows = tf.RaggedTensor.from_row_lengths(tf.constant(ids, tf.int32), lengths)
    found = neighbours(rows, offset, buckets=buckets)
    # What an id becomes, read off one long row in which every id has such a neighbour.
    whole = np.arange(3 * buckets) % buckets
    long = tf.RaggedTensor.from_row_lengths(tf.constant(whole[:, None], tf.int32), [3 * buckets])
    spread = neighbours(long, offset, buckets=buckets).flat_values.numpy()[:, 0]
    edge = int(spread[0 if offset < 0 else -1])
    table = dict(zip(range(buckets), spread[buckets - offset :].tolist(), strict=False))
    assert sorted(table.values()) == list(range(buckets))
    assert (table[0], table[1]) == (0, edge)
    for row, moved in zip(rows.to_list(), found.to_list(), strict=True):
        for place in range(len(row)):
            inside = 0 <= place + offset < len(row)
            wanted = [table[value] for value in row[place + offset]] if inside else [edge] * 2
            assert moved[place] == wanted


def all_clues(batch):
    """Clues of a batch whose habits are a function of the word alone."""
    tokens = tf.RaggedTensor.from_row_lengths(
        strings([word for row in batch for word in row]), [len(row) for row in batch]
    )
    habits = tf.cast(tf.strings.length(tokens.flat_values) % 3, tf.int32)
    return clues(tokens, tokens.with_flat_values(habits))


@given(sentences)
@settings(max_examples=25, deadline=None)
def test_clues_of_a_sentence_do_not_depend_on_the_others(batch):
    together = all_clues(batch)
    assert together.flat_values.shape[1] == CLUES
    assert together.flat_values.dtype == tf.int32
    for row, joint in zip(batch, together.to_list(), strict=True):
        assert all_clues([row]).to_list() == [joint]


@given(st.lists(words, min_size=1, max_size=6))
@settings(max_examples=25, deadline=None)
def test_clues_of_a_token_are_its_own_and_those_of_its_neighbours(row):
    found = np.array(all_clues([row]).to_list()[0])
    shapes = shape(strings(row)).numpy()
    for token, form, numbers in zip(row, shapes, found, strict=True):
        habit = f"{len(token.encode()) % 3}"
        own = [
            bucket(b"word=" + lower(strings([token])).numpy()[0], CLUE_BUCKETS),
            bucket(b"shape=" + form, CLUE_BUCKETS),
            *expected_affixes(
                token, {"prefix": CLUE_LENGTHS, "suffix": CLUE_LENGTHS}, CLUE_BUCKETS
            ),
            bucket(f"habit={habit}", CLUE_BUCKETS),
            bucket(f"habit and shape={habit}|{form.decode()[:3]}", CLUE_BUCKETS),
        ]
        assert numbers[: OWN + 2].tolist() == own
    check_neighbours(row, found)


def check_neighbours(row, found):
    """Every column of a neighbour is a function, one for one, of the neighbour's own column."""
    columns = [
        (place, offset, place % 2) for place, offset in enumerate((-2, -2, -1, -1, 1, 1, 2, 2))
    ]
    columns += [(8, -1, OWN), (9, 1, OWN)]
    for column, offset, source in columns:
        seen = {
            (
                int(found[place + offset, source]) if 0 <= place + offset < len(row) else None,
                int(found[place, OWN + 2 + column]),
            )
            for place in range(len(row))
        }
        one, other = ({pair[side] for pair in seen} for side in (0, 1))
        assert len(one) == len(other) == len(seen), (column, offset)


def test_a_neighbour_at_another_distance_is_another_feature():
    found = np.array(all_clues([["x", "a", "b", "a", "x"]]).to_list()[0])
    middle = found[2]
    around = middle[OWN + 2 :]
    assert len(set(around.tolist()) | set(middle[:OWN].tolist()) - {0}) > len(around)
    assert len({int(around[place]) for place in (0, 2, 4, 6)}) == 4

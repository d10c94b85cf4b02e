"""Duplicate keys and splits: nothing shared, nothing lost, the same for the same seed."""

from __future__ import annotations

import re
import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.datasets.splits import (
    DataCard,
    duplicate_key,
    group_split,
    normalise_for_duplicates,
    stratified_split,
)
from pipelines.errors import DataError

labels_and_keys = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 2**64 - 1) | st.integers(0, 9)), min_size=1
)


def arrays(rows):
    labels, keys = zip(*rows, strict=True)
    return np.array(labels, np.int32), np.array(keys, np.uint64)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("RT @user: Great film!! http://t.co/x", "great film"),
        ("great   FILM", "great film"),
        ("  rt fine", "fine"),
        ("artful", "artful"),
        ("see www.example.org/a?b now", "see now"),
        ("\uff27\uff52eat Straße", "great strasse"),
        ("don't", "don t"),
        ("कि की", "कि की"),
        (":)", ""),
    ],
)
def test_normalised_words(text: str, words: str) -> None:
    assert normalise_for_duplicates(text) == words


@given(
    st.text(st.characters(codec="ascii"))
    | st.from_regex(r"(RT )?(@a|www\.b|http://c| d_E)*", alphabet=st.characters(codec="ascii"))
)
def test_the_fast_way_for_ascii_equals_the_patterns(text: str) -> None:
    plain = re.sub(r"(?i)(?:https?://|www\.)\S+", "", text)
    plain = re.sub(r"(?i)^\s*rt\b", "", re.sub(r"@\w+", "", plain))
    expected = " ".join(re.findall(r"\w+", unicodedata.normalize("NFKC", plain).casefold()))
    assert normalise_for_duplicates(text) == expected


def test_keys_of_texts_that_count_as_one_are_equal() -> None:
    assert duplicate_key("RT @a: Fine!", 17) == duplicate_key("fine", 17)
    assert duplicate_key("fine", 17) != duplicate_key("fine", 18)


def test_texts_without_words_stand_for_themselves() -> None:
    assert duplicate_key(":)", 17) != duplicate_key(":(", 17)
    assert duplicate_key("\ud83d", 17) != duplicate_key("\ud83e", 17)


def test_key_is_pinned_so_that_splits_stay_as_published() -> None:
    assert duplicate_key("A utterly charming mess", 17) == 1262425580809611530


@settings(max_examples=100)
@given(labels_and_keys)
def test_stratified_split_keeps_the_first_row_of_each_key_once(rows) -> None:
    labels, keys = arrays(rows)
    parts = stratified_split(labels, keys)
    found = np.concatenate(parts)
    first = {key: number for number, key in reversed(list(enumerate(keys.tolist())))}
    assert sorted(found.tolist()) == sorted(first.values())


@settings(max_examples=100)
@given(labels_and_keys)
def test_stratified_split_takes_the_smallest_keys_of_each_label(rows) -> None:
    labels, keys = arrays(rows)
    train, valid, test = stratified_split(labels, keys)
    for label in set(labels.tolist()):
        own = [part[labels[part] == label] for part in (test, valid, train)]
        count = sum(map(len, own))
        assert [len(part) for part in own[:2]] == [round(0.1 * count)] * 2
        ordered = [keys[part].max() for part in own if len(part)]
        assert ordered == sorted(ordered)


def test_stratified_split_may_leave_a_split_empty() -> None:
    labels, keys = np.zeros(20, np.int32), np.arange(20, dtype=np.uint64)
    train, valid, test = stratified_split(labels, keys, (0.9, 0.1, 0.0))
    assert (len(train), len(valid), len(test)) == (18, 2, 0)


def test_adding_rows_moves_few_others() -> None:
    keys = np.random.default_rng(0).integers(0, 2**63, 2000).astype(np.uint64)
    labels = np.zeros(2000, np.int32)
    before = set(stratified_split(labels[:1900], keys[:1900])[2].tolist())
    after = set(stratified_split(labels, keys)[2].tolist())
    assert len(before - after) < 20


@settings(max_examples=100)
@given(st.lists(st.sampled_from("abcdefghij"), min_size=1), st.integers(0, 5))
def test_group_split_keeps_groups_whole_and_no_split_empty(groups, seed) -> None:
    if len(set(groups)) < 3:
        with pytest.raises(DataError, match=r"group\(s\) for 3 splits .*give more"):
            group_split(groups, seed)
        return
    parts = group_split(groups, seed)
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(groups)))
    owners = [{groups[row] for row in part} for part in parts]
    assert all(owners) and sum(map(len, owners)) == len(set(groups))


def test_group_split_balances_rows() -> None:
    rng = np.random.default_rng(1)
    groups = [f"g{number}" for number in range(200) for _ in range(rng.integers(5, 60))]
    shares = [len(part) / len(groups) for part in group_split(groups, 17)]
    assert np.allclose(shares, (0.8, 0.1, 0.1), atol=0.02)


def test_group_split_depends_on_the_seed_alone() -> None:
    groups = [str(number // 3) for number in range(90)]
    first, again, other = (group_split(groups, seed) for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[2], other[2])


def test_card_survives_json() -> None:
    card = DataCard(source="x", counts={"train": 3}, notes=("a",), dropped={"empty text": 1})
    assert DataCard.from_json(card.to_json()) == card

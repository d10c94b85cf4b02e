"""How pairs are dealt out: properties that hold for any pairs, and cases by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.datasets.parallel_options import ParallelOptions
from pipelines.datasets.parallel_placement import PairNumbers, place_pairs
from pipelines.datasets.splits import duplicate_key
from pipelines.datasets.tag_scan import sequence_key
from pipelines.errors import DataError

SPLITS = st.sampled_from([-1, -1, -1, 0, 1, 2, 3])


def numbers(pairs, documents=None, splits=None, seed: int = 17) -> PairNumbers:
    documents = documents or [""] * len(pairs)
    names = list(dict.fromkeys(["", *documents]))
    return PairNumbers(
        pairs=np.array([sequence_key(pair, seed) for pair in pairs], np.uint64),
        sources=np.array([duplicate_key(source, seed) for source, _ in pairs], np.uint64),
        targets=np.array([duplicate_key(target, seed) for _, target in pairs], np.uint64),
        documents=np.array([names.index(document) for document in documents], np.int32),
        document_names=tuple(names),
        splits=np.array(splits or [-1] * len(pairs), np.int8),
    )


def place(pairs, documents=None, splits=None, **options):
    chosen = ParallelOptions(**options)
    return place_pairs("x", numbers(pairs, documents, splits, chosen.seed), chosen)


def distinct(count: int) -> list[tuple[str, str]]:
    return [(f"source{n}", f"target{n}") for n in range(count)]


@settings(max_examples=40)
@given(
    chapters=st.lists(st.integers(1, 12), min_size=40, max_size=120),
    seed=st.integers(0, 9),
    valid=st.sampled_from([0.05, 0.1, 0.2]),
    test=st.sampled_from([0.05, 0.1, 0.2]),
)
def test_documents_are_whole_and_shares_respected(chapters, seed, valid, test) -> None:
    documents = [f"chapter{n}" for n, size in enumerate(chapters) for _ in range(size)]
    pairs = distinct(len(documents))
    options = {"seed": seed, "valid_share": valid, "test_share": test}
    placement = place(pairs, documents, **options)
    found = [{documents[row] for row in rows} for rows in placement.rows]
    assert sum(map(len, found)) == len(set().union(*found)) == len(chapters)
    assert sum(map(len, placement.rows)) == len(pairs)
    by_document = [len(names) / len(chapters) for names in found]
    by_pair = [len(rows) / len(pairs) for rows in placement.rows]
    for split, share in ((1, valid), (2, test)):
        slack = max(1.01 / len(chapters), 12 / len(pairs))
        assert min(abs(it[split] - share) for it in (by_document, by_pair)) <= slack
    again = place(pairs, documents, **options)
    for rows, same in zip(placement.rows, again.rows, strict=True):
        np.testing.assert_array_equal(rows, same)


@settings(max_examples=40)
@given(
    rows=st.lists(
        st.tuples(st.integers(0, 30), st.integers(0, 30), st.integers(0, 14), SPLITS),
        min_size=60,
        max_size=150,
    )
)
def test_nothing_learned_from_stands_in_a_later_split(rows) -> None:
    pairs = [(f"s{source}", f"t{target}") for source, target, _, _ in rows]
    documents = [f"d{document}" for _, _, document, _ in rows]
    splits = [split for *_, split in rows]
    try:
        placement = place(pairs, documents, splits)
    except DataError:
        return  # repeats may leave nothing to learn from
    train, valid, test = (row.tolist() for row in placement.rows)
    extra = [] if placement.extra is None else placement.extra.tolist()
    held_out = [pairs[row] for row in valid + test]
    for learned in (train, extra):
        for side in (0, 1):
            known = {pairs[row][side] for row in learned}
            assert not known & {pair[side] for pair in held_out}
        assert len({pairs[row] for row in learned}) == len(learned)
    assert not {documents[row] for row in extra} & {documents[row] for row in valid + test}
    for split, chosen in ((1, valid), (2, test)):
        if split in splits:  # given splits stay as they are
            assert chosen == [row for row, it in enumerate(splits) if it == split]
    total = len(train) + len(valid) + len(test) + len(extra)
    assert total + sum(placement.dropped.values()) == len(rows)


def test_another_seed_draws_other_documents() -> None:
    documents = [f"d{n // 3}" for n in range(300)]
    draws = {tuple(place(distinct(300), documents, seed=seed).rows[2]) for seed in range(4)}
    assert len(draws) == 4


def test_without_documents_distinct_sources_are_dealt_out() -> None:
    pairs = [(f"source{n // 2}", f"target{n}") for n in range(400)]
    placement = place(pairs)
    sources = [{pairs[row][0] for row in rows} for rows in placement.rows]
    assert [len(it) for it in sources] == [180, 10, 10]
    assert len(set().union(*sources)) == 200
    assert placement.notes == ["split by distinct source: the pairs name no document(s)"]


def test_few_documents_are_not_dealt_out() -> None:
    placement = place(distinct(90), [f"d{n % 9}" for n in range(90)])
    assert placement.notes == ["split by distinct source: the pairs name only 9 document(s)"]


def test_one_huge_document_is_trained_on() -> None:
    small = [f"d{n}" for n in range(250)]
    for documents in ([*small, *["huge"] * 750], [*["huge"] * 750, *small]):
        placement = place(distinct(1000), documents)
        assert [len(rows) for rows in placement.rows] == [900, 50, 50]
        assert documents.index("huge") in placement.rows[0]


def test_what_is_left_out_is_counted() -> None:
    pairs = [("a", "1"), ("A!", "2"), ("b", "3"), ("c", "3"), ("d", "4"), ("d", "4"), ("v", "5")]
    placement = place([*pairs, ("a", "0"), ("e", "3")], splits=[-1] * 6 + [1, 2, 2])
    assert [rows.tolist() for rows in placement.rows] == [[4], [6], [7, 8]]
    assert placement.dropped == {
        "training pair whose source stands in test": 2,
        "training pair whose target stands in test": 2,
        "duplicate pair": 1,
    }


def test_repeats_of_a_given_split_stay() -> None:
    splits = [-1] * 3 + [1, 1, 2]
    pairs = [("a", "1"), ("b", "2"), ("c", "3"), ("v", "5"), ("v", "5"), ("t", "6")]
    placement = place(pairs, splits=splits)
    assert placement.rows[1].tolist() == [3, 4]
    assert placement.notes == ["1 repeated pair(s) within the given valid split, kept"]


def test_too_few_pairs() -> None:
    with pytest.raises(
        DataError, match=r"x: too few pairs: 3 train, 0 valid, 0 test.*--valid-file"
    ):
        place(distinct(3))

"""Which documents are drawn for a split, where a lone one is cut, and what counts as a copy."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.datasets.document_copies import CopyFinder, merged
from pipelines.datasets.document_options import Document, DocumentOptions
from pipelines.datasets.document_placement import cut_by_place, draw_documents, shares_of
from tests.unit.test_documents import prose


@given(st.text("ab \n", min_size=100, max_size=2_000), st.integers(1, 400))
def test_a_cut_loses_nothing(text: str, most: int) -> None:
    options = DocumentOptions(max_test_characters=most)
    parts = cut_by_place(Document(text, "a", "a"), options)
    assert "".join(part.text for part in parts) == text
    valid, test = shares_of(len(text), options)
    # Moving a cut to the next line end only ever makes the later part smaller.
    assert len(parts[2].text) <= round(len(text) * test) + 1
    assert len(parts[1].text) + len(parts[2].text) <= round(len(text) * (valid + test)) + 1


@given(
    st.lists(st.integers(1, 10_000), min_size=3, max_size=60),
    st.integers(0, 5),
    st.sampled_from((0, 100, 500_000)),
)
def test_every_document_has_one_split(sizes: list[int], seed: int, most: int) -> None:
    options = DocumentOptions(seed=seed, max_test_characters=most)
    numbers = np.arange(len(sizes)) // (2 if len(sizes) > 6 else 1)
    parts = draw_documents(np.array(sizes), numbers, options)
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(sizes)))
    assert min(map(len, parts)) > 0
    groups = [set(numbers[part].tolist()) for part in parts]
    assert not groups[0] & groups[1] and not groups[0] & groups[2] and not groups[1] & groups[2]


def test_sizes_come_near_the_shares() -> None:
    sizes = np.random.default_rng(0).lognormal(9, 1.5, 500).astype(np.int64)
    options = DocumentOptions(max_test_characters=0)
    _, valid, test = draw_documents(sizes, np.arange(500), options)
    assert sizes[test].sum() / sizes.sum() == pytest.approx(0.10, rel=0.1)
    assert sizes[valid].sum() / sizes.sum() == pytest.approx(0.05, rel=0.1)
    _, valid, test = draw_documents(
        sizes, np.arange(500), replace(options, max_test_characters=100_000)
    )
    assert 50_000 < sizes[test].sum() <= 100_000
    even = np.full(100, 90)
    _, _, test = draw_documents(even, np.arange(100), replace(options, max_test_characters=150))
    assert len(test) == 1  # the share is of 1.7 documents
    assert sizes[valid].sum() == pytest.approx(sizes[test].sum() / 2, rel=0.4)


def test_a_licence_in_every_document_makes_no_copies() -> None:
    licence = "\n".join(f"line {number} of a licence, as everywhere" for number in range(40))
    finder = CopyFinder()
    for number in range(200):
        finder.add(f"{licence}\n{prose(number)}")
    assert len(set(finder.groups().tolist()[51:])) == 149
    joined = merged(np.arange(4), ["", "x", "", "x"])
    assert joined[1] == joined[3] and len(set(joined.tolist())) == 3

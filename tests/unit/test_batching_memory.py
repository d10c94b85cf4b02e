"""A corpus larger than what may be mapped is read in pieces, and read rightly."""

from __future__ import annotations

import mmap
from pathlib import Path

import numpy as np
import pytest

from pipelines import corpus as corpora
from pipelines.corpus import EncodedCorpus, Ragged, write_corpus

ROWS = 3000


@pytest.fixture
def corpus(tmp_path: Path) -> EncodedCorpus:
    lengths = np.random.default_rng(1).integers(1, 9, ROWS)
    values = np.arange(int(lengths.sum()), dtype=np.int32)
    chunk = {"tokens": Ragged(values, lengths), "label": np.arange(ROWS, dtype=np.int32)}
    return write_corpus(tmp_path / "corpus", [chunk])


def test_pages_are_given_back_within_a_batch_and_rows_stay_right(
    corpus: EncodedCorpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = np.random.default_rng(2).permutation(ROWS)
    whole = corpus.gather(rows)
    given_back = []

    class Watched:
        def madvise(self, advice: int) -> None:
            given_back.append(advice)

    monkeypatch.setattr(corpora, "MOST_MAPPED", 1)
    monkeypatch.setattr(corpora, "READ_ROWS", 100)
    monkeypatch.setattr(corpus._maps["tokens"], "_mmap", Watched())
    pieces = corpus.gather(rows)
    assert len(given_back) > ROWS // 100
    assert set(given_back) == {mmap.MADV_DONTNEED}
    for name, column in whole.items():
        np.testing.assert_array_equal(pieces[name], column)


def test_small_corpora_stay_mapped(corpus: EncodedCorpus) -> None:
    for _ in range(5):
        corpus.gather(np.arange(ROWS))
    assert corpus._touched > corpora.MOST_MAPPED  # counted, but never given back


def test_only_the_features_asked_for_are_read(corpus: EncodedCorpus) -> None:
    assert list(corpus.gather(np.arange(3), ["label"])) == ["label"]

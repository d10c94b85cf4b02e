import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.batching import Batches, EncodedCorpus, Ragged, plan_batches, write_corpus
from pipelines.errors import DataError

ROWS = [[5, 6, 7], [8], [9, 10], [11, 12, 13, 14]]


def corpus(folder, rows=ROWS, split_at=2):
    chunks = []
    for part in (rows[:split_at], rows[split_at:]):
        values = np.concatenate([np.array(row, np.uint16) for row in part])
        ragged = Ragged(values, np.array([len(row) for row in part]))
        chunks.append({"tokens": ragged, "label": np.array([row[0] % 2 for row in part], np.int32)})
    return write_corpus(folder / "corpus", chunks)


def test_a_corpus_gives_back_its_rows_right_padded(tmp_path):
    batch = corpus(tmp_path).gather(np.array([3, 1]))
    np.testing.assert_array_equal(batch["tokens"], [[11, 12, 13, 14], [8, 0, 0, 0]])
    assert batch["tokens"].dtype == np.int32
    np.testing.assert_array_equal(batch["label"], [1, 0])


def test_a_corpus_is_the_same_after_reopening(tmp_path):
    corpus(tmp_path)
    again = EncodedCorpus(tmp_path / "corpus")
    assert len(again) == 4
    np.testing.assert_array_equal(again.lengths("tokens"), [3, 1, 2, 4])


def test_an_empty_corpus_is_refused(tmp_path):
    with pytest.raises(DataError, match="encoded corpus is empty; at least one row"):
        write_corpus(tmp_path / "corpus", [])


def test_pages_are_given_back_and_rows_stay_right(tmp_path, monkeypatch):
    monkeypatch.setattr("pipelines.batching.RESIDENT_BYTES", 8)
    encoded = corpus(tmp_path)
    for _ in range(3):
        np.testing.assert_array_equal(encoded.gather(np.array([0]))["tokens"], [[5, 6, 7]])


@given(
    lengths=st.lists(st.integers(0, 300), max_size=200),
    budget=st.integers(1, 500),
    seed=st.none() | st.integers(0, 5),
)
def test_every_row_is_in_one_batch_within_the_budget(lengths, budget, seed):
    lengths = np.array(lengths, np.int64)
    rng = None if seed is None else np.random.default_rng(seed)
    batches = plan_batches(lengths, budget, rng=rng)
    rows = np.concatenate(batches) if batches else np.zeros(0, int)
    assert sorted(rows) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * lengths[batch].max() <= budget


def test_batches_hold_rows_of_similar_length():
    lengths = np.random.default_rng(0).integers(1, 60, 5000)
    batches = plan_batches(lengths, 2048, rng=np.random.default_rng(1))
    padded = sum(len(batch) * lengths[batch].max() for batch in batches)
    assert padded < 1.1 * lengths.sum()


def test_an_epoch_is_fixed_by_seed_and_number_and_can_start_anywhere(tmp_path):
    encoded = corpus(tmp_path, [[i] * (i % 7 + 1) for i in range(1, 101)], split_at=50)

    def rows(seed, epoch, start=0):
        batches = Batches(
            encoded, length_of="tokens", inputs=("tokens",), target="label",
            batch_tokens=20, seed=seed,
        )  # fmt: skip
        return [list(batch) for batch in batches.epoch(epoch, start).rows]

    assert rows(1, 0) == rows(1, 0)
    assert rows(1, 0) != rows(1, 1)
    assert rows(1, 0) != rows(2, 0)
    assert rows(1, 3, start=5) == rows(1, 3)[5:]
    assert rows(None, 0) == rows(None, 9)


def test_weights_are_explicit(tmp_path):
    batches = Batches(
        corpus(tmp_path), length_of="tokens", inputs=("tokens",), target="label",
        batch_tokens=100, seed=0,
    )  # fmt: skip
    inputs, targets, weights = batches.epoch(0)[0]
    assert list(inputs) == ["tokens"]
    assert targets.shape == weights.shape == (4,)
    assert weights.dtype == np.float32
    assert (weights == 1).all()

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.batching import Batches, plan_batches
from pipelines.corpus import EncodedCorpus, Ragged, Shared, Windows, write_corpus
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
    monkeypatch.setattr("pipelines.corpus.MOST_MAPPED", 8)
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


def test_windows_come_back_as_the_slices_they_are(tmp_path):
    values = np.arange(20, dtype=np.float32).reshape(10, 2)
    chunks = [
        {"history": Windows(values, np.array([0, 1, 4]), 3), "number": np.array([0, 1, 2])},
        {"history": Windows(values + 100, np.array([7]), 3), "number": np.array([3])},
    ]
    encoded = write_corpus(tmp_path / "corpus", chunks)
    assert len(EncodedCorpus(tmp_path / "corpus")) == 4
    batch = encoded.gather(np.array([3, 1]))
    np.testing.assert_array_equal(batch["history"], [values[7:10] + 100, values[1:4]])
    np.testing.assert_array_equal(batch["number"], [3, 1])
    np.testing.assert_array_equal(encoded.lengths("history"), [3, 3, 3, 3])


def test_rows_that_share_a_value_come_back_with_it_and_keep_it_once(tmp_path):
    images = np.arange(24, dtype=np.uint8).reshape(3, 2, 4)
    chunks = [
        {"image": Shared(images[:2], np.array([0, 0, 1])), "number": np.array([0, 1, 2])},
        {"image": Shared(images[2:], np.array([0, 0])), "number": np.array([3, 4])},
    ]
    encoded = write_corpus(tmp_path / "corpus", chunks)
    assert len(EncodedCorpus(tmp_path / "corpus")) == 5
    batch = encoded.gather(np.array([4, 1, 2]))
    np.testing.assert_array_equal(batch["image"], images[[2, 0, 1]])
    assert batch["image"].dtype == np.uint8
    np.testing.assert_array_equal(batch["number"], [4, 1, 2])
    whole = encoded.shared("image")
    np.testing.assert_array_equal(whole.values, images)
    np.testing.assert_array_equal(whole.places, [0, 0, 1, 2, 2])
    np.testing.assert_array_equal(encoded.shared_values("image", np.array([2, 0])), images[[2, 0]])
    assert (tmp_path / "corpus" / "image.bin").stat().st_size == images.nbytes


def test_windows_of_one_series_share_its_values_on_disk(tmp_path):
    values = np.zeros((1000, 4), np.float32)
    encoded = write_corpus(tmp_path / "corpus", [{"history": Windows(values, np.arange(900), 100)}])
    assert (encoded.folder / "history.bin").stat().st_size == values.nbytes


def test_an_epoch_may_draw_some_rows_anew(tmp_path):
    encoded = corpus(tmp_path, [[i] for i in range(1, 101)], split_at=50)

    def batches(seed):
        return Batches(
            encoded, length_of="tokens", inputs=("tokens",), target="label",
            batch_tokens=20, seed=seed, rows_per_epoch=30,
        )  # fmt: skip

    def drawn(epoch):
        return np.concatenate(batches(1).epoch(epoch).rows)

    assert len(set(drawn(0))) == 30
    assert set(drawn(0)) != set(drawn(1))
    np.testing.assert_array_equal(drawn(1), drawn(1))
    assert batches(1).tokens == 30
    assert len(batches(1)) == len(batches(1).epoch(0))
    assert sum(map(len, batches(None).epoch(0).rows)) == 100  # evaluation sees every row


@given(
    lengths=st.lists(st.tuples(st.integers(1, 90), st.integers(1, 90)), min_size=1, max_size=200),
    budget=st.integers(1, 500),
    seed=st.none() | st.integers(0, 5),
)
def test_every_pair_is_in_one_batch_and_its_longer_side_counts(lengths, budget, seed):
    lengths = np.array(lengths, np.int64)
    rng = None if seed is None else np.random.default_rng(seed)
    batches = plan_batches(lengths, budget, rng=rng)
    assert sorted(np.concatenate(batches)) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * lengths[batch].max() <= budget


def test_pairs_alike_in_both_lengths_share_a_batch():
    lengths = np.array([[40, 8], [40, 40], [40, 8], [40, 40]])
    batches = plan_batches(lengths, 80, rng=None)
    assert sorted(sorted(batch.tolist()) for batch in batches) == [[0, 2], [1, 3]]

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.errors import ConfigError
from pipelines.text import units
from pipelines.text.ngrams import WordNgrams

MANY = 1_000_003  # so many that the words of a test do not collide


def number(gram: str, buckets: int = MANY) -> int:
    return int(tf.strings.to_hash_bucket_fast(gram, buckets)) + 1


def test_each_ngram_counts_once_in_order_of_first_occurrence():
    ids = WordNgrams(MANY).encode(["a b A b", "b"]).to_list()
    assert ids == [[number(gram) for gram in ("a", "b", "a b", "b a")], [number("b")]]
    assert WordNgrams(MANY, min_n=2, max_n=3).encode(["a b c"]).to_list() == [
        [number("a b"), number("b c"), number("a b c")]
    ]


def test_hashes_are_the_same_from_run_to_run():
    assert WordNgrams(1000).encode(["A fine film"]).to_list() == [[940, 390, 809, 413, 374]]


def test_a_row_is_never_empty_and_padding_is_zero():
    layer = WordNgrams(MANY)
    result = layer(tf.constant(["a b", "", " \n"]))
    assert result.dtype == tf.int32
    assert result.numpy().tolist() == [
        [number("a"), number("b"), number("a b")],
        [number(""), 0, 0],
        [number(""), 0, 0],
    ]
    assert WordNgrams(MANY, min_n=2).encode(["a"]).to_list() == [[number("")]]
    assert layer.encode(tf.constant([], tf.string)).nrows() == 0


words = st.lists(st.sampled_from(["a", "B", "你", ",", "don't", "\n"]), max_size=12).map(" ".join)


@settings(max_examples=50, deadline=None)
@given(st.lists(words, min_size=1, max_size=8), st.integers(1, 2), st.integers(0, 2), st.booleans())
def test_ids_are_those_of_a_plain_loop(texts: list[str], min_n: int, more: int, lowercase: bool):
    layer = WordNgrams(50, min_n=min_n, max_n=min_n + more, lowercase=lowercase)
    expected = []
    for row in units.words(tf.constant(texts), lowercase=lowercase).to_list():
        grams = [
            b" ".join(row[start : start + n])
            for n in range(min_n, min_n + more + 1)
            for start in range(len(row) - n + 1)
        ] or [b""]
        hashed = tf.strings.to_hash_bucket_fast(grams, 50).numpy() + 1
        expected.append(list(dict.fromkeys(hashed.tolist())))
    assert layer.encode(texts).to_list() == expected
    assert [layer.encode([text]).to_list()[0] for text in texts] == expected
    assert all(1 <= entry <= 50 for row in expected for entry in row)


def test_a_keras_model_keeps_the_layer(tmp_path: Path):
    text = keras.Input((), dtype="string")
    ids = WordNgrams(100, max_n=3, lowercase=False)(text)
    model = keras.Model(text, keras.layers.Embedding(101, 2)(ids))
    model.save(tmp_path / "model.keras")
    reloaded = keras.models.load_model(tmp_path / "model.keras")
    texts = tf.constant(["A b C d", ""])
    np.testing.assert_array_equal(model(texts), reloaded(texts))


@pytest.mark.parametrize("options", [{"buckets": 0}, {"buckets": 9, "min_n": 3}])
def test_wrong_settings_are_named(options: dict):
    with pytest.raises(ConfigError, match=r"cannot have buckets=\d.*expected buckets >= 1 and 1"):
        WordNgrams(**options)

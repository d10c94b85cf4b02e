import logging

import keras
import numpy as np
import pytest
from keras import ops

from pipelines.corpus import write_corpus
from pipelines.errors import DataError
from pipelines.text import classifier
from pipelines.text.artifacts import TextArtifacts
from pipelines.text.char_ngrams import CharNgrams
from pipelines.text.classifier_config import ClassifierConfig
from pipelines.text.cooccurrence import cooccurrence_vectors
from pipelines.text.encoding import TextFeatures
from pipelines.text.vocabulary import Vocabulary

WORDS = ("<pad>", "<unk>", "<bos>", "<eos>", "good", "bad", "film")


def artifacts(**settings):
    config = ClassifierConfig(**settings)
    return config, TextArtifacts.of(Vocabulary(WORDS), Vocabulary(("n", "p"), ()), config)


def test_cut_texts_are_counted_and_the_option_is_named(caplog):
    _, made = artifacts(max_tokens=2)
    features = TextFeatures.of(made)
    encoded = features.encode(["good film", "bad bad film", ""], with_grams=True)
    assert encoded["tokens"].lengths.tolist() == [2, 2, 1]
    with caplog.at_level(logging.WARNING):
        features.warn_of_cut("train")
    assert "train: 1 of 3 texts have more than 2 tokens and were cut; --max-tokens" in caplog.text


def test_chunks_and_serving_encode_alike():
    _, made = artifacts()
    features = TextFeatures.of(made)
    texts = ["Good film!", "a bad, BAD one", "", "\U0001f600 film"]
    dense = features.dense(ops.convert_to_tensor(texts, dtype="string"))
    for name, column in features.encode(texts, with_grams=True).items():
        rows = np.split(column.values, np.cumsum(column.lengths)[:-1])
        for row, padded in zip(rows, ops.convert_to_numpy(dense[name]), strict=True):
            np.testing.assert_array_equal(row, padded[: len(row)])
            assert (padded[len(row) :] == 0).all()


def test_the_share_of_unknown_tokens():
    _, made = artifacts()
    shares = TextFeatures.of(made).unknown_share(["good film", "good thing", "x y z"])
    np.testing.assert_allclose(shares, [0, 0.5, 1])


def test_character_grams_mark_the_ends_of_words():
    layer = CharNgrams(1 << 20, min_n=2, max_n=3)

    def grams(text):
        return set(layer.encode([text]).values.numpy().tolist())

    assert len(grams("ab")) == 5  # _a ab b_ _ab ab_
    assert grams("ab ab") == grams("AB")
    assert grams("ab") & grams("abc")
    assert not grams("ab") & grams("xy")
    assert len(grams("")) == 1
    assert int(layer.encode(["", "a b", ""]).nrows()) == 3


def test_vectors_of_words_in_like_places_are_alike():
    rng = np.random.default_rng(0)
    # Words 4 and 5 stand beside 6-9, words 10 and 11 beside 12-15.
    texts = [
        [rng.choice([4, 5]), rng.choice([6, 7, 8, 9])]
        if rng.random() < 0.5
        else [rng.choice([10, 11]), rng.choice([12, 13, 14, 15])]
        for _ in range(2000)
    ]
    vectors = cooccurrence_vectors(
        np.concatenate(texts), np.full(2000, 2), vocabulary_size=20, dimensions=4
    )
    assert vectors.shape == (20, 4)
    assert (vectors[16:] == 0).all()

    def likeness(one, other):
        norms = np.linalg.norm(vectors[one]) * np.linalg.norm(vectors[other])
        return vectors[one] @ vectors[other] / norms

    assert likeness(4, 5) > 0.9
    assert likeness(10, 11) > 0.9
    assert abs(likeness(4, 10)) < 0.1


def test_pretrained_vectors_start_the_network_and_set_its_width(tmp_path, caplog):
    path = tmp_path / "words.vec"
    path.write_text("2 3\ngood 1 2 3\nbad 4 5 6\n")
    config, made = artifacts(embeddings=str(path), linear=False, units=2)
    keras.utils.set_random_seed(1)
    model = classifier.build(config, made)
    tokens = TextFeatures.of(made).encode(["good film"], with_grams=False)
    corpus = write_corpus(tmp_path / "corpus", [tokens])
    with caplog.at_level(logging.INFO, logger="pipelines.text"):
        classifier.warm_start(model, config, made, corpus=corpus, sample=None, extra=None)
    matrix = model.get_layer("embedding").get_weights()[0]
    np.testing.assert_array_equal(matrix[4:6], [[1, 2, 3], [4, 5, 6]])
    assert "2 words found, 66.7 %" in caplog.text


def test_a_missing_file_of_vectors_is_named(tmp_path):
    config, made = artifacts(embeddings=str(tmp_path / "no.vec"))
    with pytest.raises(DataError, match=r"no\.vec.*--embeddings"):
        classifier.build(config, made)

"""What an exported language model answers of texts, held against the layer itself."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from pipelines.corpus import write_corpus
from pipelines.datasets.documents import Document
from pipelines.datasets.rows import Rows
from pipelines.errors import DataError
from pipelines.language import model as models
from pipelines.language.artifacts import LanguageArtifacts
from pipelines.language.encoding import encode_documents, require_window
from pipelines.language.language_config import LanguageModelConfig
from pipelines.language.serving import UNKNOWN_BITS, LanguageServing, weigh_corpus
from pipelines.text.vocabulary import RESERVED, Vocabulary

TOKENS = (*RESERVED, "\n", " ", *map(chr, range(97, 123)))
ARTIFACTS = LanguageArtifacts(Vocabulary(TOKENS), {"level": "char"})
TEXTS = ["a quiet line\nand another\n", "xyz", ""]


@pytest.fixture(scope="module")
def serving():
    keras.utils.set_random_seed(2)
    config = LanguageModelConfig(units=6, embedding_size=4, match_span=8)
    return LanguageServing(models.build(config, ARTIFACTS, portable=True), ARTIFACTS)


def directly(serving, text):
    """Bits of each character, by one reading of the layer."""
    ids = [2, *(TOKENS.index(one) if one in TOKENS else 1 for one in text)]
    logits = np.asarray(serving.layer(np.array([ids[:-1]], np.int32)))[0].astype(float)
    logs = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    return -logs[np.arange(len(text)), ids[1:]] / np.log(2)


def test_bits_are_those_of_every_character_and_the_end_is_free(serving):
    found = {name: value.numpy() for name, value in serving.serve(tf.constant(TEXTS)).items()}
    tokens = serving.score(tf.constant(TEXTS))
    assert found["characters"].tolist() == [25, 3, 0]
    assert found["bits"][2] == 0
    for number, text in enumerate(TEXTS[:2]):
        bits = directly(serving, text)
        np.testing.assert_allclose(found["bits"][number], bits.sum(), rtol=1e-5)
        np.testing.assert_allclose(found["bits_per_character"][number], bits.mean(), rtol=1e-5)
        np.testing.assert_allclose(tokens["bits"][number][: len(text)], bits, atol=1e-4)
        assert b"".join(tokens["tokens"][number].numpy()).decode() == text


def test_bits_by_passage_are_sums_of_so_many_characters(serving, monkeypatch):
    monkeypatch.setattr("pipelines.language.serving.PASSAGE", 10)
    found = serving.serve(tf.constant(TEXTS))["passage_bits"].numpy()
    bits = directly(serving, TEXTS[0])
    wanted = [bits[:10].sum(), bits[10:20].sum(), bits[20:].sum()]
    np.testing.assert_allclose(found[0], wanted, rtol=1e-5)
    assert found.shape == (3, 3)
    assert not found[1][1:].any()


def test_an_unknown_character_costs_what_it_takes_to_name_it(serving):
    known = directly(serving, "a\u00e9").sum()
    found = float(serving.serve(tf.constant(["a\u00e9"]))["bits"][0])
    assert found == pytest.approx(known + UNKNOWN_BITS, rel=1e-5)


def test_what_may_follow_is_a_distribution_the_likeliest_first(serving):
    found = serving.next(tf.constant(["quie", ""]))
    probability = found["probability"].numpy()
    np.testing.assert_allclose(probability.sum(axis=1), 1.0, atol=1e-5)
    assert (np.diff(probability, axis=1) <= 0).all()
    for number, text in enumerate(["quie", ""]):
        place = found["tokens"].numpy()[number].tolist().index(b"t")
        wanted = 2.0 ** -directly(serving, text + "t")[-1]
        np.testing.assert_allclose(probability[number][place], wanted, rtol=1e-4)


def test_encoded_documents_weigh_what_their_texts_do(serving, monkeypatch, tmp_path):
    monkeypatch.setattr("pipelines.language.encoding.CHARACTERS", 10)  # so that texts are cut
    rows = Rows.of(Document, (Document(text) for text in TEXTS[:2]))
    corpus = write_corpus(tmp_path / "corpus", encode_documents(rows, ARTIFACTS, "test"))
    assert corpus.lengths("tokens").tolist() == [26, 4]
    assert corpus.gather(np.array([1]))["tokens"].tolist() == [[2, 29, 30, 31]]
    assert corpus.gather(np.array([1]))["target"].tolist() == [[29, 30, 31, 3]]
    weighed = weigh_corpus(serving.model, ARTIFACTS, corpus, rows=1)
    served = serving.serve(tf.constant(TEXTS[:2]))
    for name, values in served.items():
        np.testing.assert_allclose(weighed[name], values, rtol=1e-5)


def test_a_corpus_shorter_than_a_window_is_refused():
    with pytest.raises(DataError, match="3 characters, fewer than --window 64.*smaller --window"):
        require_window([Document("abc")], 64)

"""What a captioner answers; its weights are random, so answers are odd but must agree."""

import numpy as np
import pytest
import tensorflow as tf

from pipelines.captioning.captioner import read_of
from pipelines.captioning.serving import BLOCK_ROWS, CaptionServing, caption_corpus
from pipelines.corpus import Ragged, Shared, write_corpus
from tests.graph.tiny_captioners import PICTURES, artifacts_of, config_of, model_of


def serving(**changes):
    config = config_of(**changes)
    return CaptionServing(model_of(config), artifacts_of(config), config)


def compiled(captions):
    functions = {
        name: tf.function(entry.function, list(entry.inputs.values()), autograph=False)
        for name, entry in captions.endpoints().items()
    }

    def call(name, *columns):
        found = functions[name](*(tf.constant(column, tf.string) for column in columns))
        return {key: value.numpy() for key, value in found.items()}

    return call


@pytest.fixture(scope="module")
def probable():
    """A captioner that answers what is most probable."""
    return serving(consensus=False)


@pytest.fixture(scope="module")
def served(probable):
    return compiled(probable)


def texts_of(strings):
    return [text.decode() for text in strings]


def test_the_best_of_n_is_the_answer(served):
    one, several = served("serve", PICTURES), served("n_best", PICTURES)
    assert texts_of(one["caption"]) == texts_of(several["captions"][:, 0])
    np.testing.assert_allclose(one["score"], several["scores"][:, 0], rtol=1e-5)
    assert several["captions"].shape == (5, 3)


def test_the_score_of_an_answer_is_its_probability(served):
    """Step by step in the search, all at once in `score`: the same model."""
    found = served("serve", PICTURES)
    whole = [row for row in range(5) if found["complete"][row]]
    assert whole
    answers = [texts_of(found["caption"])[row] for row in whole]
    scored = served("score", [PICTURES[row] for row in whole], answers)
    np.testing.assert_allclose(scored["log_probability"], found["score"][whole], rtol=1e-4)


def test_search_is_at_least_as_probable_as_greed(served):
    best, greedy = served("serve", PICTURES), served("greedy", PICTURES)
    both = best["complete"] & greedy["complete"]
    assert both.any()
    assert (best["score"] >= greedy["score"] - 1e-5)[both].all()


def test_an_image_has_the_answer_it_has_alone(served):
    many = (PICTURES * (2 * BLOCK_ROWS))[: BLOCK_ROWS + 3]
    together = served("serve", many)
    alone = [texts_of(served("serve", [image])["caption"])[0] for image in PICTURES]
    assert texts_of(together["caption"]) == [alone[row % 5] for row in range(len(many))]


def test_attention_names_tokens_and_sums_to_one(served):
    found = served("attention", PICTURES[:2], ["a red dog", "cup"])
    assert texts_of(found["tokens"][1]) == ["cup", "<eos>", "", ""]
    assert found["weights"].shape == (2, 4, 16)  # 16 pixels, halved twice: 4 x 4 places
    np.testing.assert_allclose(found["weights"][0].sum(axis=1), 1.0, atol=1e-5)
    np.testing.assert_allclose(found["weights"][1].sum(axis=1), [1, 1, 0, 0], atol=1e-5)


def test_features_are_the_mean_over_the_encoders_map(probable, served):
    found = served("features", PICTURES)["features"]
    memory, _ = probable.encoder(probable.reader(tf.constant(PICTURES)), training=False)
    np.testing.assert_allclose(found, np.mean(memory, axis=1), atol=1e-5)


def test_no_rows_have_no_answers(served):
    for name in ("serve", "greedy", "n_best", "features"):
        assert all(len(values) == 0 for values in served(name, []).values())
    assert len(served("score", [], [])["tokens"]) == 0


def test_without_attention_there_is_none_to_show():
    plain = serving(consensus=False, attention="none")
    assert "attention" not in plain.endpoints()
    assert plain.model.get_layer("decoder").settings["start"] == "input"
    assert compiled(plain)("serve", PICTURES)["caption"].shape == (5,)


@pytest.fixture(scope="module")
def banked():
    """The same captioner with a bank, whose votes are not weighed yet."""
    return serving()


@pytest.fixture(scope="module")
def voted(banked):
    return compiled(banked)


@pytest.fixture
def voting(banked):
    """The same, for a test in which the bank has a say."""
    before = np.array(banked.bank.vote)
    banked.bank.set_vote(0.7, 0.5, 1.0)
    yield banked
    banked.bank.vote.assign(before)


def test_consensus_takes_the_hypothesis_most_agree_on(voting, voted, served):
    """Its hypotheses are those of the search; their order is the bank's own."""
    ranked = voted("n_best", PICTURES)
    searched = served("n_best", PICTURES)
    for row in range(len(PICTURES)):
        assert set(ranked["captions"][row]) == set(searched["captions"][row])
    pixels = voting.reader(tf.constant(PICTURES))
    memory, _ = voting.encoder(pixels, training=False)
    tokens = voting.tokenizer.encode(tf.reshape(ranked["captions"], [-1]))[:, 1:].to_tensor(0)
    tokens = tf.reshape(tokens, [len(PICTURES), 3, -1])
    ranks = voting.bank.rank(read_of(memory)[2], tokens, tf.constant(ranked["scores"])).numpy()
    whole = ranked["complete"].all(axis=1)  # of a caption that was cut the end is not known here
    assert whole.any()
    assert (np.diff(ranks, axis=1) <= 1e-5)[whole].all()
    best = voted("serve", PICTURES)
    assert texts_of(best["caption"]) == texts_of(ranked["captions"][:, 0])
    np.testing.assert_allclose(best["score"], ranked["scores"][:, 0], rtol=1e-5)


def test_until_votes_are_weighed_the_search_decides(voted, served):
    found = voted("serve", PICTURES)
    assert texts_of(found["caption"]) == texts_of(served("serve", PICTURES)["caption"])


@pytest.mark.parametrize("column", ["image", "features"])
def test_an_encoded_corpus_has_the_answers_of_its_files(voting, voted, column, tmp_path):
    """Also above a frozen encoder, whose maps are all that is kept."""
    pixels = voting.reader(tf.constant(PICTURES)).numpy()
    memory = voting.encoder(pixels, training=False)[0].numpy()
    places = np.array([0, 0, 1, 2, 3, 4])
    chunk = {
        "caption_in": Ragged(np.full(6, 2), np.ones(6, np.int64)),
        column: Shared(pixels if column == "image" else memory, places),
    }
    corpus = write_corpus(tmp_path / "corpus", [chunk])
    found = caption_corpus(voting.model, artifacts_of(voting.config), voting.config, corpus)
    wanted = voted("serve", PICTURES)
    assert list(found["caption"]) == texts_of(wanted["caption"])
    np.testing.assert_allclose(found["score"], wanted["score"], rtol=1e-4)

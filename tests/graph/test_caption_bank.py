"""What a bank of captions remembers and how it votes, against the same in NumPy."""

import keras
import numpy as np
import pytest

from pipelines.layers.caption_bank import CaptionBank
from pipelines.layers.decoding.consensus import likeness
from tests.graph.tiny_captioners import CAPTIONS, WORDS

CHANNELS, REMEMBERED = 5, 6


def bank_of(neighbours=3, seed=0):
    """Return a bank of random images, whose captions repeat words."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(REMEMBERED, CHANNELS)).astype(np.float32)
    captions = np.zeros((REMEMBERED, 6), np.int32)
    captions[:, : CAPTIONS.shape[1]] = CAPTIONS[rng.integers(0, len(CAPTIONS), REMEMBERED)]
    bank = CaptionBank(
        REMEMBERED, longest=6, vocabulary_size=len(WORDS), neighbours=neighbours, name="bank"
    )
    bank(np.zeros((1, 4, CHANNELS), np.float32))
    bank.fill(features, captions)
    return bank, features, captions


def searched(rows, seed=1):
    """Return hypotheses int32[B, K, T] and scores as a search gives them, the best first."""
    rng = np.random.default_rng(seed)
    tokens = np.zeros((rows, 4, 5), np.int32)
    for place in np.ndindex(rows, 4):
        length = rng.integers(1, 5)
        tokens[place][:length] = [*rng.integers(4, len(WORDS), length - 1), 3]
    return tokens, -np.sort(rng.exponential(size=(rows, 4))).astype(np.float32)


def images(rows, seed=2):
    return np.random.default_rng(seed).normal(size=(rows, CHANNELS)).astype(np.float32)


def squared_distances(one, other):
    return np.square(one[:, None] - other[None]).sum(axis=-1, dtype=np.float64)


def test_neighbours_are_the_nearest_in_order():
    bank, features, captions = bank_of()
    seen = images(4)
    distances = squared_distances(seen, features)
    order = np.argsort(distances, axis=1)[:, :3]
    found, far = (np.asarray(part) for part in bank.neighbours(seen))
    np.testing.assert_array_equal(found, captions[order])
    np.testing.assert_allclose(far, np.take_along_axis(distances, order, axis=1), atol=1e-4)


def test_words_are_as_rare_as_few_captions_have_them():
    bank, _, captions = bank_of()
    held = [sum(token in caption for caption in captions.tolist()) for token in range(len(WORDS))]
    np.testing.assert_allclose(bank.rarity, np.log(REMEMBERED / np.maximum(held, 1)), atol=1e-6)


@pytest.mark.parametrize(
    "vote", [(0.7, 0.5, 1.5), (1.0, 0.05, 1.0), (0.0, 1.0, 0.3), (0.25, 1.5, 3.0)]
)
def test_rank_weighs_neighbours_by_distance_and_hypotheses_by_score(vote):
    bank, features, captions = bank_of()
    seen, (tokens, scores) = images(3), searched(3)
    bank.set_vote(*vote)
    share, sharpness, temperature = vote
    own = np.exp(scores / temperature)
    wanted = []
    for row, distances in enumerate(squared_distances(seen, features)):
        nearest = np.argsort(distances)[:3]
        near = np.exp(-(distances[nearest] / distances[nearest[0]] - 1) / sharpness)
        rarity = np.asarray(bank.rarity)
        among = np.asarray(likeness(tokens[row : row + 1], tokens[row : row + 1], rarity))[0]
        with_captions = np.asarray(likeness(tokens[row : row + 1], captions[nearest][None], rarity))
        wanted.append(
            (1 - share) * among @ (own[row] / own[row].sum())
            + share * with_captions[0] @ (near / near.sum())
        )
    found = np.asarray(bank.rank(seen, tokens, scores))
    np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_absent_hypotheses_come_last_and_have_no_vote():
    bank, _, _ = bank_of()
    bank.set_vote(0.5, 0.5, 1.0)
    seen, (tokens, scores) = images(2), searched(2)
    scores[:, 2:] = -np.inf
    tokens[:, 2:] = 0
    found = np.asarray(bank.rank(seen, tokens, scores))
    assert np.isneginf(found[:, 2:]).all()
    alone = np.asarray(bank.rank(seen, tokens[:, :2], scores[:, :2]))
    np.testing.assert_allclose(found[:, :2], alone, atol=1e-6)


def test_a_temperature_of_0_keeps_the_order_of_the_search():
    bank, _, _ = bank_of()
    tokens, scores = searched(3)
    np.testing.assert_array_equal(bank.rank(images(3), tokens, scores), scores)  # as it is made
    bank.set_vote(1.0, 0.05, 0.0)
    np.testing.assert_array_equal(bank.rank(images(3), tokens, scores), scores)


def test_an_image_that_is_remembered_has_its_own_caption_back():
    """At distance 0 nothing else counts, and nothing is divided by it."""
    bank, features, captions = bank_of()
    bank.set_vote(1.0, 0.05, 1.0)
    rng = np.random.default_rng(4)
    others = np.stack([rng.permutation(captions[row]) for row in range(REMEMBERED)])
    tokens = np.stack([others, captions], axis=1)
    found = np.asarray(bank.rank(features, tokens, np.array([[0.0, -9.0]] * 6, np.float32)))
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found[:, 1], 1.0, atol=1e-3)
    same = [np.array_equal(one, other) for one, other in zip(others, captions, strict=True)]
    assert (found[:, 1] > found[:, 0])[~np.array(same)].all()


def test_no_more_neighbours_than_there_are_captions():
    bank, _, captions = bank_of(neighbours=50)
    assert np.asarray(bank.neighbours(images(2))[0]).shape == (2, REMEMBERED, 6)
    assert bank.settings["neighbours"] == len(captions)


def test_what_is_remembered_survives_the_disk(tmp_path):
    bank, features, captions = bank_of()
    bank.set_vote(0.7, 0.5, 1.5)
    memory = keras.Input((4, CHANNELS))
    keras.Model(memory, bank(memory)).save(tmp_path / "model.keras")
    model = keras.saving.load_model(tmp_path / "model.keras")
    kept = model.get_layer("bank")
    np.testing.assert_array_equal(kept.features, features)
    np.testing.assert_array_equal(kept.captions, captions)
    np.testing.assert_allclose(kept.vote, [0.7, 0.5, 1.5])
    tokens, scores = searched(3)
    ranks = [np.asarray(it.rank(images(3), tokens, scores)) for it in (bank, kept)]
    np.testing.assert_array_equal(*ranks)
    assert not model.trainable_weights
    maps = np.random.default_rng(1).normal(size=(2, 4, CHANNELS)).astype(np.float32)
    np.testing.assert_array_equal(model(maps), maps)  # the map passes as it is

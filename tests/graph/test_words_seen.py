"""The second aim of an encoder: to tell the words of a caption."""

import keras
import numpy as np
import pytest

from pipelines.layers.words_seen import WordsSeen

SIZE = 9
TOKENS = np.array([[2, 5, 7, 5, 0], [2, 1, 0, 0, 0], [2, 8, 4, 3, 0]], np.int32)


def layer_of(weight=0.5):
    layer = WordsSeen(SIZE, weight=weight, seed=1)
    summary = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    layer(summary, TOKENS)
    rng = np.random.default_rng(2)
    for variable in layer.trainable_variables:
        variable.assign(rng.normal(size=variable.shape))
    return layer, summary


def expected_loss(layer, summary, tokens, weight=0.5):
    kernel, bias = (np.asarray(variable) for variable in layer.words.weights)
    total = 0.0
    for logits, row in zip(summary @ kernel + bias, tokens, strict=True):
        for word in range(4, SIZE):
            chance = 1 / (1 + np.exp(-logits[word]))
            total -= np.log(chance if word in row else 1 - chance)
    return weight * total / len(summary)


def test_the_loss_is_the_cross_entropy_of_the_words_a_caption_has():
    layer, summary = layer_of()
    np.testing.assert_array_equal(layer(summary, TOKENS, training=True), summary)
    (found,) = layer.losses
    np.testing.assert_allclose(found, expected_loss(layer, summary, TOKENS), rtol=1e-5)


def test_padding_and_reserved_tokens_do_not_count():
    layer, summary = layer_of()
    layer(summary, TOKENS, training=True)
    before = float(layer.losses[0])
    others = np.where(TOKENS < 4, (TOKENS + 1) % 4, TOKENS)
    longer = np.pad(others, ((0, 0), (1, 3)))
    layer(summary, longer, training=True)
    assert float(layer.losses[0]) == pytest.approx(before, rel=1e-6)
    told = np.where(TOKENS == 5, 6, TOKENS)
    layer(summary, told, training=True)
    assert float(layer.losses[0]) == pytest.approx(expected_loss(layer, summary, told), rel=1e-5)
    assert float(layer.losses[0]) != pytest.approx(before)


def test_outside_training_nothing_is_lost():
    layer, summary = layer_of()
    np.testing.assert_array_equal(layer(summary, TOKENS), summary)
    assert layer.losses == []


def test_it_starts_from_words_being_rare():
    """At even odds the first steps would be spent on learning that most words are absent."""
    layer = WordsSeen(1000, seed=1)
    layer(np.zeros((2, 4), np.float32), TOKENS[:2], training=True)
    words = [len({*row} - {0, 1, 2, 3}) for row in TOKENS[:2].tolist()]
    absent = 996 * np.log1p(np.exp(-5)) + 5 * np.mean(words)
    assert float(layer.losses[0]) == pytest.approx(absent, rel=1e-4)


def test_its_settings_survive_the_disk():
    layer, _ = layer_of(weight=0.25)
    config = keras.saving.serialize_keras_object(layer)
    assert keras.saving.deserialize_keras_object(config).settings == layer.settings

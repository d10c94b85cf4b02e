"""Layers of taggers: parts of tokens, noise, weighted sums, best paths; and position in counts."""

from collections import Counter

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from pipelines.layers.crf import CRF, NEVER
from pipelines.layers.crf_decoding import path_confidences, viterbi
from pipelines.layers.noise import WordDropout
from pipelines.layers.path_decoder import PathDecoder
from pipelines.layers.tag_constraints import allowed_transitions
from pipelines.layers.tokens import SpellingEncoder, SummedEmbedding
from pipelines.layers.weighted_sum import WeightedSum
from pipelines.text.cooccurrence import cooccurrence_vectors

RULES = allowed_transitions(("O", "B-a", "I-a"), "bio")
numpy = ops.convert_to_numpy


def saved(model, folder):
    """The model after a way to the disk and back."""
    model.save(folder / "model.keras")
    return keras.models.load_model(folder / "model.keras")


def test_summed_vectors_ignore_0_and_count_repeats():
    layer = SummedEmbedding(5, 2)
    ids = np.array([[[1, 2, 0], [0, 0, 0], [3, 3, 0]]])
    layer.build(ids.shape)
    vectors = np.arange(10.0).reshape(5, 2) + 1
    layer.set_weights([vectors])
    found = numpy(layer(ids))
    assert found.tolist() == [[(vectors[1] + vectors[2]).tolist(), [0, 0], [14, 16]]]
    assert layer.compute_output_shape((None, None, 9)) == (None, None, 2)


def test_summed_vectors_learn_and_0_does_not():
    import tensorflow as tf

    layer = SummedEmbedding(4, 3, initializer="ones")
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(layer(np.array([[[1, 0, 3], [0, 3, 0]]])))
    (slope,) = tape.gradient(total, layer.trainable_variables)
    dense = numpy(tf.convert_to_tensor(slope))
    assert dense.tolist() == [[0] * 3, [1] * 3, [0] * 3, [2] * 3]


def test_summed_vectors_survive_the_disk_with_their_initializer(tmp_path):
    ids = keras.Input((None, 3), dtype="int32")
    start = keras.initializers.RandomNormal(stddev=2.0, seed=1)
    model = keras.Model(ids, SummedEmbedding(7, 2, initializer=start)(ids))
    again = saved(model, tmp_path)
    given = np.arange(6).reshape(1, 2, 3)
    np.testing.assert_array_equal(numpy(model(given)), numpy(again(given)))
    assert again.layers[1].initializer.stddev == 2.0


def spelling(kind, **changes):
    options = {"characters": 9, "size": 3, "units": 4} | changes
    layer = SpellingEncoder(kind, **options)
    layer.build((None, None, 6))
    rng = np.random.default_rng(0)
    layer.set_weights([rng.normal(size=weight.shape) for weight in layer.weights])
    return layer


@pytest.mark.parametrize(("kind", "width"), [("cnn", 16), ("lstm", 8), ("sru", 8)])
def test_widths_of_spelling(kind, width):
    layer = spelling(kind)
    assert layer(np.ones((2, 3, 6), "int32")).shape == (2, 3, width)
    assert layer.compute_output_shape((None, None, 6)) == (None, None, width)
    assert layer.embedding.weights[0].shape == (9, 3)


ENCODERS = {kind: spelling(kind) for kind in ("cnn", "lstm", "sru")}


@pytest.mark.parametrize("kind", ENCODERS)
@given(
    st.lists(st.lists(st.integers(1, 8), max_size=6), min_size=1, max_size=4),
    st.integers(0, 3),
    st.integers(0, 2),
)
@settings(max_examples=8, deadline=None)
def test_the_vector_of_a_spelling_depends_on_nothing_beside_it(kind, tokens, wider, later):
    """Not on padding after the characters or the tokens, nor on the other tokens."""
    layer = ENCODERS[kind]
    longest = max(1, *map(len, tokens))
    batch = np.zeros((1, len(tokens) + later, longest + wider), "int32")
    for place, token in enumerate(tokens):
        batch[0, place, : len(token)] = token
    together = numpy(layer(batch))
    assert np.isfinite(together).all()
    for place, token in enumerate(tokens):
        alone = numpy(layer(np.array([token or [0]], "int32")[None]))[0, 0]
        np.testing.assert_allclose(together[0, place], alone, atol=1e-5)


@pytest.mark.parametrize("kind", ENCODERS)
def test_spellings_differ_by_order_and_at_both_ends(kind):
    layer = ENCODERS[kind]
    words = np.array([[[1, 2, 3, 4], [4, 3, 2, 1], [1, 2, 3, 5], [6, 2, 3, 4], [1, 2, 3, 0]]])
    found = numpy(layer(words))[0]
    for one in range(5):
        for other in range(one):
            assert np.abs(found[one] - found[other]).max() > 1e-3


@pytest.mark.parametrize("kind", ENCODERS)
def test_spelling_survives_the_disk(kind, tmp_path):
    ids = keras.Input((None, 6), dtype="int32")
    model = keras.Model(ids, SpellingEncoder(kind, characters=9, size=3, units=2)(ids))
    given = np.random.default_rng(0).integers(0, 9, (2, 3, 6))
    again = saved(model, tmp_path)
    np.testing.assert_array_equal(numpy(model(given)), numpy(again(given)))
    assert again.layers[1].settings == {"kind": kind, "characters": 9, "size": 3, "units": 2}


MASK = np.arange(5) < np.array([5, 1, 3])[:, None]


def some_potentials(seed=0):
    random = np.random.default_rng(seed)
    layer = CRF(RULES)
    layer.build((None, None, 3))
    layer.set_weights([random.normal(size=weight.shape) for weight in layer.weights])
    return layer(random.normal(size=(3, 5, 3)).astype("float32"), MASK)


def test_paths_are_coded_from_1_and_padding_is_0():
    potentials = some_potentials()
    codes, left, right = map(numpy, PathDecoder()(potentials, MASK))
    tags = numpy(viterbi(potentials)[0])
    np.testing.assert_array_equal(codes, np.where(MASK, tags + 1, 0))
    assert codes.dtype == np.int32
    wanted = path_confidences(potentials, np.where(MASK, tags, -1).astype("int32"))
    for found, expected in zip((left, right), wanted, strict=True):
        assert found.dtype == np.float32
        np.testing.assert_allclose(found[MASK], numpy(expected)[MASK], rtol=1e-6)
        assert not found[~MASK].any()


def test_the_decoder_has_the_shapes_it_promises_and_survives_the_disk(tmp_path):
    scores = keras.Input((None, 3), name="scores")
    mask = keras.Input((None,), dtype="bool", name="mask")
    outputs = PathDecoder()(CRF(RULES)(scores, mask), mask)
    assert [(part.shape, part.dtype) for part in outputs] == [
        ((None, None), "int32"), ((None, None), "float32"), ((None, None), "float32"),
    ]  # fmt: skip
    model = keras.Model([scores, mask], outputs)
    again = saved(model, tmp_path)
    given = [np.random.default_rng(1).normal(size=(2, 4, 3)), np.ones((2, 4), bool)]
    for one, other in zip(model(given), again(given), strict=True):
        np.testing.assert_array_equal(numpy(one), numpy(other))


@given(st.floats(0.01, 20), st.integers(0, 50))
@settings(max_examples=15, deadline=None)
def test_scaling_all_scores_does_not_move_the_best_path(scale, seed):
    potentials = some_potentials(seed)
    layer = WeightedSum()
    layer.build([potentials.shape])
    layer.mix.assign([scale])
    scaled = layer([potentials])
    np.testing.assert_array_equal(numpy(viterbi(scaled)[0]), numpy(viterbi(potentials)[0]))
    assert (numpy(scaled)[numpy(potentials) <= NEVER / 2] < -1e20).all()


def test_weighted_sums_of_scores_start_plain_and_are_not_trained(tmp_path):
    parts = [keras.Input((2,), name=name) for name in "ab"]
    model = keras.Model(parts, WeightedSum(name="joint")(parts))
    given = [np.array([[1.0, 2.0]]), np.array([[10.0, 20.0]])]
    assert numpy(model(given)).tolist() == [[11, 22]]
    assert model.trainable_weights == []
    model.get_layer("joint").mix.assign([0.5, 2.0])
    again = saved(model, tmp_path)
    assert numpy(again(given)).tolist() == [[20.5, 41]]
    assert again.get_layer("joint").trainable is False


def test_a_system_of_weight_0_has_no_say():
    one, other = some_potentials(1), some_potentials(2)
    paths = [numpy(viterbi(part)[0]) for part in (one, other)]
    assert (paths[0] != paths[1]).any()
    layer = WeightedSum()
    layer.build([one.shape, other.shape])
    for number, mix in enumerate(([3.0, 1e-6], [1e-6, 3.0])):
        layer.mix.assign(mix)
        np.testing.assert_array_equal(numpy(viterbi(layer([one, other]))[0]), paths[number])


# Ids 9, 7 and 4 are the first of the words seen at most once, twice and three times.
RARE = {"rare": 0.5, "first_of_count": (9, 7, 4)}


def test_rates_are_a_over_a_plus_count():
    layer = WordDropout(0.0, **RARE)
    found = numpy(layer.rates(np.array([[1, 3, 4, 6, 7, 8, 9, 30]], "int32")))
    once, twice, thrice = 0.5 / 1.5, 0.5 / 2.5, 0.5 / 3.5
    wanted = [[0, 0, thrice, thrice, twice, twice, once, once]]
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
    both = numpy(WordDropout(0.2, **RARE).rates(np.array([[3, 9]], "int32")))
    np.testing.assert_allclose(both, [[0.2, 1 - 0.8 * (1 - once)]], rtol=1e-6)


@pytest.mark.parametrize("rate", [0.0, 0.1])
def test_measured_shares_of_unknown_words(rate):
    layer = WordDropout(rate, **RARE, seed=1)
    ids = np.tile(np.array([0, 2, 5, 8, 10], "int32"), (20_000, 1))
    found = numpy(layer(ids, training=True))
    replaced = found != ids
    assert set(found[replaced].tolist()) == {1}
    shares = [0, *(1 - (1 - rate) * (1 - rare) for rare in (0, 0.5 / 3.5, 0.5 / 2.5, 0.5 / 1.5))]
    for share, column in zip(shares, replaced.T, strict=True):
        deviation = np.sqrt(share * (1 - share) / len(column))
        assert column.mean() == pytest.approx(share, abs=5 * deviation)


def test_nothing_is_replaced_at_inference_or_without_rates():
    ids = np.arange(40).reshape(4, 10).astype("int32")
    assert (numpy(WordDropout(0.9, **RARE)(ids)) == ids).all()
    assert (numpy(WordDropout(0.0, first_of_count=(2,))(ids, training=True)) == ids).all()


def test_noise_on_words_survives_the_disk(tmp_path):
    ids = keras.Input((None,), dtype="int32")
    model = keras.Model(ids, WordDropout(0.1, **RARE, seed=3)(ids))
    config = saved(model, tmp_path).layers[1].get_config()
    expected = {"rate": 0.1, "rare": 0.5, "first_of_count": [9, 7, 4], "unknown": 1, "seed": 3}
    assert {name: config[name] for name in expected} == expected


def likeness(vectors, one, other):
    norms = np.linalg.norm(vectors[one]) * np.linalg.norm(vectors[other])
    return float(vectors[one] @ vectors[other] / norms)


def test_positions_tell_what_stands_before_from_what_stands_after():
    """Word 4 stands before, word 5 after the same neighbours; 6 stands where 4 does."""
    random = np.random.default_rng(0)
    texts = [
        [word, near] if word != 5 else [near, word]
        for word, near in zip(
            random.integers(4, 7, 3000), random.integers(8, 14, 3000), strict=True
        )
    ]
    counted = {"vocabulary_size": 15, "dimensions": 4, "window": 2}
    ids, lengths = np.concatenate(texts), np.full(3000, 2)
    symmetric = cooccurrence_vectors(ids, lengths, **counted)
    positional = cooccurrence_vectors(ids, lengths, positional=True, **counted)
    assert likeness(symmetric, 4, 5) > 0.8
    assert likeness(positional, 4, 5) < 0.2
    assert likeness(positional, 4, 6) > 0.9
    assert not positional[[0, 1, 2, 3, 7, 14]].any()


def test_vectors_of_one_length():
    random = np.random.default_rng(0)
    ids = np.concatenate([random.zipf(1.5, 4000) % 20 + 4, [0, 1, 2, 3]])
    counted = {"vocabulary_size": 30, "dimensions": 5, "window": 2, "positional": True}
    found = cooccurrence_vectors(ids, np.array([4004]), unit_length=True, **counted)
    seen = [word for word in Counter(ids.tolist()) if word > 3]
    sizes = np.linalg.norm(found[seen], axis=1)
    np.testing.assert_allclose(sizes, sizes[0], rtol=1e-4)
    assert found.std() == pytest.approx(0.3, rel=1e-3)
    plain = cooccurrence_vectors(ids, np.array([4004]), **counted)
    assert np.linalg.norm(plain[seen], axis=1).std() > 0.05
    assert not found[24:].any()


def test_filters_are_those_of_a_convolution():
    ids = np.random.default_rng(0).integers(1, 9, (3, 4, 6))
    layer = SpellingEncoder("cnn", characters=9, size=3, units=2)
    ours = ops.convert_to_numpy(layer(ids)).reshape(12, 8)
    vectors = layer.embedding(ids.reshape(12, 6))
    for number, (filters, bias) in enumerate(zip(layer.filters, layer.biases, strict=True)):
        bias.assign(np.full((1, 2), 0.1 * number))
        conv = keras.layers.Conv1D(2, filters.shape[0], padding="same", activation="relu")
        conv.build(vectors.shape)
        conv.set_weights([np.array(filters), np.array(bias)[0]])
        expected = ops.convert_to_numpy(ops.max(conv(vectors), axis=1))
        ours = ops.convert_to_numpy(layer(ids)).reshape(12, 8)
        np.testing.assert_allclose(ours[:, 2 * number : 2 * number + 2], expected, atol=1e-6)

"""A recurrent language model: read at once, in windows or step by step, it says the same."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from pipelines.language.adapting import CACHE, SMALL, Adaptation, _moving, adaptive_bits
from pipelines.language.adapting import WINDOW as ADAPTING_WINDOW
from pipelines.language.reading import read_prompt, token_bits
from pipelines.layers.carried_reader import CarriedReader
from pipelines.layers.language_model import LanguageModel

SIZE = 12
FORMS = {
    "lstm": {"embedding_size": 5, "stack": {"cell": "lstm", "units": 6, "depth": 2}},
    "gru, one-hot": {"embedding_size": 0, "stack": {"cell": "gru", "units": 6}},
    "simple, tied": {"embedding_size": 6, "tied": True, "stack": {"cell": "simple", "units": 6}},
    "lstm, tied through a projection": {
        "embedding_size": 4, "tied": True, "stack": {"cell": "lstm", "units": 6},
    },
    "lstm, n-grams": {
        "embedding_size": 4, "ngram_orders": (1, 3), "ngram_buckets": 50,
        "stack": {"cell": "lstm", "units": 6},
    },
    "lstm, n-grams, matches": {
        "embedding_size": 4, "ngram_orders": (2,), "ngram_buckets": 50, "match_span": 7,
        "stack": {"cell": "lstm", "units": 6},
    },
}  # fmt: skip


def made(form="lstm"):
    keras.utils.set_random_seed(3)
    layer = LanguageModel(SIZE, seed=3, name="language_model", **FORMS[form])
    layer.build()
    rng = np.random.default_rng(5)
    for table in getattr(layer.ngrams, "tables", ()):
        table.assign(rng.normal(size=table.shape))  # they begin as zeros
    return layer


def rows(*lengths, seed=0):
    rng = np.random.default_rng(seed)
    return [[2, *rng.integers(4, SIZE, length).tolist(), 3] for length in lengths]


@pytest.mark.parametrize("form", FORMS)
def test_steps_and_windows_equal_one_reading(form):
    layer = made(form)
    tokens = np.array(rows(9, 9), np.int32)
    whole = layer(tokens)
    first, state = layer.read(tokens[:, :4], layer.start(2))
    second, _ = layer.read(tokens[:, 4:], state)
    np.testing.assert_allclose(np.concatenate([first, second], axis=1), whole, atol=1e-5)
    state = layer.start(2)
    for place in range(tokens.shape[1]):
        logits, state = layer.step(tokens[:, place], state)
        np.testing.assert_allclose(logits, whole[:, place], atol=1e-5)


@pytest.mark.parametrize("form", ["lstm", "lstm, n-grams, matches"])
def test_padding_leaves_the_state_alone(form):
    layer = made(form)
    tokens = np.array([[2, 5, 6, 0, 0], [2, 7, 8, 9, 4]], np.int32)
    _, padded = layer.read(tokens, layer.start(2), mask=tokens != 0)
    _, short = layer.read(tokens[:1, :3], layer.start(1))
    for one, other in zip(padded, short, strict=True):
        np.testing.assert_allclose(one[:1], other, atol=1e-6)


def test_the_layer_survives_saving(tmp_path):
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    model = keras.Model([tokens], made("lstm, n-grams, matches")(tokens))
    model.save(tmp_path / "model.keras")
    kept = keras.saving.load_model(tmp_path / "model.keras")
    read = np.array(rows(6), np.int32)
    np.testing.assert_allclose(kept(read), model(read), atol=1e-6)


def test_streams_are_read_on_from_batch_to_batch_and_anew_where_told():
    layer = made("lstm, n-grams, matches")
    reader = CarriedReader(layer, 2)
    reader.build()
    tokens = np.array(rows(9, 9), np.int32)
    whole = layer(tokens)
    zero, one = np.zeros(2, np.float32), np.ones(2, np.float32)
    np.testing.assert_allclose(reader(tokens[:, :4], zero), whole[:, :4], atol=1e-5)
    np.testing.assert_allclose(reader(tokens[:, 4:], one), whole[:, 4:], atol=1e-5)
    np.testing.assert_allclose(reader(tokens[:, :4], zero), whole[:, :4], atol=1e-5)


def plain_bits(layer, row):
    logits = np.asarray(layer(np.array([row[:-1]], np.int32)))[0].astype(float)
    logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return -logs[np.arange(len(row) - 1), row[1:]] / math.log(2)


def test_bits_are_those_of_each_row_alone_whatever_the_windows(monkeypatch):
    monkeypatch.setattr("pipelines.language.reading.WINDOW", 4)
    layer, texts = made("lstm, n-grams, matches"), rows(3, 17, 0, 8)
    found = token_bits(layer, tf.ragged.constant(texts, tf.int32)).numpy()
    assert found.shape == (4, 18)
    for row, bits in zip(texts, found, strict=True):
        np.testing.assert_allclose(bits[: len(row) - 1], plain_bits(layer, row), atol=1e-4)
        assert not bits[len(row) - 1 :].any()


def test_bits_of_no_row_are_none():
    none = tf.RaggedTensor.from_row_lengths(tf.zeros([0], tf.int32), tf.zeros([0], tf.int64))
    assert token_bits(made(), none).shape[0] == 0


def test_a_prompt_is_read_up_to_its_last_token(monkeypatch):
    monkeypatch.setattr("pipelines.language.reading.WINDOW", 4)
    layer, texts = made("lstm, n-grams, matches"), [row[:-1] for row in rows(0, 11, 5)]
    prompt = read_prompt(layer, tf.ragged.constant(texts, tf.int32))
    logits, _ = layer.step(prompt.last, prompt.state)
    for row, got in zip(texts, logits, strict=True):
        np.testing.assert_allclose(got, layer(np.array([row], np.int32))[0, -1], atol=1e-5)


@pytest.fixture(scope="module")
def adapting():
    """A layer, and its bits of texts as it learns; traced once."""
    layer = made("lstm, n-grams, matches")
    row = tf.TensorSpec([None], tf.float32)
    signature = [tf.RaggedTensorSpec([None, None], tf.int32), *[row] * 4]

    @tf.function(input_signature=signature, autograph=False)
    def weigh(ids, *how):
        return adaptive_bits(layer, ids, Adaptation(*how))

    def adapted(texts, *, rate=0.0, decay=0.0, share=0.0, sharpness=0.0):
        how = [np.full(len(texts), value, np.float32) for value in (rate, decay, share, sharpness)]
        return weigh(tf.ragged.constant(texts, tf.int32), *how).numpy()

    return layer, adapted


def test_adapting_by_nothing_changes_nothing(adapting):
    layer, adapted = adapting
    texts = rows(ADAPTING_WINDOW + 9, 5)
    plain = token_bits(layer, tf.ragged.constant(texts, tf.int32))
    np.testing.assert_allclose(adapted(texts), plain, atol=1e-4)


def test_adapting_learns_from_a_window_after_it_was_scored_and_leaves_the_layer_alone(adapting):
    layer, adapted = adapting
    row = [2, *[5, 6, 7, 8] * (ADAPTING_WINDOW // 2)]
    before = [np.array(weight) for weight in _moving(layer)]
    still = plain_bits(layer, row)
    found = adapted([row, row], rate=0.05, decay=0.1)
    np.testing.assert_allclose(found[0], found[1], atol=1e-5)  # rows do not learn of one another
    for weight, old in zip(_moving(layer), before, strict=True):
        np.testing.assert_array_equal(weight, old)
    assert found[0][ADAPTING_WINDOW:].mean() < still[ADAPTING_WINDOW:].mean()
    np.testing.assert_allclose(found[0], eagerly(layer, row, 0.05, 0.1), atol=1e-3)
    for weight, old in zip(_moving(layer), before, strict=True):
        weight.assign(old)


def eagerly(layer, row, rate, decay):
    """Do the same with the layer's own weights, which change."""
    bits, state = [], layer.start(1)
    variables = _moving(layer)
    trained = [np.array(variable) for variable in variables]
    squares = [np.zeros_like(values) for values in trained]
    for start in range(0, len(row) - 1, ADAPTING_WINDOW):
        block = tf.constant([row[start : start + ADAPTING_WINDOW + 1]])
        with tf.GradientTape() as tape:
            logits, state = layer.read(block[:, :-1], state)
            nats = tf.nn.sparse_softmax_cross_entropy_with_logits(block[:, 1:], logits)
            loss = tf.reduce_mean(nats)
        gradients = tape.gradient(loss, variables)
        for place, gradient in enumerate(gradients):
            slope = np.asarray(tf.convert_to_tensor(gradient))
            squares[place] += slope**2
            now = np.array(variables[place]) - rate * slope / (np.sqrt(squares[place]) + SMALL)
            variables[place].assign(now + decay * (trained[place] - now))
        bits.append(nats.numpy()[0] / math.log(2))
    return np.concatenate(bits)


def test_the_cache_remembers_what_came_after_states_like_this_one(adapting):
    (layer, adapted), share, sharpness = adapting, 0.3, 2.0
    row = rows(ADAPTING_WINDOW + 20)[0]
    found = adapted([row], share=share, sharpness=sharpness)[0]
    states = np.asarray(layer.states(np.array([row[:-1]], np.int32), layer.start(1))[0])[0]
    targets, plain = np.array(row[1:]), plain_bits(layer, row)
    for step in (1, 7, ADAPTING_WINDOW, ADAPTING_WINDOW + 15):
        alike = np.exp(sharpness * states[:step] @ states[step])
        cached = alike[targets[:step] == targets[step]].sum() / alike.sum()
        mixed = (1 - share) * 2 ** -plain[step] + share * cached
        np.testing.assert_allclose(found[step], -math.log2(mixed), atol=1e-3)
    np.testing.assert_allclose(found[0], plain[0], atol=1e-4)  # nothing is past yet
    assert len(row) < CACHE

"""What a decoder starts from, when it looks, and how much of what it sees it takes."""

import keras
import numpy as np
import pytest

from pipelines.errors import ConfigError
from pipelines.layers.attention_decoder import AttentionDecoder
from pipelines.layers.attentional_state import unevenness
from tests.graph.tiny_decoders import (
    SIZE,
    drawn,
    make,
    numpy,
    source,
    stepped,
    tokens_of,
)

IMAGE_FIRST = {"attention": "none", "start": "input"}
XU = {"attention": "additive", "order": "bahdanau", "gate": True}
NEW_MODES = {
    "image-first": IMAGE_FIRST,
    "image-first-dot": {"attention": "dot", "start": "input", "history": True},
    "image-first-fed": {"attention": "dot", "start": "input", "input_feeding": True, "gate": True},
    "gate": {"attention": "dot", "gate": True, "history": True},
    "xu": XU,
    "image-first-bahdanau": {"attention": "dot", "order": "bahdanau", "start": "input"},
}
each_new_mode = pytest.mark.parametrize("mode", NEW_MODES.values(), ids=NEW_MODES)
NOISE = dict.fromkeys(("input_dropout", "variational_dropout", "recurrent_dropout"), 0.3)
NEW_NAMES = ("start", "gate", "doubly_stochastic", "order")


def weights_of(decoder):
    """Return weights by the last two parts of their paths."""
    return {"/".join(w.path.split("/")[-2:]): numpy(w) for w in decoder.weights}


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm(w, read, hidden, cell):
    """One step of an LSTM (Keras' order of gates: input, forget, candidate, output)."""
    sums = read @ w["lstm_cell/kernel"] + hidden @ w["lstm_cell/recurrent_kernel"]
    i, f, g, o = np.split(sums + w["lstm_cell/bias"], 4, axis=-1)
    cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(cell), cell


def simple(w, read, hidden):
    sums = read @ w["simple_rnn_cell/kernel"] + hidden @ w["simple_rnn_cell/recurrent_kernel"]
    return np.tanh(sums + w["simple_rnn_cell/bias"])


def test_the_image_is_the_first_input():
    """Vinyals et al. (2015), equations 10-12; the features of a state are the decoder's own."""
    decoder = make(IMAGE_FIRST, {"depth": 1})
    summary, tokens, w = source()[2], tokens_of(3, 4), weights_of(decoder)
    found = numpy(decoder(tokens, None, None, summary)["logits"])
    table, nothing = w["embedding/embeddings"], np.zeros((3, 6))
    state = lstm(w, summary @ w["first_input/kernel"] + w["first_input/bias"], nothing, nothing)
    for step in range(4):
        state = lstm(w, table[tokens[:, step]], *state)
        expected = np.tanh(state[0] @ w["combine/kernel"]) @ table.T + w["output/bias"]
        np.testing.assert_allclose(found[:, step], expected, atol=1e-4)


def test_the_gate_and_the_order_of_xu():
    """Xu et al. (2015), sec. 3.1.2 and 4.2.1: h_{t-1} asks and says how much to take of it."""
    decoder = make(XU, {"cell": "simple", "depth": 1})
    memory, mask, summary = source()
    w, tokens = weights_of(decoder), tokens_of(3, 4)
    found = decoder(tokens, memory, mask, summary)
    table = w["embedding/embeddings"]
    hidden = np.tanh(summary @ w["state_0/kernel"] + w["state_0/bias"])
    scorer, bias = w["attention/scorer"][:, 0], w["query/bias"]
    for step in range(4):
        query = hidden @ w["query/kernel"] + bias
        shares = np.exp(np.tanh(query[:, None] + memory @ w["key/kernel"]) @ scorer) * mask
        shares /= shares.sum(-1, keepdims=True)
        beta = sigmoid(hidden @ w["gate/kernel"] + w["gate/bias"])
        context = beta * np.einsum("bs,bsd->bd", shares, memory)
        hidden = simple(w, np.concatenate([table[tokens[:, step]], context], -1), hidden)
        features = np.tanh(np.concatenate([context, hidden], -1) @ w["combine/kernel"])
        expected = features @ table.T + w["output/bias"]
        np.testing.assert_allclose(numpy(found["logits"])[:, step], expected, atol=1e-4)
        np.testing.assert_allclose(numpy(found["attention"])[:, step], shares, atol=1e-5)
    assert beta.min() > 0.05 and np.ptp(beta) > 0.1


def test_in_the_order_of_luong_the_state_of_a_step_sets_its_gate():
    decoder = make({"attention": "dot", "gate": True}, {"depth": 1})
    states, prepared = drawn(3, 4, 6, seed=5), decoder.prepare(*source())
    context, _, _ = decoder._look.find(states, prepared)
    weights = weights_of(decoder)
    kernel, bias = weights.pop("gate/kernel"), weights.pop("gate/bias")
    decoder._look._gate.bias.assign([50.0])
    whole, _, _ = decoder._look.find(states, decoder.prepare(*source()))
    open_gate = sigmoid(states @ kernel + 50.0)
    expected = numpy(whole) / open_gate * sigmoid(states @ kernel + bias)
    np.testing.assert_allclose(context, expected, atol=1e-5)


@each_new_mode
@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_steps_equal_teacher_forcing(mode, cell):
    decoder = make(mode, {"cell": cell, "residual": True, "layer_norm": cell == "gru"})
    given, tokens = source(), np.stack([tokens_of(3, 5, seed=k) for k in range(3)], axis=1)
    logits, weights = stepped(decoder, tokens, given)
    for k in range(3):
        whole = decoder(tokens[:, k], *given)
        np.testing.assert_allclose(logits[:, k], whole["logits"], atol=1e-4)
        if weights is not None:
            np.testing.assert_allclose(weights[:, k], whole["attention"], atol=1e-5)
    other = decoder(tokens[:, 0], given[0], given[1], given[2] + 1.0)["logits"]
    gap = np.abs(numpy(other) - logits[:, 0]).max(axis=(0, 2))
    assert (gap > 1e-3).all(), "the summary is heard at no step"


@pytest.mark.parametrize("name", ["gate", "xu", "image-first-fed"])
def test_half_precision_decoders_run(name):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        decoder = make(NEW_MODES[name], doubly_stochastic=1.0)
    finally:
        keras.config.set_dtype_policy("float32")
    given, tokens = source(), tokens_of(3, 5)
    whole = numpy(decoder(tokens, *given, training=True)["logits"])
    assert np.isfinite(float(decoder.losses[0]))
    halves = [np.float16(part) if part.dtype == "float32" else part for part in given]
    logits, _ = stepped(decoder, tokens[:, None], halves)
    np.testing.assert_allclose(logits[:, 0], whole, atol=0.05)


# In a graph, of batches of any size, for the mode with most in it; tracing takes seconds.
@pytest.mark.parametrize(
    ("name", "compiled"), [("image-first", False), ("xu", False), ("image-first-fed", True)]
)
def test_every_variable_learns_with_noise(name, compiled):
    import tensorflow as tf

    mode = NEW_MODES[name]
    options = {"attention_dropout": 0.2, "doubly_stochastic": 1.0} if "gate" in mode else {}
    decoder = make(mode, NOISE | {"depth": 1 if compiled else 2}, embedding_dropout=0.2, **options)
    free = [tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([None, None, 5], tf.float32),
            tf.TensorSpec([None, None], tf.bool), tf.TensorSpec([None, 7], tf.float32)]  # fmt: skip

    def gradients(tokens, *given):
        with tf.GradientTape() as tape:
            logits = decoder(tokens, *given, training=True)["logits"]
            loss = tf.reduce_mean(logits**2) + sum(decoder.losses)
        return tape.gradient(loss, [v.value for v in decoder.trainable_variables])

    run = tf.function(gradients, input_signature=free, autograph=False) if compiled else gradients
    for variable, gradient in zip(
        decoder.trainable_variables, run(tokens_of(3, 4), *source()), strict=True
    ):
        assert gradient is not None, variable.path
        assert np.abs(numpy(tf.convert_to_tensor(gradient))).max() > 0, variable.path


def penalty(weights, steps, places):
    """Xu et al. (2015), equation 14, row by row, its sum a mean."""
    rows = []
    for w, real, seen in zip(weights, steps, places, strict=True):
        if real.any():
            rows.append(np.mean((1 - w[real].sum(0)[seen]) ** 2))
    return np.mean(rows)


def test_unevenness_counts_real_steps_and_places_only():
    weights = np.abs(drawn(3, 4, 5))
    steps = np.arange(4) < np.array([[4], [2], [0]])
    places = np.arange(5) < np.array([[5], [3], [5]])
    found = float(unevenness(weights, steps, places))
    assert found == pytest.approx(penalty(weights, steps, places), rel=1e-5)
    everywhere = np.ones_like(places)
    expected = penalty(weights, steps, everywhere)
    assert float(unevenness(weights, steps)) == pytest.approx(expected, rel=1e-5)
    once = np.eye(5, dtype="float32")[None]
    assert float(unevenness(once, np.ones((1, 5), bool))) == 0
    assert float(unevenness(weights, np.zeros((3, 4), bool))) == 0


def test_the_penalty_is_of_training_alone_and_blind_to_padding():
    mode = {"attention": "dot", "doubly_stochastic": 0.7, "scheduled_sampling": 1e-9}
    decoder, (memory, mask, summary) = make(mode), source()
    tokens = tokens_of(3, 5) * (np.arange(5) < np.array([[5], [3], [2]]))
    weights = numpy(decoder(tokens, memory, mask, summary)["attention"])
    assert decoder.losses == []
    expected = 0.7 * penalty(weights, tokens != 0, mask)
    for padded in (0, 3):
        longer = np.pad(tokens, ((0, 0), (0, padded)))
        wider = np.pad(memory, ((0, 0), (0, padded), (0, 0)), constant_values=9)
        seen = np.pad(mask, ((0, 0), (0, padded)))
        decoder(longer, wider, seen, summary, training=True)
        (loss,) = decoder.losses
        assert float(loss) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("name", ["image-first", "xu"])
def test_decoders_survive_saving(name, tmp_path):
    inputs = [tokens_of(3, 4), *source()]

    def model():
        given = [keras.Input(part.shape[1:], dtype=str(part.dtype)) for part in inputs]
        decoder = AttentionDecoder(
            SIZE, embedding_size=4, stack={"units": 6}, seed=4, **NEW_MODES[name]
        )
        return keras.Model(given, decoder(*given)["logits"])

    first = model()
    first.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again(inputs), first(inputs))


def test_settings_from_before_these_options_mean_what_they_meant():
    new = make({"attention": "dot", "history": True})
    config = {name: value for name, value in new.get_config().items() if name not in NEW_NAMES}
    assert len(config) == len(new.get_config()) - len(NEW_NAMES)
    old = AttentionDecoder.from_config(config)
    assert old.settings == new.settings
    assert [old.settings[name] for name in NEW_NAMES] == ["bridge", False, 0.0, "luong"]
    given = (tokens_of(3, 4), *source())
    old(*given)
    assert not [w.path for w in old.weights if "gate" in w.path or "first_input" in w.path]
    old.set_weights(new.get_weights())
    np.testing.assert_array_equal(old(*given)["logits"], new(*given)["logits"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start": "image"}, "option --start is 'image'.*bridge, input"),
        ({"order": "xu"}, "option --order is 'xu'.*luong, bahdanau"),
        ({"doubly_stochastic": -1.0}, r"option --doubly-stochastic is -1.0.*0 \(off\) or more"),
        ({"attention": "none", "gate": True}, "got gate=True with attention='none'.*gate=False"),
        ({"attention": "none", "doubly_stochastic": 1.0}, "weights can be evened out.*=0.0"),
        ({"attention": "none", "order": "bahdanau"}, "recurrence can read.*order='luong'"),
        ({"order": "bahdanau", "input_feeding": True}, "one of the two.*set input_feeding=False"),
    ],
)
def test_settings_that_cannot_work_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        AttentionDecoder(SIZE, embedding_size=4, stack={"units": 6}, **options)


def test_an_image_that_is_read_first_must_be_there():
    decoder = make(IMAGE_FIRST)
    fresh = AttentionDecoder(SIZE, embedding_size=4, stack={"units": 6}, **IMAGE_FIRST)
    for begin in (decoder.start, lambda: fresh(tokens_of(2, 3))):
        with pytest.raises(ConfigError, match="got no summary with start='input'.*pass summary="):
            begin()

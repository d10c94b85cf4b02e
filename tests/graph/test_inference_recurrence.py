import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.layers.inference_recurrence import FEW_ROWS, run, suits
from pipelines.layers.recurrent_state import in_time, run_layer

RNG = np.random.default_rng(0)
WIDTH, UNITS = 3, 5
KINDS = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU}
FORMS = ["forward", "backward", "both"]


def make_layer(kind, form, **options):
    layer = KINDS[kind](
        UNITS, return_sequences=True, use_cudnn=False, go_backwards=form == "backward", **options
    )
    layer = keras.layers.Bidirectional(layer) if form == "both" else layer
    layer.build((None, None, WIDTH))
    layer.set_weights([0.4 * RNG.normal(size=weight.shape) for weight in layer.get_weights()])
    return layer


class Both:
    """A Keras layer and what stands in for it, each traced once for all shapes."""

    def __init__(self, kind, form):
        layer = make_layer(kind, form)
        inputs = tf.TensorSpec([None, None, WIDTH], tf.float32)
        mask = tf.TensorSpec([None, None], tf.bool)
        count = (2 if kind == "lstm" else 1) * (2 if form == "both" else 1)
        self.state = [tf.TensorSpec([None, UNITS], tf.float32)] * count

        def keras_own(inputs, mask, *state):
            return run_layer(layer, inputs, mask, state or None, training=False)

        def ours(inputs, mask, *state):
            return run(layer, inputs, mask, state or None)

        self.ways = {
            given: [
                tf.function(way, input_signature=[inputs, mask, *self.state[: given * count]])
                for way in (keras_own, ours)
            ]
            for given in (False, True)
        }


BOTH = {}


def pair(kind, form):
    return BOTH.setdefault((kind, form), Both(kind, form))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=6, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 6), min_size=1, max_size=FEW_ROWS + 3),
    further=st.integers(0, 2),
    given_state=st.booleans(),
)
def test_states_are_those_of_the_keras_layer_for_few_rows_and_many(
    kind, form, lengths, further, given_state
):
    both = pair(kind, form)
    steps = max(lengths) + further
    inputs = RNG.normal(size=(len(lengths), steps, WIDTH)).astype("float32")
    mask = np.arange(steps) < np.array(lengths)[:, None]
    state = [RNG.normal(size=(len(lengths), UNITS)).astype("float32") for _ in both.state]
    state = state if given_state else []
    (expected, last), (found, final) = (way(inputs, mask, *state) for way in both.ways[given_state])
    np.testing.assert_allclose(found[mask], expected[mask], atol=1e-6)
    for one, other in zip(final, last, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", FORMS)
def test_without_mask_and_state_all_steps_are_read_from_zero(kind, form):
    layer = make_layer(kind, form, use_bias=kind == "lstm")
    inputs = tf.constant(RNG.normal(size=(FEW_ROWS + 1, 4, WIDTH)), tf.float32)
    states, _ = tf.function(lambda inputs: run(layer, inputs))(inputs)
    expected = in_time(layer, layer(inputs, training=False))
    np.testing.assert_allclose(states, expected, atol=1e-6)


def suited(layer, training=False, dtype=tf.float32):
    found = []

    @tf.function(input_signature=[tf.TensorSpec([None, None, WIDTH], dtype)])
    def ask(inputs):
        found.append(suits(layer, inputs, training))
        return inputs

    ask.get_concrete_function()
    return found[0]


def test_plain_layers_suit_at_inference_inside_a_graph():
    assert suited(make_layer("lstm", "both")) and suited(make_layer("gru", "backward"))
    assert not suited(make_layer("gru", "forward"), training=True)
    assert not suited(make_layer("gru", "forward"), dtype=tf.float16)
    assert not suits(make_layer("gru", "forward"), tf.zeros([1, 1, WIDTH]), training=False)


@pytest.mark.parametrize(
    "layer",
    [
        keras.layers.SimpleRNN(UNITS, return_sequences=True),
        keras.layers.GRU(UNITS, return_sequences=True, reset_after=False),
        keras.layers.LSTM(UNITS, return_sequences=True, activation="relu"),
        keras.layers.LSTM(UNITS),
        keras.layers.Bidirectional(
            keras.layers.LSTM(UNITS, return_sequences=True), merge_mode="sum"
        ),
    ],
)
def test_other_layers_stay_with_keras(layer):
    assert not suited(layer)


def gradients(way, inputs, weights):
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(way(inputs) ** 2)
    return tape.gradient(loss, weights)


@pytest.mark.parametrize("kind", KINDS)
def test_a_layer_that_is_given_a_state_can_be_differentiated(kind):
    layer = make_layer(kind, "forward")
    weights = [weight.value for weight in layer.weights]
    inputs = tf.constant(RNG.normal(size=(1, 4, WIDTH)), tf.float32)
    state = [tf.zeros([1, UNITS])] * (2 if kind == "lstm" else 1)
    ways = (lambda x: layer(x, initial_state=state), lambda x: run(layer, x, None, state)[0])
    pairs = zip(*(gradients(tf.function(way), inputs, weights) for way in ways), strict=True)
    for expected, found in pairs:
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_wrong_gradients_of_the_one_operation_are_an_error():
    layer = make_layer("lstm", "forward")
    weights = [weight.value for weight in layer.weights]
    with pytest.raises(LookupError, match="has no gradients: see inference_recurrence"):
        gradients(tf.function(lambda x: run(layer, x)[0]), tf.zeros([1, 2, WIDTH]), weights)

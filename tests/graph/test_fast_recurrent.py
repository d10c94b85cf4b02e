import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.layers.fast_recurrent import applicable, call_layer, fast_gru, fast_lstm
from pipelines.layers.recurrent_tiles import tiling_of

RNG = np.random.default_rng(0)
WIDTH, UNITS = 3, 5
LAYERS = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU}
FAST = {"lstm": fast_lstm, "gru": fast_gru}
PARTS = {"lstm": 2, "gru": 1}


@pytest.fixture(autouse=True)
def _same_numbers_whatever_ran_before():
    RNG.bit_generator.state = np.random.default_rng(0).bit_generator.state


def normal(*shape):
    return tf.constant(RNG.normal(size=shape), tf.float32)


def make_layer(kind, **options):
    layer = LAYERS[kind](UNITS, return_sequences=True, use_cudnn=False, **options)
    layer.build((None, None, WIDTH))
    layer.set_weights([0.4 * RNG.normal(size=weight.shape) for weight in layer.get_weights()])
    return layer


def values_of(layer):
    return [weight.value for weight in layer.weights]


def make_mask(form, rows, steps):
    if form == "none":
        return None
    if form == "padded":
        return tf.constant(np.arange(steps) < RNG.integers(0, steps + 1, rows)[:, None])
    return tf.constant(RNG.random((rows, steps)) < 0.6)


class Both:
    """The Keras layer and ours with its weights, each traced once for all shapes."""

    def __init__(self, kind, backwards):
        self.layer = make_layer(kind, go_backwards=backwards, return_state=True)
        inputs = tf.TensorSpec([None, None, WIDTH])
        state = [tf.TensorSpec([None, UNITS])] * PARTS[kind]
        mask, upstream = tf.TensorSpec([None, None], tf.bool), tf.TensorSpec([None, None, UNITS])
        self.traces = 0

        def theirs(inputs, mask, state):
            return self.layer(inputs, mask=mask, initial_state=list(state), training=True)

        def ours(inputs, mask, state):
            self.traces += 1
            outputs, final = FAST[kind](
                inputs,
                *values_of(self.layer),
                mask,
                initial_state=state,
                go_backwards=backwards,
                lanes=2,
            )
            return outputs, *final

        def gradients_of(call):
            def step(inputs, mask, state, upstream, final_upstream):
                with tf.GradientTape() as tape:
                    tape.watch([inputs, *state])
                    outputs, *final = call(inputs, mask, state)
                    loss = tf.reduce_sum(outputs * upstream)
                    pairs = zip(final, final_upstream, strict=True)
                    loss += sum(tf.reduce_sum(a * b) for a, b in pairs)
                sources = [inputs, *state, *values_of(self.layer)]
                return [outputs, *final, *tape.gradient(loss, sources)]

            spec = [inputs, mask, state, upstream, state]
            return tf.function(step, input_signature=spec, autograph=False)

        self.theirs, self.ours = gradients_of(theirs), gradients_of(ours)


BOTH = {(kind, backwards): Both(kind, backwards) for kind in LAYERS for backwards in (False, True)}


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("backwards", [False, True])
@settings(max_examples=12, deadline=None)
@given(
    rows=st.sampled_from([1, 2, 31, 32, 33, 70]),
    steps=st.sampled_from([1, 2, 15, 16, 17, 33, 40]),
    form=st.sampled_from(["all", "padded", "holes"]),
)
def test_states_and_all_gradients_are_those_of_keras(kind, backwards, rows, steps, form):
    both = BOTH[kind, backwards]
    mask = tf.ones([rows, steps], tf.bool) if form == "all" else make_mask(form, rows, steps)
    state, final_upstream = ([normal(rows, UNITS) for _ in range(PARTS[kind])] for _ in range(2))
    arguments = (
        normal(rows, steps, WIDTH), mask, state, normal(rows, steps, UNITS), final_upstream,
    )  # fmt: skip
    for theirs, ours in zip(both.theirs(*arguments), both.ours(*arguments), strict=True):
        # A sum over all steps has a rounding error of its own size's share.
        scale = max(1.0, float(tf.reduce_max(abs(theirs))))
        np.testing.assert_allclose(ours / scale, theirs / scale, atol=1e-5)
    assert both.traces == 1


def loss_and_gradients(layer, inputs, mask, upstream, call):
    @tf.function(autograph=False)
    def step(inputs):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = call(inputs)
            loss = tf.reduce_sum(outputs * upstream)
        return [outputs, *tape.gradient(loss, [inputs, *values_of(layer)])]

    return step(inputs)


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize(
    ("form", "options"),
    [("none", {"use_bias": False}), ("padded", {}), ("holes", {"go_backwards": True})],
)
def test_a_layer_is_replaced(kind, form, options):
    layer, mask = make_layer(kind, **options), make_mask(form, 35, 18)
    inputs, upstream = normal(35, 18, WIDTH), normal(35, 18, UNITS)
    ours, theirs = (
        loss_and_gradients(layer, inputs, mask, upstream, call)
        for call in (
            lambda x: call_layer(layer, x, mask),
            lambda x: layer(x, mask=mask, training=True),
        )
    )
    for own, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(own, other, atol=3e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("form", ["none", "padded"])
def test_a_bidirectional_layer_is_replaced(kind, form):
    layer, mask = keras.layers.Bidirectional(make_layer(kind)), make_mask(form, 35, 18)
    layer.build((None, None, WIDTH))
    inputs, upstream = normal(35, 18, WIDTH), normal(35, 18, 2 * UNITS)
    ours, theirs = (
        loss_and_gradients(layer, inputs, mask, upstream, call)
        for call in (
            lambda x: call_layer(layer, x, mask),
            lambda x: layer(x, mask=mask, training=True),
        )
    )
    for own, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(own, other, atol=3e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", LAYERS)
def test_gradients_are_finite_differences_of_a_loss(kind):
    layer = make_layer(kind)
    inputs, mask = normal(2, 4, WIDTH), tf.constant([[True] * 4, [True, True, False, False]])
    weights = values_of(layer)

    @tf.function(autograph=False)
    def loss(*weights):
        outputs, final = FAST[kind](inputs, *weights, mask, lanes=1)
        return tf.reduce_sum(tf.sin(outputs)) + tf.reduce_sum(final[-1] ** 2)

    with tf.GradientTape() as tape:
        tape.watch(weights)
        value = loss(*weights)
    for index, gradient in enumerate(tape.gradient(value, weights)):
        direction = normal(*gradient.shape)
        moved = [
            [w + sign * 5e-3 * direction if n == index else w for n, w in enumerate(weights)]
            for sign in (1, -1)
        ]
        slope = (float(loss(*moved[0])) - float(loss(*moved[1]))) / 1e-2
        assert slope == pytest.approx(
            float(tf.reduce_sum(gradient * direction)), rel=2e-2, abs=2e-3
        )


def test_shapes_share_compiled_functions():
    from pipelines.layers.recurrent_blocks import blocks

    layer = make_layer("lstm")
    step = tf.function(
        lambda x: call_layer(layer, x),
        input_signature=[tf.TensorSpec([None, None, WIDTH])],
        autograph=False,
    )
    for rows, steps in ((1, 1), (40, 3), (90, 50)):
        assert step(normal(rows, steps, WIDTH)).shape == (rows, steps, UNITS)
    assert step.experimental_get_tracing_count() == 1
    forward = blocks("lstm", UNITS, 16, 32, False).forward
    assert forward.experimental_get_tracing_count() == 1


@settings(max_examples=30, deadline=None)
@given(rows=st.integers(1, 70), steps=st.integers(1, 40), backwards=st.booleans())
def test_every_step_has_one_slot_and_real_ones_come_first(rows, steps, backwards):
    mask = RNG.random((rows, steps)) < 0.5
    tiling = tiling_of(
        tf.constant(mask),
        tf.constant([rows, steps, WIDTH]),
        go_backwards=backwards,
        zero_masked=True,
        in_time=False,
    )
    slots, sources = tiling.slots.numpy(), tiling.sources.numpy()
    assert (sources[slots.ravel()] == np.arange(rows * steps)).all()
    turned = slice(None, None, -1 if backwards else 1)
    for row in range(rows):
        in_order = slots[row][turned][mask[row][turned]]
        assert (np.diff(in_order) > 0).all()
        assert not in_order.size or in_order.max() < slots[row][~mask[row]].min(initial=2**31 - 1)


REFUSED = [
    ({"layer": keras.layers.SimpleRNN(4)}, "SimpleRNN, not an LSTM or GRU"),
    ({"training": False}, "not training"),
    ({"training": None}, "not training"),
    ({"inputs": tf.zeros([2, 3, WIDTH], tf.float16)}, "not float32"),
    ({"recurrent_dropout": 0.1}, "recurrent_dropout is 0.1, not 0.0"),
    ({"activation": "relu"}, "activation is relu, not tanh"),
    ({"return_state": True}, "return_state is True, not False"),
]


@pytest.mark.parametrize(("change", "words"), REFUSED)
def test_reasons_not_to_apply_are_told(change, words):
    call = {"inputs": normal(2, 3, WIDTH), "training": True}
    call |= {name: value for name, value in change.items() if name in call}
    options = {name: value for name, value in change.items() if name not in (*call, "layer")}
    layer = change.get("layer") or make_layer("lstm", **options)
    answers = []
    tf.function(lambda: answers.append(applicable(layer, **call)), autograph=False)()
    holds, reason = answers[0]
    assert not holds
    assert words in reason


def test_it_applies_inside_a_graph_alone():
    layer, inputs = keras.layers.Bidirectional(make_layer("gru")), normal(2, 3, WIDTH)
    layer.build((None, None, WIDTH))
    answers = []
    step = tf.function(lambda x: answers.append(applicable(layer, x, True)), autograph=False)
    step(inputs)
    assert answers == [(True, "")]
    assert "not inside a TensorFlow graph" in applicable(layer, inputs, True).reason
    layer.merge_mode = "sum"
    tf.function(lambda x: answers.append(applicable(layer, x, True)), autograph=False)(inputs)
    assert "merge_mode is 'sum', not 'concat'" in answers[-1].reason

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.layers.fast import layer as layer_module
from pipelines.layers.fast_recurrent import applicable, run_fast
from pipelines.layers.recurrent_state import in_time, run_layer

RNG = np.random.default_rng(0)
LAYERS = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU}
PARTS = {"lstm": 2, "gru": 1}


@pytest.fixture(autouse=True)
def _same_numbers_whatever_ran_before():
    RNG.bit_generator.state = np.random.default_rng(0).bit_generator.state


def normal(*shape):
    return tf.constant(RNG.normal(size=shape), tf.float32)


def make_layer(kind, units=5, width=3, both=False, **options):
    layer = LAYERS[kind](units, return_sequences=True, use_cudnn=False, **options)
    layer = keras.layers.Bidirectional(layer) if both else layer
    layer.build((None, None, width))
    layer.set_weights([0.4 * RNG.normal(size=weight.shape) for weight in layer.get_weights()])
    return layer


def make_mask(form, rows, steps):
    if form == "none":
        return None
    if form == "padded":
        return tf.constant(np.arange(steps) < RNG.integers(0, steps + 1, rows)[:, None])
    return tf.constant(RNG.random((rows, steps)) < 0.6)


def by_keras(layer, inputs, mask, state):
    return run_layer(layer, inputs, mask, state, True)


def by_us(layer, inputs, mask, state):
    outputs, final = run_fast(layer, inputs, mask, state)
    return in_time(layer, outputs), final


def answers(call, layer, inputs, mask, state, upstream, later):
    """Outputs, final state, and the gradients of inputs, state and weights."""
    with tf.GradientTape() as tape:
        tape.watch([inputs, *state])
        outputs, final = call(layer, inputs, mask, state)
        loss = tf.reduce_sum(outputs * upstream)
        loss += sum(tf.reduce_sum(a * b) for a, b in zip(final, later, strict=True))
    sources = [inputs, *state, *(weight.value for weight in layer.weights)]
    return [outputs, *final, *tape.gradient(loss, sources)]


def assert_same(layer, units, rows, steps, mask, width):
    kind = "lstm" if "lstm" in layer.weights[0].path else "gru"
    sides = 2 if isinstance(layer, keras.layers.Bidirectional) else 1
    state, later = (
        [normal(rows, units) for _ in range(sides * PARTS[kind])] for _ in range(2)
    )  # fmt: skip
    inputs, upstream = normal(rows, steps, width), normal(rows, steps, sides * units)
    given_all = (layer, inputs, mask, state, upstream, later)
    pairs = (answers(call, *given_all) for call in (by_us, by_keras))
    for ours, theirs in zip(*pairs, strict=True):
        # A sum over all steps has a rounding error of its own size's share.
        scale = max(1.0, float(tf.reduce_max(abs(theirs))))
        np.testing.assert_allclose(ours / scale, theirs / scale, atol=1e-5)


@pytest.mark.parametrize("kind", LAYERS)
@settings(max_examples=25, deadline=None)
@given(
    rows=st.sampled_from([1, 2, 8, 9, 37]),
    steps=st.sampled_from([1, 2, 7, 19]),
    width=st.sampled_from([1, 3, 16]),
    units=st.sampled_from([1, 5, 16, 33]),
    form=st.sampled_from(["none", "padded", "holes"]),
    reading=st.sampled_from(["forward", "backward", "both"]),
    bias=st.booleans(),
)
def test_states_and_all_gradients_are_those_of_keras(
    kind, rows, steps, width, units, form, reading, bias
):
    layer = make_layer(
        kind, units, width, both=reading == "both", use_bias=bias,
        go_backwards=reading == "backward",
    )  # fmt: skip
    assert_same(layer, units, rows, steps, make_mask(form, rows, steps), width)


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize(("lanes", "both"), [("1", True), ("3", False), ("6", True)])
def test_many_rows_and_steps_in_any_number_of_lanes(kind, lanes, both, monkeypatch):
    seen = []
    real = layer_module.run_lane
    monkeypatch.setattr(layer_module, "run_lane", lambda *given: seen.append(1) or real(*given))
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", lanes)
    layer = make_layer(kind, 40, 30, both=both)
    assert_same(layer, 40, 70, 33, make_mask("padded", 70, 33), 30)
    assert len(seen) == max(int(lanes), 2 if both else 1)


@pytest.mark.parametrize("kind", LAYERS)
def test_recurrent_dropout_draws_what_keras_draws(kind):
    drawn = []
    for call in (by_us, by_keras):
        RNG.bit_generator.state = np.random.default_rng(0).bit_generator.state
        layer = make_layer(kind, 20, 6, recurrent_dropout=0.4, seed=11)
        mask, state = make_mask("holes", 9, 7), [normal(9, 20)] * PARTS[kind]
        given_all = (layer, normal(9, 7, 6), mask, state, normal(9, 7, 20), state)
        drawn.append(answers(call, *given_all))
    for ours, theirs in zip(*drawn, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", LAYERS)
def test_gradients_are_finite_differences_of_a_loss(kind):
    layer = make_layer(kind, recurrent_dropout=0.2)
    inputs, mask = normal(2, 4, 3), tf.constant([[True] * 4, [True, True, False, False]])
    masks = [tf.constant(RNG.choice([0.0, 1.25], (2, 5)), tf.float32) for _ in range(4)]
    layer.cell.get_recurrent_dropout_mask = lambda _: masks[: 4 if kind == "lstm" else 3]

    def loss():
        outputs, final = run_fast(layer, inputs, mask)
        return tf.reduce_sum(tf.sin(outputs)) + tf.reduce_sum(final[-1] ** 2)

    variables = [weight.value for weight in layer.trainable_weights]
    with tf.GradientTape() as tape:
        value = loss()
    for variable, gradient in zip(variables, tape.gradient(value, variables), strict=True):
        direction = normal(*gradient.shape)
        moved = []
        for sign in (1, -2, 1):
            variable.assign_add(sign * 5e-3 * direction)
            moved.append(float(loss()))
        slope = (moved[0] - moved[1]) / 1e-2
        assert slope == pytest.approx(
            float(tf.reduce_sum(gradient * direction)), rel=2e-2, abs=2e-3
        )


def test_one_trace_serves_all_shapes():
    layer = make_layer("lstm")
    step = tf.function(
        lambda x: run_fast(layer, x)[0],
        input_signature=[tf.TensorSpec([None, None, 3])],
        autograph=False,
    )
    for rows, steps in ((1, 1), (40, 3), (90, 50)):
        assert step(normal(rows, steps, 3)).shape == (rows, steps, 5)
    assert step.experimental_get_tracing_count() == 1


@pytest.mark.parametrize("kind", LAYERS)
def test_what_is_not_a_number_stays_so(kind):
    inputs = np.zeros((9, 4, 3), np.float32)
    inputs[5, 2, 1] = np.nan
    outputs = run_fast(make_layer(kind), tf.constant(inputs))[0].numpy()
    assert np.isnan(outputs[5, 2:]).all()
    assert np.isfinite(np.delete(outputs, 5, axis=0)).all()
    assert np.isfinite(outputs[5, :2]).all()


def test_a_saturated_gate_is_one():
    layer = make_layer("gru")
    outputs = run_fast(layer, 1e4 * normal(4, 3, 3))[0].numpy()
    theirs = layer(1e4 * normal(4, 3, 3)).numpy()
    assert np.isfinite(outputs).all()
    assert abs(outputs).max() <= 1.0 >= abs(theirs).max()


REFUSED = [
    ({"layer": keras.layers.SimpleRNN(4)}, "SimpleRNN, not an LSTM or GRU"),
    ({"training": False}, "not training"),
    ({"training": None}, "not training"),
    ({"inputs": tf.zeros([2, 3, 3], tf.float16)}, "not float32"),
    ({"inputs": keras.Input((None, 3))}, "symbolic"),
    ({"dropout": 0.1}, "dropout is 0.1, not 0.0"),
    ({"activation": "relu"}, "activation is relu, not tanh"),
    ({"unroll": True}, "unroll is True, not False"),
]


@pytest.mark.parametrize(("change", "words"), REFUSED)
def test_reasons_not_to_apply_are_told(change, words):
    call = {"inputs": normal(2, 3, 3), "training": True}
    call |= {name: value for name, value in change.items() if name in call}
    options = {name: value for name, value in change.items() if name not in (*call, "layer")}
    layer = change.get("layer") or make_layer("lstm", **options)
    holds, reason = applicable(layer, **call)
    assert not holds
    assert words in reason


def test_it_applies_to_both_directions_joined():
    layer, inputs = make_layer("gru", both=True), normal(2, 3, 3)
    assert applicable(layer, inputs, True) == (True, "")
    layer.merge_mode = "sum"
    assert "merge_mode is 'sum', not 'concat'" in applicable(layer, inputs, True).reason


def test_without_numba_keras_is_left_to_it(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "numba is not installed" in applicable(make_layer("gru"), normal(1, 1, 3), True).reason


def test_where_there_is_a_gpu_cudnn_trains_what_it_can(monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [kind])
    inputs = normal(2, 3, 3)
    for kind, layer in LAYERS.items():
        auto = layer(5, return_sequences=True)
        auto.build((None, None, 3))
        assert applicable(auto, inputs, True) == (False, "cuDNN"), kind
    refused = "cannot run it: recurrent_dropout is 0.5, not 0.0"
    assert refused in applicable(make_layer("gru", recurrent_dropout=0.5), inputs, True).reason
    assert "use_cudnn is False" in applicable(make_layer("lstm"), inputs, True).reason

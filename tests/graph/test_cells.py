"""Every cell against its published equations, and what Keras asks of a recurrent layer."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from pipelines.layers.cells.making import make_recurrence
from pipelines.layers.drop_connect import DropConnect, recurrent_kernels
from pipelines.layers.recurrent_state import run_layer, state_sizes, step_layer
from tests.graph import cell_equations

SEQUENTIAL = [
    {"cell": "simple"},
    {"cell": "gru"},
    {"cell": "lstm", "forget_bias": -2.0},
    {"cell": "lstm", "peephole": True},
    {"cell": "simple", "deep_transition": 1},
    {"cell": "simple", "deep_transition": 2, "skips": True},
    {"cell": "gru", "deep_transition": 2},
    {"cell": "lstm", "deep_transition": 1, "skips": True},
    {"cell": "lstm", "deep_transition": 2, "peephole": True, "forget_bias": 0.0},
]
PARALLEL = [{"cell": "mingru"}, {"cell": "minlstm"}, {"cell": "sru"}]
EVERY = SEQUENTIAL + PARALLEL
OWN = [SEQUENTIAL[3], SEQUENTIAL[5], SEQUENTIAL[8], *PARALLEL]


def named(settings):
    return "-".join(map(str, settings.values()))


def draw(*size, seed=0):
    return np.random.default_rng([seed, *size]).normal(size=size)


def layer_of(settings, *, width=5, units=3, **options):
    """A built layer all of whose weights are drawn, those that begin as 0 too."""
    layer = make_recurrence(settings, 1, units=units, **options)
    layer.build((None, None, width))
    layer.set_weights([draw(*it.shape, seed=n) / 2 for n, it in enumerate(layer.weights)])
    return layer


def weights_of(layer):
    return {weight.name: ops.convert_to_numpy(weight) for weight in layer.weights}


def close(ours, theirs, tolerance=1e-5):
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, atol=tolerance)


@pytest.mark.parametrize("settings", EVERY, ids=named)
def test_a_layer_and_its_cell_follow_the_published_equations(settings):
    layer, inputs = layer_of(settings), draw(2, 6, 5)
    start = [draw(2, size, seed=n) for n, size in enumerate(state_sizes(layer))]
    outputs, final = run_layer(layer, inputs.astype("float32"), None, start, False)
    for row in range(2):
        begin = [part[row] for part in start]
        states, last = cell_equations.run(settings, weights_of(layer), inputs[row], begin)
        close([outputs[row], *(part[row] for part in final)], [states, *last])
    output, after = step_layer(layer, inputs[:, 0].astype("float32"), start)
    first, _ = run_layer(layer, inputs[:, :1].astype("float32"), None, start, False)
    close([output], [first[:, 0]])
    assert len(after) == len(start)


def test_a_highway_without_a_matrix_where_widths_agree():
    layer, inputs = layer_of({"cell": "sru"}, width=3), draw(1, 4, 3)
    assert layer.cell.kernel.shape == (3, 9)
    states, _ = cell_equations.run({"cell": "sru"}, weights_of(layer), inputs[0], draw(2, 3) * 0)
    close([layer(inputs)[0]], [states])


@pytest.mark.parametrize("settings", EVERY, ids=named)
def test_a_masked_step_carries_the_state_and_a_pair_reads_both_ways(settings):
    inputs = draw(2, 6, 5).astype("float32")
    mask = np.arange(6) < [[4], [6]]
    pair = keras.layers.Bidirectional(layer_of(settings))
    outputs, final = run_layer(pair, inputs, mask, None, False)
    inputs[~mask] = 99
    again, same = run_layer(pair, inputs, mask, None, False)
    close([outputs, *final], [again, *same])
    assert np.isfinite(again).all()
    alone, last = run_layer(pair, inputs[:1, :4], None, None, False)
    close([outputs[:1, :4], *(part[:1] for part in final)], [alone, *last])
    assert (ops.convert_to_numpy(outputs)[0, 4:] == 0).all()


@pytest.mark.parametrize("settings", EVERY, ids=named)
def test_a_layer_reads_backwards_in_its_order_of_reading(settings):
    inputs = draw(2, 5, 5).astype("float32")
    forward, backward = layer_of(settings), layer_of(settings, go_backwards=True)
    assert (backward.go_backwards, backward.return_sequences, backward.stateful) == (
        True, True, False,
    )  # fmt: skip
    assert (backward.units, backward.return_state) == (3, False)
    close([backward(inputs)], [forward(inputs[:, ::-1])])


@pytest.mark.parametrize("settings", OWN, ids=named)
def test_gradients_agree_with_finite_differences(settings):
    keras.config.set_dtype_policy("float64")
    try:
        layer = layer_of(settings, width=4)
    finally:
        keras.config.set_dtype_policy("float32")
    inputs, wanted = tf.Variable(draw(2, 5, 4)), draw(2, 5, 3, seed=3)
    mask = np.arange(5) < [[5], [3]]
    variables = [inputs, *(weight.value for weight in layer.trainable_weights)]

    def loss():
        states, final = run_layer(layer, inputs, mask, None, False)
        return tf.reduce_sum(states * wanted * mask[..., None]) + sum(
            tf.reduce_sum(part**2) for part in final
        )

    with tf.GradientTape() as tape:
        value = loss()
    for number, (variable, gradient) in enumerate(
        zip(variables, tape.gradient(value, variables), strict=True)
    ):
        way, before = draw(*variable.shape, seed=number + 9), variable.numpy()
        ends = []
        for size in (1e-5, -1e-5):
            variable.assign(before + size * way)
            ends.append(loss().numpy())
        variable.assign(before)
        slope = (ends[0] - ends[1]) / 2e-5
        assert slope == pytest.approx((gradient.numpy() * way).sum(), rel=1e-6, abs=1e-8)


def test_a_model_of_every_cell_is_saved_with_its_weights(tmp_path):
    inputs = keras.Input((None, 5))
    parts = [make_recurrence(it, 2, units=3) for it in EVERY]
    parts += [keras.layers.Bidirectional(make_recurrence(it, 3, units=3)) for it in OWN[::2]]
    model = keras.Model(inputs, [part(inputs) for part in parts])
    model.set_weights([draw(*it.shape, seed=n) for n, it in enumerate(model.weights)])
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    values = draw(2, 4, 5).astype("float32")
    close(again(values), model(values), 0)
    assert [it.name for it in again.layers] == [it.name for it in model.layers]


def test_plain_settings_make_the_layers_of_keras_as_before():
    classes = {
        "simple": keras.layers.SimpleRNN, "gru": keras.layers.GRU, "lstm": keras.layers.LSTM,
    }  # fmt: skip
    for cell, kind in classes.items():
        layer = make_recurrence({"cell": cell, "use_cudnn": False}, 4, units=3)
        assert type(layer) is kind
        layer.build((None, None, 5))
        theirs = kind(
            3,
            kernel_initializer=keras.initializers.GlorotUniform(4),
            recurrent_initializer=keras.initializers.Orthogonal(seed=4),
        )
        theirs.build((None, None, 5))
        close(layer.get_weights(), theirs.get_weights(), 0)
        assert getattr(layer, "use_cudnn", False) is False


@pytest.mark.parametrize("peephole", [False, True])
def test_the_forget_bias_is_that_of_the_forget_gate_alone(peephole):
    for value in (1.0, 3.0):
        settings = {"cell": "lstm", "forget_bias": value, "peephole": peephole}
        layer = make_recurrence(settings, 1, units=2)
        layer.build((None, None, 5))
        bias = ops.convert_to_numpy(layer.cell.bias)
        assert bias.tolist() == [0, 0, value, value, 0, 0, 0, 0]


@pytest.mark.parametrize("cell", ["simple", "gru", "lstm"])
def test_recurrent_matrices_start_as_asked(cell):
    def start(name):
        layer = make_recurrence({"cell": cell, "recurrent_init": name}, 1, units=40)
        layer.build((None, None, 5))
        kernel = ops.convert_to_numpy(layer.cell.recurrent_kernel)
        return kernel, np.split(kernel, kernel.shape[1] // 40, axis=1)

    kernel, _ = start("orthogonal")
    np.testing.assert_allclose(kernel @ kernel.T, np.eye(40), atol=1e-5)
    _, gates = start("identity")
    np.testing.assert_array_equal(gates, [np.eye(40)] * len(gates))
    _, gates = start("glorot")
    for gate in gates:  # uniform up to sqrt(6 / 80)
        assert gate.std() == pytest.approx((2 / 80) ** 0.5, rel=0.1)
        assert np.abs(gate).max() <= (6 / 80) ** 0.5


DROPPING = [
    {"cell": "gru", "recurrent_dropout": 0.5, "deep_transition": 1},
    {"cell": "lstm", "peephole": True, "recurrent_dropout": 0.5},
]


@pytest.mark.parametrize("settings", DROPPING, ids=named)
def test_recurrent_dropout_is_the_same_at_every_step_and_of_training_alone(settings):
    layer, inputs = layer_of(settings, units=8), np.zeros((2, 7, 5), "float32")
    start = [draw(2, 8) for _ in state_sizes(layer)]
    quiet, _ = run_layer(layer, inputs, None, start, False)
    loud, _ = run_layer(layer, inputs, None, start, True)
    other, _ = run_layer(layer, inputs, None, start, True)
    assert not np.allclose(quiet, loud)
    assert not np.allclose(loud, other)
    graph = tf.function(lambda: run_layer(layer, inputs, None, start, True)[0], autograph=False)
    assert not np.allclose(graph(), graph())
    np.testing.assert_array_equal(run_layer(layer, inputs, None, start, False)[0], quiet)


@pytest.mark.parametrize("settings", [SEQUENTIAL[3], SEQUENTIAL[6]], ids=named)
def test_weights_are_dropped_for_a_call(settings):
    layer, inputs = layer_of(settings), draw(2, 4, 5).astype("float32")
    own, plain = layer.cell.recurrent_kernel, ops.convert_to_numpy(layer(inputs))
    drawn = DropConnect(0.5, seed=1).draw(layer)
    with recurrent_kernels(layer, drawn):
        dropped = ops.convert_to_numpy(layer(inputs, training=True))
    assert not np.allclose(dropped, plain)
    assert layer.cell.recurrent_kernel is own
    np.testing.assert_array_equal(layer(inputs), plain)


@pytest.mark.parametrize("settings", EVERY, ids=named)
def test_half_precision_stays_half_precision(settings):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        layer = layer_of(settings)
    finally:
        keras.config.set_dtype_policy("float32")
    outputs, final = run_layer(layer, draw(2, 20, 5).astype("float16"), None, None, False)
    stepped = step_layer(layer, draw(2, 5).astype("float16"), final)
    for part in (outputs, *final, stepped[0], *stepped[1]):
        assert keras.backend.standardize_dtype(part.dtype) == "float16"

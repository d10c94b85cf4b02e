import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from pipelines.errors import ConfigError
from pipelines.lab.problems import Adding
from pipelines.layers.cells.making import make_recurrence
from pipelines.layers.cells.norm_preserving import NormPreservingRNN, simple_states
from pipelines.layers.recurrent import RecurrentStack
from pipelines.layers.recurrent_state import parts_of

UNITS, STEPS, ROWS = 5, 7, 4
RAGGED = np.arange(STEPS) < [[7], [3], [5], [1]]
HOLES = RAGGED & (np.arange(STEPS) != 1)  # a mask is not always a prefix; row 3 keeps one step


def draw(*size, seed=0, scale=1.0):
    values = np.random.default_rng([seed, *size]).normal(scale=scale, size=size)
    return values.astype("float32")


def numpy(values):
    return [ops.convert_to_numpy(value) for value in keras.tree.flatten(values)]


def same_weights(layer, other, width=3):
    for one in (layer, other):
        one.build((None, None, width))
    weights = [draw(*weight.shape, scale=0.6) for weight in layer.get_weights()]
    layer.set_weights(weights)
    other.set_weights(weights)


def outputs_and_gradients(layer, mask):
    """Real states and the final one in training, and gradients of a loss that sees them all."""
    inputs, start = tf.constant(draw(ROWS, STEPS, 3)), tf.constant(draw(ROWS, UNITS, scale=0.5))
    real = np.ones((ROWS, STEPS)) if mask is None else mask
    real = (real[:, ::-1] if layer.go_backwards else real)[..., None].astype("float32")
    with tf.GradientTape() as tape:
        tape.watch([inputs, start])
        states, final = layer(inputs, initial_state=[start], mask=mask, training=True)
        loss = tf.reduce_sum(states**2 * real * draw(STEPS, UNITS)) + tf.reduce_sum(tf.sin(final))
    return numpy([states * real, final, tape.gradient(loss, [inputs, start, *layer.weights])])


def by_hand(read, start, kernel, real, given):
    """States h and total gradients e, float64[T, B, H], by loops over steps and rows."""
    read, start, kernel, given = (np.asarray(v, np.float64) for v in (read, start, kernel, given))
    rows, steps, width = read.shape
    h, e = np.zeros((steps + 1, rows, width)), np.zeros((steps + 1, rows, width))
    h[0] = start
    for t in range(steps):
        for row in range(rows):
            kept = np.tanh(read[row, t] + h[t, row] @ kernel)
            h[t + 1, row] = kept if real[row, t] else h[t, row]
    for t in reversed(range(steps)):
        for row in range(rows):
            e[t + 1, row] += given[row, t]
            d = e[t + 1, row] * (1 - h[t + 1, row] ** 2)
            e[t, row] = d @ kernel.T if real[row, t] else e[t + 1, row]
    return h, e


def omega(kernel, h, e, real):
    """The regulariser of the paper, with every h and e as it is given."""
    terms = []
    for row, t in zip(*np.nonzero(real), strict=True):
        length = np.linalg.norm(e[t + 1, row])
        if length > 0:
            passed = kernel @ (e[t + 1, row] * (1 - h[t + 1, row] ** 2))
            terms.append((np.linalg.norm(passed) / length - 1) ** 2)
    return np.mean(terms) if terms else 0.0


def slope_of_omega(kernel, h, e, real, gap=1e-6):
    kernel, slope = np.asarray(kernel, np.float64), np.zeros(kernel.shape)
    for place in np.ndindex(*kernel.shape):
        moved = np.zeros(kernel.shape)
        moved[place] = gap
        ends = [omega(kernel + sign * moved, h, e, real) for sign in (1, -1)]
        slope[place] = (ends[0] - ends[1]) / (2 * gap)
    return slope


def kernel_gradient(read, start, kernel, real, given, weight):
    kernel = tf.constant(kernel)
    with tf.GradientTape() as tape:
        tape.watch(kernel)
        loss = tf.reduce_sum(simple_states(read, start, kernel, real, weight) * given)
    return tape.gradient(loss, kernel).numpy()


@pytest.mark.parametrize("mask", [None, RAGGED, HOLES])
@pytest.mark.parametrize("backwards", [False, True])
def test_without_weight_it_is_the_layer_of_keras(mask, backwards):
    shared = {"return_sequences": True, "return_state": True, "go_backwards": backwards}
    plain = keras.layers.SimpleRNN(UNITS, **shared)
    expected = None
    for weight, tolerance in ((0.0, 0), (1e-30, 2e-6)):  # the second runs its own loop
        layer = NormPreservingRNN(UNITS, weight, **shared)
        same_weights(plain, layer)
        expected = expected or outputs_and_gradients(plain, mask)
        for ours, theirs in zip(outputs_and_gradients(layer, mask), expected, strict=True):
            np.testing.assert_allclose(ours, theirs, atol=tolerance)


@pytest.mark.parametrize("real", [np.ones((ROWS, STEPS)), RAGGED, HOLES])
@pytest.mark.parametrize("scale", [0.2, 1.5])
def test_what_is_added_is_the_slope_of_omega_with_gradients_and_states_held(real, scale):
    read, start, kernel = draw(ROWS, STEPS, UNITS), draw(ROWS, UNITS), draw(UNITS, UNITS)
    kernel, given = kernel * np.float32(scale), draw(ROWS, STEPS, UNITS, seed=1)
    given[:, 3:] = 0  # and some steps are reached by no gradient
    plain, regularised = (
        kernel_gradient(read, start, kernel, real.astype("float32"), given, weight)
        for weight in (0.0, 10.0)
    )
    h, e = by_hand(read, start, kernel, real, given)
    expected = slope_of_omega(kernel, h, e, real)
    assert np.abs(expected).max() > 0.01
    np.testing.assert_allclose((regularised - plain) / 10, expected, atol=2e-5)


def test_a_gradient_too_faint_to_square_still_counts():
    read, start, kernel = draw(2, 60, UNITS), draw(2, UNITS), 0.2 * draw(UNITS, UNITS)
    real, given = np.ones((2, 60), "float32"), np.zeros((2, 60, UNITS), "float32")
    given[:, -1] = draw(2, UNITS)
    h, e = by_hand(read, start, kernel, real, given)
    lengths = np.linalg.norm(e[1:], axis=-1)
    counted = lengths > 1e-30
    assert (lengths[counted] ** 2).min() < 1e-45  # 0 in float32
    assert not counted.all()
    e[1:][~counted] = 0
    plain, regularised = (
        kernel_gradient(read, start, kernel, real, given, weight) for weight in (0.0, 1.0)
    )
    expected = slope_of_omega(kernel, h, e, counted.T)
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(regularised - plain, expected, atol=1e-4)


@pytest.mark.parametrize("given", ["nothing", "no real step"])
def test_where_no_gradient_comes_back_nothing_is_added(given):
    real = np.full((2, 3), given == "nothing", "float32")
    upstream = np.zeros((2, 3, UNITS)) if given == "nothing" else draw(2, 3, UNITS)
    args = draw(2, 3, UNITS), draw(2, UNITS), draw(UNITS, UNITS), real, upstream.astype("float32")
    np.testing.assert_array_equal(kernel_gradient(*args, 5.0), np.zeros((UNITS, UNITS)))


def test_the_seen_loss_and_the_other_gradients_are_those_of_the_plain_layer():
    plain, layer = (
        NormPreservingRNN(UNITS, weight, return_sequences=True, return_state=True)
        for weight in (0.0, 3.0)
    )
    same_weights(plain, layer)
    expected, found = (outputs_and_gradients(one, RAGGED) for one in (plain, layer))
    names = ["states", "final", "inputs", "start", *(weight.name for weight in layer.weights)]
    differ = [
        name for name, *pair in zip(names, found, expected, strict=True)
        if not np.allclose(*pair, atol=1e-5)
    ]  # fmt: skip
    assert differ == ["recurrent_kernel"]
    assert not layer.losses


def test_it_trains_in_both_directions_on_any_length_and_is_saved(tmp_path):
    inputs, mask = keras.Input((None, 3)), keras.Input((None,), dtype="bool")
    states = keras.layers.Bidirectional(
        make_recurrence({"cell": "simple", "norm_preserving": 0.7}, 3, units=4)
    )(inputs, mask=mask)
    model = keras.Model([inputs, mask], keras.layers.Dense(1)(states[:, 0]))
    model.compile(keras.optimizers.SGD(0.1), "mse")
    before = model.get_weights()
    for steps in (STEPS, 3):
        given = draw(ROWS, steps, 3), RAGGED[:, :steps]
        model.train_on_batch(list(given), draw(ROWS, 1))
    assert all((old != new).any() for old, new in zip(before, model.get_weights(), strict=True))
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again(list(given)), model(list(given)))
    configs = [part.get_config() for part in parts_of(again.layers[2])]
    assert [(c["weight"], c["seed"], c["go_backwards"]) for c in configs] == [
        (0.7, 3, False), (0.7, 3, True)]  # fmt: skip


def test_a_stack_runs_and_steps_it_as_a_plain_cell():
    settings = {"cell": "simple", "units": 4, "depth": 2, "direction": "forward", "seed": 1}
    stack, plain = (RecurrentStack(**settings, norm_preserving=weight) for weight in (0.5, 0.0))
    same_weights(plain, stack)
    inputs, state = draw(2, 4, 3), [draw(2, 4), draw(2, 4, seed=1)]
    whole, final = stack.run(inputs, None, state)
    np.testing.assert_array_equal(whole, plain.run(inputs, None, state)[0])
    stepped = []
    for t in range(4):
        output, state = stack.step(inputs[:, t], state)
        stepped.append(output)
    np.testing.assert_allclose(np.stack(stepped, 1), whole, atol=1e-6)
    np.testing.assert_allclose(state, final, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weight": -1.0}, "--norm-preserving is -1.0; it must be 0 or more"),
        ({"weight": float("nan")}, "--norm-preserving is nan; it must be 0 or more"),
        ({"recurrent_dropout": 0.1}, "--recurrent-dropout is 0.1; it must be 0: the regulariser"),
        ({"dropout": 0.1}, "--dropout is 0.1; it must be 0: the regulariser"),
        ({"activation": "relu"}, "--activation is 'relu'; it must be 'tanh': the regulariser"),
        ({"dtype": "mixed_float16"}, "is 2.0; it must be 0 in .* train without --mixed-precision"),
    ],
)
def test_what_it_cannot_do_is_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        NormPreservingRNN(3, **{"weight": 2.0} | options)


def test_half_precision_with_the_range_of_single_stays_half_precision():
    layer = NormPreservingRNN(
        3, 1.0, return_sequences=True, return_state=True, dtype="mixed_bfloat16"
    )
    found = layer(draw(2, 4, 3), training=True)
    assert {keras.backend.standardize_dtype(part.dtype) for part in found} == {"bfloat16"}


UNDER_JAX = """
import sys

import jax
import numpy as np

from pipelines.layers.cells.norm_preserving import simple_states

given = np.load(sys.argv[1] + "/given.npz")
read, start, kernel, real, upstream = (given[name] for name in sorted(given))

def loss(read, start, kernel):
    return (simple_states(read, start, kernel, real, 2.0) * upstream).sum()

found = jax.jit(jax.grad(loss, (0, 1, 2)))(read, start, kernel)
np.savez(sys.argv[1] + "/found.npz", *map(np.asarray, found))
"""


def test_jax_agrees(jax_process, tmp_path):
    given = [
        draw(ROWS, STEPS, UNITS), draw(ROWS, UNITS), draw(UNITS, UNITS), RAGGED.astype("float32"),
        draw(ROWS, STEPS, UNITS, seed=1),
    ]  # fmt: skip
    np.savez(tmp_path / "given.npz", *given)
    jax_process.run(UNDER_JAX, tmp_path)
    *variables, real, upstream = map(tf.constant, given)
    with tf.GradientTape() as tape:
        tape.watch(variables)
        loss = tf.reduce_sum(simple_states(*variables, real, 2.0) * upstream)
    theirs = np.load(tmp_path / "found.npz")
    for ours, name in zip(tape.gradient(loss, variables), sorted(theirs), strict=True):
        np.testing.assert_allclose(ours, theirs[name], rtol=1e-4, atol=1e-5)


FAR = 60  # steps after which a recurrent matrix that halves has left 1e-18 of a gradient


def reach(layer, head):
    """|dE/dh_1| / |dE/dh_T| of the adding problem, E the error of the answer after step T."""
    rows = Adding().draw(np.random.default_rng(9), ROWS, FAR)
    kernel, recurrent, bias = layer.get_weights()
    read, given = rows.inputs @ kernel + bias, np.zeros((ROWS, FAR, UNITS))
    given[:, -1] = head.kernel.numpy()[:, 0]  # times a number of each row, which the ratio loses
    _, e = by_hand(read, np.zeros((ROWS, UNITS)), recurrent, np.ones((ROWS, FAR)), given)
    return np.median(np.linalg.norm(e[1], axis=-1) / np.linalg.norm(e[-1], axis=-1))


def trained_on_adding(weight):
    """A layer and its output layer after a little training, and how far it reached before."""
    layer = NormPreservingRNN(
        UNITS, weight, return_sequences=True,
        kernel_initializer=keras.initializers.GlorotUniform(1),
        recurrent_initializer=keras.initializers.Orthogonal(0.5, seed=1),
    )  # fmt: skip
    head = keras.layers.Dense(1, kernel_initializer=keras.initializers.GlorotUniform(2))
    inputs = keras.Input((None, 2))
    model = keras.Model(inputs, head(layer(inputs)[:, -1]))
    model.compile(keras.optimizers.SGD(0.3, clipnorm=1.0), "mse")
    before, draws = reach(layer, head), np.random.default_rng(0)
    for _ in range(60):
        batch = Adding().draw(draws, 32, FAR)
        model.train_on_batch(batch.inputs, batch.answers[:, 0])
    return before, reach(layer, head)


def test_training_keeps_gradients_that_vanish_in_a_plain_cell():
    before, plain = trained_on_adding(0.0)
    same, kept = trained_on_adding(1.0)
    assert before == same < 1e-15
    assert plain < 1e-12, (before, plain, kept)
    assert 1e-4 < kept < 10

"""Directions, sizes by layer, deep blocks and shortcuts of the recurrent stack."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from pipelines.errors import ConfigError
from pipelines.layers.recurrent import RecurrentStack, SequencePooling

SEQUENTIAL = [
    {"cell": "simple", "recurrent_init": "identity"},
    {"cell": "gru"},
    {"cell": "lstm", "forget_bias": 2.0},
    {"cell": "lstm", "peephole": True},
]
PARALLEL = [{"cell": cell} for cell in ("mingru", "minlstm", "sru")]
DEEP = {"deep_input": 2, "deep_transition": 1, "deep_output": 1, "skips": True}
LENGTHS = np.array([5, 2, 1])
MASK = np.arange(7) < LENGTHS[:, None]


def drawn(*size, seed=0):
    return np.random.default_rng(seed).normal(size=size).astype("float32")


def numpy(values):
    return [ops.convert_to_numpy(value) for value in values]


def built(**options):
    stack = RecurrentStack(**{"units": 3, "seed": 3} | options)
    stack.build((None, None, 4))
    return stack


@st.composite
def options(draw):
    """Settings of any stack."""
    cell = draw(st.sampled_from(SEQUENTIAL + PARALLEL))
    return cell | {
        "layer_units": draw(st.lists(st.sampled_from([3, 4]), min_size=1, max_size=3)),
        "direction": draw(st.sampled_from(["forward", "backward", "both", "alternating"])),
        "deep_input": draw(st.integers(0, 1)),
        "deep_output": draw(st.integers(0, 1)),
        "deep_transition": draw(st.integers(0, 1)) if cell in SEQUENTIAL else 0,
        "skips": draw(st.booleans()),
        "residual": draw(st.booleans()),
        "layer_norm": draw(st.booleans()),
    }


@settings(max_examples=10, deadline=None, derandomize=True)
@given(options())
def test_padding_changes_no_output_and_no_final_state(found):
    stack, inputs = built(**found), drawn(3, 7, 4)
    states, final = stack.run(inputs, MASK)
    noise = np.where(MASK[..., None], inputs, 99.0)
    again, same = stack.run(noise, MASK)
    alone, last = stack.run(inputs[1:2, :2])
    assert (numpy([states])[0][~MASK] == 0).all()
    assert states.shape == (3, 7, stack.width)
    np.testing.assert_allclose(again, states, atol=1e-5)
    np.testing.assert_allclose(alone[0], states[1, :2], atol=1e-5)
    np.testing.assert_allclose(stack(inputs, mask=MASK), states, atol=1e-5)
    for whole, other, part in zip(*map(numpy, (final, same, last)), strict=True):
        np.testing.assert_allclose(whole, other, atol=1e-5)
        np.testing.assert_allclose(whole[1:2], part, atol=1e-5)


@settings(max_examples=10, deadline=None, derandomize=True)
@given(options())
def test_steps_equal_a_run(found):
    stack, inputs = built(**found | {"direction": "forward"}), drawn(2, 4, 4)
    state = [drawn(2, size, seed=size) for size in stack.state_sizes]
    states, final = stack.run(inputs, None, state)
    outputs = []
    for t in range(4):
        output, state = stack.step(inputs[:, t], state)
        outputs.append(ops.convert_to_numpy(output))
    np.testing.assert_allclose(np.stack(outputs, axis=1), states, atol=1e-5)
    for ours, theirs in zip(numpy(state), numpy(final), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def simple_by_hand(layer, inputs):
    kernel, recurrent, bias = numpy(layer.get_weights())
    state, outputs = np.zeros(recurrent.shape[0]), []
    for step in inputs[::-1] if layer.go_backwards else inputs:
        state = np.tanh(step @ kernel + state @ recurrent + bias)
        outputs.append(state)
    return np.array(outputs[::-1] if layer.go_backwards else outputs)


def dense_by_hand(layer, inputs):
    weights = iter(numpy(layer.get_weights()))
    for kernel, bias in zip(weights, weights, strict=True):
        inputs = np.tanh(inputs @ kernel + bias)
    return inputs


@pytest.mark.parametrize("direction", ["forward", "backward", "alternating"])
@pytest.mark.parametrize("deep", [False, True])
def test_a_stack_by_hand(direction, deep):
    more = {"deep_input": 2, "deep_output": 2, "skips": True} if deep else {}
    stack = built(cell="simple", layer_units=[3, 5, 3], direction=direction, **more)
    weights = [drawn(*weight.shape, seed=n) for n, weight in enumerate(stack.get_weights())]
    stack.set_weights(weights)
    inputs = drawn(3, 7, 4)
    found = ops.convert_to_numpy(stack(inputs, mask=MASK))
    for row, length in enumerate(LENGTHS):
        below = bottom = inputs[row, :length]
        outputs = []
        for number, parts in enumerate(stack._layers_of_depth):
            read = np.concatenate([below, bottom], -1) if deep and number else below
            if "deep_input" in parts:
                read = dense_by_hand(parts["deep_input"], read)
            below = simple_by_hand(parts["recurrence"], read)
            outputs.append(below)
        expected = np.concatenate(outputs, -1) if deep else below
        if deep:
            expected = dense_by_hand(stack._deep_output, expected)
        np.testing.assert_allclose(found[row, :length], expected, atol=1e-5)
        assert (found[row, length:] == 0).all()


@pytest.mark.parametrize("skips", [False, True])
@pytest.mark.parametrize("direction", ["forward", "backward", "both", "alternating"])
def test_the_last_state_is_the_one_after_everything_was_read(direction, skips):
    stack = built(cell="gru", layer_units=[3, 2], direction=direction, skips=skips)
    states, final = stack.run(drawn(3, 7, 4), MASK)
    pooled = SequencePooling(("last",), backward=stack.backward)(states, MASK)
    top = final if skips else final[-2 if direction == "both" else -1 :]
    np.testing.assert_allclose(pooled, np.concatenate(numpy(top), axis=-1), atol=1e-6)


def test_residual_sums_where_widths_of_layers_agree():
    inputs = drawn(2, 3, 4)
    plain, added = (
        built(layer_units=[4, 3], direction="forward", residual=flag) for flag in (False, True)
    )
    lowest = built(layer_units=[4], direction="forward")
    for stack in (added, lowest):
        stack.set_weights(plain.get_weights()[: len(stack.weights)])
    top = plain._layers_of_depth[1]["recurrence"]
    np.testing.assert_allclose(added(inputs), top(lowest(inputs) + inputs), atol=1e-6)


CASES = [
    (SEQUENTIAL[0], "alternating"),
    (SEQUENTIAL[2], "backward"),
    (SEQUENTIAL[3], "both"),
    (PARALLEL[2], "both"),
]


@pytest.mark.parametrize(("cell", "direction"), CASES)
def test_every_weight_learns_and_a_saved_stack_is_the_same(cell, direction, tmp_path):
    more = DEEP | ({"deep_transition": 0} if cell in PARALLEL else {})
    stack = RecurrentStack(**cell, **more, layer_units=[3, 2], direction=direction, seed=1)
    inputs = keras.Input((None, 4))
    model = keras.Model(inputs, stack(inputs))
    values = drawn(2, 5, 4)
    with tf.GradientTape() as tape:
        loss = ops.sum(stack(values, mask=MASK[:2, :5], training=True) ** 2)
    variables = stack.trainable_variables
    for variable, gradient in zip(
        variables, tape.gradient(loss, [it.value for it in variables]), strict=True
    ):
        assert gradient is not None and np.abs(gradient).max() > 0, variable.path
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again(values), model(values))


@pytest.mark.parametrize("cell", [{"cell": "lstm", "forget_bias": 3.0}, DEEP])
def test_the_fast_path_agrees_where_it_applies_and_stands_aside_elsewhere(cell, monkeypatch):
    from pipelines.layers import recurrent

    taken, results = [], []
    real = recurrent.run_fast
    monkeypatch.setattr(
        recurrent, "run_fast", lambda *found: taken.append(found[0]) or real(*found)
    )
    for fast in (False, True):
        stack = built(**cell, layer_units=[3, 4], direction="alternating", fast=fast)

        @tf.function(autograph=False)
        def run(stack=stack):
            return stack(tf.constant(drawn(3, 7, 4)), mask=tf.constant(MASK), training=True)

        results.append(run())
    assert len(taken) == (0 if "deep_transition" in cell else 2)
    np.testing.assert_allclose(*results, atol=1e-5)


@pytest.mark.parametrize("direction", ["backward", "alternating"])
def test_a_stack_that_reads_backward_cannot_be_stepped(direction):
    stack = built(depth=2, direction=direction)
    with pytest.raises(ConfigError, match=f"got direction='{direction}'.*direction='forward'"):
        stack.step(drawn(2, 4), stack.zero_state(2))


def test_settings_that_cannot_be_are_refused():
    with pytest.raises(ConfigError, match=r"--layer-units is \[3, 0\]; it must be at least 1 each"):
        RecurrentStack(layer_units=[3, 0])
    with pytest.raises(ConfigError, match="weight-dropout is 0.5.*sru has no recurrent matrix"):
        RecurrentStack(cell="sru", weight_dropout=0.5)

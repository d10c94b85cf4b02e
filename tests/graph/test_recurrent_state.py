import itertools

import keras
import numpy as np
import pytest
from keras import ops

from pipelines.errors import ConfigError
from pipelines.layers import recurrent
from pipelines.layers.recurrent import RecurrentStack

RNG = np.random.default_rng(0)
CELLS = ("simple", "gru", "lstm")
FORWARD = [
    {"cell": cell, "depth": depth, "layer_norm": norm, "residual": residual}
    for cell, depth, norm, residual in itertools.product(
        CELLS, (1, 2), (False, True), (False, True)
    )
]


def numpy(values):
    return [ops.convert_to_numpy(value) for value in values]


def draw(*size):
    return RNG.normal(size=size).astype("float32")


def stepped(stack, inputs, state):
    outputs = []
    for t in range(inputs.shape[1]):
        output, state = stack.step(inputs[:, t], state)
        outputs.append(ops.convert_to_numpy(output))
    return np.stack(outputs, axis=1), state


def stack_of(**options):
    stack = RecurrentStack(**{"units": 4, "direction": "forward", "seed": 3} | options)
    stack.build((None, None, 4))
    return stack


@pytest.mark.parametrize("options", FORWARD, ids=lambda o: "-".join(map(str, o.values())))
def test_steps_equal_a_run_from_any_state(options):
    stack, inputs = stack_of(**options), draw(3, 5, 4)
    start = [draw(3, 4) for _ in stack.zero_state(3)]
    states, final = stack.run(inputs, initial_state=start)
    outputs, last = stepped(stack, inputs, start)
    np.testing.assert_allclose(outputs, states, atol=1e-5)
    for ours, theirs in zip(numpy(last), numpy(final), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
    np.testing.assert_allclose(stack(inputs, initial_state=start), states, atol=1e-6)
    zeros = stepped(stack, inputs, stack.zero_state(3))[0]
    np.testing.assert_allclose(zeros, stack(inputs), atol=1e-5)


@pytest.mark.parametrize(("cell", "both"), list(itertools.product(CELLS, (False, True))))
def test_the_final_state_is_that_of_the_last_real_step(cell, both):
    stack = stack_of(cell=cell, direction="both" if both else "forward", depth=2)
    inputs = draw(2, 6, 4)
    mask = np.arange(6) < np.array([[4], [6]])
    states, final = stack.run(inputs, mask)
    alone_states, alone = stack.run(inputs[:1, :4])
    per_layer = (2 if cell == "lstm" else 1) * (2 if both else 1)
    assert len(final) == 2 * per_layer
    for whole, part in zip(numpy(final), numpy(alone), strict=True):
        np.testing.assert_allclose(whole[:1], part, atol=1e-5)
    np.testing.assert_allclose(states[0, :4], alone_states[0], atol=1e-5)
    assert (numpy([states])[0][0, 4:] == 0).all()
    # h of the top layer's forward direction is its output at the last step.
    top = numpy(final)[per_layer]
    np.testing.assert_allclose(top[1], numpy([states])[0][1, -1, :4], atol=1e-5)


@pytest.mark.parametrize("both", [False, True])
def test_a_run_goes_on_where_another_ended(both):
    stack, inputs = stack_of(cell="lstm", depth=2), draw(2, 7, 4)
    states, final = stack.run(inputs)
    first, middle = stack.run(inputs[:, :3])
    second, last = stack.run(inputs[:, 3:], initial_state=middle)
    np.testing.assert_allclose(np.concatenate(numpy([first, second]), 1), states, atol=1e-5)
    np.testing.assert_allclose(np.stack(numpy(last)), np.stack(numpy(final)), atol=1e-5)


def test_states_leave_weights_and_calls_as_they_were():
    inputs = draw(2, 5, 4)
    plain, returning = stack_of(depth=2), stack_of(depth=2, return_state=True)
    returning.set_weights(plain.get_weights())
    states, *final = returning(inputs)
    np.testing.assert_array_equal(states, plain(inputs))
    assert [tuple(part.shape) for part in final] == [(2, 4)] * 4


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_the_fast_path_reads_on_from_a_state(cell, monkeypatch):
    import tensorflow as tf

    slow, fast = (stack_of(cell=cell, depth=2, residual=True, fast=way) for way in (False, True))
    fast.build((None, None, 4))
    inputs, state = draw(3, 5, 4), [draw(3, 4) for _ in slow.state_sizes]
    taken = []
    run_fast = recurrent.run_fast
    monkeypatch.setattr(
        recurrent, "run_fast", lambda *given: taken.append(given[0]) or run_fast(*given)
    )
    expected = slow.run(inputs, None, state, True)
    fast.set_weights(slow.get_weights())
    found = tf.function(lambda: fast.run(tf.constant(inputs), None, state, True), autograph=False)()
    assert len(taken) == 2
    for ours, theirs in zip(keras.tree.flatten(found), keras.tree.flatten(expected), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_a_model_hands_the_state_from_encoder_to_decoder(tmp_path):
    past, future = keras.Input((None, 4)), keras.Input((None, 4))
    _, *final = stack_of(return_state=True, depth=2)(past)
    model = keras.Model([past, future], stack_of(depth=2)(future, initial_state=final))
    model.compile("sgd", "mse", jit_compile=False)
    values = [draw(3, 6, 4), draw(3, 2, 4)]
    before = model.get_weights()
    model.train_on_batch(values, np.ones((3, 2, 4)))
    changed = [not np.array_equal(*pair) for pair in zip(before, model.get_weights(), strict=True)]
    assert all(changed)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again(values), model(values), atol=1e-6)


def test_half_precision_states_fit():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        stack = stack_of(cell="lstm", depth=2)
    finally:
        keras.config.set_dtype_policy("float32")
    state = stack.zero_state(2)
    assert {keras.backend.standardize_dtype(part.dtype) for part in state} == {"float16"}
    states, final = stack.run(draw(2, 3, 4), initial_state=state)
    output, after = stack.step(draw(2, 4), final)
    for part in (states, output, *after):
        assert keras.backend.standardize_dtype(part.dtype) == "float16"


def test_a_state_of_the_wrong_length_is_refused():
    with pytest.raises(ConfigError, match=r"got 1 tensors, expected 4 \(2 \+ 2 .*pass what"):
        stack_of(cell="lstm", depth=2).step(draw(2, 4), [draw(2, 4)])


def test_a_bidirectional_stack_cannot_be_stepped():
    stack = stack_of(direction="both")
    with pytest.raises(ConfigError, match="got direction='both'.*direction='forward'"):
        stack.step(draw(2, 4), stack.zero_state(2))

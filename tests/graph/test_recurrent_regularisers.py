import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from pipelines.config import RunConfig
from pipelines.errors import ConfigError
from pipelines.layers import recurrent
from pipelines.layers.activation_penalties import mean_square, mean_square_change
from pipelines.layers.decoder_state import DecoderStack
from pipelines.layers.drop_connect import DropConnect, recurrent_kernels
from pipelines.layers.recurrent import RecurrentStack
from pipelines.layers.recurrent_state import parts_of

CELLS = ("simple", "gru", "lstm")
KINDS = list(itertools.product(CELLS, (False, True)))


def draw(*size):
    return np.random.default_rng(sum(size)).normal(size=size).astype("float32")


def stack_of(**options):
    stack = RecurrentStack(**{"units": 4, "direction": "forward", "seed": 3} | options)
    stack.build((None, None, 4))
    return stack


def layers_of(stack):
    return [parts["recurrence"] for parts in stack._layers_of_depth]


def numpy(values):
    return [ops.convert_to_numpy(value) for value in keras.tree.flatten(values)]


def assert_close(found, expected, tolerance=1e-5):
    for ours, theirs in zip(numpy(found), numpy(expected), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=tolerance)


def with_dropped_weights(stack, inputs, mask, state):
    """What the stack gives at inference when its variables hold the weights it would draw."""
    same = stack_of(**stack.settings)
    same.set_weights(stack.get_weights())
    for parts in same._layers_of_depth:
        kernels = parts["weight_dropout"].draw(parts["recurrence"])
        for part, kernel in zip(parts_of(parts["recurrence"]), kernels, strict=True):
            part.cell.recurrent_kernel.assign(kernel)
    return same.run(inputs, mask, state, False)


@pytest.mark.parametrize(("cell", "both"), KINDS)
@pytest.mark.parametrize("given", [False, True])
def test_a_run_drops_recurrent_weights_once_for_all_steps(cell, both, given):
    stack = stack_of(
        cell=cell, direction="both" if both else "forward", depth=2, weight_dropout=0.5
    )
    inputs, mask = draw(3, 6, 4), None if given else np.arange(6) < [[6], [2], [4]]
    state = [draw(3, size) for size in stack.state_sizes] if given else None
    expected = with_dropped_weights(stack, inputs, mask, state)
    assert_close(stack.run(inputs, mask, state, True), expected)


def test_what_is_kept_is_scaled_and_the_rest_is_zero():
    stack = stack_of(cell="gru", units=60, weight_dropout=0.25, direction="both")
    [layer] = layers_of(stack)
    drawn = numpy(DropConnect(0.25, seed=1).draw(layer))
    assert len(drawn) == 2
    for part, kernel in zip((layer.forward_layer, layer.backward_layer), drawn, strict=True):
        whole = ops.convert_to_numpy(part.cell.recurrent_kernel)
        assert (kernel == 0).mean() == pytest.approx(0.25, abs=0.02)
        np.testing.assert_allclose(kernel[kernel != 0], whole[kernel != 0] / 0.75, rtol=1e-5)
    assert ((drawn[0] == 0) != (drawn[1] == 0)).any()


def test_every_call_draws_anew_and_inference_drops_nothing():
    stack, plain = (stack_of(depth=2, weight_dropout=rate) for rate in (0.5, 0.0))
    plain.set_weights([weight.numpy() for weight in stack.trainable_variables])
    inputs, state = draw(2, 5, 4), plain.zero_state(2)
    first, second = (ops.convert_to_numpy(stack(inputs, training=True)) for _ in range(2))
    assert not np.allclose(first, second)
    np.testing.assert_array_equal(stack(inputs), plain(inputs))
    assert_close(stack.run(inputs, None, state), plain.run(inputs, None, state), 0)
    assert_close(stack.step(inputs[:, 0], state), plain.step(inputs[:, 0], state), 0)


def test_weights_keep_their_names_and_places():
    stack, plain = stack_of(weight_dropout=0.5), stack_of()
    before = {id(weight): weight.path for weight in stack.trainable_variables}
    stack(draw(2, 3, 4), training=True)
    assert {id(weight): weight.path for weight in stack.trainable_variables} == before
    assert [w.name for w in stack.trainable_variables] == [w.name for w in plain.weights]
    cell = layers_of(stack)[0].cell
    assert isinstance(cell.recurrent_kernel, keras.Variable)
    with pytest.raises(RuntimeError), recurrent_kernels(layers_of(stack)[0], [draw(4, 16)]):
        raise RuntimeError
    assert isinstance(cell.recurrent_kernel, keras.Variable)


@pytest.mark.parametrize(("cell", "form"), list(itertools.product(CELLS[1:], ("both", "state"))))
def test_the_fast_path_agrees_with_keras_layers_under_the_same_masks(cell, form, monkeypatch):
    both = form == "both"  # one layer has two sets of weights to drop already
    options = {
        "cell": cell, "direction": "both" if both else "forward",
        "depth": 1 if both else 2, "weight_dropout": 0.4,
    }  # fmt: skip
    inputs, results, taken = tf.constant(draw(3, 7, 4)), [], []
    run_fast = recurrent.run_fast
    monkeypatch.setattr(
        recurrent, "run_fast", lambda *given: taken.append(given[0]) or run_fast(*given)
    )
    for fast in (False, True):
        stack = stack_of(fast=fast, **options)
        variables = [weight.value for weight in stack.trainable_variables]
        state = [tf.constant(draw(3, size)) for size in stack.state_sizes]

        @tf.function(autograph=False)
        def step(stack=stack, variables=variables, state=state):
            with tf.GradientTape() as tape:
                if both:
                    found = stack(inputs, mask=tf.sequence_mask([7, 1, 4]), training=True)
                else:
                    found = stack.run(inputs, None, state, True)
                loss = sum(tf.reduce_sum(part**2) for part in tf.nest.flatten(found))
            return found, tape.gradient(loss, variables)

        results.append(step())
    assert len(taken) == options["depth"]
    assert_close(*results)
    dropped = [(g == 0).mean() for g in numpy(results[1][1]) if g.shape[0] == 4 and g.ndim == 2]
    assert max(dropped) == pytest.approx(0.4, abs=0.2)  # nothing flows to what was dropped


DEEP = {"deep_input": 1, "deep_output": 1, "deep_transition": 1, "skips": True}


@pytest.mark.parametrize("more", [{}, DEEP | {"layer_units": [3, 4], "peephole": True}])
def test_a_decoder_that_steps_through_training_drops_the_same_weights(more):
    settings = {"cell": "lstm", "units": 4, "depth": 2, "seed": 3, "weight_dropout": 0.5} | more
    inputs, outputs = draw(2, 5, 4), []
    whole, stepped = (DecoderStack.of(settings) for _ in range(2))
    for stack in (whole, stepped):
        stack.build((None, None, 4))
    state = whole.zero_state(2)
    expected = whole.run(inputs, None, state, True)
    noise = stepped.draw_noise(2, 5)
    for t in range(5):
        output, state = stepped.noisy_step(inputs[:, t], state, noise._replace(inputs=[None] * 2))
        outputs.append(ops.convert_to_numpy(output))
    assert_close((np.stack(outputs, 1), state), expected)


def test_half_precision_stays_half_precision():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        stack = stack_of(weight_dropout=0.5, activation_penalty=1.0, locked_output_dropout=0.2)
        states, final = stack.run(draw(2, 3, 4), None, None, True)
    finally:
        keras.config.set_dtype_policy("float32")
    found = {keras.backend.standardize_dtype(part.dtype) for part in (states, *final)}
    assert found == {"float16"}


def test_penalties_are_means_over_real_steps():
    states = np.array([[[1.0, 3.0], [2.0, 0.0], [9.0, 9.0]], [[2.0, 2.0], [7.0, 7.0], [8.0, 8.0]]])
    mask = np.array([[True, True, False], [True, False, False]])
    # Row 1 has squares 1, 9, 4, 0 and changes 1, -3; row 2 squares 4, 4 and no change.
    assert float(mean_square(states, mask)) == pytest.approx(22 / 6)
    assert float(mean_square_change(states, mask)) == pytest.approx(10 / 2)
    assert float(mean_square(states[:1, :2])) == pytest.approx(14 / 4)
    assert float(mean_square_change(states[:1, :2])) == pytest.approx(10 / 2)
    assert float(mean_square_change(states[:, :1], mask[:, :1])) == 0
    assert float(mean_square_change(states, np.zeros((2, 3), bool))) == 0


@pytest.mark.parametrize("fast", [False, True])
def test_penalties_join_the_loss_in_training_alone(fast):
    inputs = keras.Input((None, 4))
    stack = RecurrentStack(
        units=3, seed=1, fast=fast, activation_penalty=2.0, temporal_activation_penalty=0.5
    )
    model = keras.Model(inputs, stack(inputs))
    values = draw(2, 5, 4)
    states = ops.convert_to_numpy(stack(values))
    expected = 2 * (states**2).mean() + 0.5 * (np.diff(states, axis=1) ** 2).mean()
    for _ in range(2):  # the second call forgets what the first added
        stack.run(values, training=True)
        assert sum(map(float, model.losses)) == pytest.approx(expected, rel=1e-5)
    model.compile(keras.optimizers.SGD(0.0), "mse", jit_compile=False)
    assert model.evaluate(values, states, verbose=0) == pytest.approx(0, abs=1e-9)
    loss = model.train_on_batch(values, states)
    assert float(loss) == pytest.approx(expected, rel=1e-4)


def test_the_activation_penalty_sees_dropped_states():
    stack = stack_of(units=40, activation_penalty=1.0, locked_output_dropout=0.5)
    values = draw(3, 6, 4)
    dropped = ops.convert_to_numpy(stack(values, training=True))
    assert float(stack.losses[0]) == pytest.approx((dropped**2).mean(), rel=1e-5)


def test_locked_output_dropout_drops_a_channel_at_every_step_and_no_state():
    stack, plain = (stack_of(units=40, locked_output_dropout=rate) for rate in (0.5, 0.0))
    values, mask = draw(3, 6, 4), np.arange(6) < [[6], [3], [1]]
    states, final = plain.run(values, mask)
    dropped, same = stack.run(values, mask, None, True)
    assert_close(same, final, 0)
    ratio = numpy(dropped)[0][0] / numpy(states)[0][0]
    assert set(np.round(ratio, 4).ravel()) == {0, 2}
    np.testing.assert_allclose(ratio, np.repeat(ratio[:1], 6, axis=0), atol=1e-4)
    assert (numpy(dropped)[0][~mask] == 0).all()
    np.testing.assert_array_equal(stack(values, mask=mask), plain(values, mask=mask))


def test_nothing_is_made_when_nothing_is_asked_for():
    stack = stack_of(depth=2)
    assert len(stack.weights) == 2 * 3
    assert stack._top is None


def test_settings_reach_the_stack_and_survive_saving(tmp_path):
    config = RunConfig(
        units=4, weight_dropout=0.3, locked_output_dropout=0.1, activation_penalty=2.0,
        temporal_activation_penalty=1.0,
    )  # fmt: skip
    stack = RecurrentStack.from_run_config(config)
    names = ("weight_dropout", "locked_output_dropout", "activation_penalty",
             "temporal_activation_penalty")  # fmt: skip
    assert [stack.settings[name] for name in names] == [0.3, 0.1, 2.0, 1.0]
    inputs = keras.Input((None, 4))
    model = keras.Model(inputs, stack(inputs))
    values = draw(2, 3, 4)
    model.compile("sgd", "mse", jit_compile=False)
    model.train_on_batch(values, np.ones((2, 3, 8)))
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert_close(again(values), model(values), 1e-6)


@pytest.mark.parametrize(
    ("option", "value", "allowed"),
    [
        ("weight_dropout", 1.0, r"in \[0, 1\)"),
        ("locked_output_dropout", -0.1, r"in \[0, 1\)"),
        ("activation_penalty", -1.0, "0 or more"),
        ("temporal_activation_penalty", float("nan"), "0 or more"),
    ],
)
def test_values_that_cannot_work_are_refused(option, value, allowed):
    named = "--" + option.replace("_", "-")
    with pytest.raises(ConfigError, match=f"option {named} is {value}; it must be {allowed}"):
        RunConfig(**{option: value})


def test_penalties_of_no_steps_are_zero():
    assert float(mean_square_change(np.ones((2, 1, 3), "float32"))) == 0

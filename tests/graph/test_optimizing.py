"""Optimizers step by step, beside NumPy; how a run uses them is in test_training_schedules.py."""

import keras
import numpy as np
import pytest

from pipelines.config import RunConfig
from pipelines.errors import ConfigError
from pipelines.layers.gradient_gate import GradientGate, check_unfreezing, gradient_gates, unfreeze
from pipelines.optimizing import is_averaging_due, make_optimizer, optimizer_of, plateau_rate


def optimizer(**changes):
    return make_optimizer(RunConfig(schedule="constant", clip_norm=0.0, **changes), 100)


def steps(chosen, start, gradients):
    """Return the weight after every step."""
    weight = keras.Variable(np.array(start, np.float32))
    chosen.build([weight])
    after = []
    for gradient in gradients:
        chosen.apply([keras.ops.convert_to_tensor(np.array(gradient, np.float32))])
        after.append(np.array(weight))
    return after


GRADIENTS = np.random.default_rng(0).normal(size=(6, 3))


def test_sgd_with_momentum():
    got = steps(optimizer(optimizer="sgd", momentum=0.9, learning_rate=0.5), [1, 2, 3], GRADIENTS)
    weight, speed = np.array([1.0, 2.0, 3.0]), 0.0
    for gradient, after in zip(GRADIENTS, got, strict=True):
        speed = 0.9 * speed - 0.5 * gradient
        weight = weight + speed
        np.testing.assert_allclose(after, weight, rtol=1e-5)


def test_adam_decays_to_the_last_bit_as_the_one_of_keras():
    ours = steps(optimizer(weight_decay=0.1, learning_rate=0.01), [1, 2, 3], GRADIENTS)
    theirs = keras.optimizers.AdamW(learning_rate=0.01, weight_decay=0.1)
    np.testing.assert_array_equal(ours, steps(theirs, [1, 2, 3], GRADIENTS))


@pytest.mark.parametrize("kind", ["adamw", "sgd"])
def test_a_frozen_weight_does_not_decay(kind):
    chosen = optimizer(optimizer=kind, weight_decay=0.1, learning_rate=0.1)
    got = steps(chosen, [1, 2, 3], [[0, 0, 0], [0, 0, 0], [0, 1, 0]])
    np.testing.assert_array_equal(got[:2], [[1, 2, 3]] * 2)
    assert (got[2] < [1, 2, 3]).all()  # one value moves, the whole variable decays


def test_looked_up_rows_decay_too():
    weight = keras.layers.Embedding(4, 2)
    model = keras.Sequential([weight, keras.layers.GlobalAveragePooling1D()])
    chosen = optimizer(optimizer="sgd", weight_decay=0.5)
    model.compile(optimizer=chosen, loss="mse", jit_compile=False)
    model.build((None, 1))
    before = np.array(weight.embeddings)
    model.train_on_batch(np.array([[1]]), np.array([[9.0, 9.0]]))
    np.testing.assert_allclose(weight.embeddings[2:], before[2:] * (1 - 0.5 * 2e-3), rtol=1e-6)
    assert (np.array(weight.embeddings[1]) > before[1]).all()


def test_a_layer_unfrozen_late_starts_as_slowly_as_others():
    def late(chosen):
        chosen.iterations.assign(400)  # all of them with a gradient of zero
        return steps(chosen, [0.0], [[0.0], [1.0], [1.0], [1.0]])[1:]

    counting, usual = (optimizer(unfreeze_every=every, learning_rate=0.01) for every in (1, 0))
    np.testing.assert_allclose(late(counting), [[-0.01], [-0.02], [-0.03]], rtol=1e-4)
    assert late(usual)[-1] < -0.06


def test_counting_steps_changes_nothing_for_a_weight_that_is_not_frozen():
    counting, usual = (optimizer(unfreeze_every=every) for every in (1, 0))
    one, other = (steps(chosen, [1, 2, 3], GRADIENTS) for chosen in (counting, usual))
    np.testing.assert_array_equal(one, other)


def test_the_mean_of_all_weights_since_averaging_was_triggered():
    chosen = optimizer(optimizer="sgd", learning_rate=0.5, triggered_averaging=1)
    weight = keras.Variable(np.array([1.0, 2.0, 3.0], np.float32))
    chosen.build([weight])
    after = []
    for number, gradient in enumerate(GRADIENTS):
        if number == 2:
            assert not chosen.averaging
            chosen.finalize_variable_values([weight])  # nothing to put in their place yet
            np.testing.assert_array_equal(weight, after[-1])
            chosen.trigger()
        chosen.apply([keras.ops.convert_to_tensor(gradient.astype(np.float32))])
        after.append(np.array(weight))
    assert chosen.averaging
    chosen.finalize_variable_values([weight])
    np.testing.assert_allclose(weight, np.mean(after[2:], axis=0), rtol=1e-6)


def test_half_precision_hides_no_optimizer():
    model = keras.Sequential([keras.layers.Dense(1)])
    chosen = optimizer(triggered_averaging=1)
    model.compile(optimizer=keras.optimizers.LossScaleOptimizer(chosen))
    assert optimizer_of(model) is chosen


def lower(value, best):
    return best is None or value < best


def test_the_rate_falls_after_every_plateau():
    config = RunConfig(
        schedule="plateau", learning_rate=8.0, plateau_factor=2.0, plateau_patience=2
    )
    values = [5, 4, 4, 4.5, 4.1, 4.2, 3, 3.5]
    rates = [plateau_rate(config, values[:done], lower) for done in range(len(values) + 1)]
    assert rates == [8, 8, 8, 8, 4, 4, 2, 2, 2]


def test_averaging_is_due_when_a_value_is_worse_than_an_older_best():
    values = [5.0, 4.0, 4.5, 4.6, 4.0, 3.9, 4.2]
    due = [is_averaging_due(2, values[:done], lower) for done in range(1, len(values) + 1)]
    #      4.6 is better than 5.0; 4.0 equals the best; 4.2 is worse than 4.0, three before it
    assert due == [False, False, False, False, False, False, True]


def test_an_improving_or_growing_run_is_never_due():
    assert not is_averaging_due(1, [3.0, 2.0, 1.0], lower)
    assert not is_averaging_due(1, [0.1, 0.2, 0.3], lambda value, best: not lower(value, best))
    assert not is_averaging_due(5, [1.0, 2.0, 3.0], lower)


def gated():
    inputs = keras.Input((2,))
    hidden = GradientGate(2)(keras.layers.Dense(3, name="bottom")(inputs))
    hidden = GradientGate(1)(keras.layers.Dense(3, name="middle")(hidden))
    return keras.Model(inputs, keras.layers.Dense(1, name="top")(hidden))


def test_gates_open_from_the_top_to_the_bottom():
    model = gated()
    chosen = optimizer(optimizer="sgd", weight_decay=0.5, unfreeze_every=2)
    model.compile(optimizer=chosen, loss="mse", jit_compile=False)
    rows, targets = np.ones((2, 2)), np.full((2, 1), 9.0)
    values = model.predict_on_batch(rows)
    moved, opened = [], []
    for epoch in range(6):
        opened.append(unfreeze(model, epoch, every=2))
        np.testing.assert_array_equal(model.predict_on_batch(rows), values)
        before = {layer.name: layer.get_weights() for layer in model.layers}
        model.train_on_batch(rows, targets)
        values = model.predict_on_batch(rows)
        moved.append([
            name for name in ("top", "middle", "bottom")
            if not np.array_equal(model.get_layer(name).kernel, before[name][0])
        ])  # fmt: skip
    assert moved == [["top"]] * 2 + [["top", "middle"]] * 2 + [["top", "middle", "bottom"]] * 2
    assert opened == [0, 0, 2, 2, 4, 4]


def test_a_closed_gate_changes_no_value_in_training_either():
    values = np.array([[1.5, -0.0, np.inf, np.nan]], np.float32)
    for opened in (True, False):
        gate = GradientGate(opened=opened)
        np.testing.assert_array_equal(gate(values, training=True), values)


def test_gates_are_found_within_layers_and_saved(tmp_path):
    model = keras.Sequential([keras.Input((2,)), gated(), GradientGate(0)])
    assert [gate.number for gate in gradient_gates(model)] == [1, 2]
    unfreeze(model, 1, every=1)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert [float(gate.open) for gate in gradient_gates(again)] == [1.0, 0.0]


def test_unfreezing_that_cannot_work_is_refused():
    plain = keras.Sequential([keras.layers.Dense(1)])
    check_unfreezing(plain, every=0, epochs=1)
    check_unfreezing(gated(), every=2, epochs=5)
    with pytest.raises(ConfigError, match="--unfreeze-every is 2, but no layer.*leave it out"):
        check_unfreezing(plain, every=2, epochs=9)
    with pytest.raises(ConfigError, match="--epochs is 4; with --unfreeze-every 2 it must be .* 5"):
        check_unfreezing(gated(), every=2, epochs=4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"momentum": 0.9}, "--momentum is 0.9; it must be 0 with --optimizer adamw"),
        ({"plateau_factor": 1.0}, "--plateau-factor is 1.0; it must be above 1"),
        ({"plateau_patience": 0}, "--plateau-patience is 0; it must be at least 1"),
        ({"unfreeze_every": -1}, "--unfreeze-every is -1; it must be 0 .off. or more"),
        (
            {"triggered_averaging": 5},
            "--triggered-averaging is 5; it must be at most --patience, 3",
        ),
        (
            {"triggered_averaging": 2, "weight_average": 0.9},
            "--triggered-averaging is 2; it must be 0 with --weight-average",
        ),
    ],
)
def test_settings_that_cannot_work_together_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        RunConfig(**settings)

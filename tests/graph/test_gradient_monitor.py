"""What the monitor measures, beside a tape; that it changes nothing; what it does with NaN."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from pipelines.config import RunConfig
from pipelines.gradients import measuring
from pipelines.gradients.reading import first_bad_step, read_epoch
from pipelines.optimizing import make_optimizer
from pipelines.row_updates import updated_by_rows

STEPS = 12
BOUND = 0.3
RNG = np.random.default_rng(5)
TOKENS = RNG.integers(0, 6, (STEPS, 8, 5))  # rows of the table are read many times
TARGETS = RNG.integers(0, 3, (STEPS, 8))


def network():
    keras.utils.set_random_seed(1)
    tokens = keras.Input((None,), dtype="int32")
    vectors = keras.layers.Embedding(6, 4, name="vectors")(tokens)
    states = keras.layers.GlobalAveragePooling1D()(vectors)
    states = keras.layers.Dense(5, activation="tanh", name="middle")(states)
    return keras.Model(tokens, keras.layers.Dense(3, name="top")(states))


def compiled(**changes):
    model = network()
    settings = {"schedule": "constant", "epochs": 1, **changes}
    model.compile(
        make_optimizer(RunConfig(**settings), STEPS),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True), jit_compile=False,
    )  # fmt: skip
    model.optimizer.build(model.trainable_variables)
    return model


def steps(model):
    """Train; give back gradients before, and weights before and after, of every step."""
    seen, norms = [], []
    for tokens, targets in zip(TOKENS, TARGETS, strict=True):
        with tf.GradientTape() as tape:
            loss = model.loss(targets, model(tokens, training=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        before = [np.array(one) for one in model.trainable_variables]
        model.train_on_batch(tokens, targets)
        after = [np.array(one) for one in model.trainable_variables]
        norms.append(float(tf.linalg.global_norm(gradients)))  # counts readings, as Keras does
        seen.append(([np.array(tf.convert_to_tensor(one)) for one in gradients], before, after))
    return seen, norms


def norm(arrays):
    return float(np.sqrt(sum(np.square(one, dtype=np.float64).sum() for one in arrays)))


@pytest.mark.parametrize("clip", [{"clip_norm": BOUND}, {"clip_norm": 0.0, "clip_value": 0.1}])
def test_norms_and_updates_are_those_of_a_tape(clip, monkeypatch):
    monkeypatch.setattr(measuring, "FEWEST_BETWEEN", 10)
    model = compiled(**clip)
    seen, counted = steps(model)
    read = read_epoch(model.optimizer, 1)
    norms = [norm(gradients) for gradients, _, _ in seen]
    assert read.steps == STEPS
    np.testing.assert_allclose(read.norms, norms, rtol=1e-4)
    np.testing.assert_allclose(read.largest, norms, rtol=1e-4)
    assert list(read.layers) == ["vectors", "middle", "top"]
    assert read.sampled == [0.0, 10 / 12]
    parts = [slice(0, 1), slice(1, 3), slice(3, 5)]
    for part, curve in zip(parts, read.layers.values(), strict=True):
        for sample, (gradients, before, after) in enumerate([seen[0], seen[10]]):
            moved = [new - old for new, old in zip(after[part], before[part], strict=True)]
            assert curve.norms[sample] == pytest.approx(norm(gradients[part]), rel=1e-4)
            share = norm(moved) / norm(before[part])
            assert curve.updates[sample] == pytest.approx(share, rel=1e-3)
    if "clip_value" in clip:
        largest = [max(np.abs(one).max() for one in gradients) for gradients, _, _ in seen]
        assert read.clipped_share == pytest.approx(np.mean(np.array(largest) > 0.1))
    else:
        assert read.clipped_share == pytest.approx(np.mean(np.array(counted) > BOUND))
        assert 0 < read.clipped_share < 1
    assert read_epoch(model.optimizer, 2).norms == []  # begun anew


@pytest.mark.parametrize(
    "changes", [{"clip_norm": 0.1}, {"optimizer": "sgd", "weight_average": 0.9, "clip_norm": 0.0,
                                     "clip_value": 0.01, "weight_decay": 0.1}],
)  # fmt: skip
def test_watching_changes_no_weight(changes):
    ends = []
    for monitor in (True, False):
        model = compiled(monitor=monitor, **changes)
        for tokens, targets in zip(TOKENS, TARGETS, strict=True):
            model.train_on_batch(tokens, targets)
        ends.append(model.get_weights())
    for one, other in zip(*ends, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("monitor", [True, False])
def test_values_are_clipped_of_a_row_as_a_whole(monitor):
    config = RunConfig(
        optimizer="sgd", learning_rate=1.0, schedule="constant", clip_norm=0.0, clip_value=0.5,
        monitor=monitor,
    )  # fmt: skip
    table, other = keras.Variable(np.zeros((3, 2), "f")), keras.Variable(np.zeros(2, "f"))
    chosen = make_optimizer(config, 100)
    chosen.build([table, other])
    values = np.array([[0.4, -2.0], [0.4, 1.9], [0.1, 0.0]], "f")
    slices = tf.IndexedSlices(tf.constant(values), tf.constant([1, 1, 2]), tf.constant([3, 2]))
    chosen.apply([slices, tf.constant([9.0, 0.2])], [table, other])
    np.testing.assert_allclose(table, [[0, 0], [-0.5, 0.1], [-0.1, 0]], rtol=1e-5)
    np.testing.assert_allclose(other, [-0.5, -0.2])


def test_tables_updated_by_rows_are_not_clipped_but_checked():
    chosen = make_optimizer(RunConfig(clip_norm=0.0, clip_value=0.1, schedule="constant"), 100)
    table = updated_by_rows(keras.Variable(np.zeros((3, 1), "f")))
    other = keras.Variable(np.ones(1, "f"))
    chosen.build([table, other])

    def gradients(value):
        slices = tf.IndexedSlices(tf.constant([[value]]), tf.constant([1]), tf.constant([3, 1]))
        return [slices, tf.constant([0.05])]

    chosen.apply(gradients(5.0), [table, other])
    rate = 150 * float(chosen.learning_rate)
    np.testing.assert_allclose(table, [[0], [-rate * 5 / np.sqrt(26)], [0]], rtol=1e-5)
    before = np.array(table)
    chosen.apply(gradients(np.nan), [table, other])
    np.testing.assert_array_equal(table, before)
    assert first_bad_step(chosen) == 1
    assert chosen.layer_names == (chosen.layer_names[0],)  # the table is none of its layers


def test_nothing_is_learned_from_a_step_that_is_not_finite_nor_after():
    model = compiled()
    model.train_on_batch(TOKENS[0], TARGETS[0])
    kept = model.get_weights()
    bad = np.ones(8, np.float32)
    bad[3] = np.nan
    model.train_on_batch(TOKENS[1], TARGETS[1], sample_weight=bad)
    model.train_on_batch(TOKENS[2], TARGETS[2])
    for one, other in zip(kept, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert first_bad_step(model.optimizer) == 1
    assert read_epoch(model.optimizer, 1).norms[1:] == []


def test_a_loss_alone_that_is_not_finite_is_seen():
    model = compiled()
    model.compile(model.optimizer, lambda y, x: keras.ops.sum(x) * 0 + np.inf, jit_compile=False)
    model.train_on_batch(TOKENS[0], TARGETS[0])
    assert first_bad_step(model.optimizer) == 0


def test_half_precision_is_measured_unscaled():
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        model = compiled()
        model.train_on_batch(TOKENS[0], TARGETS[0])
        half = read_epoch(model.optimizer.inner_optimizer, 1)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    model = compiled()
    model.train_on_batch(TOKENS[0], TARGETS[0])
    assert half.norms == pytest.approx(read_epoch(model.optimizer, 1).norms, rel=0.02)

"""Tables updated by rows, step by step beside the same optimizer that moves all rows."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from pipelines import lazy_tables
from pipelines.config import RunConfig
from pipelines.gradients import measuring
from pipelines.layers.row_embedding import RowEmbedding
from pipelines.layers.tokens import SummedEmbedding
from pipelines.lazy_tables import lazy_table
from pipelines.optimizing import make_optimizer

ROWS, STEPS = 40, 30
RNG = np.random.default_rng(3)
TOKENS = RNG.zipf(1.5, (STEPS, 6, 5)).clip(1, ROWS - 1)  # a few rows often, most of them seldom
TARGETS = RNG.integers(0, 3, (STEPS, 6))
TOKENS[8:24][TOKENS[8:24] > 4] = 2  # these are read again after a long time


def network():
    keras.utils.set_random_seed(1)
    tokens = keras.Input((None,), dtype="int32")
    states = RowEmbedding(ROWS, 4, name="vectors")(tokens)
    states = keras.layers.GlobalAveragePooling1D()(states)
    states = keras.layers.Dense(5, activation="tanh", name="middle")(states)
    return keras.Model(tokens, keras.layers.Dense(3, name="top")(states))


def compiled(*, lazy, monkeypatch, **changes):
    monkeypatch.setattr(lazy_tables, "FEWEST_ROWS", 1 if lazy else 10**9)
    model = network()
    settings = {"epochs": 1, "learning_rate": 0.02, **changes}
    model.compile(
        make_optimizer(RunConfig(**settings), STEPS),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True), jit_compile=False,
    )  # fmt: skip
    model.optimizer.build(model.trainable_variables)
    (way,) = model.optimizer.ways().values()
    assert way == ("rows" if lazy else "all")
    return model


def trained(model, first=0, last=STEPS):
    steps = zip(TOKENS[first:last], TARGETS[first:last], strict=True)
    return [float(model.train_on_batch(tokens, targets)) for tokens, targets in steps]


def settled(model):
    model.optimizer.settle()
    return model.get_weights()


def states(optimizer):
    return {one.path.split("/", 1)[1]: np.array(one) for one in optimizer.variables}


def assert_close(one, other):
    for left, right in zip(one, other, strict=True):
        np.testing.assert_allclose(left, right, rtol=2e-4, atol=2e-6)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"weight_decay": 0.5, "weight_average": 0.9, "schedule": "constant"},
        {"clip_norm": 0.0, "clip_value": 0.01, "monitor": False, "weight_average": 0.8},
        {"clip_norm": 0.05, "unfreeze_every": 1, "weight_decay": 0.1},
    ],
)
def test_all_that_a_step_reads_is_what_adam_on_the_whole_table_gives(changes, monkeypatch):
    dense, lazy = (compiled(lazy=one, monkeypatch=monkeypatch, **changes) for one in (False, True))
    # The loss of a step tells of every row that it reads.
    np.testing.assert_allclose(trained(lazy), trained(dense), rtol=1e-5)
    assert np.abs(lazy.get_weights()[0] - dense.get_weights()[0]).max() > 1e-3  # rows wait
    assert_close(settled(lazy), dense.get_weights())
    kept = [states(model.optimizer) for model in (lazy, dense)]
    assert_close(*([one[name] for name in kept[1] if "looks" not in name] for one in kept))
    for model in (lazy, dense):
        model.optimizer.finalize_variable_values(model.trainable_variables)
    assert_close(lazy.get_weights(), dense.get_weights())


def test_a_mean_that_is_triggered_in_between(monkeypatch):
    ends = []
    for lazy in (True, False):
        model = compiled(lazy=lazy, monkeypatch=monkeypatch, triggered_averaging=1)
        trained(model, 0, 10)
        model.optimizer.trigger()
        trained(model, 10)
        model.optimizer.finalize_variable_values(model.trainable_variables)
        ends.append(model.get_weights())
    assert_close(*ends)


@pytest.mark.parametrize("block", [7, 1000])
def test_a_table_is_settled_in_time(block, monkeypatch):
    monkeypatch.setattr(lazy_tables, "BLOCK_ROWS", block)
    monkeypatch.setattr(lazy_tables, "MOST_STEPS", 4)
    lazy = compiled(lazy=True, monkeypatch=monkeypatch, weight_average=0.9)
    trained(lazy)
    assert 0 < int(lazy_table(lazy.trainable_variables[0]).passed) <= 4
    dense = compiled(lazy=False, monkeypatch=monkeypatch, weight_average=0.9)
    trained(dense)
    assert_close(settled(lazy), dense.get_weights())
    before = lazy.get_weights()
    for left, right in zip(before, settled(lazy), strict=True):
        np.testing.assert_array_equal(left, right)


def test_with_every_row_in_every_step_it_is_the_adam_of_keras(monkeypatch):
    monkeypatch.setattr(lazy_tables, "FEWEST_ROWS", 1)
    config = RunConfig(schedule="constant", clip_norm=0.0, monitor=False, weight_decay=0.1)
    ends = []
    for chosen in (make_optimizer(config, 9), keras.optimizers.AdamW(2e-3, weight_decay=0.1)):
        table = keras.Variable(np.ones((5, 2), np.float32))
        chosen.build([lazy_tables.read_by_rows(table)])
        for seed in range(9):
            values = np.random.default_rng(seed).normal(size=(5, 2)).astype("float32")
            slices = tf.IndexedSlices(values, tf.constant([3, 1, 0, 2, 4]), tf.constant([5, 2]))
            chosen.apply([slices], [table])
        ends.append(np.array(table))
    np.testing.assert_allclose(*ends, rtol=1e-6)


def test_a_run_goes_on_from_saved_variables_to_the_same_bits(monkeypatch):
    whole = compiled(lazy=True, monkeypatch=monkeypatch, weight_average=0.9)
    trained(whole)
    first = compiled(lazy=True, monkeypatch=monkeypatch, weight_average=0.9)
    trained(first, 0, 17)
    second = compiled(lazy=True, monkeypatch=monkeypatch, weight_average=0.9)
    for old, new in zip(
        [*first.variables, *first.optimizer.variables],
        [*second.variables, *second.optimizer.variables], strict=True,
    ):  # fmt: skip
        new.assign(np.array(old))
    trained(second, 17)
    for left, right in zip(settled(whole), settled(second), strict=True):
        np.testing.assert_array_equal(left, right)


def test_a_dense_gradient_moves_all_rows(monkeypatch):
    ends = []
    for lazy in (True, False):
        model = compiled(lazy=lazy, monkeypatch=monkeypatch)
        table = model.trainable_variables[0]
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(
            model.optimizer, lambda y, x, t=table, f=loss: f(y, x) + 0.1 * keras.ops.sum(t**2),
            jit_compile=False,
        )  # fmt: skip
        trained(model)
        assert model.optimizer.ways() == {table.path: "all"}
        ends.append(model.get_weights())
    for left, right in zip(*ends, strict=True):
        np.testing.assert_array_equal(left, right)


def test_another_optimizer_takes_over(monkeypatch):
    model = compiled(lazy=True, monkeypatch=monkeypatch)
    trained(model, 0, 3)
    before = settled(model)[0]
    config = RunConfig(optimizer="sgd", schedule="constant", weight_average=0.5)
    chosen = make_optimizer(config, STEPS)
    model.compile(chosen, model.loss, jit_compile=False)
    chosen.build(model.trainable_variables)
    trained(model, 3, 6)
    seen = np.isin(np.arange(ROWS), TOKENS[3:6])
    moved = (np.array(model.get_weights()[0]) != before).any(axis=-1)
    np.testing.assert_array_equal(moved, seen)
    chosen.finalize_variable_values(model.trainable_variables)  # the average followed as well
    np.testing.assert_array_equal(np.any(model.get_weights()[0] != before, axis=-1), seen)


def operations(graph):
    """Yield every operation of a graph, with those of the functions it calls and branches to."""
    yield from graph.get_operations()
    for function in graph._functions.values():
        inner = getattr(function, "graph", None)
        if inner is not None:
            yield from operations(inner)


def test_a_step_reads_and_writes_rows_alone(monkeypatch):
    """What the step time depends on, without a clock: nothing is as large as a table."""
    changes = {"weight_decay": 0.1, "weight_average": 0.9}
    monkeypatch.setattr(measuring, "SAMPLED_ROWS", 4)
    model = compiled(lazy=True, monkeypatch=monkeypatch, **changes)
    trained(model, 0, 1)
    traced = tf.function(lambda x, y: model.train_step((x, y)), autograph=False)
    graph = traced.get_concrete_function(
        tf.TensorSpec((None, None), tf.int32), tf.TensorSpec((None,), tf.int32)
    ).graph
    kinds, large = set(), []
    for operation in operations(graph):
        for tensor in [*operation.inputs, *operation.outputs]:
            shape = tensor.shape
            if shape.rank and shape.rank > 1 and shape[0] == ROWS:
                large.append(operation.name)
        kinds.add(operation.type)
    assert {"ResourceGather", "ResourceScatterUpdate"} <= kinds
    assert not large


def test_half_precision(monkeypatch):
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        ends = []
        for lazy in (True, False):
            monkeypatch.setattr(lazy_tables, "FEWEST_ROWS", 1 if lazy else 10**9)
            model = network()
            chosen = make_optimizer(RunConfig(epochs=1), STEPS)
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            model.compile(chosen, loss, jit_compile=False)
            trained(model, 0, 12)
            model.optimizer.finalize_variable_values(model.trainable_variables)
            ends.append(model.get_weights())
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert_close(*ends)


def test_the_layer_is_an_embedding_that_is_saved(tmp_path):
    tokens = keras.Input((None,), dtype="int32")
    model = keras.Model(tokens, RowEmbedding(ROWS, 4, mask_zero=True)(tokens))
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again(TOKENS[0]), model(TOKENS[0]))
    plain = keras.layers.Embedding(ROWS, 4, weights=model.get_weights())
    np.testing.assert_array_equal(plain(TOKENS[0]), model(TOKENS[0]))


def test_a_table_read_twice_in_a_step_and_summed_features(monkeypatch):
    """One table read by two inputs in half precision, another by a layer that sums its rows."""
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        ends = []
        for lazy in (True, False):
            monkeypatch.setattr(lazy_tables, "FEWEST_ROWS", 1 if lazy else 10**9)
            keras.utils.set_random_seed(2)
            tokens = keras.Input((None,), dtype="int32")
            table, summed = RowEmbedding(ROWS, 4), SummedEmbedding(ROWS, 4)
            vectors = table(tokens) + table(tokens // 2) + summed(tokens[..., None])
            scores = keras.layers.Dense(3)(keras.layers.GlobalAveragePooling1D()(vectors))
            model = keras.Model(tokens, scores)
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            chosen = make_optimizer(RunConfig(epochs=1, weight_average=0.9), STEPS)
            model.compile(chosen, loss, jit_compile=False)
            trained(model, 0, 12)
            assert set(chosen.ways().values()) == {"rows" if lazy else "all"}
            model.optimizer.finalize_variable_values(model.trainable_variables)
            ends.append(model.get_weights())
    finally:
        keras.mixed_precision.set_global_policy("float32")
    for left, right in zip(*ends, strict=True):
        np.testing.assert_allclose(left, right, atol=2e-4)

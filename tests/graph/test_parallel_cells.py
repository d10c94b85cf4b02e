"""Recurrences of all steps at once: equal to the steps one by one, wherever they run."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from pipelines.layers.cells.making import make_recurrence
from pipelines.layers.cells.scanning import BLOCK, linear_recurrence
from pipelines.layers.recurrent_state import run_layer, state_sizes, step_layer

KINDS = ("mingru", "minlstm", "sru")


def draw(*size, seed=0):
    return np.random.default_rng([seed, *size]).normal(size=size).astype("float32")


def layer_of(kind, width=4, **options):
    layer = make_recurrence({"cell": kind}, 1, units=3, **options)
    layer.build((None, None, width))
    layer.cell.bias.assign(draw(*layer.cell.bias.shape))
    return layer


def stepped(layer, inputs, mask, state):
    """One step after the other; a masked one leaves the state and puts out 0."""
    outputs, order = np.zeros((*mask.shape, 3)), range(mask.shape[1])
    for t in reversed(order) if layer.go_backwards else order:
        output, after = step_layer(layer, inputs[:, t], state)
        real = mask[:, t, None]
        outputs[:, t] = np.where(real, output, 0)
        state = [np.where(real, new, old) for new, old in zip(after, state, strict=True)]
    return outputs, state


@settings(max_examples=15)
@given(
    kind=st.sampled_from(KINDS),
    rows=st.integers(1, 3),
    steps=st.integers(1, 2 * BLOCK + 3),
    share=st.sampled_from((0.0, 0.3, 1.0)),
    backwards=st.booleans(),
    seed=st.integers(0, 99),
)
def test_all_steps_at_once_equal_steps_one_by_one(kind, rows, steps, share, backwards, seed):
    layer = layer_of(kind, width=3 if seed % 2 else 4, go_backwards=backwards)
    inputs = draw(rows, steps, layer.cell.kernel.shape[0], seed=seed) * 3
    mask = np.random.default_rng(seed).uniform(size=(rows, steps)) >= share
    start = [draw(rows, 3, seed=n) for n, _ in enumerate(state_sizes(layer))]
    outputs, final = run_layer(layer, inputs, mask, start, False)
    expected = stepped(layer, inputs, mask, start)
    for ours, theirs in zip([outputs, *final], [expected[0], *expected[1]], strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize(
    ("steps", "length"), [(1, "unknown"), (BLOCK + 1, "known"), (2 * BLOCK + 5, "unknown")]
)
def test_the_recurrence_and_its_gradients_are_those_of_a_loop(steps, length):
    factors, terms = np.random.default_rng(1).uniform(size=(2, 3, steps, 2)).astype("float32")
    start, wanted = draw(3, 2), draw(3, steps, 2)
    spec = [tf.TensorSpec((None, None if length == "unknown" else steps, 2))] * 2
    spec.append(tf.TensorSpec((None, 2)))

    def loop(a, b, h):
        states = []
        for t in range(steps):
            h = a[:, t] * h + b[:, t]
            states.append(h)
        return tf.stack(states, axis=1)

    def both(of):
        @tf.function(input_signature=spec, autograph=False)
        def graph(*given):
            with tf.GradientTape() as tape:
                tape.watch(given)
                states = of(*given)
                loss = tf.reduce_sum(states * wanted)
            return [states, *tape.gradient(loss, given)]

        return graph(factors, terms, start)

    for ours, theirs in zip(both(linear_recurrence), both(loop), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


def test_saturated_gates_divide_by_nothing():
    for kind in KINDS:
        layer = layer_of(kind)
        inputs = tf.constant(draw(2, 40, 4) * 1e4)
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            states = layer(inputs)
            loss = tf.reduce_sum(states)
        assert np.isfinite(states).all()
        assert np.isfinite(tape.gradient(loss, inputs)).all()


def test_the_longest_step_is_remembered_by_a_gate_that_stays_open():
    ones, noughts = np.ones((1, 1000, 1), "float32"), np.zeros((1, 1000, 1), "float32")
    states = ops.convert_to_numpy(linear_recurrence(ones, noughts, np.full((1, 1), 3.0, "float32")))
    assert (states == 3).all()


def test_an_export_holds_core_operations_and_any_batch(tmp_path):
    inputs = keras.Input((None, 4))
    parts = [make_recurrence({"cell": it}, 1, units=3, go_backwards=True) for it in KINDS]
    mask = ops.any(ops.not_equal(inputs, 0), axis=-1)
    model = keras.Model(inputs, [part(inputs, mask=mask) for part in parts])
    archive = keras.export.ExportArchive()
    archive.track(model)
    signature = [tf.TensorSpec((None, None, 4), tf.float32)]
    archive.add_endpoint("serve", lambda x: dict(zip(KINDS, model(x), strict=True)), signature)
    archive.write_out(str(tmp_path), verbose=False)
    loaded = tf.saved_model.load(str(tmp_path))
    graph = loaded.serve.concrete_functions[0].graph.as_graph_def()
    used = {node.op for it in graph.library.function for node in it.node_def}
    used |= {node.op for node in graph.node}
    assert not [name for name in used if "Xla" in name or "PyFunc" in name]
    for rows, steps in ((1, 3), (3, 2 * BLOCK + 1)):
        values = draw(rows, steps, 4)
        values[0, 2:] = 0
        served = loaded.serve(values)
        for kind, expected in zip(KINDS, model(values), strict=True):
            np.testing.assert_allclose(served[kind], expected, atol=1e-6)


def test_shapes_and_masks_of_states_are_told():
    for kind, count in zip(KINDS, (1, 1, 2), strict=True):
        layer = layer_of(kind, go_backwards=True)
        layer.return_state = True
        given_shape = (2, None, 4)
        assert layer.compute_output_shape(given_shape) == ((2, None, 3), *[(2, 3)] * count)
        assert layer.compute_mask(None, "mask") == ["mask"] + [None] * count
        assert layer.get_config()["go_backwards"] is True


TRAINED = """
import sys

import keras
import numpy as np
from keras import ops

from pipelines.layers.cells.making import make_recurrence

EVERY = [
    {"cell": "sru"}, {"cell": "lstm", "peephole": True},
    {"cell": "gru", "deep_transition": 1, "skips": True, "recurrent_dropout": 0.2},
]


def build():
    inputs = keras.Input((20, 4), batch_size=2)
    mask = ops.any(ops.not_equal(inputs, 0), axis=-1)
    parts = [make_recurrence(it, 1, units=3) for it in EVERY]
    return keras.Model(inputs, [part(inputs, mask=mask) for part in parts])
"""
STEP = """
model = build()
values = np.random.default_rng(0).normal(size=(2, 20, 4)).astype("float32")
values[0, 15:] = 0
model.compile("sgd", ["mse"] * 3, jit_compile=True)
before = [weight.numpy() for weight in model.trainable_weights]
model.train_on_batch(values, [np.ones((2, 20, 3), "float32")] * 3)
assert all((w.numpy() != b).any() for w, b in zip(model.trainable_weights, before))
model.save_weights(sys.argv[1] + "/model.weights.h5")
np.savez(sys.argv[1] + "/out.npz", values, *model.predict(values, verbose=0))
"""


def test_jax_trains_own_cells_and_tensorflow_agrees(jax_process, tmp_path):
    jax_process.run(TRAINED + STEP, tmp_path)
    names = {"__name__": "model"}
    exec(TRAINED, names)
    model = names["build"]()
    model.load_weights(tmp_path / "model.weights.h5")
    values, *theirs = np.load(tmp_path / "out.npz").values()
    for ours, other in zip(model.predict(values, verbose=0), theirs, strict=True):
        np.testing.assert_allclose(ours, other, atol=1e-5)

import itertools

import keras
import numpy as np
import pytest
from keras import ops

from pipelines.config import RunConfig
from pipelines.layers import fast_recurrent, recurrent
from pipelines.layers.noise import WordDropout
from pipelines.layers.recurrent import RecurrentStack, SequencePooling
from pipelines.layers.recurrent_paths import paths_taken

RNG = np.random.default_rng(0)


def padded(lengths, width=5, extra=0):
    steps = max(lengths) + extra
    mask = np.arange(steps) < np.array(lengths)[:, None]
    inputs = RNG.normal(size=(len(lengths), steps, width)).astype("float32")
    return inputs, mask


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm_by_hand(layer, inputs):
    """Hochreiter & Schmidhuber's cell with a forget gate, one row, as Keras orders the gates."""
    kernel, recurrent, bias = (np.array(weight) for weight in layer.get_weights())
    state = memory = np.zeros(layer.units)
    outputs = []
    for step in inputs:
        i, f, c, o = np.split(step @ kernel + state @ recurrent + bias, 4)
        memory = sigmoid(f) * memory + sigmoid(i) * np.tanh(c)
        state = sigmoid(o) * np.tanh(memory)
        outputs.append(state)
    return np.stack(outputs)


def test_a_bidirectional_layer_is_two_cells_read_in_opposite_directions():
    stack = RecurrentStack(cell="lstm", units=4, seed=1)
    inputs, mask = padded([3, 6])
    outputs = ops.convert_to_numpy(stack(inputs, mask=mask))
    pair = stack._layers_of_depth[0]["recurrence"]
    for row, length in enumerate([3, 6]):
        forward = lstm_by_hand(pair.forward_layer, inputs[row, :length])
        backward = lstm_by_hand(pair.backward_layer, inputs[row, :length][::-1])[::-1]
        expected = np.concatenate([forward, backward], -1)
        np.testing.assert_allclose(outputs[row, :length], expected, atol=1e-5)
        assert (outputs[row, length:] == 0).all()


OPTIONS = [
    {
        "cell": cell,
        "direction": "both" if both else "forward",
        "depth": depth,
        "layer_norm": norm,
        "residual": norm,
    }
    for cell, both, depth, norm in itertools.product(
        ("simple", "gru", "lstm"), (False, True), (1, 2), (False, True)
    )
]


@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: "-".join(map(str, o.values())))
def test_padding_and_batch_mates_change_nothing(options):
    stack = RecurrentStack(units=3, seed=2, **options)
    inputs, mask = padded([4, 2, 1], width=stack.width, extra=3)
    outputs = ops.convert_to_numpy(stack(inputs, mask=mask))
    inputs[~mask] = 99.0
    np.testing.assert_allclose(stack(inputs, mask=mask), outputs, atol=1e-5)
    alone = ops.convert_to_numpy(stack(inputs[1:2, :2], mask=mask[1:2, :2]))
    np.testing.assert_allclose(alone[0], outputs[1, :2], atol=1e-5)
    assert outputs.shape == stack.compute_output_shape(inputs.shape)


@pytest.mark.parametrize(
    ("option", "axis"), [("variational_dropout", 1), ("recurrent_dropout", None)]
)
def test_dropout_acts_in_training_alone(option, axis):
    stack = RecurrentStack(units=4, seed=3, **{option: 0.5})
    inputs, mask = padded([5, 5])
    quiet = [ops.convert_to_numpy(stack(inputs, mask=mask)) for _ in range(2)]
    np.testing.assert_array_equal(*quiet)
    loud = [ops.convert_to_numpy(stack(inputs, mask=mask, training=True)) for _ in range(2)]
    assert not np.allclose(*loud)


def test_a_stack_is_rebuilt_from_its_config():
    config = RunConfig(cell="gru", units=7, depth=2, direction="forward", residual=True)
    stack = RecurrentStack.from_run_config(config, use_cudnn=False)
    again = RecurrentStack.from_config(stack.get_config())
    assert again.settings == stack.settings
    assert again.settings["cell"] == "gru"
    assert again.settings["use_cudnn"] is False


def test_residual_adds_the_input_where_widths_agree():
    plain = RecurrentStack(units=5, direction="forward", seed=4)
    added = RecurrentStack(units=5, direction="forward", residual=True, seed=4)
    inputs, mask = padded([4])
    np.testing.assert_allclose(
        added(inputs, mask=mask), ops.convert_to_numpy(plain(inputs, mask=mask)) + inputs, atol=1e-6
    )


def test_pooling_by_hand():
    states = np.arange(12, dtype="float32").reshape(1, 3, 4)
    mask = np.array([[True, True, False]])

    def pool(kind, **options):
        return ops.convert_to_numpy(SequencePooling((kind,), **options)(states, mask))[0].tolist()

    assert pool("last") == [4, 5, 6, 7]
    assert pool("last", backward=[[2, 4]]) == [4, 5, 2, 3]
    assert pool("mean") == [2, 3, 4, 5]
    assert pool("max") == [4, 5, 6, 7]


def test_attention_weighs_real_steps_by_the_query():
    states = RNG.normal(size=(1, 4, 3)).astype("float32")
    mask = np.array([[True, True, False, False]])
    layer = SequencePooling(("attention", "mean"))
    pooled = ops.convert_to_numpy(layer(states, mask))[0]
    scores = np.exp(states[0, :2] @ ops.convert_to_numpy(layer.query))
    expected = (scores / scores.sum() * states[0, :2]).sum(0)
    np.testing.assert_allclose(pooled[:3], expected, atol=1e-6)
    np.testing.assert_allclose(pooled[3:], states[0, :2].mean(0), atol=1e-6)


def test_word_dropout_hides_the_stated_share_and_spares_padding():
    ids = np.full((200, 50), 7, "int32")
    ids[:, 40:] = 0
    layer = WordDropout(0.3, seed=5)
    np.testing.assert_array_equal(layer(ids), ids)
    noisy = ops.convert_to_numpy(layer(ids, training=True))
    assert (noisy[:, 40:] == 0).all()
    assert set(np.unique(noisy[:, :40])) == {1, 7}
    assert (noisy[:, :40] == 1).mean() == pytest.approx(0.3, abs=0.03)
    assert isinstance(WordDropout.from_config(layer.get_config()), keras.layers.Layer)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_the_fast_path_trains_to_the_same_weights(cell, monkeypatch):
    calls = []

    def counted(*args):
        calls.append(args)
        return fast_recurrent.run_fast(*args)

    monkeypatch.setattr(recurrent, "run_fast", counted)
    lengths = np.array([7, 3, 1, 7])
    vectors = np.random.default_rng(0).normal(size=(4, 7, 3)).astype(np.float32)
    mask = np.arange(7) < lengths[:, None]
    weights = []
    for fast in (False, True):
        keras.utils.set_random_seed(1)
        inputs, given = keras.Input((None, 3)), keras.Input((None,), dtype="bool")
        states = RecurrentStack(cell=cell, units=4, depth=2, fast=fast, seed=2)(inputs, mask=given)
        model = keras.Model([inputs, given], SequencePooling(("mean",))(states, given))
        model.compile(keras.optimizers.SGD(0.5), "mse", jit_compile=False)
        for _ in range(3):
            model.train_on_batch([vectors, mask], np.ones((4, 8), np.float32))
        weights.append(model.get_weights())
        reasons = set(paths_taken(model).values())
        assert reasons == {"the fast path"} if fast else {"it is switched off (--no-fast)"}
    assert len(calls) == 2  # a layer each, traced once
    for stock, ours in zip(*weights, strict=True):
        np.testing.assert_allclose(ours, stock, atol=2e-5)

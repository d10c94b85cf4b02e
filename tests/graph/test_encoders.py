"""Encoders without recurrence, the choice among all of them, and one-hot inputs."""

import dataclasses

import keras
import numpy as np
import pytest
from keras import ops

from pipelines.layers.encoders import ConvEncoder, DenseEncoder, make_encoder
from pipelines.layers.ngram_detectors import NgramDetectors
from pipelines.layers.one_hot import OneHot
from pipelines.layers.recurrent import RecurrentStack
from pipelines.text.classifier_config import ClassifierConfig

RNG = np.random.default_rng(0)
numpy = ops.convert_to_numpy


def padded(lengths, width=3, extra=0):
    mask = np.arange(max(lengths) + extra) < np.array(lengths)[:, None]
    return RNG.normal(size=(*mask.shape, width)).astype("float32"), mask


def detected(inputs, filters, biases, reach):
    """What detectors answer to one row, written out; `reach` are the offsets of each width."""
    found = np.zeros((len(inputs), len(biases)))
    units = filters[0].shape[-1]
    for number, (matrices, offsets) in enumerate(zip(filters, reach, strict=True)):
        for step in range(len(inputs)):
            for matrix, offset in zip(matrices, offsets, strict=True):
                if 0 <= step + offset < len(inputs):
                    found[step, number * units :][:units] += inputs[step + offset] @ matrix
    return np.tanh(found + biases)


REACH = {
    (False, 1): [[0], [0, 1], [-1, 0, 1], [-1, 0, 1, 2]],
    (True, 1): [[0], [-1, 0], [-2, -1, 0], [-3, -2, -1, 0]],
    (False, 3): [[0], [0, 3], [-3, 0, 3], [-3, 0, 3, 6]],
    (True, 2): [[0], [-2, 0], [-4, -2, 0], [-6, -4, -2, 0]],
}


@pytest.mark.parametrize(("causal", "dilation"), REACH)
def test_detectors_are_products_with_the_steps_around(causal, dilation):
    layer = NgramDetectors(2, widths=[1, 2, 3, 4], dilation=dilation, causal=causal)
    layer.build((None, None, 3))
    layer.set_weights([RNG.normal(size=weight.shape) for weight in layer.weights])
    *filters, biases = layer.get_weights()
    for steps in (1, 5):  # the longest reach further than both
        row = RNG.normal(size=(steps, 3)).astype("float32")
        expected = detected(row, filters, biases, REACH[causal, dilation])
        np.testing.assert_allclose(numpy(layer(row[None]))[0], expected, atol=1e-5)


def encoders(**options):
    """One of each kind, with weights that are not symmetric in any way."""
    shared = {"layer_units": (3, 2), "seed": 1} | options
    return [
        DenseEncoder(**shared),
        ConvEncoder(filter_widths=(1, 2, 5), **shared),
        ConvEncoder(filter_widths=(2, 3), causal=True, **shared),
    ]


@pytest.mark.parametrize("number", range(3))
def test_padding_changes_nothing_and_comes_out_as_0(number):
    encoder = encoders(layer_norm=True, residual=True)[number]
    lengths = [2, 5, 1]
    inputs, mask = padded(lengths, extra=3)
    inputs[~mask] = np.nan
    together = numpy(encoder(inputs, mask=mask))
    assert together.shape == (3, 8, encoder.width)
    assert (together[~mask] == 0).all()
    for row, length in enumerate(lengths):
        alone = numpy(encoder(inputs[row : row + 1, :length]))[0]
        np.testing.assert_allclose(together[row, :length], alone, atol=1e-5)


def test_dense_layers_see_one_step_and_causal_ones_no_later_one():
    dense, around, causal = encoders()
    inputs, _ = padded([9])
    other = inputs.copy()
    other[0, 4] += 1
    for encoder, reach in ((dense, {4}), (around, range(9)), (causal, range(4, 9))):
        changed = (numpy(encoder(inputs)) != numpy(encoder(other))).any(axis=-1)[0]
        seen = set(np.flatnonzero(changed))
        assert 4 in seen
        assert seen <= set(reach)
    assert len(seen) > 3  # two layers, the upper with steps left out


def test_dense_layers_are_products_and_tanh():
    encoder = DenseEncoder(layer_units=(4, 2), seed=3)
    inputs, _ = padded([4])
    found = numpy(encoder(inputs))
    expected = inputs
    for kernel, bias in zip(*[iter(encoder.get_weights())] * 2, strict=True):
        expected = np.tanh(expected @ kernel + bias)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_encoders_come_back_from_the_disk(tmp_path):
    for encoder in encoders(variational_dropout=0.1, input_dropout=0.1):
        inputs, mask = padded([3, 5])
        given = keras.Input((None, 3)), keras.Input((None,), dtype="bool")
        model = keras.Model(given, encoder(given[0], mask=given[1]))
        model.save(tmp_path / "model.keras")
        again = keras.saving.load_model(tmp_path / "model.keras")
        np.testing.assert_array_equal(again([inputs, mask]), model([inputs, mask]))


@pytest.mark.parametrize("number", range(2))
def test_dropout_and_penalties_act_in_training_alone(number):
    inputs, mask = padded([3, 5])
    options = {
        "input_dropout": 0.5, "locked_output_dropout": 0.5, "activation_penalty": 2.0,
        "temporal_activation_penalty": 1.0,
    }  # fmt: skip
    plain, encoder = encoders()[number], encoders(**options)[number]
    encoder.build(inputs.shape)
    plain.build(inputs.shape)
    encoder.set_weights(plain.get_weights())
    np.testing.assert_array_equal(encoder(inputs, mask=mask), plain(inputs, mask=mask))
    assert not encoder.losses
    noisy = numpy(encoder(inputs, mask=mask, training=True))
    assert not np.allclose(noisy, plain(inputs, mask=mask))
    assert (noisy[~mask] == 0).all()
    assert len(encoder.losses) == 2


def test_the_settings_choose_the_encoder():
    shared = {"units": 3, "depth": 2, "input_dropout": 0.1, "seed": 4}
    dense = make_encoder(ClassifierConfig(encoder="dense", **shared), name="reader")
    assert isinstance(dense, DenseEncoder)
    assert dense.name == "reader"
    assert dense.settings["layer_units"] == [3, 3]
    assert dense.settings["input_dropout"] == 0.1
    both = make_encoder(ClassifierConfig(encoder="cnn", filter_widths=(2, 3), **shared))
    assert isinstance(both, ConvEncoder)
    assert both.width == 6
    assert not both.settings["causal"]
    forward = ClassifierConfig(encoder="cnn", direction="forward", layer_units=(5, 7))
    assert make_encoder(forward).settings["causal"]
    assert make_encoder(forward).settings["layer_units"] == [5, 7]
    stack = make_encoder(ClassifierConfig(**shared), portable=True)
    assert isinstance(stack, RecurrentStack)
    assert stack.settings["use_cudnn"] is False


def test_seeds_fix_the_weights_and_widths_do_not_share_values():
    def weights(seed):
        layer = NgramDetectors(4, widths=[2, 3], seed=seed)
        layer.build((None, None, 3))
        return layer.get_weights()

    for one, other in zip(weights(0), weights(0), strict=True):
        np.testing.assert_array_equal(one, other)
    two, three, _ = weights(0)
    assert not np.allclose(two / np.abs(two).max(), three[:2] / np.abs(three).max(), atol=0.05)
    assert not np.array_equal(two, weights(1)[0])


def test_one_hot_is_an_embedding_with_an_identity_table():
    ids = np.array([[3, 1, 4, 0], [2, 0, 0, 0]])
    table = keras.layers.Embedding(5, 5, embeddings_initializer="identity")
    one_hot = numpy(OneHot(5)(ids))
    real = ids != 0
    np.testing.assert_array_equal(one_hot[real], numpy(table(ids))[real])
    assert (one_hot[~real] == 0).all()
    assert OneHot(5)(keras.Input((None,), dtype="int32")).shape == (None, None, 5)


JAX = """
import sys

import keras
import numpy as np
from keras import ops

from pipelines.layers.encoders import ConvEncoder, DenseEncoder
from pipelines.layers.one_hot import OneHot
from pipelines.layers.pooling import SequencePooling
from pipelines.layers.recurrent import RecurrentStack
from pipelines.layers.sentence_reader import SentenceReader


def build():
    tokens = keras.Input((12,), dtype="int32")
    mask = ops.not_equal(tokens, 0)
    vectors = OneHot(9)(tokens)
    words = ConvEncoder(layer_units=(3, 3), filter_widths=(2, 3), seed=1)
    reader = SentenceReader(
        words,
        SequencePooling(("attention",)),
        RecurrentStack(cell="gru", units=3, seed=2),
        SequencePooling(("max", "last"), backward=[[3, 6]]),
        endings=[4, 5],
        most=3,
        longest=4,
    )
    bag = SequencePooling(("mean",))(DenseEncoder(seed=3)(vectors, mask=mask), mask)
    found = keras.layers.Concatenate()([reader(vectors, tokens, mask), bag])
    return keras.Model(tokens, keras.layers.Dense(1)(found))
"""
TRAINED = """
model = build()
tokens = np.random.default_rng(0).integers(1, 9, (6, 12)).astype("int32")
tokens[:, 7:] *= np.arange(6)[:, None] > 2
model.compile(keras.optimizers.Adam(0.01), "mse", jit_compile=True)
before = [w.numpy() for w in model.trainable_weights]
model.train_on_batch(tokens, np.arange(6.0))
assert all((w.numpy() != b).any() for w, b in zip(model.trainable_weights, before))
model.save_weights(sys.argv[1] + "/model.weights.h5")
np.savez(sys.argv[1] + "/out.npz", tokens=tokens, found=model.predict(tokens, verbose=0))
"""


def test_jax_trains_encoders_and_tensorflow_agrees(jax_process, tmp_path):
    jax_process.run(JAX + TRAINED, tmp_path)
    names = {"__name__": "reader"}
    exec(JAX, names)
    model, theirs = names["build"](), np.load(tmp_path / "out.npz")
    model.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_allclose(model(theirs["tokens"]), theirs["found"], rtol=1e-4, atol=1e-4)


def test_every_setting_that_all_encoders_share_reaches_them():
    changes = {
        "input_dropout": 0.11, "variational_dropout": 0.12, "locked_output_dropout": 0.13,
        "activation_penalty": 0.14, "temporal_activation_penalty": 0.15, "layer_norm": True,
        "residual": True, "seed": 5,
    }  # fmt: skip
    for kind in ("cnn", "dense"):
        config = dataclasses.replace(ClassifierConfig(encoder=kind), **changes)
        settings = make_encoder(config).settings
        assert {name: settings[name] for name in changes} == changes

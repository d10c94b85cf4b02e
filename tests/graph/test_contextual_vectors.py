"""The encoder of a language model within another model."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from pipelines.layers.contextual_vectors import ContextualVectors
from pipelines.layers.gradient_gate import unfreeze
from pipelines.layers.language_model import LanguageModel

VOCABULARY, UNITS = 9, 4
TOKENS = np.array([[2, 4, 5, 6, 7, 8], [2, 8, 4, 0, 0, 0]], np.int32)
PLACES = np.array([[1, 3, 5], [1, 2, 0]], np.int32)


def language_model(depth=2, **changes):
    stack = {
        "cell": "lstm", "units": UNITS, "depth": depth, "input_dropout": 0.3,
        "variational_dropout": 0.2, "layer_norm": True, "residual": True,
    }  # fmt: skip
    layer = LanguageModel(
        VOCABULARY, embedding_size=3, stack=stack | changes, output_dropout=0.4, seed=3
    )
    layer.build()
    return layer


def vectors(trained, **changes):
    layer = ContextualVectors(trained.settings, 5, seed=1, **changes)
    layer.build()
    layer.take_weights(trained)
    return layer


STACKS = [
    {"cell": "simple"},
    {"cell": "gru"},
    {"cell": "lstm"},
    {"cell": "sru", "skips": True, "layer_units": [5, UNITS]},
    {"cell": "gru", "deep_input": 1, "deep_transition": 1, "deep_output": 1},
]


@pytest.mark.parametrize("stack", STACKS, ids=lambda stack: "-".join(stack))
@pytest.mark.parametrize("training", [False, True])
def test_the_encoder_computes_the_states_of_the_language_model(stack, training):
    trained = language_model(**stack)
    wanted, _ = trained.states(TOKENS, trained.start(2))
    found = vectors(trained).states(TOKENS, training=training)  # and nothing is dropped
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_one_hot_input_is_taken_too():
    trained = LanguageModel(
        VOCABULARY, embedding_size=0, stack={"cell": "gru", "units": UNITS, "depth": 1}, seed=3
    )
    trained.build()
    wanted, _ = trained.states(TOKENS, trained.start(2))
    np.testing.assert_allclose(vectors(trained).states(TOKENS), wanted, atol=1e-6)


def test_a_token_gets_the_state_at_its_place():
    trained = language_model()
    layer = vectors(trained)
    states, _ = trained.states(TOKENS, trained.start(2))
    found = np.asarray(layer(TOKENS, PLACES))
    for row, place in ((0, 1), (1, 1), (0, 2), (1, 0)):
        state = np.asarray(states)[row, PLACES[row, place]]
        np.testing.assert_allclose(
            found[row, place], np.asarray(layer.projection(state[None]))[0], atol=1e-6
        )


def test_padding_changes_nothing():
    layer = vectors(language_model())
    padded = layer(np.pad(TOKENS, [(0, 0), (0, 4)]), np.pad(PLACES, [(0, 0), (0, 2)]))
    np.testing.assert_allclose(padded[:, :3], layer(TOKENS, PLACES), atol=1e-6)


def test_frozen_the_projection_alone_is_trained():
    layer = vectors(language_model())
    assert [variable.path.split("/")[-2] for variable in layer.trainable_variables] == [
        "projection"
    ] * 2
    assert len(layer.weights) > 2


def moved(layer, due):
    """Which of projection, top layer, bottom layer and token vectors get a gradient."""
    inputs = [keras.Input((None,), dtype="int32") for _ in range(2)]
    unfreeze(keras.Model(inputs, layer(*inputs)), due, every=1)
    layers = [
        [variable for part in parts.values() for variable in part.trainable_variables]
        for parts in reversed(layer.stack._layers_of_depth)
    ]
    read, written = (part.trainable_variables for part in (layer.reader, layer.projection))
    with tf.GradientTape(persistent=True) as tape:
        loss = ops.sum(ops.square(layer(TOKENS, PLACES, training=True)))
    return [any_gradient(tape, loss, variables) for variables in (written, *layers, read)]


def any_gradient(tape, loss, variables):
    found = tape.gradient(loss, [variable.value for variable in variables])
    dense = [tf.convert_to_tensor(gradient) for gradient in found if gradient is not None]
    return any(float(ops.max(ops.abs(gradient))) > 0 for gradient in dense)


@pytest.mark.parametrize("due", [0, 1, 2, 3])
def test_layers_are_unfrozen_from_the_top_one_by_one(due):
    layer = vectors(language_model(), tuned=True)
    assert moved(layer, due) == [True, due >= 1, due >= 2, due >= 3]


def test_weights_of_another_shape_are_refused():
    layer = ContextualVectors(language_model(depth=1).settings, 5)
    layer.build()
    with pytest.raises(ValueError, match="weights of the language model found no place"):
        layer.take_weights(language_model(depth=2, residual=False))


def test_a_saved_model_is_the_same(tmp_path):
    layer = vectors(language_model(), tuned=True, dropout=0.1)
    inputs = [keras.Input((None,), dtype="int32", name=name) for name in ("a", "b")]
    model = keras.Model(inputs, layer(*inputs))
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again([TOKENS, PLACES]), model([TOKENS, PLACES]))

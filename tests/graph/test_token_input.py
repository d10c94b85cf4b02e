import keras
import numpy as np
import pytest
from keras import ops

from pipelines.errors import ConfigError
from pipelines.layers.token_input import TokenInput

TOKENS = np.random.default_rng(0).integers(0, 9, (40, 30)).astype("int32")


def numpy(value):
    return ops.convert_to_numpy(value)


def test_one_hot_vectors_equal_those_of_an_identity_matrix():
    one_hot, learned = TokenInput(9), TokenInput(9, 9)
    learned.build((None, None))
    learned.matrix.assign(np.eye(9))
    np.testing.assert_array_equal(one_hot(TOKENS), learned(TOKENS))
    np.testing.assert_array_equal(one_hot.step(TOKENS[:, 0]), learned(TOKENS)[:, 0])
    assert one_hot.weights == []
    assert one_hot.width == learned.width == 9
    assert one_hot.compute_output_shape((None, 5)) == (None, 5, 9)


@pytest.mark.parametrize("size", [0, 6])
def test_a_dropped_type_is_dropped_wherever_it_stands_in_a_row(size):
    layer = TokenInput(9, size, word_dropout=0.4, seed=1)
    quiet, noisy = numpy(layer(TOKENS)), numpy(layer(TOKENS, training=True))
    gone = (noisy == 0).all(-1)
    np.testing.assert_allclose(noisy[~gone], quiet[~gone] / 0.6, rtol=1e-5)
    fates = {(row, token): set() for row, tokens in enumerate(TOKENS) for token in tokens}
    for row, tokens in enumerate(TOKENS):
        for token, dropped in zip(tokens, gone[row], strict=True):
            fates[row, token].add(bool(dropped))
    assert all(len(fate) == 1 for fate in fates.values())
    assert np.mean([fate == {True} for fate in fates.values()]) == pytest.approx(0.4, abs=0.08)
    assert len({fates[row, 3] == {True} for row in range(40) if (row, 3) in fates}) == 2
    assert not np.array_equal(numpy(layer(TOKENS, training=True)), noisy)


def test_locked_dropout_drops_channels_of_a_row_at_every_step():
    layer = TokenInput(9, 50, locked_dropout=0.5, seed=1)
    ratio = numpy(layer(TOKENS, training=True)) / numpy(layer(TOKENS))
    np.testing.assert_allclose(ratio, np.repeat(ratio[:, :1], 30, axis=1), rtol=1e-4)
    assert set(np.round(ratio, 3).ravel()) == {0, 2}
    assert not np.array_equal(ratio[0], ratio[1])


@pytest.mark.parametrize("size", [0, 6])
def test_half_precision_vectors(size):
    layer = TokenInput(9, size, word_dropout=0.5, locked_dropout=0.5, dtype="mixed_float16")
    for training in (False, True):
        vectors = layer(TOKENS, training=training)
        assert keras.backend.standardize_dtype(vectors.dtype) == "float16"


def test_a_model_with_all_of_it_is_saved_and_trains_every_weight(tmp_path):
    tokens = keras.Input((None,), dtype="int32")
    layer = TokenInput(9, 4, word_dropout=0.2, locked_dropout=0.2, seed=1)
    model = keras.Model(tokens, keras.layers.Dense(1)(layer(tokens)))
    model.compile("sgd", "mse", jit_compile=False)
    before = layer.matrix.numpy()
    model.train_on_batch(TOKENS, np.ones((40, 30, 1)))
    assert (layer.matrix.numpy() != before).any()
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again(TOKENS), model(TOKENS))


def test_one_hot_vectors_cannot_be_shared():
    with pytest.raises(ConfigError, match=r"got embedding_size=0 .*set an embedding size, or"):
        _ = TokenInput(9, name="input").matrix

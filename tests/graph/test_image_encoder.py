import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from pipelines.errors import ConfigError
from pipelines.layers.image_encoder import ResidualEncoder, _FusedNorm

NARROW = {"widths": (8, 8, 16), "blocks": (1, 2, 1), "seed": 3}


def pixels(rows=3, side=24, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (rows, side, side, 3)).astype("uint8")


def small_model(side=24, **settings):
    images = keras.Input((side, side, 3), dtype="uint8")
    return keras.Model(images, ResidualEncoder(**NARROW | settings, name="encoder")(images))


def test_ninety_six_pixels_become_thirty_six_places():
    encoder = ResidualEncoder(seed=1)
    images = keras.Input((96, 96, 3), dtype="uint8")
    memory, summary = encoder(images)
    assert memory.shape == (None, 36, 192) and summary.shape == (None, 192)
    assert encoder.grid(images.shape) == (6, 6) and encoder.width == 192
    found = small_model().predict(pixels(), verbose=0)
    assert [part.dtype for part in found] == ["float32", "float32"]
    assert found[0].shape == (3, 9, 16)
    np.testing.assert_allclose(found[1], found[0].mean(axis=1), atol=1e-6)


def test_the_first_stage_may_be_the_stem_alone():
    encoder = ResidualEncoder((4, 8), blocks=(0, 1), seed=1)
    memory, _ = encoder(pixels())
    assert memory.shape == (3, 36, 8) and encoder.grid((24, 24, 3)) == (6, 6)
    assert [block.name for block in encoder.stages] == ["block_1_0"]


def test_odd_and_oblong_images_have_the_promised_grid():
    encoder = ResidualEncoder(**NARROW)
    memory, _ = encoder(np.zeros((1, 13, 30, 3), "uint8"))
    assert encoder.grid((1, 13, 30, 3)) == (2, 4) and memory.shape == (1, 8, 16)


def test_places_are_row_by_row():
    """What is changed in a corner moves that corner's place most."""
    encoder, images = ResidualEncoder(**NARROW, coordinates=False), np.full((5, 96, 96, 3), 255.0)
    images[1, :8, -8:] = images[2, -8:, :8] = 0
    memory = ops.convert_to_numpy(encoder(images)[0])
    gaps = np.abs(memory[1:3] - memory[:1]).sum(axis=-1)
    assert gaps.argmax(axis=-1).tolist() == [11, 132] and memory.shape[1] == 144


def test_a_row_does_not_depend_on_its_batch():
    model, images = small_model(), pixels(5)
    whole, alone = model(images), model(images[2:3])
    for one, other in zip(whole, alone, strict=True):
        np.testing.assert_allclose(one[2:3], other, atol=1e-5)


def test_a_seed_fixes_weights_and_no_two_convolutions_are_equal():
    first, second, other = small_model(), small_model(), small_model(seed=4)
    assert [w.path for w in first.weights] == [w.path for w in second.weights]
    for one, same in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(one, same)
    kernels = [w.numpy() for w in first.weights if w.shape == (3, 3, 8, 8)]
    assert len(kernels) == 6
    assert len({kernel.tobytes() for kernel in kernels}) == 6
    assert (first.get_weights()[0] != other.get_weights()[0]).all()
    assert first.weights[0].path == "encoder/stem/convolution/kernel"
    assert "encoder/block_1_1/block_1_1_second/norm/gamma" in {w.path for w in first.weights}


def test_it_is_saved_and_loaded_whole(tmp_path):
    model = small_model(dropout=0.1)
    model(pixels(), training=True)  # moves the averages away from where they start
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.layers[-1].get_config() == model.layers[-1].get_config()
    for one, other in zip(model(pixels()), loaded(pixels()), strict=True):
        np.testing.assert_array_equal(one, other)


def test_every_weight_learns_and_averages_follow():
    encoder = ResidualEncoder((4, 8), blocks=(2, 1), seed=3)
    with tf.GradientTape() as tape:
        memory, summary = encoder(pixels(8), training=True)
        loss = ops.sum(memory[:, ::2] ** 2) + ops.sum(summary)
    weights = encoder.trainable_variables
    gradients = tape.gradient(loss, [weight.value for weight in weights])
    assert all(np.any(gradient) for gradient in gradients)
    for average in encoder.non_trainable_variables[:-1]:  # the last is the dropout's seed
        assert not np.isin(average.numpy(), (0, 1)).all()


def test_the_fast_norm_is_batch_normalisation():
    maps = np.random.default_rng(0).normal(2, 3, (4, 5, 6, 8)).astype("float32")
    fast, stock = _FusedNorm(momentum=0.9), keras.layers.BatchNormalization(momentum=0.9)
    for _ in range(3):
        found, expected = fast(maps, training=True), stock(maps, training=True)
        np.testing.assert_allclose(found, expected, atol=2e-5)
    for one, other in zip(fast.get_weights(), stock.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)
    np.testing.assert_allclose(fast(maps), stock(maps), atol=1e-5)
    fast.trainable = False
    before = fast.get_weights()
    np.testing.assert_allclose(fast(maps, training=True), fast(maps), atol=1e-6)
    np.testing.assert_array_equal(fast.get_weights()[2], before[2])


def test_coordinates_tell_places_apart():
    """Far from the border, one colour looks alike everywhere unless places are told."""
    blank = np.full((1, 128, 128, 3), 90, "uint8")
    spread = {}
    for told in (False, True):
        encoder = ResidualEncoder((8, 8), blocks=(1, 1), coordinates=told, seed=1)
        memory = ops.convert_to_numpy(encoder(blank)[0]).reshape(32, 32, 8)[6:-6, 6:-6]
        spread[told] = np.ptp(memory, axis=(0, 1)).max()
    assert spread[False] < 1e-5 < 0.1 < spread[True]


def test_whole_channels_are_dropped_in_training_only():
    encoder = ResidualEncoder(**NARROW | {"dropout": 0.5})
    plain = ResidualEncoder(**NARROW)
    calm, undropped = (e(pixels(), training=e is plain)[0].numpy() for e in (encoder, plain))
    dropped = encoder(pixels(), training=True)[0].numpy()
    np.testing.assert_allclose(calm, ResidualEncoder(**NARROW)(pixels())[0], atol=1e-5)
    lost = (dropped == 0).all(axis=1)
    assert 0.2 < lost[(undropped != 0).any(axis=1)].mean() < 0.8
    np.testing.assert_allclose(
        dropped, np.where(lost[:, None], 0, undropped * 2), atol=1e-4
    )  # kept whole, and doubled to make up for the rest


def test_half_precision_inside_full_precision_outside():
    exact = ResidualEncoder(**NARROW)
    mixed = ResidualEncoder(**NARROW, dtype="mixed_bfloat16")
    for training in (False, True):
        expected, found = (e(pixels(), training=training) for e in (exact, mixed))
        assert {str(part.dtype) for part in found} == {"<dtype: 'float32'>"}
        np.testing.assert_allclose(found[1], expected[1], atol=0.15)


@pytest.mark.parametrize(("widths", "blocks"), [((8, 8), (1,)), ((), ()), ((8, 8), (1, 0))])
def test_stages_that_do_not_fit_are_refused(widths, blocks):
    with pytest.raises(ConfigError) as caught:
        ResidualEncoder(widths, blocks=blocks)
    assert f"widths {widths} and blocks {blocks}" in str(caught.value)
    assert "give both the same length" in str(caught.value)


UNDER_JAX = """
import sys
import keras
import numpy as np
from pipelines.layers.image_augmentation import ImageAugmentation
from pipelines.layers.image_encoder import ResidualEncoder

images, may_flip = keras.Input((8, 8, 3), dtype="uint8"), keras.Input((), dtype="float32")
vary = ImageAugmentation(shift=0.1, zoom=0.1, rotation=9, brightness=0.1, contrast=0.1, flip=True,
                         erase=0.2, seed=1)
encoder = ResidualEncoder((4, 8), blocks=(0, 1), dropout=0.1, seed=3)
model = keras.Model([images, may_flip], encoder(vary(images, may_flip)))
given = np.load(sys.argv[1] + "/images.npy"), np.ones(4, "float32")
"""
TRAINED = """
model.compile("sgd", "mse")
model.train_on_batch(given, [np.ones((4, 4, 8)), np.ones((4, 8))])
model.save_weights(sys.argv[1] + "/jax.weights.h5")
memory, summary = model.predict_on_batch(given)
np.savez(sys.argv[1] + "/jax.npz", memory=memory, summary=summary)
"""


def test_jax_trains_augmented_and_tensorflow_agrees(jax_process, tmp_path, monkeypatch):
    np.save(tmp_path / "images.npy", pixels(4, 8))
    jax_process.run(UNDER_JAX + TRAINED, tmp_path)
    monkeypatch.setattr(sys, "argv", ["", str(tmp_path)])
    names: dict = {}
    exec(UNDER_JAX, names)
    names["model"].load_weights(tmp_path / "jax.weights.h5")
    ours, theirs = names["model"](names["given"]), np.load(tmp_path / "jax.npz")
    np.testing.assert_allclose(ours[0], theirs["memory"], atol=1e-4)
    np.testing.assert_allclose(ours[1], theirs["summary"], atol=1e-4)

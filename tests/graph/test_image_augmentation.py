import keras
import numpy as np
import pytest
import tensorflow as tf

from pipelines.errors import ConfigError
from pipelines.layers.image_augmentation import ImageAugmentation

EVERYTHING = {
    "shift": 0.1, "zoom": 0.2, "rotation": 15, "brightness": 0.1, "contrast": 0.2, "flip": True,
    "erase": 0.3, "seed": 5,
}  # fmt: skip


def pixels(rows=4, side=12):
    return np.random.default_rng(0).integers(0, 256, (rows, side, side, 3)).astype("uint8")


def dot(rows=64, side=33, at=(10, 22)):
    """White images with one black pixel."""
    images = np.full((rows, side, side, 3), 255, "float32")
    images[:, at[0], at[1]] = 0
    return images


def changed(images, may_flip=None, **settings):
    layer = ImageAugmentation(**{"seed": 5} | settings)
    return np.asarray(layer(images, may_flip, training=True))


def centres(images):
    """Centre of the ink of each image: rows and columns."""
    ink = (255 - images).sum(axis=-1)
    places = np.indices(ink.shape[1:])
    total = ink.sum(axis=(1, 2))
    return tuple((ink * place).sum(axis=(1, 2)) / total for place in places)


def test_nothing_changes_at_inference_and_its_graph_holds_none_of_it():
    layer, may_flip = ImageAugmentation(**EVERYTHING), np.ones(4)
    found = layer(pixels(), may_flip)
    assert found.dtype == "float32"
    np.testing.assert_array_equal(found, pixels())
    spec = tf.TensorSpec((None, 12, 12, 3), "uint8")

    def kinds(training):
        function = tf.function(lambda x: layer(x, tf.ones(tf.shape(x)[:1]), training=training))
        return {node.type for node in function.get_concrete_function(spec).graph.get_operations()}

    assert "ImageProjectiveTransformV3" in kinds(True)
    assert kinds(False) <= {"Placeholder", "Cast", "Identity", "Shape", "Const", "StridedSlice",
                            "Fill", "Pack", "NoOp"}  # fmt: skip


def test_no_amounts_change_nothing():
    np.testing.assert_array_equal(changed(pixels(), np.ones(4)), pixels())


def test_values_keep_their_range_and_rows_differ():
    found = changed(np.repeat(pixels(1), 8, axis=0), np.ones(8), **EVERYTHING)
    assert found.shape == (8, 12, 12, 3) and found.min() >= 0 and found.max() <= 255
    assert len({image.tobytes() for image in found}) == 8
    again = changed(np.repeat(pixels(1), 8, axis=0), np.ones(8), **EVERYTHING)
    np.testing.assert_array_equal(found, again)
    layer = ImageAugmentation(**EVERYTHING)
    assert not np.array_equal(layer(pixels(), training=True), layer(pixels(), training=True))


def test_shift_moves_up_to_its_share_and_lets_white_in():
    rows, columns = centres(changed(dot(), shift=0.2))
    for place, start in ((rows, 10), (columns, 22)):
        assert np.abs(place - start).max() <= 0.2 * 33 + 0.01
        assert place.min() < start - 3 and place.max() > start + 3
    white = changed(np.full((8, 9, 9, 3), 255, "uint8"), shift=0.3, rotation=40, zoom=0.5)
    np.testing.assert_allclose(white, 255, atol=1e-3)


def test_rotation_keeps_the_distance_from_the_centre():
    rows, columns = (place - 16 for place in centres(changed(dot(), rotation=30)))
    np.testing.assert_allclose(np.hypot(rows, columns), np.hypot(6, 6), atol=0.3)
    turned = np.degrees(np.arctan2(rows, columns) - np.arctan2(-6, 6))
    assert np.abs(turned).max() < 31 and turned.min() < -15 and turned.max() > 15


def test_zoom_scales_the_distance_from_the_centre():
    rows, columns = (place - 16 for place in centres(changed(dot(), zoom=0.3)))
    scale = np.hypot(rows, columns) / np.hypot(6, 6)
    assert 0.65 < scale.min() < 0.85 and 1.15 < scale.max() < 1.35
    np.testing.assert_allclose(-rows / columns, 1, atol=0.1)


def test_only_rows_that_may_be_mirrored_are():
    images = np.repeat(pixels(1), 40, axis=0)
    may_flip = np.arange(40) % 2 == 0
    found = changed(images, may_flip, flip=True)
    mirrored = (found == images[:, :, ::-1]).all(axis=(1, 2, 3))
    same = (found == images).all(axis=(1, 2, 3))
    assert same[~may_flip].all() and (same ^ mirrored).all()
    assert 5 <= mirrored[may_flip].sum() <= 15
    np.testing.assert_array_equal(changed(images, None, flip=True), images)
    np.testing.assert_array_equal(changed(images, may_flip), images)
    moved = centres(changed(dot(), np.ones(64), flip=True, shift=0.05))[1]
    assert (np.abs(moved - 16) > 4).all() and 20 <= (moved < 16).sum() <= 44


def test_brightness_and_contrast_change_mean_and_spread():
    images = np.tile(np.linspace(100, 150, 12)[:, None, None], (50, 1, 12, 3))
    brighter = changed(images, brightness=0.2).mean(axis=(1, 2, 3)) - 125
    assert np.abs(brighter).max() <= 51 and brighter.min() < -25 and brighter.max() > 25
    sharper = changed(images, contrast=0.5)
    np.testing.assert_allclose(sharper.mean(axis=(1, 2, 3)), 125, atol=0.1)
    factor = np.ptp(sharper, axis=(1, 2, 3)) / 50
    assert 0.5 <= factor.min() < 0.7 and 1.3 < factor.max() <= 1.5


def test_one_rectangle_of_one_colour_is_erased():
    images = pixels(30, 20)
    differs = (changed(images, erase=0.5) != images).any(axis=-1)
    for mask in differs:
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        assert mask.sum() == len(rows) * len(columns)
        assert len(rows) <= 11 and len(columns) <= 11
        assert not len(rows) or len(rows) == np.ptp(rows) + 1
    assert differs.mean() > 0.02


def test_it_is_saved_with_a_model(tmp_path):
    images, may_flip = keras.Input((12, 12, 3), dtype="uint8"), keras.Input((), dtype="bool")
    model = keras.Model([images, may_flip], ImageAugmentation(**EVERYTHING)(images, may_flip))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras").layers[-1]
    assert loaded.get_config() == model.layers[-1].get_config()
    assert EVERYTHING.items() <= loaded.get_config().items()


@pytest.mark.parametrize(("name", "amount"), [("shift", 1.0), ("zoom", -0.1), ("rotation", 180)])
def test_amounts_out_of_range_are_refused(name, amount):
    with pytest.raises(ConfigError) as caught:
        ImageAugmentation(**{name: amount})
    assert f"{name} is {amount}; expected 0 (none) or more" in str(caught.value)
    assert "give a smaller change" in str(caught.value)

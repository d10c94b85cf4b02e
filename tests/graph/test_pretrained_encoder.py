import logging

import keras
import numpy as np
import pytest
from keras import ops

from pipelines.captioning.networks import NETWORKS
from pipelines.errors import ConfigError
from pipelines.layers import pretrained_encoder
from pipelines.layers.pretrained_encoder import (
    PretrainedEncoder,
    network_name,
    network_names,
    weights_fingerprint,
)


def pixels(rows=2, side=32):
    return np.random.default_rng(0).integers(0, 256, (rows, side, side, 3)).astype("uint8")


def tiny(include_top, weights=None, input_shape=None):
    """A network of the form that Keras' have: convolution and norm, then a classifier."""
    images = keras.Input(input_shape or (48, 48, 3))
    maps = keras.layers.Conv2D(4, 3, strides=8, padding="same", activation="relu")(images)
    maps = keras.layers.BatchNormalization()(maps)
    if include_top:
        maps = keras.layers.Dense(10)(keras.layers.GlobalAveragePooling2D()(maps))
    assert weights is None
    return keras.Model(images, maps)


@pytest.fixture
def tiny_network(monkeypatch):
    """Let MobileNetV2 be a tiny network, with its way of preparing pixels."""
    tiny.__module__ = keras.applications.MobileNetV2.__module__
    monkeypatch.setattr(keras.applications, "MobileNetV2", tiny)
    return "mobilenetv2"


def drawn(network):
    """Give a network random weights, averages included."""
    random = np.random.default_rng(1)
    network.set_weights([random.random(w.shape) + 0.5 for w in network.get_weights()])
    return network


def save(network, path):
    (network.save_weights if path.name.endswith(".weights.h5") else network.save)(path)
    return str(path)


def test_a_real_network_reads_prepared_pixels():
    encoder = PretrainedEncoder("mobilenetv2")
    memory, summary = encoder(pixels())
    assert memory.shape == (2, 1, 1280) and summary.shape == (2, 1280)
    assert str(memory.dtype) == "<dtype: 'float32'>"
    assert encoder.width == 1280 and encoder.grid((None, 32, 32, 3)) == (1, 1)
    network = keras.applications.MobileNetV2(
        include_top=False, weights=None, input_shape=(32, 32, 3)
    )
    network.set_weights(encoder.get_weights())
    expected = network(pixels().astype("float32") / 127.5 - 1)
    np.testing.assert_allclose(memory, ops.reshape(expected, (2, 1, 1280)), atol=1e-4)


@pytest.mark.filterwarnings("ignore:.*legacy")
@pytest.mark.parametrize("include_top", [False, True])
@pytest.mark.parametrize("suffix", [".weights.h5", ".h5", ".keras"])
def test_weights_come_from_any_file_with_or_without_classifier(
    suffix, include_top, tiny_network, tmp_path
):
    network = drawn(tiny(include_top))
    path = save(network, tmp_path / f"some{suffix}")
    encoder = PretrainedEncoder(tiny_network, weights=path)
    memory, summary = encoder(pixels())
    for one, other in zip(encoder.get_weights(), network.get_weights()[:6], strict=True):
        np.testing.assert_array_equal(one, other)
    assert memory.shape == (2, 16, 4)
    np.testing.assert_allclose(summary, np.mean(memory, axis=1), atol=1e-6)


def test_a_saved_model_needs_no_weights_file(tiny_network, tmp_path, caplog):
    path = tmp_path / "some.weights.h5"
    encoder = PretrainedEncoder(
        tiny_network, weights=save(drawn(tiny(False)), path), trainable=False
    )
    images = keras.Input((32, 32, 3), dtype="uint8")
    model = keras.Model(images, encoder(images))
    model.save(tmp_path / "model.keras")
    path.unlink()
    with caplog.at_level(logging.WARNING):
        loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert not caplog.records
    assert loaded.layers[-1].get_config() == encoder.get_config()
    for one, other in zip(model(pixels()), loaded(pixels()), strict=True):
        np.testing.assert_array_equal(one, other)


def test_random_weights_are_said(tiny_network, caplog):
    PretrainedEncoder(tiny_network)(pixels())
    (message,) = caplog.messages
    assert message.startswith("MobileNetV2 starts from random weights")
    assert "give the path of its weights, or 'imagenet'" in message


def test_frozen_and_fine_tuned_networks_keep_their_statistics(tiny_network, tmp_path):
    path = save(drawn(tiny(False)), tmp_path / "some.weights.h5")
    for settings, learning, moves in (
        ({"weights": path, "trainable": False}, 0, False),
        ({"weights": path}, 4, False),
        ({}, 4, True),
    ):
        encoder = PretrainedEncoder(tiny_network, **settings)
        encoder.build((None, 32, 32, 3))
        before = encoder.get_weights()
        calm, trained = encoder(pixels())[0], encoder(pixels(), training=True)[0]
        assert len(encoder.trainable_variables) == learning
        assert np.allclose(calm, trained) != moves
        after = encoder.get_weights()
        assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True)) != moves
    encoder = PretrainedEncoder(tiny_network, weights=path, trainable=False)
    encoder(pixels())
    encoder.trainable = True
    assert len(encoder.trainable_variables) == 4


def test_names_are_read_in_any_case_and_guessed():
    assert network_names() == NETWORKS  # what is known without Keras
    assert all(network_name(name.upper()) == name for name in network_names())
    with pytest.raises(ConfigError) as caught:
        PretrainedEncoder("Resnet5O")
    assert "unknown network 'Resnet5O'; did you mean 'ResNet50'?; known: " in str(caught.value)
    assert "Xception" in str(caught.value)


def refusal(*arguments, side=32, **settings):
    with pytest.raises(ConfigError) as caught:
        PretrainedEncoder(*arguments, **settings)(pixels(side=side))
    return str(caught.value)


def test_sides_that_a_network_refuses():
    message = refusal("inceptionv3")
    assert "InceptionV3 cannot read images of shape (32, 32, 3): " in message
    assert "at least 75x75" in message and message.endswith("choose another network")


@pytest.mark.parametrize("name", ["some.weights.h5", "some.keras"])
def test_weights_of_another_network(name, tiny_network, tmp_path):
    images = keras.Input((32, 32, 3))
    other = keras.Model(images, keras.layers.Conv2D(5, 3)(images))
    message = refusal(tiny_network, weights=save(other, tmp_path / name))
    assert f"{tmp_path / name}' does not hold them: " in message
    assert "give one, or the name of the network that the file is of" in message
    if name.endswith(".keras"):
        assert "kernel [3, 3, 3, 5], expected" in message and "kernel [3, 3, 3, 4]" in message


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_weights_that_are_no_file_of_keras(suffix, tiny_network, tmp_path):
    path = tmp_path / f"some{suffix}"
    assert "no such file; expected a file that Keras saved" in refusal(
        tiny_network, weights=str(path)
    )
    path.write_bytes(b"nothing")
    assert "does not hold them" in refusal(tiny_network, weights=str(path))
    path.rename(tmp_path / "some.txt")
    assert "not a .weights.h5, .h5 or .keras file" in refusal(
        tiny_network, weights=str(tmp_path / "some.txt")
    )


def test_no_network_access_for_imagenet(monkeypatch):
    def offline(include_top, weights, input_shape):
        assert weights == "imagenet"
        raise Exception("URL fetch failure on https://example.org/weights.h5: None")

    monkeypatch.setattr(keras.applications, "MobileNetV2", offline)
    message = refusal("mobilenetv2", weights="imagenet")
    assert "of MobileNetV2 cannot be fetched: URL fetch failure on https://example" in message
    assert message.endswith("give its path instead of 'imagenet'")


def test_a_fingerprint_follows_name_and_content(tmp_path):
    path = tmp_path / "some.h5"
    path.write_bytes(b"one")
    first = weights_fingerprint("vgg16", str(path))
    assert first == weights_fingerprint("VGG16", str(path)) != weights_fingerprint("VGG19", path)
    path.write_bytes(b"two")
    assert weights_fingerprint("vgg16", str(path)) != first
    assert weights_fingerprint("vgg16", "") == "VGG16:random"
    assert weights_fingerprint("vgg16", pretrained_encoder.IMAGENET).startswith("VGG16:imagenet-")
    with pytest.raises(ConfigError, match="no such file"):
        weights_fingerprint("vgg16", str(tmp_path / "absent.h5"))

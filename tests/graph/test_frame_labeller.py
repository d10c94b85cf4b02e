"""A frame labeller: what its layers compute, and that a stream read step by step is the same."""

from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from pipelines.datasets.frames_streams import FrameRows, FrameStream
from pipelines.errors import ConfigError
from pipelines.frames import labeller
from pipelines.frames.artifacts import FrameArtifacts, axes_of, fit_frame_artifacts
from pipelines.frames.encoding import encode_streams
from pipelines.frames.frame_config import FrameConfig
from pipelines.frames.serving import FrameServing
from pipelines.frames.streaming import StreamReader
from pipelines.layers.signals import (
    PatchEmbedding,
    SignalAugmentation,
    SignalScaling,
    StatesOfFrames,
    rotations,
)

CHANNELS = ("ax", "ay", "az", "heat")
CLASSES = ("run", "sit")
CAUSAL = FrameConfig(causal=True, patch=3, window=12, units=5, depth=2)


def artifacts_of(**changes):
    kept = FrameArtifacts(
        channels=CHANNELS, classes=CLASSES, mean=(0.0, 1.0, -1.0, 5.0), spread=(1.0, 2.0, 1.0, 3.0),
        triples=((0, 1, 2),), mirror=(0, 3), missing=True, rate=50.0,
        settings={"window": 12, "patch": 3, "stretch": 0.0},
    )  # fmt: skip
    return replace(kept, **changes)


def drawn(rows, frames, seed=0):
    values = np.random.default_rng(seed).normal(size=(rows, frames, 4)).astype(np.float32)
    values[0, 2, 1] = np.nan
    return values


def stream_of(frames, name="a", seed=0):
    labels = np.array([CLASSES[place // 7 % 2] for place in range(frames)], object)
    return FrameStream(name, name, drawn(1, frames, seed)[0], labels, np.array([0]))


def rows_of(*lengths):
    streams = [stream_of(length, str(seed), seed) for seed, length in enumerate(lengths)]
    return FrameRows(streams, channels=CHANNELS, rate=50.0, classes=CLASSES)


@pytest.mark.parametrize("cell", ["gru", "lstm", "simple"])
@pytest.mark.parametrize("patch", [1, 3])
def test_a_causal_model_says_frame_by_frame_what_it_says_of_the_whole(cell, patch):
    model = labeller.build(replace(CAUSAL, cell=cell, patch=patch), artifacts_of())
    signal = drawn(2, 11)
    layer = model.get_layer("persistence")
    layer.cost.assign(2.0)
    layer.sharpness.assign(0.5)
    whole = model([signal, np.array([11, 11])])[..., 1:]
    reader = StreamReader(model)
    state, said = reader.start(2), []
    for frame in range(11):
        scores, state = reader.step(tf.constant(signal[:, frame]), state)
        said.append(scores)
    np.testing.assert_allclose(np.stack(said, axis=1), whole, atol=1e-5)


def test_a_causal_model_looks_at_no_later_frame_and_the_other_does():
    signal = drawn(1, 12)
    changed = signal.copy()
    changed[:, 8:] += 3
    for causal in (True, False):
        model = labeller.build(replace(CAUSAL, causal=causal), artifacts_of())
        before, after = (model([values, np.array([12])])[0, :6] for values in (signal, changed))
        assert np.allclose(before, after) == causal


@pytest.mark.parametrize("causal", [True, False])
def test_padding_and_company_change_nothing(causal):
    model = labeller.build(replace(CAUSAL, causal=causal), artifacts_of())
    signal = drawn(2, 12)
    alone = model([signal[:1, :7], np.array([7])])
    signal[0, 7:] = 50  # whatever a row is filled up with
    together = model([signal, np.array([7, 12])])[:1, :7]
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_labels_are_of_known_classes_and_end_with_the_row():
    model = labeller.build(CAUSAL, artifacts_of())
    serving = FrameServing(model, artifacts_of(), causal=True)
    signal, frames = drawn(2, 8), np.array([8, 5], np.int32)
    served = serving.endpoints()["serve"].function(tf.constant(signal), tf.constant(frames))
    expected = labeller.read_scores(model([signal, frames]), frames, CLASSES)
    labels = np.array([[text.decode() for text in row] for row in served["labels"].numpy()])
    assert (labels == expected["labels"]).all()
    assert set(labels[0]) <= set(CLASSES)
    assert set(labels[1, 5:]) == {""}
    np.testing.assert_allclose(served["confidence"], expected["confidence"], atol=1e-6)


def test_what_is_learned_of_channels_comes_from_seen_values_alone():
    rows = rows_of(30, 20)
    found = fit_frame_artifacts(rows, window=16, patch=3)
    values = np.concatenate([stream.values for stream in rows])
    np.testing.assert_allclose(found.mean, np.nanmean(values, axis=0), atol=1e-5)
    np.testing.assert_allclose(found.spread, np.nanstd(values, axis=0), atol=1e-5)
    assert found.missing
    assert found.settings["window"] == 15


@pytest.mark.parametrize(
    ("channels", "triples"),
    [
        (("ax", "ay", "az", "wx", "wy", "wz"), ((0, 1, 2), (3, 4, 5))),
        (("gyro_z", "gyro_y", "gyro_x", "max"), ((2, 1, 0),)),
        (("AccX", "AccY", "temperature", "AccZ"), ((0, 1, 3),)),
        (("ax", "ay", "heat"), ()),
    ],
)
def test_axes_are_known_by_their_names(channels, triples):
    assert axes_of(channels) == triples


def test_axes_of_a_channel_are_found_among_letters_of_other_words():
    assert axes_of(("xposx", "xposy", "xposz")) == ((0, 1, 2),)


@pytest.mark.parametrize(("frames", "starts"), [(20, [0, 1, 2, 3, 4, 5, 6, 7, 8]), (7, [0])])
def test_windows_cover_every_frame_and_say_how_many_are_real(frames, starts):
    artifacts = artifacts_of(settings={"window": 12, "patch": 3, "stretch": 0.0})
    (chunk,) = encode_streams(rows_of(frames), artifacts, whole=False)
    assert chunk["signal"].starts.tolist() == starts
    assert len(chunk["signal"].values) >= starts[-1] + 12
    assert chunk["frames"].tolist() == [min(frames, 12)] * len(starts)
    assert (chunk["target"].values[:frames] > 0).all()
    assert (chunk["target"].values[frames:] == 0).all()


def test_whole_streams_are_kept_as_they_are():
    rows = rows_of(30, 20)
    chunks = list(encode_streams(rows, artifacts_of(), whole=True))
    for stream, chunk in zip(rows, chunks, strict=True):
        np.testing.assert_array_equal(chunk["signal"].values, stream.values)
        assert [CLASSES[i - 1] for i in chunk["target"].values] == stream.labels.tolist()


@given(st.integers(1, 5), st.integers(1, 17), st.booleans())
def test_a_frame_gets_the_state_of_its_patch(size, frames, causal):
    signal = np.zeros((1, frames, 1), np.float32)
    patches = -(-frames // size)
    states = np.arange(1, patches + 1, dtype=np.float32)[None, :, None]
    found = np.array(StatesOfFrames(size, causal=causal)(states, signal))[0, :, 0]
    for frame, state in enumerate(found):
        assert state == ((frame + 1) // size if causal else frame // size + 1)


def test_a_patch_sees_its_frames_side_by_side():
    layer = PatchEmbedding(3, size=4, seed=1)
    signal = drawn(2, 10, 3)[..., 2:]
    found = layer(signal)
    filled = np.pad(signal, [(0, 0), (0, 2), (0, 0)]).reshape(2, 3, 4, 2)
    spread = np.sqrt(filled.var(axis=2) + 1e-4)
    step = np.abs(np.diff(filled, axis=2)).mean(axis=2)
    strength = [filled.mean(axis=2), np.log(spread + 0.05), np.log(step + 0.02)]
    read = [filled.reshape(2, 3, 8), np.concatenate(strength, axis=-1)]
    weights = [np.array(weight) for weight in layer.weights]
    for part, kernel, bias, seen in zip(
        read, weights[::2], weights[1::2], (found[..., :3], found[..., 3:]), strict=True
    ):
        np.testing.assert_allclose(seen, np.maximum(part @ kernel + bias, 0), atol=1e-5)


def test_training_streams_are_also_played_faster_and_slower():
    artifacts = artifacts_of(settings={"window": 12, "patch": 3, "stretch": 0.5})
    rows = rows_of(30)
    plain, slower, faster = encode_streams(rows, artifacts, whole=False)
    np.testing.assert_array_equal(plain["signal"].values, rows[0].values)
    np.testing.assert_array_equal(slower["signal"].values, np.repeat(rows[0].values, 2, axis=0))
    np.testing.assert_array_equal(
        faster["target"].values[:20], plain["target"].values[[int(1.5 * i) for i in range(20)]]
    )


def test_missing_values_become_the_mean_and_are_told_of():
    layer = SignalScaling([1.0, 10.0], [2.0, 5.0], flags=True)
    found = layer(np.array([[[3.0, np.nan], [np.inf, 5.0]]], np.float32))
    np.testing.assert_allclose(found, [[[1, 0, 0, 1], [0, -1, 1, 0]]])


def test_turning_keeps_lengths_and_acts_on_all_sensors_alike():
    layer = SignalAugmentation([[0, 1, 2], [3, 4, 5]], [1.0] * 7, turn=40.0, seed=2)
    vectors = np.random.default_rng(0).normal(size=(3, 5, 3)).astype(np.float32)
    heat = np.ones((3, 5, 1), np.float32)
    signal = np.concatenate([vectors, vectors, heat], axis=-1)
    found = np.array(layer(signal, training=True))
    np.testing.assert_allclose(found[..., :3], found[..., 3:6], atol=1e-6)
    np.testing.assert_allclose(found[..., 6:], heat)
    lengths = np.linalg.norm(found[..., :3], axis=-1)
    np.testing.assert_allclose(lengths, np.linalg.norm(vectors, axis=-1), rtol=1e-5)
    cosines = (found[..., :3] * vectors).sum(-1) / lengths**2
    assert np.degrees(np.arccos(cosines.clip(-1, 1))).max() <= 40.01
    assert not np.allclose(found[..., :3], vectors)


def test_half_of_the_windows_are_mirrored_in_the_channels_named():
    layer = SignalAugmentation([], [1.0] * 4, mirror=[0, 3], seed=2)
    signal = drawn(40, 3, 1)
    signal[0, 2, 1] = 0
    found = np.array(layer(signal, training=True))
    np.testing.assert_array_equal(found[..., 1:3], signal[..., 1:3])
    signs = found[..., [0, 3]] / signal[..., [0, 3]]
    assert {tuple(row) for row in signs.reshape(40, -1).round(5)} == {(-1.0,) * 6, (1.0,) * 6}
    assert 8 <= (signs[:, 0, 0] < 0).sum() <= 32


def test_a_mirror_of_a_channel_that_is_not_there_is_refused():
    with pytest.raises(ConfigError, match=r"--mirror is \('bx',\).*some of ax, ay, az, heat"):
        fit_frame_artifacts(rows_of(9), window=6, patch=3, mirror=["bx"])


def test_a_quarter_turn_about_z_takes_x_to_y():
    axis, angle = np.array([[0, 0, 1]], "float32"), np.array([np.pi / 2], "float32")
    matrix = np.array(rotations(axis, angle))
    np.testing.assert_allclose(matrix[0] @ [1, 0, 0], [0, 1, 0], atol=1e-6)


def test_augmentation_acts_in_training_alone_and_keeps_missing_values():
    layer = SignalAugmentation([[0, 1, 2]], [1.0] * 4, gain=0.2, noise=0.1, seed=2)
    signal = drawn(2, 6)
    np.testing.assert_array_equal(layer(signal), signal)
    changed = np.array(layer(signal, training=True))
    assert (np.isnan(changed) == np.isnan(signal)).all()
    assert not np.allclose(changed, signal, equal_nan=True)


def test_a_labeller_survives_saving(tmp_path):
    model = labeller.build(CAUSAL, artifacts_of())
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    inputs = [drawn(1, 9), np.array([9])]
    np.testing.assert_array_equal(again(inputs), model(inputs))


def test_artifacts_survive_saving(tmp_path):
    artifacts_of().save(tmp_path)
    assert FrameArtifacts.load(tmp_path) == artifacts_of()

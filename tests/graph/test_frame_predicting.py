"""What predict writes of streams: whole, in segments, and frame by frame as they come."""

import csv
import io
import json
import sys

import numpy as np
import pytest
import tensorflow as tf

from pipelines.errors import ConfigError, DataError
from pipelines.frames import labeller, predicting
from pipelines.frames.predict_options import FramesOptions
from pipelines.frames.serving import FrameServing
from tests.graph.test_frame_labeller import CAUSAL, CHANNELS, artifacts_of, drawn


class Served:
    """The endpoints of a model, called as those of its export are."""

    def __init__(self, endpoints):
        self.endpoints = endpoints

    def call(self, inputs, endpoint="serve"):
        made = self.endpoints[endpoint]
        given = [
            tf.constant(np.array(inputs[name]), spec.dtype) for name, spec in made.inputs.items()
        ]
        found = {name: np.array(value) for name, value in made.function(*given).items()}
        return {
            name: np.vectorize(bytes.decode, otypes=[object])(value)
            if value.dtype == object
            else value
            for name, value in found.items()
        }


@pytest.fixture
def version(tmp_path, monkeypatch):
    model = labeller.build(CAUSAL, artifacts_of())
    served = Served(FrameServing(model, artifacts_of(), causal=True).endpoints())
    monkeypatch.setattr(predicting, "load_served", lambda _: served)
    extra = tmp_path / "assets.extra"
    extra.mkdir()
    artifacts_of().save(extra)
    (extra / "signatures.json").write_text(json.dumps(dict.fromkeys(served.endpoints)))
    return tmp_path


def table(folder, frames=11):
    path = folder / "recording.csv"
    rows = [["" if np.isnan(cell) else cell for cell in row] for row in drawn(1, frames)[0]]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([CHANNELS, *rows])
    return path


def written(capsys):
    return list(csv.DictReader(io.StringIO(capsys.readouterr().out)))


def test_a_stream_is_answered_frame_by_frame_as_it_is_whole(version, capsys, monkeypatch):
    path = table(version)
    predicting.predict(version, FramesOptions(file=str(path)))
    whole = written(capsys)
    monkeypatch.setattr(sys, "stdin", io.StringIO(path.read_text()))
    predicting.predict(version, FramesOptions(file="-", stream=True))
    followed = written(capsys)
    assert len(whole) == len(followed) == 11
    for one, other in zip(whole, followed, strict=True):
        assert float(one["confidence"]) == pytest.approx(float(other["confidence"]), abs=2e-4)
        assert (one["frame"], one["label"]) == (other["frame"], other["label"])


def test_segments_are_the_runs_of_the_labels(version, capsys):
    path = table(version)
    predicting.predict(version, FramesOptions(file=str(path)))
    labels = [row["label"] for row in written(capsys)]
    picture = version / "labels.png"
    predicting.predict(version, FramesOptions(file=str(path), segments=True, plot=picture))
    found = written(capsys)
    spread = [
        row["label"] for row in found for _ in range(int(row["first_frame"]), int(row["limit"]))
    ]
    assert spread == labels
    assert float(found[-1]["end_seconds"]) == pytest.approx(11 / 50)
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_model_that_reads_ahead_cannot_follow_a_stream(version):
    (version / "assets.extra" / "signatures.json").write_text('{"serve": {}}')
    with pytest.raises(ConfigError, match="needs the signature 'step', got serve.*--causal"):
        predicting.predict(version, FramesOptions(file="-", stream=True))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["ax,ay,az"], r"it:1: got the columns ax, ay, az, expected .*heat is missing"),
        (["ax,ay,az,heat", "1,2,x,4"], r"it:2: channel 'az' is 'x', expected a number"),
    ],
)
def test_a_line_that_cannot_be_read_is_named(lines, message):
    with pytest.raises(DataError, match=message):
        list(predicting.frames_of(lines, CHANNELS, "it"))


def test_segments_end_with_the_row():
    labels = ["a", "a", "b", "", ""]
    assert list(predicting.segments(labels)) == [(0, 2, "a"), (2, 3, "b")]


def test_a_picture_of_an_endless_stream_is_refused():
    with pytest.raises(ConfigError, match="--segments is True.*left out with --stream"):
        FramesOptions(file="-", stream=True, segments=True)

import numpy as np
import pytest

from pipelines.datasets import frames_watch
from pipelines.datasets.frames import FrameOptions, load_frames
from pipelines.datasets.frames_reading import Wanted
from pipelines.datasets.storage import DataFolders, file_sha256
from pipelines.errors import DataError
from pipelines.workspace import Folders


@pytest.fixture
def recordings(tmp_path, monkeypatch):
    """Write recordings as the published ones are, whose values name subject and recording."""
    content = {"X": [], "y": [], "subject": [], "side": []}
    for subject in (1, 2, 10):
        for label in range(4):
            length = 5 + label
            content["X"].append(np.full((length, 2), 10.0 * subject + label))
            content["y"].append(label)
            content["subject"].append(subject)
    content["X_labels"], content["y_labels"] = ["ax", "wx"], ["A", "B", "C", "D"]
    path = tmp_path / "watch_dataset.npy"
    np.save(path, np.array(content, object), allow_pickle=True)
    monkeypatch.setattr(frames_watch, "SHA256", file_sha256(path))
    return path


def test_recordings_of_a_subject_are_joined_in_a_drawn_order(recordings):
    read = frames_watch.read_watch(recordings, Wanted(FrameOptions()))
    assert [it.name for it in read.streams] == ["subject 1", "subject 2", "subject 10"]
    orders = []
    for it, subject in zip(read.streams, (1, 2, 10), strict=True):
        assert it.group == it.name and it.values.dtype == np.float32 and len(it) == 26
        numbers = (it.values[it.pieces, 0] - 10 * subject).astype(int)
        orders.append(tuple(numbers.tolist()))
        assert sorted(orders[-1]) == [0, 1, 2, 3]
        lengths = np.diff([*it.pieces, len(it)])
        assert lengths.tolist() == [5 + number for number in numbers]
        assert it.labels.tolist() == [
            "ABCD"[int(value) - 10 * subject] for value in it.values[:, 0]
        ]
    assert len(set(orders)) > 1
    again = frames_watch.read_watch(recordings, Wanted(FrameOptions()))
    assert [it.key() for it in again.streams] == [it.key() for it in read.streams]
    other = frames_watch.read_watch(recordings, Wanted(FrameOptions(split_seed=5)))
    assert [it.key() for it in other.streams] != [it.key() for it in read.streams]


def test_channels_of_the_recordings_are_chosen_by_name(recordings):
    read = frames_watch.read_watch(recordings, Wanted(FrameOptions(channels=("wx",))))
    assert read.channels == ("wx",) and read.streams[0].values.shape == (26, 1)
    with pytest.raises(
        DataError, match=r"no channel 'wz'; known: ax, wx; name others by --channels"
    ):
        frames_watch.read_watch(recordings, Wanted(FrameOptions(), ("wz",)))


def test_the_published_recordings_are_what_they_are_said_to_be(tmp_path):
    raw = Folders.default().raw
    if not (raw / "watch-exercises").is_dir():
        pytest.skip("not fetched; the golden tests fetch it")
    splits = load_frames("watch-exercises", FrameOptions(), folders=DataFolders(raw, tmp_path))
    every = [it for _, part in splits.named() for it in part]
    assert [len(part) for _, part in splits.named()] == [5, 2, 3]
    assert sum(map(len, every)) == 244_102 and {len(it.pieces) for it in every} == {14}
    assert splits.train.channels == ("ax", "ay", "az", "wx", "wy", "wz")
    assert splits.train.rate == 50 and len(splits.train.classes) == 7
    assert splits.card.licence.startswith("BSD") and "Burns" in splits.card.citation

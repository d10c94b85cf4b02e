import gzip

import numpy as np
import pytest

from pipelines.datasets.frames import FrameOptions, load_frames
from pipelines.datasets.frames_reading import Wanted
from pipelines.datasets.frames_sources import find_frames, rate_of, read_found
from pipelines.datasets.frames_watch import read_watch
from pipelines.datasets.storage import DataFolders
from pipelines.errors import DataError
from tests.unit.frame_tables import arrays, stream


def read(path, **options):
    found = find_frames(str(path), folders=DataFolders())
    return read_found(found, Wanted(FrameOptions(**options)))


def text(tmp_path, content, name="t.csv"):
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    return path


TABLES = {
    "label absent": (
        "ax,labl\n1,x\n",
        {},
        r"t.csv: no column 'label'; did you mean 'labl'\?; columns found: ax, labl; give "
        r"--label-column",
    ),
    "stream absent": (
        "ax,label\n1,x\n",
        {"stream_column": "run"},
        r"t.csv: no column 'run'; columns found: ax, label; give --stream-column",
    ),
    "channel absent": (
        "ax,label\n1,x\n",
        {"channels": ("ay",)},
        r"no column 'ay'.*; add it, or name other columns by --channels",
    ),
    "label as channel": (
        "ax,label\n1,2\n",
        {"channels": ("ax", "label")},
        r"column 'label' is a channel and what --label-column names; .* out of --channels",
    ),
    "no channel": (
        "note,label\nhello,x\n",
        {},
        r"no channel among the columns note, label; expected columns of numbers beside the label",
    ),
    "text in a channel": (
        "ax,label\n1,x\n2,x\noops,y\n",
        {},
        r"t.csv:4: channel 'ax' reads 'oops'; expected a number with a dot .* --channels",
    ),
    "comma": (
        'ax,label\n1,x\n2,x\n"1,5",y\n',
        {},
        r"t.csv:4: channel 'ax' reads '1,5'; expected a number with a dot before its decimals",
    ),
    "infinite": (
        "ax,label\n1,x\ninf,x\n",
        {},
        r"t.csv:3: column 'ax' reads 'inf', an infinite value; expected a finite number",
    ),
    "too large": (
        "ax,label\n1,x\n1e39,x\n",
        {},
        r"t.csv:3: channel 'ax' holds an infinite value, or one above 3.4e38; expected",
    ),
    "no label": (
        "ax,label\n1,x\n\n2,\n3,\n",
        {},
        r"t.csv:4: no label \(2 of 3 frames have none\); expected one for every frame; write a",
    ),
    "nan as label": ("ax,label\n1,x\n2,NaN\n", {}, r"t.csv:3: no label \(1 of 2 frames"),
    "no stream": (
        "run,ax,label\n1,1,x\n,2,x\n",
        {"stream_column": "run"},
        r"t.csv:3: nothing in column 'run'; expected the name of the stream or group",
    ),
    "group changes": (
        "run,who,ax,label\n1,a,1,x\n2,b,1,x\n1,b,2,x\n",
        {"stream_column": "run", "group_column": "who"},
        r"t.csv:4: group 'b' in stream '1', which began with group 'a'; expected one group",
    ),
    "time goes back": (
        "t,ax,label\n0,1,x\n0.5,1,x\n0.25,2,x\n",
        {"time_column": "t"},
        r"t.csv:4: time goes back from 0.5 to 0.25 s; expected the frames .*; sort the rows, or",
    ),
    "no time": (
        "t,ax,label\n0,1,x\nsoon,1,x\n0.2,1,x\n",
        {"time_column": "t"},
        r"t.csv:3: time column 't' reads 'soon'; expected seconds such as 0.02, or a time stamp",
    ),
    "no rows": ("ax,label\n", {}, r"t.csv: a header \(ax, label\) but no rows; expected one row"),
    "ragged": ("ax,label\n1,x\n1\n", {}, r"t.csv:3: 1 cells, expected 2 \(ax, label\)"),
}


@pytest.mark.parametrize("case", TABLES)
def test_tables_that_cannot_be_read(tmp_path, case):
    content, options, message = TABLES[case]
    with pytest.raises(DataError, match=message):
        read(text(tmp_path, content), **options)


def test_files_of_other_kinds(tmp_path):
    with pytest.raises(DataError, match=r"unknown format '.xlsx'; expected one of .csv, .*\.npz"):
        read(text(tmp_path, "x", "t.xlsx"))
    with pytest.raises(DataError, match=r"no streams in this folder: it holds t.xlsx; expected"):
        read(tmp_path)
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(b"ax,label\n1,x\n")[:-9])
    with pytest.raises(DataError, match=r"t.csv.gz: damaged"):
        read(tmp_path / "t.csv.gz")
    with pytest.raises(DataError, match=r"gone.csv: no such file.*built-in set \(watch-exercises"):
        read(tmp_path / "gone.csv")
    with pytest.raises(
        DataError, match=r"tfds:x: sets of TensorFlow Datasets are not .* as csv or"
    ):
        read("tfds:x")


def test_columns_of_words_are_left_out_and_named(tmp_path):
    found = read(text(tmp_path, "ax,who,label\n1,ann,x\n,ann,y\n"))
    assert found.channels == ("ax",)
    assert np.isnan(found.streams[0].values[1, 0])
    assert found.notes[0].startswith("columns of words that are not read: who; --channels")


def test_later_files_need_the_first_ones_channels(tmp_path):
    text(tmp_path, "ax,ay,label\n1,2,x\n", "a.csv")
    text(tmp_path, "ay,ax,more,label\n1,2,3,x\n", "b.csv")
    found = read(tmp_path)
    assert [it.values.tolist() for it in found.streams] == [[[1, 2]], [[2, 1]]]
    text(tmp_path, "ay,label\n1,x\n", "c.csv")
    with pytest.raises(
        DataError, match=r"c.csv: no column 'ax'; columns found: ay, label; add it, or"
    ):
        read(tmp_path)


def test_streams_of_equal_names_are_told_apart(tmp_path):
    for name in ("a.csv", "b.csv"):
        text(tmp_path, "run,ax,label\n1,2,x\n1,3,x\n2,3,x\n", name)
    text(tmp_path, "run,ax,label\n1,2,x\n", "a.txt")
    names = [it.name for it in read(tmp_path, stream_column="run").streams]
    assert names == ["a 1 (1)", "a 2", "a 1 (2)", "b 1", "b 2"]


TIMES = {
    "seconds": ([0, 0.02, 0.04, 0.06, 0.08], 50, [0]),
    "since 1970, in ms": ([1715947200000 + 20 * it for it in range(5)], 50, [0]),
    "stamps": ([f"2024-05-17 12:00:00.{it:03}" for it in (0, 20, 40, 60)], 50, [0]),
    "repeated": ([0, 0, 0, 1, 1, 1, 2], 3, [0]),
    "interrupted": ([0, 0.5, 1, 1.5, 60, 60.5, 61], 2, [0, 4]),
}


@pytest.mark.parametrize("case", TIMES)
def test_times_tell_rate_and_gaps(tmp_path, case):
    times, rate, pieces = TIMES[case]
    lines = "".join(f"{time},{number},x\n" for number, time in enumerate(times))
    options = {"time_column": "t"}
    found = read(text(tmp_path, "t,ax,label\n" + lines), **options)
    assert rate_of(found, FrameOptions(**options)) == pytest.approx(rate, rel=1e-4)
    assert rate_of(found, FrameOptions(rate=7)) == 7
    assert found.streams[0].pieces.tolist() == pieces
    if case == "interrupted":
        assert found.notes[0].startswith("time: 1 of 6 steps (16.67%) are irregular")
        assert "the longest is 58.5 s" in found.notes[0]
        assert found.notes[1].startswith("time: 1 gaps of over a second and 10 steps")


@pytest.mark.parametrize("name", ["2024.05.17.csv", "2024.05.17.csv.gz"])
def test_a_stream_is_called_as_its_file(tmp_path, name):
    content = b"ax,label\n1,null\n"
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    (it,) = read(tmp_path / name).streams
    assert it.name == it.group == "2024.05.17" and it.labels.tolist() == ["null"]


def test_rates_that_differ_are_noted(tmp_path):
    lines = [
        f"{run},{number * step},1,x" for run, step in ((1, 0.1), (2, 0.2)) for number in range(4)
    ]
    path = text(tmp_path, "run,t,ax,label\n" + "\n".join(lines) + "\n")
    found = read(path, stream_column="run", time_column="t")
    assert found.notes[-1].startswith("time: the rate differs between streams, 5 to 10 Hz")


ONE = stream("s", "aabb")
LONG = {"values": ONE.values, "labels": ONE.labels.astype(str)}
ARRAYS = {
    "no values": ({"x": np.zeros(3)}, r"no array 'values'; arrays found: x \[3\]; expected values"),
    "one axis": ({"values": np.zeros(3)}, r"values of such a shape; arrays found: values \[3\]"),
    "text": ({"values": np.array([["a"]])}, r"values of type <U1; arrays found"),
    "no labels": ({"values": ONE.values}, r"no array 'labels'; arrays found: values \[4, 2\]"),
    "few labels": ({**LONG, "labels": np.zeros(3, int)}, r"labels of shape \[3\]; arrays found"),
    "an empty label": (
        {**LONG, "labels": np.array(["a", "", "b", "b"])},
        r"t.npz: frame 1: no label \(1 of 4 frames have none\)",
    ),
    "infinite": (
        {**LONG, "values": np.array([[1, 2], [3, np.inf], [0, 0], [0, 0]])},
        r"t.npz: frame 1: channel 'channel 2' holds an infinite value",
    ),
    "lengths": (
        {"values": ONE.values[None], "labels": LONG["labels"][None], "lengths": np.array([5])},
        r"lengths outside 1 to 4; arrays found",
    ),
    "groups": (
        {**LONG, "streams": np.zeros(4, int), "groups": np.array([0, 0, 1, 1])},
        r"several groups in stream '0'",
    ),
    "channels": ({**LONG, "channels": np.array(["a", "a"])}, r"channels a, a; arrays found"),
    "rate": ({**LONG, "rate": np.array(0.0)}, r"rate 0.0; arrays found"),
    "streams": ({**LONG, "streams": np.zeros(2)}, r"streams of shape \[2\]; arrays found"),
    "objects": (
        {**LONG, "labels": np.array(["a", 1, None, "b"], object)},
        r"array 'labels' holds Python objects, which are never unpickled; expected .*astype\(str\)",
    ),
}


@pytest.mark.parametrize("case", ARRAYS)
def test_arrays_that_cannot_be_read(tmp_path, case):
    content, message = ARRAYS[case]
    np.savez(tmp_path / "t.npz", **content)
    with pytest.raises(DataError, match=message):
        read(tmp_path / "t.npz")


def test_a_file_that_is_no_npz(tmp_path):
    (tmp_path / "t.npz").write_bytes(b"PK\x03\x04 not a zip")
    with pytest.raises(
        DataError, match=r"t.npz: not a readable npz .* expected values \[N, T, K\]"
    ):
        read(tmp_path / "t.npz")
    np.save(tmp_path / "one.npy", np.zeros(3))
    (tmp_path / "one.npy").rename(tmp_path / "one.npz")
    with pytest.raises(
        DataError, match=r"one.npz: not a readable npz \(a single array, not an npz"
    ):
        read(tmp_path / "one.npz")


def test_long_arrays_hold_streams_of_groups(tmp_path):
    content = {**LONG, "streams": np.array([2, 1, 2, 1]), "groups": np.array(["p", "q", "p", "q"])}
    np.savez(tmp_path / "t.npz", **content, rate=25.0)
    found = read(tmp_path / "t.npz", channels=("channel 2",))
    assert [(it.name, it.group) for it in found.streams] == [("2", "p"), ("1", "q")]
    np.testing.assert_array_equal(found.streams[0].values, ONE.values[[0, 2], 1:])
    assert found.rates == [25.0] and found.streams[1].labels.tolist() == ["a", "b"]
    with pytest.raises(DataError, match=r"no channel 'z'; found channel 1, channel 2; expected z"):
        read(tmp_path / "t.npz", channels=("z",))


def test_labels_may_be_numbers(tmp_path):
    path = arrays(tmp_path / "t.npz", [ONE], labels=np.array([[0.0, 0.0, 1.0, 1.0]]))
    assert read(path).streams[0].labels.tolist() == ["0", "0", "1", "1"]


def test_only_the_published_recordings_are_unpickled(tmp_path):
    path = tmp_path / "watch_dataset.npy"
    np.save(path, np.array({"X": []}, object), allow_pickle=True)
    with pytest.raises(DataError, match=r"expected eb122f23cdf0.*so it is not opened; delete its"):
        read_watch(path, Wanted(FrameOptions()))


def test_users_files_are_never_unpickled(tmp_path):
    class Trap:
        def __reduce__(self):
            return (exec, ("raise SystemExit('unpickled')",))

    np.savez(tmp_path / "t.npz", values=np.array([Trap()], object))
    with pytest.raises(DataError, match="never unpickled"):
        load_frames(str(tmp_path / "t.npz"), FrameOptions(), folders=DataFolders())

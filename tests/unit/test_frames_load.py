import io
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pipelines.datasets.frames import (
    FrameOptions,
    FrameStream,
    load_frames,
    load_frames_to_score,
    read_streams_to_label,
)
from pipelines.datasets.frames_known import without_known_frames
from pipelines.datasets.frames_reading import ReadFrames, Wanted
from pipelines.datasets.frames_sources import find_frames, read_found
from pipelines.datasets.frames_split import place_streams
from pipelines.datasets.splits import DataCard, Splits
from pipelines.datasets.storage import DataFolders
from pipelines.errors import ConfigError, DataError
from tests.unit.frame_tables import CHANNELS, arrays, stream, table, write
from tests.unit.frame_tables import rows as rows_of

PATTERN = "aaaabbbbccca" * 10


@pytest.fixture
def folders(tmp_path):
    return DataFolders(tmp_path / "raw", tmp_path / "cache")


def people(count=5, streams=2):
    return [
        stream(f"{person}{number}", PATTERN[person:], group=f"person {person}")
        for person in range(count)
        for number in range(streams)
    ]


BY_PERSON = FrameOptions(stream_column="stream", group_column="subject")


def every(splits):
    return {it.name: it for _, part in splits.named() for it in part}


def same(one, other):
    return (
        one.values.dtype == np.float32
        and np.array_equal(one.values, other.values, equal_nan=True)
        and one.labels.tolist() == other.labels.tolist()
        and one.group == other.group
    )


def test_a_table_is_split_by_person(tmp_path, folders):
    written = people()
    path = table(tmp_path / "gym.csv", written, group=True, rate=50)
    options = FrameOptions(
        stream_column="stream", group_column="subject", time_column="time", split_seed=3
    )
    splits = load_frames(str(path), options, folders=folders)
    read = every(splits)
    assert all(same(read[it.name], it) for it in written)
    groups = [{it.group for it in part} for _, part in splits.named()]
    assert [len(it) for it in groups] == [3, 1, 1] and len(set.union(*groups)) == 5
    train = splits.train
    assert train.channels == CHANNELS and train.rate == 50.0 and train.classes == ("a", "b", "c")
    card = splits.card
    assert card.counts == {"train": 6, "valid": 2, "test": 2}
    assert card.notes[0] == "2 channels at 50 Hz (of the times): ax, ay"
    assert card.notes[1] == "3 classes: a, b, c"
    named = next(note for note in card.notes if note.startswith("test: "))
    assert all(group in named for group in groups[2])
    assert card.label_counts["train"]["a"] == sum((it.labels == "a").sum() for it in train)
    again = load_frames(str(path), options, folders=folders)
    assert again.card == card and [it.name for it in again.test] == [it.name for it in splits.test]
    other = FrameOptions(**{**vars(options), "split_seed": 4})
    assert load_frames(str(path), other, folders=folders).card.fingerprint != card.fingerprint


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        hnp.arrays(
            np.float32,
            st.tuples(st.integers(1, 6), st.just(2)),
            elements=st.floats(-1e6, 1e6, width=32) | st.just(np.nan),
        ),
        min_size=1,
        max_size=4,
    ),
    st.data(),
)
def test_streams_survive_tables_and_arrays(tmp_path, values, data):
    names = st.text("abc é,;\"'x1", min_size=1, max_size=4).map(lambda it: f"l{it}l")
    streams = [
        FrameStream(
            f"s{number}",
            f"g{number % 2}",
            it,
            np.array(data.draw(st.lists(names, min_size=len(it), max_size=len(it))), object),
            np.zeros(1, np.int64),
        )
        for number, it in enumerate(values)
    ]
    for write_it, path in ((table, tmp_path / "t.csv"), (arrays, tmp_path / "t.npz")):
        path = write_it(path, streams, **({"group": True} if write_it is table else {}))
        read = read_streams_to_label(path, CHANNELS, BY_PERSON)
        assert [it.name for it in read] == [it.name for it in streams]
        assert all(same(one, other) for one, other in zip(read, streams, strict=True))


@pytest.mark.parametrize("form", ["tsv", "csv.gz", "parquet"])
def test_other_tables_read_alike(tmp_path, folders, form):
    import pandas as pd

    streams = people(3, 1)
    frame = pd.read_csv(table(tmp_path / "t.csv", streams, group=True, rate=20))
    path = tmp_path / f"other.{form}"
    if form == "parquet":
        frame["label"] = frame["label"].astype("category")
        frame["time"] = pd.to_datetime(frame["time"], unit="s")
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False, sep="\t" if form == "tsv" else ",")
    options = FrameOptions(stream_column="stream", group_column="subject", time_column="time")
    splits = load_frames(str(path), options, folders=folders)
    assert splits.train.rate == 20.0
    read = every(splits)
    for it in streams:
        np.testing.assert_allclose(read[str(int(it.name))].values, it.values, rtol=1e-6)


def test_a_folder_holds_a_stream_a_file(tmp_path, folders):
    home = tmp_path / "walks"
    home.mkdir()
    for it in people(3, 1):
        lines = [[*cells, label] for cells, label in zip(it.values, it.labels, strict=True)]
        write(home / f"{it.group}.csv", [*CHANNELS, "label"], lines)
    (home / "notes.md").write_text("x")
    splits = load_frames(str(home), FrameOptions(rate=10), folders=folders)
    assert sorted(every(splits)) == ["person 0", "person 1", "person 2"]
    assert all(len(part) == 1 for _, part in splits.named()) and splits.test.rate == 10
    assert "not read: notes.md" in splits.card.notes
    globbed = load_frames(str(home / "*.csv"), FrameOptions(), folders=folders)
    assert sorted(every(globbed)) == sorted(every(splits)) and globbed.test.rate is None


def test_files_named_after_splits_keep_them(tmp_path, folders):
    streams = people(4, 1)
    for name, chosen in (("train", streams[:2]), ("test", [streams[0], *streams[2:]])):
        table(tmp_path / f"{name}.csv", chosen, group=True)
    splits = load_frames(str(tmp_path), BY_PERSON, folders=folders)
    assert {it.group for it in splits.test} == {"person 0", "person 2", "person 3"}
    # The copy of person 0 is the test's; the one person left to learn from is cut in time.
    assert [it.group for it in splits.train] == ["person 1"] == [it.group for it in splits.valid]
    assert len(splits.train[0]) + len(splits.valid[0]) == len(streams[1])
    assert splits.card.dropped == {"stream with the values of another one": 1}
    assert any("test are the files of that name" in note for note in splits.card.notes)
    table(tmp_path / "train.csv", streams[2:], group=True)
    with pytest.raises(DataError, match=r"no stream is left to learn from: all 2 repeat .* give"):
        load_frames(str(tmp_path), BY_PERSON, folders=folders)


def test_a_single_stream_is_cut_in_time(tmp_path, folders):
    (whole,) = people(1, 1)
    splits = load_frames(
        str(arrays(tmp_path / "one.npz", [whole])), FrameOptions(), folders=folders
    )
    parts = [part[0] for _, part in splits.named()]
    assert [len(it) for it in parts] == [60, 24, 36]
    np.testing.assert_array_equal(np.concatenate([it.values for it in parts]), whole.values)
    (note,) = [it for it in splits.card.notes if "cut in time" in it]
    assert "50% to learn from, then 20% to validate, then 30% to test" in note
    assert "not those of someone new" in note
    with pytest.raises(DataError, match=r"stream '00' of 2 frames is too short .* give more"):
        load_frames(
            str(arrays(tmp_path / "short.npz", [whole.cut(3, 5)])), FrameOptions(), folders=folders
        )


def test_of_two_groups_one_is_the_test(tmp_path, folders):
    path = arrays(tmp_path / "two.npz", people(2, 1))
    splits = load_frames(str(path), FrameOptions(), folders=folders)
    (group,) = {it.group for it in splits.test}
    assert group not in {it.group for it in [*splits.train, *splits.valid]}
    assert any(note.startswith("two groups: one is the test") for note in splits.card.notes)


def test_rows_of_a_stream_may_be_apart(tmp_path):
    lines = [[name, number, 0, "x"] for number in range(3) for name in "ba"]
    path = write(tmp_path / "mixed.csv", ["stream", *CHANNELS, "label"], lines)
    found = find_frames(str(path), folders=DataFolders())
    read = read_found(found, Wanted(FrameOptions(stream_column="stream")))
    assert [it.name for it in read.streams] == ["b", "a"]
    assert [it.values[:, 0].tolist() for it in read.streams] == [[0, 1, 2], [0, 1, 2]]
    assert read.notes == ["mixed.csv: rows of 2 streams are not together; each keeps their order"]


@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(12, 40)), min_size=1, max_size=9),
    st.integers(0, 99),
)
def test_no_frame_is_lost_and_no_group_divided(drawn, seed):
    streams = [
        stream(f"s{number}", PATTERN[:length], group=f"g{group}", seed=number)
        for number, (group, length) in enumerate(drawn)
    ]
    read = ReadFrames(streams, CHANNELS, splits=[None] * len(streams))
    placed = place_streams("t", read, FrameOptions(split_seed=seed))
    parts = placed.parts
    assert all(parts[name] for name in ("train", "valid", "test"))
    for it in streams:
        held = [part for name in parts for part in parts[name] if part.name == it.name]
        np.testing.assert_array_equal(np.concatenate([part.values for part in held]), it.values)
    groups = {name: {it.group for it in held} for name, held in parts.items()}
    count = len({it.group for it in streams})
    assert count == 1 or not groups["test"] & (groups["train"] | groups["valid"])
    assert count < 3 or not groups["train"] & groups["valid"]


def test_cutting_keeps_the_pieces_inside():
    it = stream("s", "aaaabbbbcccc", pieces=(0, 4, 9))
    assert it.cut(4, 12).pieces.tolist() == [0, 5]
    assert it.cut(2, 9).pieces.tolist() == [0, 2]
    assert it.cut(2, 9).labels.tolist() == list("aabbbbc")


def test_scoring_reads_all_and_knows_the_model(tmp_path, folders):
    path = str(table(tmp_path / "gym.csv", people(), group=True))
    scored = load_frames_to_score(path, ["ay"], ["a", "b", "c", "d"], BY_PERSON, folders=folders)
    assert len(scored.train) == len(scored.valid) == 0 and len(scored.test) == 10
    assert scored.test.channels == ("ay",) and scored.test.classes == ("a", "b", "c", "d")
    assert scored.card.counts == {"test": 10}
    with pytest.raises(DataError) as error:
        load_frames_to_score(path, ["ay"], ["a", "b"], BY_PERSON, folders=folders)
    assert str(error.value).startswith(f"{path}:10: label 'c' is not among those the model was")
    assert "expected one of a, b; mend the label" in str(error.value)


def test_what_the_model_learned_from_is_not_scored(tmp_path, folders):
    path = str(table(tmp_path / "gym.csv", people(), group=True))
    training = load_frames(path, BY_PERSON, folders=folders)
    rows = load_frames_to_score(path, CHANNELS, "abc", BY_PERSON, folders=folders)
    left = without_known_frames(rows, training)
    assert [it.name for it in left.test] == [it.name for it in training.test]
    assert left.card.dropped == {"stream the model was trained on": 8}
    nothing = load_frames_to_score(path, CHANNELS, "abc", BY_PERSON, folders=folders)
    with pytest.raises(DataError, match="give rows the model has not seen"):
        without_known_frames(nothing, SimpleNamespace(train=rows.test, valid=[]))


def test_known_parts_of_a_stream_are_left_out():
    whole = stream("s", "ab" * 200, pieces=(0, 350))
    whole.values[100:130] = 1.0  # a sensor at rest is alike everywhere
    rest = stream("other", "ab" * 100)
    rest.values[50:90] = 1.0
    known = SimpleNamespace(train=[whole.cut(120, 200)], valid=[whole.cut(200, 240)])
    test = rows_of([whole, rest])
    left = without_known_frames(Splits(test[:0], test[:0], test, DataCard(source="s")), known).test
    np.testing.assert_array_equal(left[0].values, np.delete(whole.values, slice(120, 240), 0))
    assert left[0].pieces.tolist() == [0, 120, 230]
    assert left[1] is rest


def test_streams_to_label_need_no_labels(tmp_path, monkeypatch):
    text = "extra,ay,ax\nx,1,2\nx,,4\n"
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(text.encode())))
    options = FrameOptions(stream_column="gone", group_column="gone", time_column="gone")
    read = read_streams_to_label("-", CHANNELS, options)
    assert [it.name for it in read] == ["standard-input"] and read.channels == CHANNELS
    np.testing.assert_array_equal(read[0].values, np.array([[2, 1], [4, np.nan]], np.float32))
    assert read[0].labels.tolist() == ["", ""] and read.rate is None and read.classes == ()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"ay,ax\n1,left\n")))
    with pytest.raises(DataError, match=r"^standard input:2: channel 'ax' reads 'left'; expected"):
        read_streams_to_label("-", CHANNELS, options)


def test_options_that_cannot_be_are_refused():
    with pytest.raises(ConfigError, match=r"--rate is 0; it must be above 0 frames a second"):
        FrameOptions(rate=0)
    with pytest.raises(ConfigError, match="--valid-share"):
        FrameOptions(valid_share=0)


def test_a_name_that_is_none_lists_the_built_in_set(folders):
    with pytest.raises(DataError, match=r"watch-exercises.*did you mean 'watch-exercises'"):
        load_frames("watch-exercise", FrameOptions(), folders=folders)


def test_one_label_is_too_few(tmp_path, folders):
    path = arrays(tmp_path / "one.npz", [stream("s", "aaaa")])
    with pytest.raises(DataError, match=r"every frame has the label 'a'; expected two labels"):
        load_frames(str(path), FrameOptions(), folders=folders)


def test_rows_are_views():
    held = rows_of(people(3, 1))
    assert [it.name for it in held.select(np.array([2, 0]))] == ["00", "20"]
    assert held[1:].classes == held.classes and len(held[1:]) == 2
    assert [len(part) for part in held.chunks(2)] == [2, 1]
    assert held.lengths.tolist() == [120, 119, 118]

import numpy as np
import pytest

from pipelines.datasets.frames import FrameRows, FrameStream
from pipelines.evaluation.frame_baselines import outputs_of
from pipelines.evaluation.frame_figures import (
    MOST_NAMED,
    Strips,
    colour_of,
    legend_chart,
    strips_chart,
    thinned,
)
from pipelines.evaluation.frame_places import boundary_distances, moment
from pipelines.evaluation.frame_report import frame_sections

CLASSES = ("bend <b>", "rest", "walk $x$")


def rows(streams=2, rate=10.0):
    found = []
    for number in range(streams):
        labels = np.repeat([0, 1, 2, 1], [40, 30, 50, 20]) if number % 2 else np.repeat([2, 0], 60)
        names = np.array([CLASSES[code] for code in labels], object)
        values = np.zeros((len(labels), 1), np.float32)
        found.append(FrameStream(f"s{number}", "g", values, names, np.array([0], np.int64)))
    return FrameRows(found, channels=("x",), rate=rate, classes=CLASSES)


def answers(test, wrong):
    """Gold labels with runs of frames made wrong: (stream, first, limit, code)."""
    shares = []
    for place, stream in enumerate(test):
        codes = np.array([CLASSES.index(label) for label in stream.labels])
        for number, first, limit, code in wrong:
            if number == place:
                codes[first:limit] = code
        shares.append(0.1 + 0.7 * np.eye(3)[codes])
    return outputs_of(shares, test)


@pytest.fixture(scope="module")
def sections():
    test = rows()
    model = answers(test, [(0, 50, 60, 0), (1, 0, 25, 2)])
    weak = answers(test, [(0, 0, 120, 1), (1, 0, 140, 1)])
    none = answers(test, [(0, 0, 60, 1), (0, 60, 120, 2), (1, 0, 140, 0)])
    found = frame_sections(test, model, {"weak": weak, "weaker": none})
    return {entry.title: entry for entry in found}


def test_sections_tell_where_a_labeller_errs(sections):
    assert list(sections) == [
        "Timelines",
        "Segments",
        "Classes",
        "What is confused",
        "By stream",
        "Near boundaries and inside",
        "Calibration",
        "Longest errors",
    ]
    assert "resample the 6 gold segments" in sections["Segments"].prose


def test_longest_errors_have_times_and_both_labels(sections):
    (table,) = sections["Longest errors"].blocks
    assert table.rows == [
        ["s1", "0:00.0", "0:02.5", "2.5 s", "bend <b>", "walk $x$", "0.800"],
        ["s0", "0:05.0", "0:06.0", "1.0 s", "walk $x$", "bend <b>", "0.800"],
    ]
    assert "longest 2 of 2: 100% of all wrong frames" in sections["Longest errors"].prose


def test_streams_are_told_apart(sections):
    (table,) = sections["By stream"].blocks
    assert [row[0] for row in table.rows] == ["s0", "s1"]
    assert table.columns[1:4] == ["group", "frames", "segments"]
    assert [row[4] for row in table.rows] == ["0.917", "0.821"]
    assert table.rows[0][5] == "0.000"


def test_segments_are_counted_for_every_system(sections):
    (table,) = sections["Segments"].blocks
    counts = {row[0]: row[1] for row in table.rows}
    assert counts == {"gold": "6", "model": "7", "weak": "2", "weaker": "3"}
    assert table.columns[-1] == "middle length (seconds)"


def test_timelines_show_every_stream_and_escape_names(sections):
    (block,) = sections["Timelines"].blocks
    assert block.markup.count("<svg") == 3  # a legend and two streams
    assert "<b>" not in block.markup and "bend &lt;b&gt;" in block.markup
    assert "Timeline of s1: 4 gold segments" in block.markup
    assert ">weak<" in block.markup and "weaker" not in block.markup  # the better baseline


def test_many_streams_are_drawn_in_part_and_frames_without_rate_counted():
    test = rows(13, rate=None)
    model = answers(test, [(3, 0, 100, 1)])
    found = {entry.title: entry for entry in frame_sections(test, model, {})}
    assert "12 of 13 test streams" in found["Timelines"].prose
    markup = found["Timelines"].blocks[0].markup
    assert markup.count("<svg") == 13 and "frame<" in markup and "seconds<" not in markup
    assert found["Longest errors"].blocks[0].rows[0][1:4] == ["0", "39", "40"]


def test_a_perfect_labeller_of_one_label_is_described():
    stream = rows(1)[0]
    same = FrameStream("s", "s", stream.values, np.array(["rest"] * 120, object), stream.pieces)
    test = rows(1).with_streams([same])
    found = {entry.title: entry for entry in frame_sections(test, answers(test, []), {})}
    assert "Near boundaries and inside" not in found
    assert found["Longest errors"].prose == "Every test frame was labelled rightly."


def test_distances_count_from_the_nearest_change():
    gold = np.repeat([0, 1, 2], [3, 4, 2])
    assert boundary_distances(gold).tolist() == [2, 1, 0, 0, 1, 1, 0, 0, 1]
    assert np.isinf(boundary_distances(np.zeros(3, int))).all()


def test_thinned_strips_keep_the_most_frequent_label():
    (one, other), every = thinned([np.array([0, 1, 1, 2, 2, 2, 0]), np.zeros(7, int)], 3)
    assert (every, one.tolist(), other.tolist()) == (3, [1, 2, 0], [0, 0, 0])
    long = np.repeat(np.arange(3), 40_000) % 2
    strips = Strips("s", long, {"model": 1 - long}, 50.0)
    assert len(strips_chart(strips, CLASSES, [0, 1, 2])) < 20_000


def test_more_classes_than_colours_share_the_last():
    names = [f"c{code}" for code in range(20)]
    drawn = legend_chart(names, range(20))
    assert f"{20 - MOST_NAMED + 1} others" in drawn
    assert colour_of(MOST_NAMED - 1) == colour_of(19)
    assert len({colour_of(place) for place in range(MOST_NAMED)}) == MOST_NAMED


def test_moments_read_as_clocks():
    assert [moment(n, 50.0) for n in (0, 3125, 9997)] == ["0:00.0", "1:02.5", "3:19.9"]
    assert moment(185_000, 50.0) == "1:01:40.0" and moment(1200, None) == "1,200"

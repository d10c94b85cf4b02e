from dataclasses import replace

import numpy as np
import pytest

from pipelines.datasets.frames import FrameRows, FrameStream
from pipelines.errors import EvaluationError
from pipelines.evaluation.frame_metrics import edit_score, macro_f1, overlap_f1, segments_of
from pipelines.evaluation.frame_rows import labelled_streams, read_labelling
from pipelines.evaluation.frame_scoring import (
    edit_sums,
    mean_edit_of,
    overlap_sums,
    score_frames,
)

CLASSES = ("bend", "rest", "walk")


def stream(name, codes, pieces=(0,)):
    labels = np.array([CLASSES[code] for code in codes], object)
    values = np.zeros((len(codes), 2), np.float32)
    return FrameStream(name, name, values, labels, np.array(pieces, np.int64))


def frame_rows(streams):
    return FrameRows(streams, channels=("x", "y"), rate=50.0, classes=CLASSES)


def joined(name, recordings, seed):
    """Recordings of one label each, joined; neighbours may have the same label."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 3, recordings)
    lengths = random.integers(20, 60, recordings)
    return stream(name, np.repeat(labels, lengths), np.cumsum([0, *lengths[:-1]]))


def outputs(rows, share_wrong, seed, pad=3):
    """Answers in which runs of frames are wrong, padded beyond the longest stream."""
    random = np.random.default_rng(seed)
    shape = len(rows), int(rows.lengths.max()) + pad
    labels, confidence = np.full(shape, "", object), np.zeros(shape, np.float32)
    for place, one in enumerate(rows):
        said = one.labels.copy()
        for start in range(0, len(said), 10):
            if random.random() < share_wrong:
                said[start : start + 10] = CLASSES[random.integers(3)]
        labels[place, : len(said)] = said
        confidence[place, : len(said)] = random.uniform(0.4, 1, len(said))
    return {"labels": labels, "confidence": confidence}


@pytest.fixture(scope="module")
def case():
    rows = frame_rows([joined("a", 14, 1), joined("b", 14, 2)])
    model, weak = outputs(rows, 0.1, 3), outputs(rows, 0.6, 4)
    scores = {score.name: score for score in score_frames(rows, model, {"weak": weak})}
    return rows, model, weak, scores


def codes(rows, answers):
    gold = labelled_streams(rows).gold
    return gold, [np.asarray(one) for one in read_labelling(answers, rows, "model").codes]


def test_values_are_those_of_whole_streams(case):
    rows, model, weak, scores = case
    assert list(scores) == ["frame_accuracy", "macro_f1", "edit", "f1_10", "f1_25", "f1_50"]
    for answers, value_of in (
        (model, lambda s: s.value),
        (weak, lambda s: s.baselines["weak"].value),
    ):
        gold, said = codes(rows, answers)
        flat = np.concatenate(gold), np.concatenate(said)
        assert value_of(scores["frame_accuracy"]) == pytest.approx(np.mean(flat[0] == flat[1]))
        assert value_of(scores["macro_f1"]) == pytest.approx(macro_f1(*flat))
        assert value_of(scores["edit"]) == pytest.approx(edit_score(gold, said))
        for share in (0.1, 0.25, 0.5):
            found = value_of(scores[f"f1_{round(100 * share)}"])
            assert found == pytest.approx(overlap_f1(gold, said, share))


def test_counts_name_frames_and_segments(case):
    rows, _, _, scores = case
    assert (scores["macro_f1"].count, scores["macro_f1"].counted) == (rows.lengths.sum(), "frames")
    segments = sum(len(segments_of(one.labels)) for one in rows)
    assert (scores["edit"].count, scores["edit"].counted) == (segments, "segments")
    assert segments < 28  # neighbours of one label are one segment


def test_better_labels_are_found_better_and_intervals_hold_the_value(case):
    for score in case[3].values():
        assert score.low <= score.value <= score.high
        entry = score.baselines["weak"]
        assert entry.p_value < 0.05 and 0 < entry.low <= entry.difference <= entry.high


def test_intervals_draw_recordings_not_frames():
    """Ten times the frames of the same recordings leave the interval as it was."""
    rows = frame_rows([joined("a", 24, 1)])
    longer = frame_rows(
        [
            replace(
                one,
                values=np.repeat(one.values, 10, axis=0),
                labels=np.repeat(one.labels, 10),
                pieces=one.pieces * 10,
            )
            for one in rows
        ]
    )
    answers = outputs(rows, 0.3, 5, pad=0)
    many = {name: np.repeat(values, 10, axis=1) for name, values in answers.items()}
    short, long = score_frames(rows, answers, {}), score_frames(longer, many, {})
    for one, other in zip(short, long, strict=True):
        assert (one.value, one.low, one.high) == pytest.approx(
            (other.value, other.low, other.high), abs=0.01
        )


def test_segments_are_drawn_where_few_recordings_are_known():
    rows = frame_rows([stream("a", np.tile(np.repeat([0, 1, 2], 10), 9))])
    streams = labelled_streams(rows)
    assert not streams.by_recording and streams.unit_count == 27
    assert "resample the 27 gold segments" in streams.sentence()
    recordings = labelled_streams(frame_rows([joined("a", 25, 1)]))
    assert recordings.by_recording and "resample the 25 recordings" in recordings.sentence()


def test_few_units_are_never_sure():
    rows = frame_rows([stream("a", np.repeat([0, 1, 2, 0], 30))])
    perfect, wrong = outputs(rows, 0.0, 1), outputs(rows, 0.0, 1)
    wrong["labels"][:] = "bend"
    score = score_frames(rows, perfect, {"wrong": wrong})[0]
    assert score.baselines["wrong"].p_value >= 0.125  # four signs that agree
    single = frame_rows([stream("a", [0] * 30)])
    score = score_frames(single, outputs(single, 0.0, 1), {"same": outputs(single, 0.0, 1)})[0]
    assert score.low is None and score.baselines["same"].p_value == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda o: o.pop("confidence"),
            "model: outputs hold .*not 'confidence'; .*serve signature",
        ),
        (
            lambda o: o.update(labels=o["labels"][:, :5]),
            r"model: labels of shape \(1, 5\); expected \(1, 60\).*label every frame",
        ),
        (
            lambda o: o.update(confidence=o["confidence"][:, :5]),
            r"confidence of shape \(1, 5\) beside labels of shape .*check the serve signature",
        ),
        (
            lambda o: o["labels"].__setitem__((0, 4), "run"),
            "labels of 'a': row 5 has the label 'run'; expected one of .*trained on",
        ),
    ],
)
def test_outputs_that_do_not_fit_are_refused(change, message):
    rows = frame_rows([stream("a", np.repeat([0, 1, 2], 20))])
    answers = outputs(rows, 0.1, 1)
    change(answers)
    with pytest.raises(EvaluationError, match=message):
        score_frames(rows, answers, {})


def test_streams_without_frames_are_refused():
    with pytest.raises(EvaluationError, match="1 test streams hold 0 frames; .*test split"):
        score_frames(frame_rows([stream("a", [])]), {}, {})


def test_gold_labels_must_be_known():
    one = stream("a", [0, 1, 2])
    one.labels[1] = ""
    with pytest.raises(
        EvaluationError, match="gold labels of 'a': row 2 has the label ''; .*one of"
    ):
        score_frames(frame_rows([one]), {}, {})


def test_mistakes_count_in_the_recording_they_were_made_in():
    rows = frame_rows([stream("a", np.repeat([0, 1, 2, 0], 30), [0, 30, 60, 90])])
    answers = outputs(rows, 0.0, 1, pad=0)
    answers["labels"][0, 30:60] = "walk"  # joins the run of the next recording
    streams, model = labelled_streams(rows), read_labelling(answers, rows, "model")
    edited = edit_sums(streams, model).reshape(4, 3)
    assert edited.tolist() == [[0, 1, 1], [1, 1, 1], [0, 1, 0], [0, 1, 1]]
    assert mean_edit_of(1)(edited.sum(axis=0)[None]) == 0.75
    found = overlap_sums(streams, model, 0.5)
    assert found.tolist() == [[1, 0, 0], [0, 0, 1], [1, 0, 0], [1, 0, 0]]

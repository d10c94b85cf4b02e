import numpy as np
import pytest

from pipelines.datasets.frames import FrameRows, FrameStream
from pipelines.datasets.splits import DataCard, Splits
from pipelines.errors import EvaluationError
from pipelines.evaluation import frame_boosting, frame_features
from pipelines.evaluation.frame_baselines import frame_baselines, outputs_of
from pipelines.evaluation.frame_boosting import WindowBoosting
from pipelines.evaluation.frame_features import Scale, feature_blocks, window_features

CLASSES = ("fast", "rare", "slow")
PACE = {"fast": 0.9, "slow": 0.25, "rare": 0.0}


def stream(name, seed, frames=700):
    """Sines of two paces by turns: only a window, not a single frame, tells them apart."""
    random = np.random.default_rng(seed)
    labels: list[str] = []
    while len(labels) < frames:
        labels += [["fast", "slow"][len(set(labels)) and labels[-1] == "fast"]] * int(
            random.integers(60, 120)
        )
    labels = labels[:frames]
    labels[-30:] = ["rare"] * 30
    angle = np.cumsum([PACE[label] for label in labels])
    values = np.column_stack([np.sin(angle), np.cos(angle), random.normal(0, 0.3, frames)])
    every = np.array([0], np.int64)
    return FrameStream(name, name, values.astype(np.float32), np.array(labels, object), every)


def rows(*streams):
    return FrameRows(streams, channels=("x", "y", "z"), rate=None, classes=CLASSES)


def splits(train, valid, test):
    return Splits(train, valid, test, DataCard(source="made", counts={}, label_counts={}))


@pytest.fixture(scope="module", autouse=True)
def few_trees():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frame_boosting, "_TREES", 8)
        yield


@pytest.fixture(scope="module")
def case():
    parts = splits(
        rows(stream("a", 1), stream("b", 2)), rows(stream("c", 3)), rows(stream("d", 4, 500))
    )
    return parts, frame_baselines(parts, causal=True, seed=5)


def share_right(answers, test):
    gold = np.concatenate([one.labels for one in test])
    said = np.concatenate([answers["labels"][n, : len(one)] for n, one in enumerate(test)])
    return np.mean(gold == said)


def test_boosting_learns_what_only_windows_tell(case):
    parts, found = case
    assert list(found) == ["majority class", "gradient boosting", "gradient boosting, smoothed"]
    assert share_right(found["majority class"], parts.test) < 0.6
    assert share_right(found["gradient boosting"], parts.test) > 0.85
    for answers in found.values():
        assert answers["labels"].shape == answers["confidence"].shape == (1, 500)
        assert answers["confidence"].min() > 0.3 and answers["confidence"].max() <= 1


def test_causal_boosting_does_not_look_ahead(case):
    parts, found = case
    whole = parts.test[0]
    ahead = whole.values.copy()
    ahead[300:] = 9.0
    changed = FrameStream("d", "d", ahead, whole.labels, whole.pieces)
    boosting = WindowBoosting(causal=True, seed=5).fit(parts.train, parts.valid)
    (one,), (other,) = boosting.predict(rows(whole)), boosting.predict(rows(changed))
    np.testing.assert_allclose(one[:300], other[:300], atol=1e-6)
    assert np.abs(one[300:] - other[300:]).max() > 0.1
    (smooth,), (later,) = boosting.smooth([one], 40), boosting.smooth([other], 40)
    np.testing.assert_allclose(smooth[:300], later[:300], atol=1e-6)
    same = outputs_of([one], rows(whole))
    assert (same["labels"] == found["gradient boosting"]["labels"]).all()


def test_answers_of_many_frames_are_held(case):
    parts, _ = case
    boosting = WindowBoosting(causal=True, seed=5).fit(parts.train, rows())
    assert boosting.accuracy_ == {}  # nothing to choose by
    (every,), (held,) = boosting.predict(parts.test), boosting.predict(parts.test, 100)
    np.testing.assert_allclose(held, np.repeat(every[::5], 5, axis=0), atol=1e-6)


def test_padding_is_empty_and_rows_keep_their_lengths():
    test = rows(stream("a", 1, 80), stream("b", 2, 50))
    found = frame_baselines(splits(rows(stream("c", 3)), rows(), test), causal=False)
    labels = found["gradient boosting"]["labels"]
    assert labels.shape == (2, 80)
    assert (labels[1, 50:] == "").all() and (labels[1, :50] != "").all()


def test_a_single_class_leaves_the_majority_only():
    one = stream("a", 1, 60)
    same = rows(FrameStream("a", "a", one.values, np.array(["slow"] * 60, object), one.pieces))
    assert list(frame_baselines(splits(same, same, same), causal=False)) == ["majority class"]


def test_no_training_frames_are_refused():
    with pytest.raises(EvaluationError, match="majority class: no training frame.*training split"):
        frame_baselines(splits(rows(), rows(), rows(stream("a", 1, 60))), causal=False)


@pytest.mark.parametrize("causal", [True, False])
def test_window_statistics_agree_with_numpy(causal):
    scaled = np.random.default_rng(1).normal(size=(90, 2))
    length = 12
    found = window_features(scaled, (length,), np.arange(90), causal=causal)
    after = 0 if causal else length - 1 - length // 2
    for frame in (2, 7, 40, 85, 89):
        inside = scaled[max(0, frame + after + 1 - length) : frame + after + 1]
        expected = [scaled[frame], inside.mean(0), inside.std(0), inside.min(0), inside.max(0)]
        np.testing.assert_allclose(found[frame, :10], np.concatenate(expected), atol=1e-5)
        correlation = np.corrcoef(inside.T)[0, 1]
        assert found[frame, -1] == pytest.approx(correlation, abs=1e-4)


@pytest.mark.parametrize("causal", [True, False])
def test_blocks_hold_what_the_whole_stream_holds(causal, monkeypatch):
    scaled = np.random.default_rng(2).normal(size=(400, 3))
    frames = np.arange(0, 400, 3)
    whole = window_features(scaled, (5, 40), frames, causal=causal)
    monkeypatch.setattr(frame_features, "BLOCK_FRAMES", 17)
    blocks = list(feature_blocks(scaled, (5, 40), frames, causal=causal))
    assert len(blocks) == 8
    # The step into the first frame of a block is cut off, but no window reaches it.
    np.testing.assert_allclose(np.concatenate(blocks), whole, atol=1e-5)


def test_gaps_hold_what_was_seen_before_them():
    values = np.array([[np.nan, 1.0], [2.0, np.nan], [np.nan, np.nan], [4.0, 3.0]])
    scale = Scale.of([values])
    assert scale.mean.tolist() == [3.0, 2.0] and scale.deviation.tolist() == [1.0, 1.0]
    assert scale.apply(values).tolist() == [[0, -1], [-1, -1], [-1, -1], [1, 1]]

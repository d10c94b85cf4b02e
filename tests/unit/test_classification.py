import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from pipelines.errors import EvaluationError
from pipelines.evaluation.baselines import outputs_of
from pipelines.evaluation.bootstrap import mcnemar_p_value
from pipelines.evaluation.classification import (
    _cells,
    _macro_f1_of_cells,
    label_codes,
    score_classification,
)

LABELS = ["no", "yes"]


def answers(gold, share_right, seed, classes=2):
    """Outputs of a system that is right on about `share_right` of the rows."""
    random = np.random.default_rng(seed)
    wrong = (gold + random.integers(1, classes, len(gold))) % classes
    codes = np.where(random.random(len(gold)) < share_right, gold, wrong)
    probabilities = np.full((len(gold), classes), 0.3 / max(classes - 1, 1))
    probabilities[np.arange(len(gold)), codes] = 0.7
    return outputs_of(probabilities, [f"c{n}" for n in range(classes)] if classes > 2 else LABELS)


@pytest.fixture(scope="module")
def scored():
    gold = np.random.default_rng(1).integers(0, 2, 1000)
    model, weak, strong = answers(gold, 0.8, 2), answers(gold, 0.6, 3), answers(gold, 0.9, 4)
    return gold, model, score_classification(gold, model, LABELS, {"weak": weak, "strong": strong})


def test_scores_come_in_order_with_units_and_counts(scored):
    _, _, scores = scored
    assert [(s.name, s.unit, s.better, s.count) for s in scores] == [
        ("accuracy", "fraction", "higher", 1000),
        ("macro_f1", "fraction", "higher", 1000),
        ("log_loss", "nats", "lower", 1000),
        ("ece", "fraction", "lower", 1000),
    ]


def test_every_interval_holds_its_value(scored):
    for score in scored[2]:
        assert score.low <= score.value <= score.high
        for comparison in score.baselines.values():
            assert comparison.low <= comparison.difference <= comparison.high


def test_better_and_worse_are_told_apart(scored):
    accuracy = scored[2][0]
    assert accuracy.baselines["weak"].difference > 0.1
    assert accuracy.baselines["weak"].p_value < 1e-6
    assert accuracy.baselines["strong"].difference < 0
    assert accuracy.baselines["strong"].high < 0
    assert scored[2][1].baselines["strong"].p_value < 0.05


def test_differences_equal_the_values_they_are_made_of(scored):
    for score in scored[2][:3]:
        for comparison in score.baselines.values():
            assert comparison.difference == pytest.approx(score.value - comparison.value)


def test_accuracy_p_value_is_mcnemars():
    gold = np.zeros(20, np.int64)
    model = outputs_of(np.array([[0.9, 0.1]] * 18 + [[0.1, 0.9]] * 2), LABELS)
    other = outputs_of(
        np.array([[0.1, 0.9]] * 9 + [[0.9, 0.1]] * 9 + [[0.1, 0.9], [0.9, 0.1]]), LABELS
    )
    (accuracy, *_) = score_classification(gold, model, LABELS, {"other": other})
    assert accuracy.baselines["other"].p_value == mcnemar_p_value(9, 1)


@given(st.integers(2, 6), st.integers(1, 200), st.integers(0, 1000))
@settings(max_examples=50, deadline=None)
def test_macro_f1_of_cells_is_scikit_learns(classes, rows, seed):
    random = np.random.default_rng(seed)
    gold, said, other = random.integers(0, classes, (3, rows))
    (g, s, _), counts = _cells(classes, gold, said, other)
    assert counts.sum() == rows
    found = _macro_f1_of_cells(g, s, classes)(counts[None, :].astype(float))[0]
    assert found == pytest.approx(f1_score(gold, said, average="macro", zero_division=0))


def test_many_classes():
    gold = np.random.default_rng(1).integers(0, 40, 2000)
    labels = [f"c{n}" for n in range(40)]
    model, other = answers(gold, 0.7, 2, 40), answers(gold, 0.5, 3, 40)
    scores = score_classification(gold, model, labels, {"other": other})
    assert scores[1].baselines["other"].p_value < 0.01


def test_one_row_and_one_class_are_scored():
    one = score_classification(
        np.array([1]), outputs_of(np.array([[0.2, 0.8]]), LABELS), LABELS, {}
    )
    assert one[0].value == 1
    assert one[0].low < 0.3


def test_equal_systems_differ_by_nothing(scored):
    gold, model, _ = scored
    for score in score_classification(gold, model, LABELS, {"twin": model})[:3]:
        twin = score.baselines["twin"]
        assert (twin.difference, twin.low, twin.high, twin.p_value) == (0, 0, 0, 1)


def test_json_form_keeps_plain_baseline_values(scored):
    entry = scored[2][0].as_json()
    assert entry["baselines"]["weak"] == entry["comparisons"]["weak"]["value"]


def test_labels_may_be_bytes():
    assert label_codes(np.array([b"yes", b"no"], object), LABELS, "model").tolist() == [1, 0]


def test_bad_outputs_say_what_where_and_how_to_mend():
    gold = np.array([0, 1])
    good = outputs_of(np.array([[0.9, 0.1], [0.2, 0.8]]), LABELS)
    with pytest.raises(
        EvaluationError, match=r"model: outputs hold \['label'\] but not 'prob.*check"
    ):
        score_classification(gold, {"label": good["label"]}, LABELS, {})
    with pytest.raises(
        EvaluationError, match=r"old: 2 labels and .*\(2, 2\); expected 3.*every test"
    ):
        third = outputs_of(np.full((3, 2), 0.5), LABELS)
        score_classification(np.array([0, 1, 1]), third, LABELS, {"old": good})
    with pytest.raises(
        EvaluationError, match=r"model: row 2 has the label 'maybe'.*\['no', 'yes'\]"
    ):
        odd = {**good, "label": np.array(["no", "maybe"], object)}
        score_classification(gold, odd, LABELS, {})
    with pytest.raises(EvaluationError, match="0 rows"):
        score_classification(np.array([], int), outputs_of(np.zeros((0, 2)), LABELS), LABELS, {})

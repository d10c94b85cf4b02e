import numpy as np
import pytest

from pipelines.errors import EvaluationError
from pipelines.evaluation.baselines import TfidfLogisticRegression, majority_class
from pipelines.evaluation.words import token_spans

LABELS = ["bad", "good"]
TRAIN = [
    ("a dull and lifeless film", "bad"),
    ("Dull, dull, dull", "bad"),
    ("not good at all", "bad"),
    ("a good and charming film", "good"),
    ("charming from start to end", "good"),
    ("so good", "good"),
]
VALID = [("a charming film", "good"), ("a dull film", "bad")]


def test_majority_answers_the_most_frequent_label_with_its_share():
    outputs = majority_class(["good", "bad", "good", "good"], labels=LABELS, count=3)
    assert outputs["label"].tolist() == ["good"] * 3
    assert outputs["label"].dtype == object
    assert outputs["probability"].tolist() == [0.75] * 3
    assert outputs["probabilities"].dtype == np.float32
    assert outputs["probabilities"].tolist() == [[0.25, 0.75]] * 3


def test_majority_without_rows_says_so():
    with pytest.raises(EvaluationError, match=r"no training row.*\['bad', 'good'\].*check the tra"):
        majority_class([], labels=LABELS, count=3)


def test_linear_baseline_learns_and_speaks_like_the_exported_model():
    model = TfidfLogisticRegression(LABELS).fit(TRAIN, VALID)
    outputs = model.predict(["CHARMING film", "dull"])
    assert outputs["label"].tolist() == ["good", "bad"]
    assert outputs["probabilities"].shape == (2, 2)
    assert outputs["probabilities"].sum(axis=1) == pytest.approx([1, 1])
    assert outputs["probability"] == pytest.approx(outputs["probabilities"].max(axis=1))
    assert model.notes == [f"C = {model.chosen_c_:g}, chosen on the validation split"]


def test_probabilities_follow_the_given_label_order():
    forward = TfidfLogisticRegression(LABELS).fit(TRAIN, VALID).predict(["so good"])
    backward = TfidfLogisticRegression(LABELS[::-1]).fit(TRAIN, VALID).predict(["so good"])
    assert forward["label"].tolist() == backward["label"].tolist() == ["good"]
    assert forward["probabilities"][:, ::-1] == pytest.approx(backward["probabilities"], abs=1e-3)


def test_strength_is_the_smallest_with_the_best_validation_accuracy():
    model = TfidfLogisticRegression(LABELS, grid=(10, 1, 3)).fit(TRAIN, VALID)
    best = max(model.validation_accuracy_.values())
    assert model.chosen_c_ == min(c for c, v in model.validation_accuracy_.items() if v == best)
    assert list(model.validation_accuracy_) == [1, 3, 10]


def test_chosen_weights_are_those_used():
    rng = np.random.default_rng(1)
    words = [f"w{n}" for n in range(30)]
    rows = [(" ".join(rng.choice(words, 6)), LABELS[int(rng.random() < 0.5)]) for _ in range(120)]
    model = TfidfLogisticRegression(LABELS).fit(rows[:90], rows[90:])
    said = model.predict(text for text, _ in rows[90:])["label"]
    accuracy = np.mean([a == b for a, (_, b) in zip(said, rows[90:], strict=True)])
    assert accuracy == pytest.approx(model.validation_accuracy_[model.chosen_c_])


def test_chunks_do_not_change_answers():
    model = TfidfLogisticRegression(LABELS).fit(TRAIN, VALID)
    texts = [text for text, _ in TRAIN]
    whole, pieces = model.predict(texts), model.predict(iter(texts), chunk_rows=2)
    assert pieces["probabilities"] == pytest.approx(whole["probabilities"])
    assert model.predict([])["probabilities"].shape == (0, 2)


def test_large_corpora_are_sampled_and_the_notes_say_so():
    many = (row for _ in range(100) for row in TRAIN)
    model = TfidfLogisticRegression(LABELS, max_rows=50).fit(many, VALID)
    assert "50 of 600 training rows used, drawn at random" in model.notes


def test_long_texts_are_sampled_by_characters():
    model = TfidfLogisticRegression(LABELS, max_characters=90).fit(TRAIN, VALID)
    assert any("of 6 training rows used" in note for note in model.notes)


def test_sample_is_uniform_over_the_stream():
    rows = [(f"w{n}", LABELS[n % 2]) for n in range(100)]
    hits = np.zeros(100)
    for seed in range(300):
        model = TfidfLogisticRegression(LABELS, max_rows=20, seed=seed)
        texts, _ = model._draw(rows, "training")
        hits[[int(text[1:]) for text in texts]] += 1
    assert hits[:20].mean() == pytest.approx(60, abs=6)
    assert hits[80:].mean() == pytest.approx(60, abs=6)


def test_label_absent_from_training_keeps_probability_zero():
    model = TfidfLogisticRegression([*LABELS, "unseen"]).fit(TRAIN, VALID)
    assert model.predict(["so good"])["probabilities"][0, 2] == 0


def test_bad_input_names_row_label_and_remedy():
    with pytest.raises(EvaluationError, match=r"training row 2 has the label 'god'.*correct"):
        TfidfLogisticRegression(LABELS).fit([("x", "good"), ("y", "god")], VALID)
    with pytest.raises(EvaluationError, match=r"all 1 training rows.*'good'; at least two"):
        TfidfLogisticRegression(LABELS).fit([("x", "good")], VALID)
    with pytest.raises(EvaluationError, match=r"validation split has 0 rows.*check the split"):
        TfidfLogisticRegression(LABELS).fit(TRAIN, [])


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("I can't!", ["I", "can", "'", "t", "!"]),
        ("好电影 ok", ["好", "电", "影", "ok"]),
        ("हिन्दी", ["हिन्दी"]),
        ("cafe\u0301", ["cafe\u0301"]),
        ("  ", []),
        ("good :-) 😀", ["good", ":-)", "😀"]),
    ],
)
def test_words(text, tokens):
    assert [text[start:end] for start, end in token_spans(text)] == tokens

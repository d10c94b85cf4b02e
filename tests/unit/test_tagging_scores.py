from itertools import chain

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score

from pipelines.errors import EvaluationError
from pipelines.evaluation.tag_baselines import tag_outputs
from pipelines.evaluation.tagging import score_tagging
from pipelines.evaluation.wording import headline

TAGS = ["A", "B", "C"]
WORDS = [f"w{n}" for n in range(50)]


def sentences(count=120, seed=1, longest=15):
    random = np.random.default_rng(seed)
    lengths = random.integers(1, longest, count)
    return [[WORDS[n] for n in random.integers(0, 50, size)] for size in lengths]


def noisy(gold, share_right, seed, tags=TAGS):
    random = np.random.default_rng(seed)
    return [
        [tag if random.random() < share_right else tags[random.integers(len(tags))] for tag in row]
        for row in gold
    ]


def gold_tags(tokens, tags=TAGS, seed=2):
    random = np.random.default_rng(seed)
    return [[tags[n] for n in random.integers(0, len(tags), len(row))] for row in tokens]


def bio_case(count=150):
    tokens = sentences(count)
    states = ["O", "O", "O", "B-x", "B-y"]
    gold = gold_tags(tokens, states)
    return tokens, gold, noisy(gold, 0.9, 3, states), noisy(gold, 0.6, 4, states)


@pytest.fixture(scope="module")
def tagged():
    tokens = sentences()
    gold = gold_tags(tokens)
    model, weak = noisy(gold, 0.9, 3), noisy(gold, 0.5, 4)
    scores = score_tagging(
        tokens,
        gold,
        tag_outputs(model),
        {"weak": tag_outputs(weak)},
        spans=False,
        known_words=set(WORDS[:30]),
    )
    return tokens, gold, model, {score.name: score for score in scores}


@pytest.fixture(scope="module")
def spanned():
    tokens, gold, model, weak = bio_case()
    scores = score_tagging(
        tokens,
        gold,
        tag_outputs(model),
        {"weak": tag_outputs(weak)},
        spans=True,
        known_words=set(WORDS[:30]),
    )
    return {score.name: score for score in scores}


def test_tag_scores_agree_with_scikit_learn(tagged):
    tokens, gold, model, scores = tagged
    assert list(scores) == [
        "accuracy",
        "unknown_word_accuracy",
        "known_word_accuracy",
        "sentence_accuracy",
        "macro_f1",
    ]
    flat_gold, flat_model = list(chain(*gold)), list(chain(*model))
    words = list(chain(*tokens))
    known = np.array([word in WORDS[:30] for word in words])
    right = np.array(flat_gold) == np.array(flat_model)
    assert scores["accuracy"].value == pytest.approx(accuracy_score(flat_gold, flat_model))
    assert scores["macro_f1"].value == pytest.approx(
        f1_score(flat_gold, flat_model, average="macro")
    )
    assert scores["known_word_accuracy"].value == pytest.approx(right[known].mean())
    assert scores["unknown_word_accuracy"].value == pytest.approx(right[~known].mean())
    assert scores["unknown_word_accuracy"].count == (~known).sum()
    assert scores["sentence_accuracy"].value == pytest.approx(
        np.mean([one == other for one, other in zip(gold, model, strict=True)])
    )


def test_scores_name_what_they_count(tagged, spanned):
    counted = {name: score.counted for name, score in tagged[-1].items()}
    assert counted["accuracy"] == counted["macro_f1"] == "words"
    assert counted["sentence_accuracy"] == "sentences"
    assert spanned["f1"].counted == "entities"
    assert spanned["accuracy"].counted == "words"
    assert headline(spanned["f1"].as_json()).endswith(f"{spanned['f1'].count} test entities")


def test_span_scores_come_in_order_with_counts(spanned):
    assert list(spanned) == [
        "f1",
        "precision",
        "recall",
        "macro_f1",
        "partial_f1",
        "unknown_word_recall",
        "accuracy",
    ]
    assert spanned["f1"].count == spanned["recall"].count
    p, r = spanned["precision"].value, spanned["recall"].value
    assert spanned["f1"].value == pytest.approx(2 * p * r / (p + r))
    assert spanned["partial_f1"].value >= spanned["f1"].value
    assert 0 < spanned["unknown_word_recall"].count < spanned["recall"].count


@pytest.mark.parametrize("case", ["tagged", "spanned"])
def test_intervals_hold_their_values_and_differences_add_up(case, request):
    scores = request.getfixturevalue(case)
    for score in (scores[-1] if isinstance(scores, tuple) else scores).values():
        assert score.low <= score.value <= score.high
        weak = score.baselines["weak"]
        assert weak.difference == pytest.approx(score.value - weak.value)
        assert weak.low <= weak.difference <= weak.high
        assert weak.difference > 0
        assert weak.p_value < 0.05


def test_intervals_cover_the_true_accuracy():
    """Of 40 samples of sentences that are hard or easy as a whole, about 95 % must cover."""
    covered = 0
    random = np.random.default_rng(5)
    for seed in range(40):
        tokens = sentences(80, seed)
        gold = [["A"] * len(row) for row in tokens]
        ease = random.choice([0.6, 1.0], len(tokens))
        said = [
            ["A" if random.random() < p else "B" for _ in row]
            for p, row in zip(ease, tokens, strict=True)
        ]
        outputs = tag_outputs(said)
        scores = score_tagging(tokens, gold, outputs, {}, spans=False, known_words=WORDS, seed=seed)
        covered += scores[0].low <= 0.8 <= scores[0].high
    assert 34 <= covered <= 40


def test_a_twin_differs_by_nothing():
    tokens, gold, model, _ = bio_case(30)
    twin = {"twin": tag_outputs(model)}
    for score in score_tagging(
        tokens, gold, tag_outputs(model), twin, spans=True, known_words=WORDS
    ):
        entry = score.baselines["twin"]
        assert (entry.difference, entry.low, entry.high, entry.p_value) == (0, 0, 0, 1)


def test_what_cannot_be_measured_is_left_out():
    tokens, gold = [["w1", "w2"]], [["A", "B"]]
    outputs = tag_outputs(gold)
    names = [
        s.name
        for s in score_tagging(tokens, gold, outputs, {}, spans=False, known_words={"w1", "w2"})
    ]
    assert "unknown_word_accuracy" not in names
    none = [["O", "O"]]
    scores = score_tagging(tokens, none, tag_outputs(none), {}, spans=True, known_words=set())
    assert {s.name: s.value for s in scores} == {
        "f1": 0,
        "precision": 0,
        "recall": 0,
        "macro_f1": 0,
        "partial_f1": 0,
        "accuracy": 1,
    }


def test_bytes_empty_sentences_and_wider_padding_are_read():
    tokens, gold = [["w1", "w2"], [], ["w3"]], [["A", "B"], [], ["A"]]
    tags = np.full((3, 5), b"", object)
    tags[0, :2], tags[2, 0] = [b"A", b"B"], b"B"
    scores = score_tagging(tokens, gold, {"tags": tags}, {}, spans=False, known_words=WORDS)
    assert scores[0].value == pytest.approx(2 / 3)
    assert scores[0].count == 3


def test_orphans_of_a_model_are_read_as_conlleval_reads_them():
    outputs = tag_outputs([["O", "I-x", "I-x"]])
    scores = score_tagging(
        [["a", "b", "c"]], [["O", "B-x", "I-x"]], outputs, {}, spans=True, known_words=[]
    )
    assert scores[0].value == 1


def test_bad_outputs_say_what_where_and_how_to_mend():
    tokens, gold = [["w1", "w2"]], [["A", "B"]]

    def scored(outputs, baselines=None, spans=False, gold=gold):
        score_tagging(tokens, gold, outputs, baselines or {}, spans=spans, known_words=WORDS)

    good = tag_outputs(gold)
    with pytest.raises(
        EvaluationError, match=r"model: outputs hold \['label'\] but not 'tags'.*che"
    ):
        scored({"label": good["tags"]})
    with pytest.raises(
        EvaluationError, match=r"old: tags of 2 sentences; expected 1: predict every"
    ):
        scored(good, {"old": tag_outputs([*gold, ["A"]])})
    with pytest.raises(EvaluationError, match=r"model: sentence 1 has 1 tags for 2 words;.*raise"):
        scored(tag_outputs([["A"]]))
    with pytest.raises(EvaluationError, match=r"model: sentence 1 has 3 tags for 2 words;"):
        scored(tag_outputs([["A", "B", "A"]]))
    with pytest.raises(EvaluationError, match=r"model: sentence 1 has the tag 'A';.*spans=False"):
        scored(good, spans=True, gold=[["O", "O"]])
    with pytest.raises(
        EvaluationError, match=r"test sentence 1: 2 words but 1 tags; every.*correct"
    ):
        scored(good, gold=[["A"]])
    with pytest.raises(EvaluationError, match=r"1 test sentences hold 0 words; at least 1.*check"):
        score_tagging([[]], [[]], tag_outputs([[]]), {}, spans=False, known_words=WORDS)

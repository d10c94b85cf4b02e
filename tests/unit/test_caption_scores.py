from types import SimpleNamespace

import numpy as np
import pytest
from pycocoevalcap.cider.cider import Cider

from pipelines.errors import EvaluationError
from pipelines.evaluation.captioning import (
    by_reference_count,
    image_scores,
    reference_scores,
    score_captions,
)
from pipelines.evaluation.units import image_units

WORDS = ["red", "blue", "dog", "cat", "bird", "house", "tree", "boat", "hat", "sun"]


def corpus(images=120, variants=4, references=1, seed=0):
    """Images of groups whose captions share all but the last word, and captioners."""
    random = np.random.default_rng(seed)
    stems = [random.choice(WORDS, 3) for _ in range(images // variants)]
    rows = [
        SimpleNamespace(
            captions=tuple(
                " ".join([*stems[row // variants], f"tone {random.integers(3)}"])
                for _ in range(references)
            ),
            group=f"g{row // variants}",
        )
        for row in range(images)
    ]

    def captioner(share):
        """Right on whole groups, as a network is."""
        right = random.random(len(stems)) < share
        return outputs(
            row.captions[0] if right[n // variants] else "some thing" for n, row in enumerate(rows)
        )

    return rows, captioner


def outputs(captions):
    return {"caption": np.array(list(captions), object)}


def image(*captions, group=""):
    return SimpleNamespace(captions=captions, group=group)


def named(scores):
    return {score.name: score for score in scores}


def test_scores_come_with_cider_first_and_every_baseline():
    rows, captioner = corpus()
    model = {**captioner(0.8), "complete": np.ones(120, bool)}
    other = captioner(0.3)
    scores = score_captions(rows, model, {"other": other}, train_captions={"red dog"})
    assert [score.name for score in scores] == [
        "cider_d", "bleu_1", "bleu_2", "bleu_3", "bleu_4", "rouge_l", "meteor", "exact_match",
        "distinct_captions", "vocabulary_used", "novel_caption_share", "repetition_rate",
        "complete_rate",
    ]  # fmt: skip
    known = {row: list(each.captions) for row, each in enumerate(rows)}
    expected, _ = Cider().compute_score(
        known, {row: [text] for row, text in enumerate(other["caption"])}
    )
    headline = scores[0].baselines["other"]
    assert headline.value == pytest.approx(expected)
    assert headline.difference == pytest.approx(scores[0].value - expected)
    assert (scores[0].count, scores[0].counted) == (120, "images")
    for score in scores[:12]:
        assert score.low <= score.value <= score.high
        assert list(score.baselines) == ["other"]
    assert headline.p_value < 0.005
    assert headline.low > 0


def test_variants_are_drawn_together():
    rows, captioner = corpus(variants=6)
    apart = [image(*row.captions) for row in rows]
    model, other = captioner(0.65), {"other": captioner(0.5)}
    grouped = named(score_captions(rows, model, other, train_captions=()))
    single = named(score_captions(apart, model, other, train_captions=()))
    for name in ("cider_d", "bleu_1", "exact_match"):
        one, many = grouped[name], single[name]
        assert one.value == pytest.approx(many.value)
        assert one.high - one.low > 1.7 * (many.high - many.low)
        assert one.baselines["other"].p_value > many.baselines["other"].p_value


def test_units_are_groups_where_there_are_enough():
    grouped = image_units([f"g{row // 2}" for row in range(40)])
    assert (grouped.name, grouped.count) == ("groups", 20)
    assert "20 groups, since images of one group are variants" in grouped.sentence()
    few = image_units([f"g{row // 4}" for row in range(40)])
    assert few.name == "images"
    assert "fewer than 20 groups are known" in few.sentence()
    assert image_units(["", *"abcdefghijklmnopqrs", "", ""]).groups is None
    assert image_units([""] * 5).sentence() == "Intervals and p-values resample the 5 images."
    mixed = image_units(["", "", *(f"g{row // 2}" for row in range(40))])
    assert mixed.count == 22  # those of no group are groups of one
    assert mixed.groups[0] != mixed.groups[1]


def test_none_of_few_groups_is_not_none_at_all():
    rows = [image("a dog", group=f"g{row // 5}") for row in range(100)]
    grouped = named(score_captions(rows, outputs(["cat"] * 100), {}, train_captions=()))
    apart = [image("a dog")] * 20
    single = named(score_captions(apart, outputs(["cat"] * 20), {}, train_captions=()))
    assert grouped["exact_match"].value == 0
    assert grouped["exact_match"].high == pytest.approx(single["exact_match"].high)
    assert grouped["exact_match"].count == 100


def test_variety_by_hand():
    rows = [image("a red dog"), image("a cat"), image("a cat"), image("the bird")]
    model = outputs(["a dog", "a cat", "A cat!", "cat cat cat"])
    train = ["a cat", "a red dog", "two birds"]  # a, cat, red, dog, two, birds
    scores = named(
        score_captions(rows, model, {"none": outputs([""] * 4)}, train_captions=train, seed=3)
    )
    distinct = scores["distinct_captions"]
    assert (distinct.value, distinct.target) == (pytest.approx(3 / 4), pytest.approx(3 / 4))
    assert scores["vocabulary_used"].value == pytest.approx(3 / 6)  # a, dog, cat
    assert scores["vocabulary_used"].target == pytest.approx(4 / 6)  # and red
    assert scores["novel_caption_share"].value == pytest.approx(2 / 4)
    assert scores["novel_caption_share"].target == pytest.approx(1 / 4)
    assert scores["repetition_rate"].value == pytest.approx(1 / 4)
    assert scores["exact_match"].value == pytest.approx(2 / 4)
    assert scores["vocabulary_used"].baselines["none"].value == 0
    assert scores["exact_match"].baselines["none"].difference == pytest.approx(0.5)


def test_a_repetition_that_a_reference_has_is_none():
    rows = [image("one", "no no no"), image("one")]
    scores = named(score_captions(rows, outputs(["no no no"] * 2), {}, train_captions=()))
    assert scores["repetition_rate"].value == 0.5


def test_more_references_leave_less_to_miss():
    rows, _ = corpus(images=60, references=5)
    rows = [*rows, image("only one")]
    model = outputs([f"{' '.join(row.captions[-1].split()[:3])} tone 1" for row in rows])
    found = by_reference_count(rows, model, seed=3)
    assert [entry.references for entry in found] == [1, 2, 3, 4, 5]
    assert {entry.images for entry in found} == {60}
    values = [named(entry.scores)["rouge_l"].value for entry in found]
    assert values == sorted(values)
    assert values[-1] > values[0]
    kept = {"caption": model["caption"][:60]}
    whole = named(score_captions(rows[:60], kept, {}, train_captions=()))
    assert found[-1].scores[0].value == pytest.approx(whole["cider_d"].value)
    assert by_reference_count([image("a dog"), image("a cat")], outputs(["a", "b"])) == []


def test_the_most_that_can_be_reached():
    found = reference_scores([image("apple"), image("red dog"), image("a blue cat in a house")])
    assert found["cider_d"] == pytest.approx((2.5 + 5 + 10) / 3)
    assert found["rouge_l"] == pytest.approx(1)


def test_images_are_ordered_by_their_own_scores():
    rows = [image("a red dog"), image("a blue cat")]
    found = image_scores(rows, outputs(["a red dog", "dog"]))
    assert next(iter(found)) == "cider_d"
    assert found["cider_d"][0] > found["cider_d"][1] == 0
    assert found["rouge_l"].tolist() == [1, 0]


def test_what_does_not_fit_the_rows_is_refused():
    rows = [image("a"), image("b")]
    with pytest.raises(EvaluationError, match="no 'caption' among .*'label'.*return it from"):
        score_captions(rows, {"label": np.array([])}, {}, train_captions=())
    with pytest.raises(EvaluationError, match="of near: 1 captions for 2 test images.*in order"):
        score_captions(rows, outputs("ab"), {"near": outputs("a")}, train_captions=())
    with pytest.raises(EvaluationError, match="3 values of 'complete' for 2 test images"):
        score_captions(rows, {**outputs("ab"), "complete": np.ones(3, bool)}, {}, train_captions=())
    with pytest.raises(EvaluationError, match="0 rows to resample"):
        score_captions([], outputs([]), {}, train_captions=())

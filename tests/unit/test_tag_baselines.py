from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.datasets.tag_schemes import to_bio
from pipelines.errors import EvaluationError
from pipelines.evaluation.tag_baselines import FeatureCrf, MostFrequentTag, tag_outputs, valid_bio
from pipelines.evaluation.tag_features import sentence_features, shape, short_shape


@dataclass(frozen=True)
class Sentence:
    tokens: tuple
    tags: tuple


def of(*pairs):
    words, tags = zip(*(pair.split("/") for pair in pairs), strict=True)
    return Sentence(words, tags)


TRAIN = [
    of("the/D", "dog/N", "runs/V"),
    of("the/D", "run/N"),
    of("dogs/N", "run/V"),
    of("they/P", "run/V"),
    of("cats/N", "sleep/V"),
]


def language(count, seed=1):
    """Sentences whose tags follow from endings and neighbours, over ever new words."""
    random = np.random.default_rng(seed)
    rows = []
    for _ in range(count):
        words, tags = [], []
        for _ in range(random.integers(2, 6)):
            stem = "".join(random.choice(list("bdfgklmnprt"), 4))
            if random.random() < 0.5:
                words += ["the", f"{stem}o"]
                tags += ["D", "N"]
            else:
                words.append(f"{stem}en")
                tags.append("V")
        rows.append(Sentence(tuple(words), tuple(tags)))
    return rows


def towns(count, seed=1):
    """Capitalised names after "in" are places of one or two words; others are no entities."""
    random = np.random.default_rng(seed)
    rows = []
    for _ in range(count):
        first, second = ("".join(random.choice(list("abcdef"), 5)).title() for _ in range(2))
        if random.random() < 0.5:
            rows.append(of(f"{first}/O", "lives/O", "in/O", f"{second}/B-place"))
        else:
            rows.append(of("in/O", f"{first}/B-place", f"{second}/I-place", "today/O"))
    return rows


def accuracy(outputs, sentences):
    pairs = [
        (tag, wanted)
        for row, sentence in zip(outputs["tags"], sentences, strict=True)
        for tag, wanted in zip(row, sentence.tags, strict=False)
    ]
    return np.mean([said == wanted for said, wanted in pairs])


def test_most_frequent_tag_by_hand():
    model = MostFrequentTag().fit(TRAIN)
    outputs = model.predict([("the", "run"), ("new",)])
    assert outputs["tags"].tolist() == [["D", "V"], ["N", ""]]
    assert outputs["tags"].dtype == object
    assert model.unknown_tag_ == "N"


def test_most_frequent_tag_does_not_depend_on_order():
    rows = [of("a/X"), of("a/Y"), of("b/X"), of("b/Y")]
    forward, backward = (MostFrequentTag().fit(part) for part in (rows, rows[::-1]))
    assert forward.tags_ == backward.tags_ == {"a": "X", "b": "X"}
    assert forward.unknown_tag_ == "X"


def test_most_frequent_tag_answers_valid_spans():
    model = MostFrequentTag(spans=True).fit(
        [of("New/B-place", "York/I-place"), of("he/O", "left/O"), of("she/O")]
    )
    assert model.predict([("York", "left", "quickly")])["tags"].tolist() == [["B-place", "O", "O"]]


def test_feature_crf_learns_from_endings_and_is_sure_of_it():
    model = FeatureCrf(spans=False, max_iterations=30).fit(language(60), language(20, 2))
    test = language(20, 3)
    outputs = model.predict(sentence.tokens for sentence in test)
    assert accuracy(outputs, test) == 1
    majority = MostFrequentTag().fit(language(60))
    assert accuracy(majority.predict(s.tokens for s in test), test) < 0.9
    sure = outputs["confidences"]
    given = outputs["tags"] != ""
    assert sure.dtype == np.float32
    assert (sure[given] > 0.5).all()
    assert (sure[~given] == 0).all()
    assert model.notes == [
        f"L1 = {model.chosen_[0]:g}, L2 = {model.chosen_[1]:g}, chosen on the validation split"
    ]


def test_feature_crf_finds_spans_of_new_words():
    model = FeatureCrf(spans=True, max_iterations=30).fit(towns(80), towns(30, 2))
    test = towns(30, 3)
    outputs = model.predict(sentence.tokens for sentence in test)
    assert accuracy(outputs, test) > 0.95
    assert all(valid_bio(row[:4]) == row[:4].tolist() for row in outputs["tags"])


def test_work_is_bounded_and_said():
    model = FeatureCrf(spans=False, grid=[(0, 1), (0, 0.1)], max_work=8e4, tuning_words=200)
    model.fit(language(200), language(200, 2))
    assert model.drew_a_part
    assert len(model.notes) == 4
    assert "training words used, drawn at random" in model.notes[0]
    assert "validation words used, drawn at random" in model.notes[1]
    assert model.notes[2].endswith("training words used, drawn at random, for the choice")
    used = int(model.notes[0].split()[0].replace(",", ""))
    assert 400 < used <= 8e4 / (9 + 35 * 3 + 1)


def test_same_seed_same_answers():
    first, second = (
        FeatureCrf(spans=False, grid=[(0, 1)], max_work=5e4, seed=3).fit(language(99), language(9))
        for _ in range(2)
    )
    words = [sentence.tokens for sentence in language(9, 4)]
    for key, values in first.predict(words).items():
        assert (values == second.predict(words)[key]).all()


def test_odd_words_and_empty_sentences_are_tagged():
    odd = [Sentence(("a\x00b", "😀", "שלום", "e\u0301", ":", "\\", "w=x"), tuple("XYZXYZX"))] * 3
    model = FeatureCrf(spans=False, grid=[(0, 0.01)]).fit([*odd, Sentence((), ())], odd)
    outputs = model.predict([odd[0].tokens, ()])
    assert outputs["tags"].tolist() == [list(odd[0].tags), [""] * 7]


def test_one_tag_and_no_sentences_are_no_trouble():
    model = FeatureCrf(spans=True).fit([of("a/O", "b/O")], [of("a/O")])
    assert model.predict([("c",)])["tags"].tolist() == [["O"]]
    assert model.predict([])["tags"].shape == (0, 0)


def test_splits_without_words_say_so():
    with pytest.raises(
        EvaluationError, match=r"feature CRF: the validation split holds 0 words.*ch"
    ):
        FeatureCrf(spans=False).fit(TRAIN, [])
    with pytest.raises(EvaluationError, match=r"feature CRF: the training split holds 0 words"):
        FeatureCrf(spans=False).fit([], TRAIN)
    with pytest.raises(EvaluationError, match=r"most frequent tag: the training split holds 0 wor"):
        MostFrequentTag().fit([])


def test_shapes():
    assert [shape(word) for word in ("Brussels", "Al-4b", "US", "é", "東")] == [
        "Xxxxxxxx",
        "Xx-9x",
        "XX",
        "x",
        "x",
    ]
    assert short_shape("Brussels-2006!!") == "Xx-9!"


def test_features_of_a_word():
    (first, last) = sentence_features(["Dogs", "run-2"])
    expected = {"w=dogs", "s=Xxxx", "ss=Xx", "p1=d", "p4=dogs", "e1=s", "e4=dogs", "title", "first"}
    assert expected <= set(first)
    assert {"w+1=run-2", "ss+1=x-9", "w0,1=dogs|run-2", "w-1=|"} <= set(first)
    assert {"w-1=dogs", "hyphen", "digit", "last", "e-1=ogs", "w+1=|"} <= set(last)
    assert "title" not in last
    assert "first" not in last


@given(st.lists(st.text(max_size=8), max_size=6))
def test_every_word_gets_features(words):
    features = sentence_features(words)
    assert len(features) == len(words)
    assert all("bias" in found for found in features)


@given(st.lists(st.sampled_from(["O", "B-x", "I-x", "B-y", "I-y"]), max_size=12))
def test_repaired_tags_are_valid_and_valid_tags_stay(tags):
    mended = valid_bio(tags)
    assert to_bio(mended, "bio") == (mended, 0)
    assert mended == to_bio(tags, "bio")[0]


def test_padding():
    outputs = tag_outputs([["A"], ["B", "C"], []], [[0.5], [0.25, 1], []])
    assert outputs["tags"].tolist() == [["A", ""], ["B", "C"], ["", ""]]
    assert outputs["confidences"].tolist() == [[0.5, 0], [0.25, 1], [0, 0]]

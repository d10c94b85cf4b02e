"""Agreement with the reference implementations on the same tokens, and cases by hand."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nltk.stem.snowball import SnowballStemmer
from nltk.translate.meteor_score import meteor_score
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.rouge.rouge import Rouge

from pipelines.errors import EvaluationError
from pipelines.evaluation.caption_cider import DocumentFrequencies
from pipelines.evaluation.caption_metrics import caption_metrics, tokens_of

STEMMER = SnowballStemmer("english")
EMPTY_WORDNET = SimpleNamespace(synsets=lambda word: [])
# Words of one stem, so that METEOR's second pass has work, and few of them, so that many agree.
WORDS = st.sampled_from(["a", "dog", "dogs", "bike", "biking", "bikes", "red", "of", "happily"])
REFERENCES = st.lists(st.lists(WORDS, min_size=1, max_size=9), min_size=1, max_size=4)
IMAGES = st.lists(st.tuples(st.lists(WORDS, max_size=9), REFERENCES), min_size=1, max_size=6)


def coco(scorer, images):
    """COCO's value of a whole and of every image."""
    own = {row: [" ".join(caption)] for row, (caption, _) in enumerate(images)}
    known = {row: [" ".join(each) for each in found] for row, (_, found) in enumerate(images)}
    if isinstance(scorer, Bleu):
        return scorer.compute_score(known, own, verbose=0)
    return scorer.compute_score(known, own)


def ours(images, frequencies=None):
    captions = [caption for caption, _ in images]
    metrics = caption_metrics([known for _, known in images], frequencies)
    return {m.name: (m.corpus(captions), m.of_images(captions)) for m in metrics}


@settings(deadline=None, max_examples=40)
@given(IMAGES)
def test_scores_are_those_of_cocos_code(images):
    found = ours(images)
    values, of_images = coco(Bleu(4), images)
    for order in range(4):
        assert found[f"bleu_{order + 1}"][0] == pytest.approx(values[order], rel=1e-9)
        assert found[f"bleu_{order + 1}"][1] == pytest.approx(of_images[order], rel=1e-9)
    for name, scorer in {"rouge_l": Rouge(), "cider_d": Cider()}.items():
        value, of_images = coco(scorer, images)
        assert found[name][0] == pytest.approx(value, abs=1e-9)
        assert found[name][1] == pytest.approx(of_images, abs=1e-9)


@settings(deadline=None, max_examples=40)
@given(IMAGES)
def test_meteor_is_nltks_without_synonyms(images):
    expected = [
        meteor_score(known, caption, stemmer=STEMMER, wordnet=EMPTY_WORDNET)
        for caption, known in images
    ]
    value, of_images = ours(images)["meteor"]
    assert of_images == pytest.approx(expected, abs=1e-12)
    assert value == pytest.approx(np.mean(expected), abs=1e-12)


def test_a_perfect_caption_has_the_highest_score():
    texts = [tokens_of("a red dog on a bike"), tokens_of("two cats of the house")]
    found = {name: value for name, (value, _) in ours([(it, [it]) for it in texts]).items()}
    assert found["cider_d"] == pytest.approx(10)
    assert all(found[name] == pytest.approx(1) for name in ("bleu_4", "rouge_l"))
    # Even one run of words costs METEOR half of (1 / words) ** 3.
    assert found["meteor"] == pytest.approx(1 - (6**-3 + 5**-3) / 4)


def test_rare_words_count_more_by_given_frequencies():
    images = [(["a", "dog"], [["a", "dog"]]), (["a", "dog"], [["a", "cat"]])]
    known = DocumentFrequencies(100, {("a",): 90, ("dog",): 1, ("cat",): 1, ("a", "dog"): 1})
    rare, common = math.log(100), math.log(100 / 90)
    expected = 10 / 4 * common**2 / (common**2 + rare**2)
    assert ours(images, known)["cider_d"][1] == pytest.approx([5.0, expected])
    # Words of every image weigh nothing in the images' own frequencies.
    assert ours(images)["cider_d"][1] == pytest.approx([5.0, 0.0])


def test_captions_without_words_score_nothing():
    references = [[["a", "dog"], []], [[]]]
    for metric in caption_metrics(references):
        assert metric.of_images([[], ["dog"]])[0] == pytest.approx(0, abs=1e-6)
        assert metric.corpus([[], []]) == pytest.approx(0, abs=1e-6)
        assert np.isfinite(metric.of_images([["dog"], ["dog"]])).all()


def test_tokens_are_words_in_lower_case_without_punctuation():
    assert tokens_of("A dog's T-shirt: “red”, 2nd…") == [
        "a", "dog", "s", "t", "shirt", "red", "2nd",
    ]  # fmt: skip
    assert tokens_of("Cafe\u0301 ÉTÉ") == ["caf\u00e9", "été"]
    assert tokens_of("日本 go") == ["日", "本", "go"]
    assert tokens_of(" <unk> !") == ["unk"]
    assert tokens_of("…") == []


def test_what_cannot_be_scored_is_refused():
    with pytest.raises(EvaluationError, match="test row 1 has none.*leave images without"):
        caption_metrics([[["a"]], []])
    with pytest.raises(EvaluationError, match="2 for 1 images.*caption every test image"):
        caption_metrics([[["a"]]])[0].corpus([["a"], ["b"]])

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.metrics import BLEU, CHRF, TER
from sacrebleu.metrics.lib_ter import translation_edit_rate

from pipelines.errors import EvaluationError
from pipelines.evaluation import translation_metrics as metrics
from pipelines.evaluation.translation_edits import affordable, edits

TEXTS = st.lists(
    st.sampled_from([*"abcde", "été", "l'homme", "dit,", ".", "«", "日本", "42"]), max_size=9
).map(" ".join)
PAIRS = st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=6)


def by_name(language=""):
    return {metric.name: metric for metric in metrics.text_metrics(language)}


@settings(deadline=None, max_examples=40)
@given(PAIRS)
def test_corpus_scores_are_those_of_sacrebleu(pairs):
    own, references = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    for name, theirs in {"bleu": BLEU(), "chrf": CHRF(word_order=2), "ter": TER()}.items():
        expected = theirs.corpus_score(own, [references]).score
        assert by_name()[name].corpus(own, references) == pytest.approx(expected, abs=1e-9)


@settings(deadline=None, max_examples=40)
@given(PAIRS)
def test_resampled_totals_are_scored_as_sacrebleu_would_score_the_drawn_rows(pairs):
    own, references = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    drawn = [0, *range(len(pairs)), len(pairs) - 1]
    weights = np.bincount(drawn, minlength=len(pairs)).astype(float)[None, :]
    for name, theirs in {"bleu": BLEU(), "chrf": CHRF(word_order=2), "ter": TER()}.items():
        metric = by_name()[name]
        ours = metric.of_totals(weights @ metric.statistics(own, references))[0]
        drawn_own, drawn_references = (
            [own[row] for row in drawn],
            [references[row] for row in drawn],
        )
        expected = theirs.corpus_score(drawn_own, [drawn_references]).score
        assert ours == pytest.approx(expected, abs=1e-9)


def test_language_decides_how_words_are_cut():
    for language, text in {"zh": "zh", "zh_TW": "zh", "fr": "13a", "": "13a", "ja": "char"}.items():
        assert f"tok:{text}" in metrics.signatures(language)["bleu"]
    own, references = ["我喜欢狗狗"], ["我喜欢猫狗"]
    expected = BLEU(tokenize="zh").corpus_score(own, [references]).score
    assert by_name("zh")["bleu"].corpus(own, references) == pytest.approx(expected)
    # Without spaces TER would see one wrong word; by character one of five is wrong.
    assert by_name("zh")["ter"].corpus(own, references) == pytest.approx(20.0)


def test_signatures_are_sacrebleus():
    found = metrics.signatures("fr")
    for name, theirs in {"bleu": BLEU(), "chrf": CHRF(word_order=2), "ter": TER()}.items():
        shown = theirs.corpus_score(["a"], [["a"]])
        assert found[name] == f"{shown.name}|{theirs.get_signature().format()}"


def test_rows_are_ordered_by_chrf():
    references = ["the light of day", "the light of day", "the light of day"]
    found = metrics.sentence_chrf(["nothing", "the light of day", "the light at noon"], references)
    assert list(np.argsort(found)) == [0, 2, 1]
    assert found[1] == pytest.approx(100)
    assert metrics.sentence_chrf([], []).shape == (0,)


def test_lists_of_unequal_length_are_refused():
    with pytest.raises(EvaluationError, match="2 for 1 references.*translate every test row"):
        metrics.sentence_chrf(["a", "b"], ["a"])


@settings(deadline=None, max_examples=25)
@given(st.randoms(use_true_random=False), st.sampled_from([3, 12, 60]), st.integers(0, 30))
def test_edits_are_sacrebleus(random, words, size):
    own = [str(random.randrange(words)) for _ in range(random.randint(0, size))]
    other = own[size // 2 :] + own[: size // 2]
    other = [word if random.random() < 0.7 else str(random.randrange(words)) for word in other]
    other = other[: random.randint(0, size)] if random.random() < 0.3 else other
    assert edits(tuple(own), tuple(other)) == translation_edit_rate(own, other)[0]


def test_edits_beyond_the_band_are_sacrebleus():
    # More edits than the fast distance may be trusted with: the table has to be asked.
    randoms = random.Random(5)
    for own_size, other_size in ((70, 60), (60, 12), (8, 70)):
        own = [str(randoms.randrange(300)) for _ in range(own_size)]
        other = [str(randoms.randrange(300)) for _ in range(other_size)]
        assert edits(tuple(own), tuple(other)) == translation_edit_rate(own, other)[0]


def test_shift_counts_as_one_edit():
    assert edits(tuple("cdeab"), tuple("abcde")) == 1


def test_rows_too_long_for_ter_are_left_out_and_usual_ones_are_not():
    usual = [" ".join(["word"] * 30)] * 2000
    assert affordable([usual, usual, usual], usual).all()
    kept = affordable([["word " * 5000, "a b"]], ["word " * 5000, "a b"])
    assert list(kept) == [False, True]
    long = ["word " * 100] * 1000
    kept = affordable([long], long)
    assert 0 < kept.sum() < 100
    assert np.ptp(np.diff(np.flatnonzero(kept))) == 0


def test_rows_left_out_add_nothing():
    references = ["a b", "word " * 5000]
    ter = by_name()["ter"]
    found, count = metrics.statistics_of(ter, {"model": ["a c", "word"]}, references)
    assert count == 1
    assert found["model"].tolist() == [[1, 2], [0, 0]]

import math
import os
from types import SimpleNamespace

import numpy as np
import pytest
from sacrebleu.metrics import BLEU
from sacrebleu.significance import PairedTest

from pipelines.errors import EvaluationError
from pipelines.evaluation.translation import ReferenceScores, score_translation
from pipelines.evaluation.translation_metrics import text_metrics
from pipelines.evaluation.translation_significance import p_values
from pipelines.evaluation.units import Units, units_of

WORDS = ["the", "light", "of", "day", "was", "good", "and", "he", "saw", "that", "it", "made"]


def corpus(rows=120, documents=30, seed=0):
    """Pairs, and a translator that gets a share of the words right."""
    random = np.random.default_rng(seed)

    def text():
        return " ".join(random.choice(WORDS, 12))

    pairs = [
        SimpleNamespace(source=text(), target=text(), document=f"d{row % documents}")
        for row in range(rows)
    ]

    def translator(share):
        def word(right):
            return right if random.random() < share else str(random.choice(WORDS))

        return outputs([" ".join(map(word, pair.target.split())) for pair in pairs])

    return pairs, translator


def outputs(texts):
    return {"translation": np.array(texts, object), "complete": np.ones(len(texts), bool)}


def pair(source="a source", target="a target", document=""):
    return SimpleNamespace(source=source, target=target, document=document)


def named(scores):
    return {score.name: score for score in scores}


def test_scores_come_with_bleu_first_and_every_baseline():
    pairs, translator = corpus()
    reference = ReferenceScores(np.full(120, -26.0), np.full(120, 13))
    others = {"memory": translator(0.3), "copy": outputs([p.source for p in pairs])}
    scores = score_translation(pairs, translator(0.8), others, reference=reference)
    assert [score.name for score in scores] == [
        "bleu", "chrf", "ter", "length_ratio", "repetition_rate", "copy_rate", "unknown_rate",
        "perplexity", "bits_per_word", "complete_rate",
    ]  # fmt: skip
    for score in scores[:7]:
        assert list(score.baselines) == ["memory", "copy"]
        assert score.low <= score.value <= score.high
    bleu = scores[0]
    expected = BLEU().corpus_score(
        list(others["memory"]["translation"]), [[p.target for p in pairs]]
    )
    assert bleu.baselines["memory"].value == pytest.approx(expected.score)
    assert bleu.count == 120
    assert bleu.baselines["memory"].difference == pytest.approx(bleu.value - expected.score)


def test_a_clear_difference_is_found_and_noise_is_not():
    pairs, translator = corpus()
    scores = named(
        score_translation(
            pairs, translator(0.7), {"worse": translator(0.4), "alike": translator(0.7)}
        )
    )
    for name, sign in {"bleu": 1, "chrf": 1, "ter": -1}.items():
        worse, alike = scores[name].baselines["worse"], scores[name].baselines["alike"]
        assert worse.p_value < 0.005
        assert sign * worse.low > 0
        assert sign * worse.high > 0
        assert alike.p_value > 0.05
        assert alike.low < 0 < alike.high


def test_p_values_by_pair_are_those_of_sacrebleu_on_texts():
    pairs, translator = corpus(rows=60, documents=1)
    systems = {"model": translator(0.62)["translation"], "other": translator(0.55)["translation"]}
    references = [p.target for p in pairs]
    metrics = text_metrics()
    found = {
        name: {m.name: m.statistics(list(texts), references) for m in metrics}
        for name, texts in systems.items()
    }
    ours = p_values(metrics, found["model"], {"other": found["other"]}, Units(None, 60), seed=12344)
    test = PairedTest(
        [(name, list(texts)) for name, texts in systems.items()],
        {"BLEU": BLEU()},
        [references],
        n_samples=1000,
    )
    assert ours["bleu"]["other"] == pytest.approx(test()[1]["BLEU"][1].p_value, abs=1e-9)
    assert 0.002 < ours["bleu"]["other"] < 1
    assert "SACREBLEU_SEED" not in os.environ


def test_equal_systems_and_a_single_row_are_no_evidence():
    pairs, translator = corpus()
    model = translator(0.5)
    scores = named(score_translation(pairs, model, {"same": model}))
    assert scores["bleu"].baselines["same"].p_value == 1.0
    one = [pair(target="the light of the day")]
    scores = named(
        score_translation(one, outputs(["the light of the day"]), {"bad": outputs(["no"])})
    )
    assert scores["bleu"].value == pytest.approx(100)
    assert scores["bleu"].baselines["bad"].p_value == 1.0


def test_documents_are_resampled_where_enough_are_known():
    assert units_of([f"d{row % 20}" for row in range(100)]).name == "documents"
    assert units_of([f"d{row % 19}" for row in range(100)]).name == "pairs"
    assert units_of(["", *(f"d{row}" for row in range(99))]).name == "pairs"
    assert "20 documents" in units_of([f"d{row % 20}" for row in range(100)]).sentence()
    # Rows of one document all good or all bad: far fewer independent observations than rows.
    texts = [("the light of day now" if row // 10 % 2 else "no") for row in range(400)]
    rows = [pair(target="the light of day now", document=f"d{row // 10}") for row in range(400)]
    apart = [pair(target="the light of day now") for _ in range(400)]
    by_document = score_translation(rows, outputs(texts), {})[1]
    by_pair = score_translation(apart, outputs(texts), {})[1]
    assert by_document.value == by_pair.value
    assert by_document.high - by_document.low > 2 * (by_pair.high - by_pair.low)


def test_the_same_seed_gives_the_same_scores():
    pairs, translator = corpus(rows=40)
    model, other = translator(0.6), {"other": translator(0.5)}
    first = score_translation(pairs, model, other, seed=0)
    assert first == score_translation(pairs, model, other, seed=0)


def test_empty_translations_score_nothing():
    pairs, _ = corpus(rows=30)
    scores = named(score_translation(pairs, outputs([""] * 30), {}))
    assert scores["bleu"].value == scores["chrf"].value == scores["length_ratio"].value == 0
    assert scores["ter"].value == 100
    assert "unknown_rate" not in scores  # no word, so no share of words


def test_rates_by_hand():
    rows = [
        pair("Abram answered them politely", "Abram leur a répondu poliment"),
        pair("they went away", "ils partirent"),
    ]
    texts = ["Abram answered <unk> poliment", "ils ils ils partirent"]
    scores = named(score_translation(rows, {**outputs(texts), "complete": [True, False]}, {}))
    # "answered" of answered, them, politely, they, went, away; Abram is in the reference.
    assert scores["copy_rate"].value == pytest.approx(1 / 6)
    assert scores["copy_rate"].count == 6
    assert scores["unknown_rate"].value == pytest.approx(1 / 8)
    assert scores["repetition_rate"].value == 0.5
    assert scores["complete_rate"].value == 0.5
    assert scores["length_ratio"].target == 1.0


def test_perplexity_and_bits_by_hand():
    rows = [pair(target="deux mots"), pair(target="un")]
    reference = ReferenceScores(np.log([1 / 8, 1 / 4]), np.array([3, 2]))
    scores = named(score_translation(rows, outputs(["a", "b"]), {}, reference=reference))
    assert scores["perplexity"].value == pytest.approx(2.0)
    assert scores["perplexity"].count == 5
    assert scores["bits_per_word"].value == pytest.approx(math.log2(32) / 3)


def test_what_does_not_fit_the_rows_is_refused():
    rows = [pair(), pair()]
    with pytest.raises(EvaluationError, match="no 'translation' among .*'label'.*return it from"):
        score_translation(rows, {"label": np.array([])}, {})
    with pytest.raises(
        EvaluationError, match="of memory: 1 translations for 2 test rows.*in order"
    ):
        score_translation(rows, outputs(["a", "b"]), {"memory": outputs(["a"])})
    short = ReferenceScores(np.zeros(1), np.ones(2))
    with pytest.raises(EvaluationError, match="1 log-probabilities and 2 .* 2 test rows.*in order"):
        score_translation(rows, outputs(["a", "b"]), {}, reference=short)
    with pytest.raises(EvaluationError, match="3 values of 'complete' for 2 test rows.*in order"):
        score_translation(rows, {**outputs(["a", "b"]), "complete": np.ones(3)}, {})
    with pytest.raises(EvaluationError, match="0 rows to resample"):
        score_translation([], outputs([]), {})

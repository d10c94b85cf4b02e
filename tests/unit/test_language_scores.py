import math
from types import SimpleNamespace

import numpy as np
import pytest

from pipelines.errors import EvaluationError
from pipelines.evaluation.language import score_language
from pipelines.evaluation.language_measures import KINDS, language_outputs, passage_lengths
from pipelines.evaluation.language_significance import (
    by_document,
    by_kind,
    by_position,
    passage_table,
    passage_units,
)


def document(text, name=""):
    return SimpleNamespace(text=text, name=name)


def texts(count, characters=2500):
    return [document(("word " * characters)[:characters], f"d{row}") for row in range(count)]


def system(rows, bits, noise=0.0, seed=0):
    """Outputs of a system that needs so many bits a character, more or less."""
    random = np.random.default_rng(seed)
    found = []
    for row in rows:
        lengths = passage_lengths(len(row.text))
        found.append(lengths * (bits + noise * random.normal(size=len(lengths))))
    return language_outputs(found, [len(row.text) for row in rows])


def named(scores):
    return {score.name: score for score in scores}


def test_scores_of_two_documents_by_hand():
    rows = [document("ab cd"), document("é")]
    outputs = language_outputs([np.array([10.0]), np.array([2.0])], [5, 1])
    scores = named(score_language(rows, outputs, {}))
    assert list(scores) == [
        "bits_per_character", "perplexity", "compression_ratio", "bits_per_word",
    ]  # fmt: skip
    assert scores["bits_per_character"].value == 2.0
    assert scores["bits_per_character"].count == 6
    assert scores["bits_per_character"].better == "lower"
    assert scores["perplexity"].value == 4.0
    assert scores["compression_ratio"].value == pytest.approx(7 * 8 / 12)  # é has two bytes
    assert scores["compression_ratio"].better == "higher"
    assert scores["bits_per_word"].value == 4.0  # ab, cd, é


def test_every_score_holds_every_baseline_against_the_model():
    rows = texts(4)
    scores = score_language(rows, system(rows, 2.0, 0.1), {"PPMd": system(rows, 3.0, 0.1, seed=1)})
    for score in scores:
        entry = score.baselines["PPMd"]
        assert score.low < score.value < score.high
        assert entry.p_value < 0.01
        assert (entry.difference < 0) == (score.better == "lower")
    assert scores[0].baselines["PPMd"].value == pytest.approx(3.0, abs=0.1)


def test_equal_systems_do_not_differ():
    rows = texts(3)
    model = system(rows, 2.0, 0.2)
    entry = score_language(rows, model, {"same": model})[0].baselines["same"]
    assert (entry.difference, entry.low, entry.high, entry.p_value) == (0, 0, 0, 1)


@pytest.mark.parametrize(("count", "unit", "units"), [(19, "passages", 57), (20, "documents", 20)])
def test_documents_are_resampled_where_there_are_enough(count, unit, units):
    rows = texts(count)
    found = passage_units(passage_table(rows, system(rows, 2.0), {}))
    assert (found.name, found.count) == (unit, units)
    assert unit in found.sentence()


def test_documents_that_differ_widen_the_interval():
    rows = texts(20, 10_000)
    bits = np.repeat([1.0, 3.0], 10)
    outputs = language_outputs([np.full(10, 1000 * b) for b in bits], [10_000] * 20)
    score = score_language(rows, outputs, {})[0]
    assert score.high - score.low > 0.7  # 200 passages alone would give 0.28


def test_words_that_run_over_the_end_of_a_passage_count_once():
    rows = [document("a" * 999 + "bc " + "d")]
    outputs = language_outputs([np.array([1000.0, 3.0])], [1003])
    assert named(score_language(rows, outputs, {}))["bits_per_word"].count == 2


def test_an_empty_document_adds_nothing():
    rows = [document(""), document("abc")]
    outputs = language_outputs([np.zeros(0), np.array([6.0])], [0, 3])
    assert score_language(rows, outputs, {})[0].value == 2.0


def test_no_character_at_all_is_an_error():
    with pytest.raises(EvaluationError, match=r"0 rows to resample.*test split"):
        score_language([document("")], language_outputs([np.zeros(0)], [0]), {})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"characters": np.array([5, 7])}, r"document 2: 7 characters for a text of 6.*end mark"),
        ({"characters": np.array([5])}, r"of PPMd: 1 rows for 2 test documents.*in order"),
        ({"bits": np.array([9.0, 4.0])}, r"document 1: 9\.00 bits.*have 10\.00.*passage"),
        ({"bits": np.array([math.nan, 4.0])}, r"document 1: nan bits.*finite"),
        ({"passage_bits": np.zeros((2, 0))}, r"document 1: 10\.00 bits.*have 0\.00"),
    ],
)
def test_outputs_that_do_not_fit_are_refused(change, message):
    rows = [document("abcde"), document("abcdef")]
    good = language_outputs([np.array([10.0]), np.array([4.0])], [5, 6])
    with pytest.raises(EvaluationError, match=message):
        score_language(rows, good, {"PPMd": {**good, **change}})


def test_infinite_bits_are_refused():
    bad = language_outputs([np.array([np.inf])], [1])
    with pytest.raises(EvaluationError, match="inf bits.*finite"):
        score_language([document("a")], bad, {})


def test_passages_that_are_missing_are_refused():
    outputs = language_outputs([np.array([10.0])], [1001])
    with pytest.raises(
        EvaluationError, match=r"1 passages a document.*1,001 characters has 2.*pad"
    ):
        score_language([document("a" * 1001)], outputs, {})


def test_outputs_without_bits_are_refused():
    with pytest.raises(EvaluationError, match=r"of model: no 'bits', 'passage_bits' among"):
        score_language([document("a")], {"characters": np.array([1])}, {})


def test_parts_by_document_bear_its_name():
    rows = [document("a" * 3000, "Lear"), document(""), document("b" * 3000)]
    model = language_outputs([np.full(3, 2000.0), np.zeros(0), np.full(3, 3000.0)], [3000, 0, 3000])
    other = language_outputs([np.full(3, 1500.0), np.zeros(0), np.full(3, 6000.0)], [3000, 0, 3000])
    parts = by_document(passage_table(rows, model, {"PPMd": other}), rows)
    assert [(part.name, part.value, part.count) for part in parts] == [
        ("Lear", 2.0, 3000), ("document 3", 3.0, 3000),
    ]  # fmt: skip
    assert [part.baselines["PPMd"].difference for part in parts] == [0.5, -3.0]


@pytest.mark.parametrize("count", [2, 25])
def test_parts_by_position_cover_every_passage(count):
    rows = texts(count, 4500)
    falling = [np.array([4000.0, 3000.0, 3000.0, 2000.0, 500.0])] * count
    outputs = language_outputs(falling, [4500] * count)
    table = passage_table(rows, outputs, {})
    parts = by_position(table, passage_units(table))
    assert [(part.name, part.value) for part in parts] == [
        ("0 to 1,000", 4.0), ("1,000 to 3,000", 3.0), ("3,000 to 10,000", 2500 / 1500),
    ]  # fmt: skip
    assert sum(part.count for part in parts) == 4500 * count


def test_parts_by_kind_compare_systems():
    rows = [document("To be, or 2\n" * 100)]
    cost = dict(zip(KINDS, (5.0, 1.0, 4.0, 0.5, 0.25, 3.0), strict=True))
    bits = [np.array([5.0, 1, 0.5, 5, 1, 3, 0.5, 5, 1, 0.5, 4, 0.25] * 100)]
    table = passage_table(rows, language_outputs([np.add.reduceat(bits[0], [0, 1000])], [1200]), {})
    parts = by_kind(rows, {"model": bits, "PPMd": [2 * bits[0]]}, passage_units(table))
    assert {part.name: part.value for part in parts} == cost
    assert {part.name: part.baselines["PPMd"].value for part in parts} == {
        kind: 2 * value for kind, value in cost.items()
    }


def test_bits_by_kind_need_every_document():
    rows = texts(2)
    table = passage_table(rows, system(rows, 2.0), {})
    with pytest.raises(
        EvaluationError, match="bits by character of model: 1 arrays for 2 documents"
    ):
        by_kind(rows, {"model": [np.zeros(2500)]}, passage_units(table))

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nervaluate import Evaluator

from pipelines.datasets.tag_schemes import Span, spans_of, to_bio
from pipelines.evaluation.spans import (
    f1,
    macro_f1,
    match_counts,
    match_counts_by,
    outcome_counts,
    outcome_sums,
    precision,
    recall,
    span_types,
)

TAGS = st.sampled_from(["O", "B-x", "I-x", "B-y", "I-y", "B-z", "I-z"])
PAIRS = st.lists(
    st.integers(1, 12).flatmap(
        lambda n: st.tuples(
            st.lists(TAGS, min_size=n, max_size=n), st.lists(TAGS, min_size=n, max_size=n)
        )
    ),
    min_size=1,
    max_size=8,
)


def conlleval(pairs):
    """The definition, read tag by tag as the program does: chunks end, start and are compared.

    Returns right, found and wanted chunks, and precision, recall and F1 in percent.
    """

    def ends(previous, tag):
        return previous[0] != "O" and (tag[0] in "BO" or previous[2:] != tag[2:])

    def starts(previous, tag):
        return tag[0] == "B" or (tag[0] == "I" and (previous == "O" or previous[2:] != tag[2:]))

    right = found = wanted = 0
    for gold, guessed in pairs:
        both = False
        previous_gold = previous_guess = "O"
        for tag, guess in zip([*gold, "O"], [*guessed, "O"], strict=True):
            if both:
                gold_ends, guess_ends = ends(previous_gold, tag), ends(previous_guess, guess)
                if gold_ends and guess_ends:
                    right += 1
                    both = False
                elif gold_ends != guess_ends or tag[2:] != guess[2:]:
                    both = False
            gold_starts, guess_starts = starts(previous_gold, tag), starts(previous_guess, guess)
            if gold_starts and guess_starts and tag[2:] == guess[2:]:
                both = True
            wanted += gold_starts
            found += guess_starts
            previous_gold, previous_guess = tag, guess
    p = 100 * right / found if found else 0.0
    r = 100 * right / wanted if wanted else 0.0
    return right, found, wanted, p, r, 2 * p * r / (p + r) if p + r else 0.0


def spans_of_all(sequences):
    return [spans_of(tags) for tags in sequences]


def totals_of(pairs):
    gold, predicted = zip(*pairs, strict=True)
    counts = match_counts(spans_of_all(gold), spans_of_all(predicted))
    return counts.sum(axis=0, keepdims=True)


@given(PAIRS)
@settings(max_examples=150, deadline=None)
def test_strict_scores_are_conllevals(pairs):
    *counts, p, r, f = conlleval(pairs)
    totals = totals_of(pairs)
    assert totals[0].tolist() == counts
    measured = (precision(totals)[0], recall(totals)[0], f1(totals)[0])
    assert [f"{100 * value:.10f}" for value in measured] == [f"{v:.10f}" for v in (p, r, f)]


@given(PAIRS)
@settings(max_examples=80, deadline=None)
def test_every_reading_is_nervaluates(pairs):
    pairs = [(to_bio(gold, "bio")[0], to_bio(said, "bio")[0]) for gold, said in pairs]
    gold, predicted = ([list(tags) for tags in side] for side in zip(*pairs, strict=True))
    # Its reader of tag lists is not asked for: it counts a span at the end of a sentence otherwise.
    wanted, found = spans_of_all(gold), spans_of_all(predicted)
    entities = [
        [[{"label": s.type, "start": s.start, "end": s.limit - 1} for s in spans] for spans in side]
        for side in (wanted, found)
    ]
    overall = Evaluator(*entities, tags=["x", "y", "z"], loader="dict").evaluate()["overall"]
    for ours, theirs in (
        ("strict", "strict"),
        ("exact", "exact"),
        ("partial", "partial"),
        ("type", "ent_type"),
    ):
        totals = outcome_sums(outcome_counts(wanted, found, ours)).sum(axis=0, keepdims=True)
        assert f1(totals)[0] == pytest.approx(overall[theirs].f1, abs=1e-12)
        assert precision(totals)[0] == pytest.approx(overall[theirs].precision, abs=1e-12)
    assert outcome_counts(wanted, found, "strict")[:, 0].sum() == totals_of(pairs)[0, 0]


@pytest.mark.parametrize(
    ("gold", "predicted", "counts"),
    [
        ("B-x I-x O", "B-x I-x O", (1, 1, 1)),
        ("B-x I-x O", "B-y I-y O", (0, 1, 1)),
        ("B-x I-x O", "B-x O O", (0, 1, 1)),
        ("B-x I-x O", "I-x I-x O", (1, 1, 1)),
        ("B-x B-x O", "B-x I-x O", (0, 1, 2)),
        ("B-x I-x I-x", "B-x B-x I-x", (0, 2, 1)),
        ("O O O", "O B-x O", (0, 1, 0)),
        ("B-x I-y O", "B-x B-y O", (2, 2, 2)),
        ("O O B-x", "O O B-x", (1, 1, 1)),
    ],
)
def test_cases_by_hand(gold, predicted, counts):
    assert totals_of([(gold.split(), predicted.split())])[0].tolist() == list(counts)


def test_looser_readings_by_hand():
    gold = [[Span(0, 2, "x"), Span(3, 4, "y"), Span(6, 9, "x")]]
    predicted = [[Span(0, 2, "y"), Span(3, 4, "y"), Span(7, 9, "x"), Span(10, 11, "z")]]
    counts = {
        name: outcome_counts(gold, predicted, name)[0].tolist()
        for name in ("strict", "exact", "partial", "type")
    }
    assert counts == {
        "strict": [1, 2, 0, 0, 1],
        "exact": [2, 1, 0, 0, 1],
        "partial": [2, 0, 1, 0, 1],
        "type": [2, 1, 0, 0, 1],
    }
    totals = outcome_sums(outcome_counts(gold, predicted, "partial"))
    assert totals.tolist() == [[2.5, 4, 3]]
    assert f1(totals)[0] == pytest.approx(5 / 7)


def test_macro_f1_averages_the_types_that_occur():
    gold = [[Span(0, 1, "x")], [Span(0, 1, "y"), Span(2, 3, "y")]]
    predicted = [[Span(0, 1, "x")], [Span(0, 1, "y"), Span(4, 5, "z")]]
    types = span_types(gold, predicted)
    assert types == ["x", "y", "z"]
    counts = match_counts_by(gold, predicted, [*types, "never"])
    assert counts.sum(axis=0)[:, 1].tolist() == [1, 1, 2]
    assert macro_f1(counts.reshape(2, -1).sum(axis=0, keepdims=True))[0] == pytest.approx(
        (1 + 2 / 3 + 0) / 3
    )


def test_nothing_wanted_and_nothing_found_is_zero():
    totals = match_counts([[], []], [[], []]).sum(axis=0, keepdims=True)
    assert [precision(totals)[0], recall(totals)[0], f1(totals)[0]] == [0, 0, 0]
    assert macro_f1(np.zeros((1, 0)))[0] == 0

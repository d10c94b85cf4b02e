"""The loops in the graph against the plain reference, on random tables."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from keras import ops

from pipelines.errors import ConfigError
from pipelines.layers.decoding import (
    BeamSettings,
    DecodingSettings,
    SampleSettings,
    beam_search,
    greedy,
    sample,
)
from tests import reference_decoding as reference
from tests.graph.table_models import (
    CLOSE,
    RULES,
    TableModel,
    always,
    answers,
    assert_same,
    random_model,
)


@settings(max_examples=50, deadline=None)
@given(data=st.data(), seed=st.integers(0, 2**31))
def test_beam_search_equals_the_reference(data, seed):
    random = np.random.default_rng(seed)
    size, longest = data.draw(st.integers(4, 12)), data.draw(st.integers(1, 8))
    sources = data.draw(st.sampled_from([0, 3]))
    beams = data.draw(st.integers(1, 6))
    rules = BeamSettings(
        **{name: data.draw(values) for name, values in RULES.items()},
        beams=beams,
        n_best=data.draw(st.one_of(st.none(), st.integers(1, beams))),
        coverage_penalty=data.draw(st.sampled_from([0.2, 1.0])) if sources else 0.0,
        patience=data.draw(st.sampled_from([None, None, 1.0, 1.5])),
    )
    rows = 3
    model = random_model(random, rows=rows, longest=longest, size=size, sources=sources)
    limits = random.integers(0, longest + 1, rows)
    mask = np.arange(sources) < random.integers(1, sources + 1, (rows, 1)) if sources else None
    decoded = beam_search(model.step, model.state(rules.start), limits, rules, source_mask=mask)
    for row in range(rows):
        gap = reference.Gap()
        logits, attention = model.row(row, rules.start)
        seen = int(mask[row].sum()) if sources else 0
        expected = reference.beam_search(
            logits, limits[row], rules, gap=gap, sources=seen,
            attention=lambda tokens, full=attention, seen=seen: full(tokens)[:seen],
        )  # fmt: skip
        assume(gap.smallest > CLOSE)
        assert_same(answers(decoded, row), expected)


@settings(max_examples=12, deadline=None)
@given(data=st.data(), seed=st.integers(0, 2**31))
def test_greedy_is_a_beam_of_one_and_a_sample_at_temperature_0(data, seed):
    random = np.random.default_rng(seed)
    rules = {name: data.draw(values) for name, values in RULES.items()}
    model = random_model(random, rows=4, longest=6, size=7)
    limits, state = random.integers(0, 7, 4), model.state(2)
    one = greedy(model.step, state, limits, DecodingSettings(**rules))
    beam = beam_search(model.step, state, limits, BeamSettings(**rules, beams=1))
    cold = SampleSettings(**rules, temperature=0)
    for other in (beam, sample(model.step, state, limits, cold, lambda step: None)):
        for ours, theirs in zip(one, other, strict=True):
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(("alpha", "normalizer"), [(0, "wu"), (0.6, "wu"), (1, "power")])
@pytest.mark.parametrize("seed", range(3))
def test_a_beam_as_wide_as_the_tree_finds_the_true_best(alpha, normalizer, seed):
    size, longest = 5, 4  # tokens 1, 3 and 4 may be chosen; 3 stops
    model = random_model(np.random.default_rng(seed), rows=1, longest=longest, size=size)
    rules = BeamSettings(beams=size**longest, n_best=6, length_penalty=alpha, normalizer=normalizer)
    logits, _ = model.row(0, 2)
    every = []
    for length in range(1, longest + 1):
        for words in itertools.product((1, 4), repeat=length - 1):
            tokens = (*words, 3)
            total = sum(reference.log_softmax(logits(tokens[:i]))[tokens[i]] for i in range(length))
            score = total / reference.divisor(length, rules)
            every.append(reference.Answer(tokens, total, score, True))
    expected = sorted(every, key=lambda item: -item.score)[:6]
    decoded = beam_search(model.step, model.state(2), [longest], rules)
    assert_same(answers(decoded, 0), expected)


def counting(model):
    """The model and a list that grows by one at each step run."""
    calls = []

    def step(tokens, state):
        calls.append(tokens.shape)
        return model.step(tokens, state)

    return step, calls


def test_a_row_alone_gets_what_it_gets_in_any_batch():
    random = np.random.default_rng(4)
    model = random_model(random, rows=16, longest=12, size=9, sources=4)
    limits = random.integers(1, 13, 16)
    mask = np.arange(4) < random.integers(1, 5, (16, 1))
    rules = BeamSettings(beams=4, coverage_penalty=0.3, length_penalty=0.8, no_repeat_ngram=2)
    whole = beam_search(model.step, model.state(2), limits, rules, source_mask=mask)
    for rows in ([3], [11, 0], list(range(8, 16)), [5, 5, 6]):
        part = model.pick(rows)
        alone = beam_search(part.step, part.state(2), limits[rows], rules, source_mask=mask[rows])
        width = alone.tokens.shape[2]
        assert not np.any(np.array(whole.tokens)[rows][:, :, width:])
        np.testing.assert_array_equal(alone.tokens, np.array(whole.tokens)[rows][:, :, :width])
        for ours, theirs in zip(alone[1:], whole[1:], strict=True):
            # Vectorised sums of one row may round otherwise beside others.
            np.testing.assert_allclose(ours, np.array(theirs)[rows], rtol=1e-6)


def test_a_search_ends_when_nothing_better_is_possible():
    sure = always(1e-9, 1e-9, 1e-9, 0.9, 0.1)
    for n_best, steps in ((1, 1), (2, 2)):
        step, calls = counting(sure)
        decoded = beam_search(
            step, sure.state(2), [30], BeamSettings(beams=2, n_best=n_best, length_penalty=0)
        )
        assert len(calls) == steps
        assert answers(decoded, 0)[0].tokens == (3,)


def test_a_length_penalty_makes_a_search_go_on_as_long_as_it_could_matter():
    model = always(1e-9, 1e-9, 1e-9, 0.6, 0.4)
    rules = {"beams": 2, "n_best": 1, "length_penalty": 1.0}
    step, calls = counting(model)
    beam_search(step, model.state(2), [30], BeamSettings(**rules))
    # n tokens of 0.4 each can end no better than over the divisor of the limit, lp(30).
    bound = [n * math.log(0.4) / (35 / 6) for n in range(1, 31)]
    assert len(calls) == next(n for n, value in enumerate(bound, 1) if value < math.log(0.6))
    step, calls = counting(model)
    beam_search(step, model.state(2), [30], BeamSettings(**rules, patience=1))
    assert len(calls) == 2


def test_the_loop_ends_with_its_last_row():
    model = always(1e-9, 1e-9, 1e-9, 0.1, 0.9)
    both = TableModel(np.concatenate([model.logits] * 2))
    step, calls = counting(both)
    decoded = greedy(step, both.state(2), [4, 9])
    assert len(calls) == 9
    assert decoded.tokens.shape == (2, 1, 9)
    assert np.array(decoded.lengths).tolist() == [[4], [9]]
    assert not np.any(decoded.complete)


def test_hypotheses_cut_at_the_limit_stand_behind_the_finished():
    model = always(1e-9, 1e-9, 1e-9, 0.1, 0.9, longest=2)
    rules = BeamSettings(beams=4, length_penalty=0)
    found = answers(beam_search(model.step, model.state(2), [2], rules), 0)
    assert [(item.tokens, item.complete) for item in found[:3]] == [
        ((3,), True), ((4, 3), True), ((4, 4), False),
    ]  # fmt: skip
    assert found[2].log_probability > found[0].log_probability


def test_more_beams_than_tokens_give_no_hypothesis_twice():
    model = always(1e-9, 0.2, 1e-9, 0.5, 0.3, longest=2)
    found = answers(beam_search(model.step, model.state(2), [2], BeamSettings(beams=40)), 0)
    assert len(found) == len({item.tokens for item in found}) == 7


def test_a_hypothesis_nothing_may_follow_is_cut_there():
    model = always(0.1, 0.2, 0.1, 0.3, 0.3, longest=6)
    rules = {"min_length": 6, "no_repeat_ngram": 1}
    for decoded in (
        greedy(model.step, model.state(2), [6], DecodingSettings(**rules)),
        beam_search(model.step, model.state(2), [6], BeamSettings(**rules, beams=3)),
    ):
        best = answers(decoded, 0)[0]
        assert sorted(best.tokens) == [1, 4]
        assert not best.complete


def test_a_row_may_go_on_from_a_token_of_its_own():
    model = random_model(np.random.default_rng(0), rows=2, longest=3, size=6)
    starts = np.array([4, 5])
    decoded = greedy(model.step, model.state(2), [1, 1], start=starts)
    expected = model.logits[[0, 1], 0, 2, starts].copy()
    expected[:, [0, 2]] = -np.inf
    assert np.array(decoded.tokens)[:, 0, 0].tolist() == expected.argmax(-1).tolist()


@pytest.mark.parametrize("model_dtype", ["float16", "bfloat16"])
def test_sums_are_float32_whatever_the_model_computes_in(model_dtype):
    model = always(1e-4, 1e-4, 1e-4, 1e-4, 0.9996)

    def step(tokens, state):
        out = model.step(tokens, state)
        return out._replace(logits=ops.cast(out.logits, model_dtype))

    decoded = beam_search(step, model.state(2), [30], BeamSettings(beams=2, length_penalty=0))
    assert decoded.log_probability.dtype == "float32"
    assert min(answers(decoded, 0)[0].log_probability, -1e-6) > -10


def test_no_rows_give_no_hypotheses():
    model = random_model(np.random.default_rng(0), rows=1, longest=3, size=6).pick([])
    decoded = beam_search(model.step, model.state(2), np.zeros(0, "int32"), BeamSettings(beams=2))
    assert decoded.tokens.shape[:2] == (0, 2)


def test_what_the_model_cannot_do_is_refused():
    model = always(0.2, 0.2, 0.2, 0.2, 0.2)
    with pytest.raises(ConfigError, match=r"got the token\(s\) \[7\], expected .* size 5; pass"):
        greedy(model.step, model.state(2), [3], DecodingSettings(stop=7))
    rules = BeamSettings(coverage_penalty=0.5)
    with pytest.raises(ConfigError, match="got 0.5 without source_mask, expected .* pass it"):
        beam_search(model.step, model.state(2), [3], rules)
    with pytest.raises(ConfigError, match="no attention, expected 0; set coverage_penalty to 0"):
        beam_search(model.step, model.state(2), [3], rules, source_mask=np.ones((1, 2), bool))

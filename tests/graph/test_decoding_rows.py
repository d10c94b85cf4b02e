"""Sampling in which every row has settings of its own, written on in blocks."""

import math
from functools import partial

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from keras import ops, tree

from pipelines.errors import ConfigError
from pipelines.layers.decoding import (
    Ahead,
    BeamSettings,
    DecodingSettings,
    RowSettings,
    SampleSettings,
    StepOutput,
    beam_search,
    sample,
    sample_on,
)
from tests import reference_decoding as reference
from tests.graph.table_models import CLOSE, always, answers, random_model

PLAIN = DecodingSettings(banned=(0, 2))
TEMPERATURES = [0.0, 1e-30, 0.5, 1.0, 2.0, 1e30]


def rows_of(temperature, top_k, top_p, penalty):
    values = temperature, top_k, top_p, penalty
    kinds = "float32", "int32", "float32", "float32"
    return RowSettings(*(np.array(part, kind) for part, kind in zip(values, kinds, strict=True)))


def random_rows(random, count):
    return rows_of(
        random.choice([0.0, 0.5, 1.0, 2.0], count),
        random.integers(0, 14, count),
        random.choice([1.0, 0.9, 0.4], count),
        random.choice([1.0, 1.3, 2.0], count),
    )


def standing(model, samples, history):
    """Before any token; every row goes on from token 2."""
    rows = len(model.logits)
    wide = tree.map_structure(lambda leaf: ops.repeat(leaf, samples, axis=1), model.state(2))
    last = np.full((rows, samples), 2, "int32")
    return Ahead(wide, last, np.zeros((rows, samples, history), "int32"))


def slow(logits, limit, row, history, uniforms, gap):
    """One hypothesis in plain Python."""
    temperature, top_k, top_p, penalty = (float(value) for value in row)
    rules = SampleSettings(
        banned=(0, 2), temperature=temperature, top_k=int(top_k), top_p=min(top_p, 1.0),
        repetition_penalty=penalty,
    )  # fmt: skip
    tokens = []
    for number in range(limit):
        values = logits(tuple(tokens))
        allowed = reference.continuations(values, tuple(tokens[-history:]), rules)
        tokens.append(reference.draw(values, allowed, rules, uniforms[number], gap))
        if tokens[-1] == rules.stop:
            break
    return tokens


@settings(max_examples=25, deadline=None)
@given(data=st.data(), seed=st.integers(0, 2**31))
def test_rows_are_drawn_as_the_reference_draws_them(data, seed):
    random = np.random.default_rng(seed)
    size, longest = data.draw(st.integers(4, 12)), data.draw(st.integers(1, 8))
    samples, history = data.draw(st.integers(1, 2)), data.draw(st.integers(1, 5))
    model = random_model(random, rows=3, longest=longest, size=size)
    rows, limits = random_rows(random, 3), random.integers(0, longest + 1, 3)
    uniforms = random.uniform(size=(longest, 3, samples)).astype("float32")
    decoded, _ = sample_on(
        model.step, standing(model, samples, history), limits, PLAIN,
        lambda step: uniforms[int(step)], rows=rows,
    )  # fmt: skip
    for row in range(3):
        for k, answer in enumerate(answers(decoded, row)):
            gap = reference.Gap()
            logits, _ = model.row(row, 2)
            own = [part[row] for part in rows]
            expected = slow(logits, limits[row], own, history, uniforms[:, row, k], gap)
            assume(gap.smallest > CLOSE)
            assert list(answer.tokens) == expected
            plain = sum(
                reference.log_softmax(logits(tuple(expected[:place])))[token]
                for place, token in enumerate(expected)
            )
            assert answer.log_probability == pytest.approx(plain, rel=1e-5, abs=1e-5)


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**31), cuts=st.lists(st.integers(0, 3), min_size=1, max_size=4))
def test_blocks_of_any_sizes_join(seed, cuts):
    random = np.random.default_rng(seed)
    longest = sum(cuts)
    model = random_model(random, rows=2, longest=max(longest, 1), size=9)
    rows = random_rows(random, 2)
    uniforms = random.uniform(size=(longest + 1, 2, 1)).astype("float32")
    # Each row cuts its text at places of its own.
    parts = np.array([cuts, random.permutation(cuts)], "int32")

    def draw(done, step):
        return uniforms[np.minimum(done + int(step), longest), [0, 1]]

    def written(limits):
        ahead, done = standing(model, 1, 3), np.zeros(2, int)
        texts, ended = [[], []], np.zeros(2, bool)
        for limit in limits:
            decoded, ahead = sample_on(
                model.step, ahead, np.where(ended, 0, limit), PLAIN,
                partial(draw, done), rows=rows,
            )  # fmt: skip
            for row in range(2):
                texts[row] += [int(token) for a in answers(decoded, row) for token in a.tokens]
            done = done + np.array(decoded.lengths)[:, 0]
            ended |= np.array(decoded.complete)[:, 0]
        return texts, ended.tolist(), tree.map_structure(np.array, tuple(ahead))

    texts, ended, ahead = written([np.full(2, longest)])
    in_parts, ended_in_parts, ahead_of_parts = written(parts.T)
    assert (texts, ended) == (in_parts, ended_in_parts)
    tree.map_structure(np.testing.assert_array_equal, ahead, ahead_of_parts)


@pytest.mark.parametrize("size", [9, 700])  # with and without a few tokens that hold all
def test_a_row_draws_the_same_whatever_the_others_ask_for(size):
    random, count = np.random.default_rng(3), 40
    logits = random.normal(size=(count, 1, size)).astype("float32")
    uniforms = random.uniform(size=(count, 1)).astype("float32")
    rows = rows_of(
        random.choice([0.0, 0.7, 1.0], count),
        random.choice([0, 0, 5, 400], count),
        random.choice([1.0, 0.8, 0.999], count),
        random.choice([1.0, 1.2], count),
    )

    def drawn(at):
        wanted = ops.convert_to_tensor(logits[at])
        ahead = Ahead((), np.ones((len(at), 1), "int32"), np.full((len(at), 1, 4), 5, "int32"))
        decoded, _ = sample_on(
            lambda _, state: StepOutput(wanted, state), ahead, np.ones(len(at)), PLAIN,
            lambda _: uniforms[at], rows=RowSettings(*(part[at] for part in rows)),
        )  # fmt: skip
        return np.array(decoded.tokens).ravel().tolist()

    together = drawn(np.arange(count))
    alone = [drawn(np.array([row]))[0] for row in range(count)]
    assert together == alone
    for row in range(count):
        gap = reference.Gap()
        own = [part[row] for part in rows]
        rules = SampleSettings(
            banned=(0, 2), temperature=float(own[0]), top_k=int(own[1]),
            top_p=min(float(own[2]), 1.0), repetition_penalty=float(own[3]),
        )  # fmt: skip
        values = logits[row, 0].tolist()
        allowed = reference.continuations(values, (5,), rules)
        expected = reference.draw(values, allowed, rules, float(uniforms[row, 0]), gap)
        assert gap.smallest < 1e-6 or together[row] == expected


@pytest.mark.parametrize("uniform", [0.0, 0.3, 0.99999994])
@pytest.mark.parametrize("temperature", [*TEMPERATURES, math.inf, math.nan, -1.0])
def test_no_temperature_draws_what_is_forbidden(temperature, uniform):
    model = always(0.3, 0.1, 0.3, 0.1, 0.2)
    draws = np.full((1, 1), uniform, "float32")
    for top_k, top_p in ((0, 1.0), (4, 1.0), (0, 0.9), (9, 2.0), (-1, 0.0), (0, -1.0)):
        rows = rows_of([temperature], [top_k], [top_p], [1.0])
        decoded, _ = sample_on(
            model.step, standing(model, 1, 2), [1], PLAIN, lambda step: draws, rows=rows
        )
        token = int(np.array(decoded.tokens).ravel()[0])
        assert token in (1, 3, 4)
        if not temperature >= 1e-20 or (top_p <= 0 and temperature < math.inf):
            assert token == 4
    if temperature in TEMPERATURES:
        rules = SampleSettings(temperature=temperature, banned=(0, 2))
        decoded = sample(model.step, model.state(2), [1], rules, lambda step: draws)
        assert int(np.array(decoded.tokens).ravel()[0]) in (1, 3, 4)


def test_what_hangs_on_all_tokens_before_is_refused():
    model = always(0.2, 0.2, 0.2, 0.4)
    rows = rows_of([1.0], [0], [1.0], [1.0])
    for wrong in ({"min_length": 2}, {"no_repeat_ngram": 3}, {"repetition_penalty": 1.5}):
        name, value = next(iter(wrong.items()))
        message = f"'{name}': got {value} where .* would begin anew in every block; set it off"
        with pytest.raises(ConfigError, match=message):
            sample_on(
                model.step, standing(model, 1, 2), [1], DecodingSettings(**wrong),
                lambda step: None, rows=rows,
            )  # fmt: skip


def test_a_search_may_rank_what_ended_and_what_is_cut_alike():
    model = always(1e-9, 0.5, 1e-9, 0.1, 0.4)  # 3 ends
    found = {}
    for first in (True, False):
        rules = BeamSettings(beams=4, length_penalty=0.0, complete_first=first)
        found[first] = answers(beam_search(model.step, model.state(2), [2], rules), 0)
    alike = found[False]
    assert found[True][0].complete
    assert not alike[0].complete
    assert [answer.score for answer in alike] == sorted(
        (answer.score for answer in alike), reverse=True
    )
    expected = {(1, 1): 0.25, (1, 4): 0.2, (4, 1): 0.2, (4, 4): 0.16}
    assert {answer.tokens for answer in alike} == set(expected)
    for answer in alike:
        assert math.exp(answer.log_probability) == pytest.approx(expected[answer.tokens], abs=1e-5)

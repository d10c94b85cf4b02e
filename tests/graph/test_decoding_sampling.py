"""Drawing in the graph against the plain reference; settings that cannot be."""

import itertools

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
    StepOutput,
    sample,
)
from tests import reference_decoding as reference
from tests.graph.table_models import (
    CLOSE,
    RULES,
    always,
    answers,
    assert_same,
    random_model,
)


@settings(max_examples=40, deadline=None)
@given(data=st.data(), seed=st.integers(0, 2**31))
def test_sampling_equals_the_reference(data, seed):
    random = np.random.default_rng(seed)
    size, longest = data.draw(st.integers(4, 12)), data.draw(st.integers(1, 8))
    rules = SampleSettings(
        **{name: data.draw(values) for name, values in RULES.items()},
        samples=data.draw(st.integers(1, 4)),
        temperature=data.draw(st.sampled_from([0.0, 0.5, 1.0, 2.0])),
        top_k=data.draw(st.integers(0, 14)),
        top_p=data.draw(st.sampled_from([1.0, 0.9, 0.4])),
    )
    model = random_model(random, rows=2, longest=longest, size=size)
    limits = random.integers(0, longest + 1, 2)
    uniforms = random.uniform(size=(longest, 2, rules.samples)).astype("float32")
    decoded = sample(
        model.step, model.state(rules.start), limits, rules, lambda step: uniforms[int(step)]
    )
    for row, k in itertools.product(range(2), range(rules.samples)):
        gap = reference.Gap()
        logits, _ = model.row(row, rules.start)
        expected = reference.sample(logits, limits[row], rules, uniforms[:, row, k], gap)
        assume(gap.smallest > CLOSE)
        assert_same([answers(decoded, row)[k]], [expected])


def test_samples_follow_the_distribution():
    probabilities = np.array([0.05, 0.2, 0.05, 0.4, 0.3])
    model, count = always(*probabilities), 4000
    uniforms = (np.random.default_rng(1).permutation(count) + 0.5).astype("float32") / count
    rules = SampleSettings(samples=count)
    decoded = sample(model.step, model.state(2), [1], rules, lambda step: uniforms[None])
    shares = np.bincount(np.array(decoded.tokens).ravel(), minlength=5) / count
    expected = probabilities * [0, 1, 0, 1, 1]
    np.testing.assert_allclose(shares, expected / expected.sum(), atol=1e-3)


@pytest.mark.parametrize("spread", [0.1, 3.0])  # with and without a few tokens that hold it all
def test_a_nucleus_of_a_large_vocabulary_is_that_of_the_sorted_one(spread):
    random = np.random.default_rng(2)
    size, count, compared = 600, 20, 0
    logits = (random.permutation(size) / size * 6 * spread).astype("float32")[None, None]
    uniforms = random.uniform(size=(1, count)).astype("float32")
    rules = SampleSettings(samples=count, top_p=0.8, banned=(), min_length=2)

    def step(tokens, state):
        return StepOutput(ops.repeat(ops.convert_to_tensor(logits), count, axis=1), state)

    decoded = sample(step, (np.zeros((1, 1)),), [1], rules, lambda step: uniforms)
    for k in range(count):
        gap = reference.Gap()
        expected = reference.sample(lambda _: logits.ravel(), 1, rules, uniforms[:, k], gap)
        if gap.smallest > 1e-6:
            assert answers(decoded, 0)[k].tokens == expected.tokens
            compared += 1
    assert compared > 10


@pytest.mark.parametrize("uniform", [0.0, 1e-38, 0.99999994, 1.0])
@pytest.mark.parametrize("cut", [{}, {"top_p": 0.999}, {"top_k": 3}])
def test_the_ends_of_the_uniforms_draw_nothing_forbidden(uniform, cut):
    model = always(0.2, 0.2, 0.2, 0.2, 0.2)
    rules = SampleSettings(**cut, banned=(0, 2, 4))
    draws = np.full((1, 1), uniform, "float32")
    decoded = sample(model.step, model.state(2), [1], rules, lambda step: draws)
    assert np.array(decoded.tokens).ravel()[0] in (1, 3)


@pytest.mark.parametrize(
    ("kind", "wrong", "message"),
    [
        (BeamSettings, {"beams": 0}, "'beams': got 0, expected 1 or more; change beams"),
        (BeamSettings, {"beams": 2, "n_best": 3}, "'n_best': got 3, expected 1 to 2"),
        (BeamSettings, {"coverage_penalty": -1.0}, "'coverage_penalty': got -1.0, expected 0 or"),
        (BeamSettings, {"patience": 0.5}, "'patience': got 0.5, expected 1 or more"),
        (SampleSettings, {"top_p": 0.0}, "'top_p': got 0.0, expected above 0"),
        (SampleSettings, {"top_k": -1}, "'top_k': got -1, expected 0"),
        (SampleSettings, {"temperature": -1}, "'temperature': got -1, expected 0"),
        (SampleSettings, {"samples": 0}, "'samples': got 0, expected 1 or more"),
        (DecodingSettings, {"banned": (0, 3)}, "'banned': got .0, 3., expected tokens without"),
        (DecodingSettings, {"min_length": -1}, "'min_length': got -1, expected 0 or more"),
        (DecodingSettings, {"no_repeat_ngram": -1}, "'no_repeat_ngram': got -1, expected 0"),
        (DecodingSettings, {"repetition_penalty": 0.5}, "got 0.5, expected 1 .off. or more"),
        (DecodingSettings, {"normalizer": "mean"}, "got 'mean', expected 'wu' or 'power'"),
        (DecodingSettings, {"max_length": 0}, "'max_length': got 0, expected 1 or more, or None"),
    ],
)
def test_settings_out_of_range_are_refused(kind, wrong, message):
    with pytest.raises(ConfigError, match=message):
        kind(**wrong)

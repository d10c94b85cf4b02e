import sys

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops
from scipy import special, stats

from pipelines.errors import ConfigError
from pipelines.layers import special_functions as functions
from pipelines.layers.forecast_heads import (
    ForecastHead,
    ForecastOutput,
    ScaledLoss,
    family_of,
    require_scaling,
    with_window,
)
from pipelines.layers.quantiles import PinballLoss, normal_scores, require_levels

FAMILIES = ("quantiles", "gaussian", "student-t", "negative-binomial")
LEVELS = (0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99)
NAN = np.nan


def numpy(value):
    return ops.convert_to_numpy(value)


def single(values):
    return np.asarray(values, "float32")


def drawn(*size, seed=0):
    return np.random.default_rng(seed).normal(size=size).astype("float32")


def window(rows, targets=2, scale=3.0):
    return np.tile(single([0, scale, 1, 0]), (rows, targets, 1))


@given(st.lists(st.floats(-80, 80, width=32), min_size=7, max_size=7))
def test_quantiles_never_cross_whatever_the_network_gives(raw):
    family = family_of("quantiles", LEVELS)
    params = numpy(family.parameters(single(raw)))
    assert (np.diff(params) > 0).all() or np.abs(params).max() > 10
    assert (np.diff(params) >= 0).all()
    other = numpy(family.quantiles(params, (0.001, 0.05, 0.4, 0.6, 0.999)))
    assert (np.diff(other) >= -1e-4).all()


def test_quantile_steps_by_hand():
    family = family_of("quantiles", (0.1, 0.5, 0.9))
    soft = np.log1p(np.exp([1.0, 3.0]))
    np.testing.assert_allclose(
        family.parameters(single([1, 2, 3])), [2 - soft[0], 2, 2 + soft[1]], rtol=1e-5
    )


def test_quantiles_between_levels_are_those_of_the_normal_they_bend():
    family = family_of("quantiles", LEVELS)
    params = single(5 + 2 * normal_scores(LEVELS))
    asked = (0.005, 0.3, 0.6, 0.995)
    np.testing.assert_allclose(family.quantiles(params, asked), 5 + 2 * normal_scores(asked), 1e-5)
    uniforms = single(asked)
    np.testing.assert_allclose(
        family.sample(params, uniforms), 5 + 2 * normal_scores(asked), rtol=1e-4
    )
    assert float(family.mean(params)) == pytest.approx(5, abs=1e-3)
    skewed = single(np.exp(normal_scores(LEVELS)))
    draws = numpy(family.sample(skewed, (np.arange(9999) + 0.5) / 9999))
    assert float(family.mean(skewed)) == pytest.approx(draws.mean(), rel=1e-3)


def test_one_level_is_a_point_forecast():
    family = family_of("quantiles", (0.5,))
    params = family.parameters(single([[2.0]]))
    assert float(family.mean(params)[0]) == 2
    assert numpy(family.quantiles(params, (0.1, 0.9))).tolist() == [[2, 2]]


@given(st.floats(2.0001, 1e5), st.floats(1e-6, 1 - 1e-6))
def test_students_quantiles_are_scipys(freedom, level):
    score = single(special.ndtri(level))
    found = float(functions.student_t_score(score, single(freedom)))
    exact = stats.t.ppf(special.ndtr(float(score)), freedom)
    # A level near 0.5 stands for a number near 0, known as well as the level.
    assert found == pytest.approx(exact, rel=1e-5, abs=1e-6)


def test_students_likelihood_is_scipys():
    freedom = np.geomspace(2.01, 1e5, 50)
    params = single(np.stack([np.full(50, 1.0), np.full(50, 0.5), freedom], -1))
    for target in (1.0, 0.2, 30.0):
        expected = -stats.t.logpdf(target, freedom, 1.0, 0.5)
        found = family_of("student-t").loss(single(np.full(50, target)), params)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def counted(seed):
    """Draw 500 means, dispersions and levels over the stated ranges, and their distribution."""
    draws = np.random.default_rng(seed)
    mean, dispersion = (10 ** single(draws.uniform(*r, 500)) for r in ((-3, 5), (-4, 2)))
    size = 1 / dispersion.astype("float64")
    return mean, dispersion, single(draws.random(500)), stats.nbinom(size, size / (size + mean))


@settings(max_examples=8)
@given(st.integers(0, 2**32))
def test_negative_binomial_quantiles_are_scipys(seed):
    mean, dispersion, level, exact = counted(seed)
    found = numpy(functions.negative_binomial_quantile(level, mean, dispersion))
    assert (found == np.round(found)).all()
    bounded = np.clip(level, 1e-4, 1 - 1e-4)
    assert (exact.cdf(found) >= bounded - 3e-5).all()
    assert (exact.cdf(found - 1) <= bounded + 3e-5).all()


@settings(max_examples=8)
@given(st.integers(0, 2**32))
def test_negative_binomial_probabilities_are_scipys(seed):
    mean, dispersion, level, exact = counted(seed)
    count = single(exact.ppf(level))
    found = functions.negative_binomial_cdf(count, mean, dispersion)
    np.testing.assert_allclose(found, exact.cdf(count), atol=3e-5)
    logs = functions.negative_binomial_log_probability(count, mean, dispersion)
    np.testing.assert_allclose(logs, exact.logpmf(count), atol=2e-4, rtol=1e-4)


def test_no_count_is_below_zero():
    one = np.ones(2, "float32")
    assert numpy(functions.negative_binomial_cdf(-one, one, one)).tolist() == [0, 0]
    assert numpy(functions.negative_binomial_quantile(0.2 * one, one, one)).tolist() == [0, 0]


def test_a_normal_forecast_is_scipys():
    family, params = family_of("gaussian"), single([[1.0, 2.0], [0.0, 0.1]])
    scipys = stats.norm(params[:, 0], params[:, 1])
    np.testing.assert_allclose(
        family.loss(single([2, 0.3]), params), -scipys.logpdf([2, 0.3]), rtol=1e-5
    )
    exact = np.stack([scipys.ppf(level) for level in LEVELS], -1)
    np.testing.assert_allclose(family.quantiles(params, LEVELS), exact, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", FAMILIES)
def test_samples_follow_the_quantiles(name):
    family = family_of(name, LEVELS)
    raw = single(np.random.default_rng(1).normal(size=(3, family.size)))
    params = family.parameters(raw, single([5, 50, 500]))
    grid = (np.arange(4000) + 0.5) / 4000
    many = np.repeat(numpy(params)[:, None], len(grid), axis=1)
    samples = numpy(family.sample(many, single(np.tile(grid, (3, 1)))))
    found = np.quantile(samples, LEVELS, axis=1).T
    np.testing.assert_allclose(found, family.quantiles(params, LEVELS), rtol=0.02, atol=0.03)
    np.testing.assert_allclose(samples.mean(1), family.mean(params), rtol=0.02, atol=0.03)
    again = numpy(family.sample(many, single(np.tile(grid, (3, 1)))))
    np.testing.assert_array_equal(again, samples)


def test_pinball_by_hand_and_blind_to_what_is_missing():
    actual = single([[[4.0], [NAN]], [[1.0], [2.0]]])
    quantiles = np.tile(single([1, 2, 5]), (2, 2, 1, 1))
    levels = np.array([0.1, 0.5, 0.9])
    gaps = actual[..., None] - quantiles
    expected = 2 * np.maximum(levels * gaps, (levels - 1) * gaps).mean(-1)
    loss = PinballLoss(tuple(levels))
    assert float(loss(actual, quantiles)) == pytest.approx(np.nanmean(expected), rel=1e-5)
    weights = np.broadcast_to(single([0.5, 2.0])[:, None, None], actual.shape)
    weighted = float(loss(np.stack([actual, weights], -1), quantiles))
    assert weighted == pytest.approx(np.nansum(expected * weights) / 3, rel=1e-5)
    assert float(loss(np.full_like(actual, NAN), quantiles)) == 0


def test_the_median_alone_gives_the_absolute_error():
    actual, point = drawn(4, 3, 2), drawn(4, 3, 2, 1, seed=1)
    error = np.abs(actual - point[..., 0]).mean()
    assert float(PinballLoss((0.5,))(actual, point)) == pytest.approx(error, rel=1e-5)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_head_learns_by_compile_and_fit(name, tmp_path):
    keras.utils.set_random_seed(0)
    features, scaling = keras.Input((3, 4)), keras.Input((2, 4))
    params = ForecastHead(name, targets=2, levels=LEVELS, center=1.0, seed=1)(features, scaling)
    learner = keras.Model([features, scaling], with_window(params, scaling))
    learner.compile(keras.optimizers.Adam(0.05), ScaledLoss(name, LEVELS), jit_compile=False)
    actual = np.random.default_rng(0).poisson(7, size=(64, 3, 2)).astype("float32")
    actual[0, 0], actual[1] = NAN, NAN
    inputs = [np.zeros((64, 3, 4), "float32"), window(64)]
    losses = [float(learner.train_on_batch(inputs, actual)) for _ in range(80)]
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0]
    output = ForecastOutput(name, levels=(0.1, 0.5, 0.9), head_levels=LEVELS)(params, scaling)
    model = keras.Model([features, scaling], output)
    forecast = {key: numpy(value) for key, value in model(inputs).items()}
    assert forecast["quantiles"].shape == (64, 3, 2, 3)
    assert (np.diff(forecast["quantiles"]) > 0).all()
    np.testing.assert_allclose(forecast["mean"], np.nanmean(actual), atol=1.0)
    np.testing.assert_allclose(forecast["quantiles"][..., 1], 7, atol=1.3)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")(inputs)
    np.testing.assert_allclose(again["quantiles"], forecast["quantiles"], rtol=1e-6)


def test_the_mean_under_a_logarithm_is_that_of_raw_values():
    scaling = np.tile(single([1.0, 0.5, 10.0, 1]), (1, 1, 1))
    params = single([0.0, 1.0]).reshape(1, 1, 1, 2)
    forecast = ForecastOutput("gaussian", levels=(0.5,), log=True)(params, scaling)
    draws = 10 * np.expm1(1 + 0.5 * special.ndtri((np.arange(9999) + 0.5) / 9999))
    assert float(numpy(forecast["mean"]).item()) == pytest.approx(draws.mean(), rel=0.01)
    assert float(numpy(forecast["quantiles"]).item()) == pytest.approx(10 * np.expm1(1), rel=1e-5)


@pytest.mark.parametrize("name", FAMILIES)
def test_an_exported_graph_forecasts_any_number_of_rows(name, tmp_path):
    import tensorflow as tf

    features, scaling = keras.Input((3, 4)), keras.Input((2, 4))
    params = ForecastHead(name, targets=2)(features, scaling)
    model = keras.Model([features, scaling], ForecastOutput(name)(params, scaling))
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint(
        "serve",
        lambda x, w: model([x, w], training=False),
        [tf.TensorSpec((None, 3, 4)), tf.TensorSpec((None, 2, 4))],
    )
    archive.write_out(str(tmp_path / "export"), verbose=False)
    loaded = tf.saved_model.load(str(tmp_path / "export"))
    for rows in (1, 5):
        inputs = [drawn(rows, 3, 4), window(rows)]
        for key, value in loaded.serve(*inputs).items():
            np.testing.assert_allclose(value, model(inputs)[key], rtol=1e-5, atol=1e-6)


FAMILY_NUMBERS = """
import sys, keras, numpy as np
from pipelines.layers.forecast_heads import family_of

def numbers(raw, uniforms, scale):
    out = {}
    for name in ("quantiles", "gaussian", "student-t", "negative-binomial"):
        family = family_of(name, (0.1, 0.5, 0.9))
        params = family.parameters(raw[:, :family.size], scale)
        quantiles = family.quantiles(params, (0.1, 0.5, 0.9))
        out[name + "_q"] = quantiles
        out[name + "_s"] = family.sample(params, uniforms)
        out[name + "_l"] = family.loss(quantiles[:, 1], params)
    return out

if keras.backend.backend() == "jax":
    import jax
    numbers = jax.jit(numbers)
out = numbers(*np.load(sys.argv[1] + "/in.npz").values())
np.savez(sys.argv[1] + "/out.npz", **out)
"""


def test_jax_gives_the_same_numbers(jax_process, tmp_path, monkeypatch):
    draws = np.random.default_rng(0)
    numbers = [draws.normal(size=(20, 3)), draws.random(20), 30 * draws.random(20)]
    np.savez(tmp_path / "in.npz", *map(single, numbers))
    jax_process.run(FAMILY_NUMBERS, tmp_path)
    under_jax = dict(np.load(tmp_path / "out.npz"))
    monkeypatch.setattr(sys, "argv", ["", str(tmp_path)])
    exec(FAMILY_NUMBERS, {})  # the same lines under this process's backend
    for key, ours in np.load(tmp_path / "out.npz").items():
        np.testing.assert_allclose(under_jax[key], ours, rtol=1e-4, atol=1e-4, err_msg=key)


def test_half_precision_features_give_full_precision_forecasts():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        head = ForecastHead("student-t", targets=1)
        output = ForecastOutput("student-t")
    finally:
        keras.config.set_dtype_policy("float32")
    scaling = window(2, targets=1, scale=1e9)
    forecast = output(head(drawn(2, 3, 4), scaling), scaling)
    assert keras.backend.standardize_dtype(forecast["mean"].dtype) == "float32"
    assert np.isfinite(numpy(forecast["quantiles"])).all()


@pytest.mark.parametrize("levels", [(), (0.5, 0.1), (0.0, 0.5), (0.1, 1.5), (0.1, 0.1)])
def test_levels_that_do_not_increase_are_refused(levels):
    with pytest.raises(ConfigError, match=r"got \[.*increasing order; such as"):
        require_levels(levels)


def test_an_unknown_family_is_refused():
    with pytest.raises(ConfigError, match=r"'gausian' is unknown; did you mean 'gaussian'\?"):
        family_of("gausian")


def test_counts_under_a_logarithm_are_refused():
    require_scaling("negative-binomial", "mean", False)
    require_scaling("gaussian", "robust", True)
    with pytest.raises(ConfigError, match=r"'robust' with log=False, expected 'mean'.*'quantiles'"):
        require_scaling("negative-binomial", "robust", False)

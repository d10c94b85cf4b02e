"""Forecasters of every kind on calendars of every kind: tiny, a few steps of training each."""

import numpy as np
import pytest

from tests.graph.tiny_forecasters import eagerly, made, one_series, stamps, taught, wave, write

SMALL = {"history": 12, "horizon": 3, "season": 6, "paths": 20}
COUNT = 160


def table(folder, **calendar):
    """Two series of two targets, with a covariate of each kind and some gaps."""
    rows = []
    for number, name in enumerate(("a", "b")):
        values = wave(COUNT, 10.0 * (1 + number), period=6, seed=number)
        times = stamps(COUNT, **calendar)
        for step, time in enumerate(times):
            gone = (step + number) % 17 == 0
            sky, promo = ("dry", "wet", "")[step % 3], step % 4
            first = "" if gone else round(values[step], 4)
            second = round(3 + values[step - 1], 4)
            rows.append([name, time, first, second, sky, promo, ("hills", "coast")[number], number])
    header = ["series", "time", "y", "z", "sky", "promo", "region", "height"]
    return write(folder / "both.csv", header, rows)


EVERYTHING = {
    "series_column": "series", "targets": ("y", "z"), "past_covariates": ("sky",),
    "known_covariates": ("promo",), "static_covariates": ("region", "height"), **SMALL,
}  # fmt: skip
ONE = {"targets": ("y",), **SMALL}
DECODER = {"architecture": "encoder-decoder"}
PATHS = {"architecture": "autoregressive"}
CASES = {
    "hours, everything": ({}, EVERYTHING),
    "hours, decoder": ({}, {**EVERYTHING, **DECODER, "head": "student-t"}),
    "hours, paths": ({}, {**EVERYTHING, **PATHS, "head": "gaussian"}),
    "days in a zone": ({"step": "1D"}, {**EVERYTHING, "time_zone": "America/Chicago"}),
    "hours in a zone": ({}, {**ONE, "series_column": "series", "time_zone": "Asia/Kolkata"}),
    "months": ({"first": "2001-01", "step": "1M"}, {**EVERYTHING, "impute": "season"}),
    "five minutes": ({"step": "5m"}, {**EVERYTHING, "impute": "last", "loss": "scaled"}),
    "one step ahead": ({}, {**EVERYTHING, "horizon": 1, "head": "negative-binomial"}),
    "one step, paths": ({}, {**ONE, **PATHS, "series_column": "series", "horizon": 1,
                             "head": "negative-binomial"}),
    "no season in sight": ({}, {**EVERYTHING, "history": 5, "season": 24, "scaling": "robust"}),
    "far ahead": ({}, {**EVERYTHING, "history": 4, "horizon": 8, "transform": "log"}),
    "patches, both ways": ({}, {**EVERYTHING, "patch": 5, "direction": "both"}),
    "one level": ({}, {**EVERYTHING, "quantiles": (0.5,), "scaling": "standard"}),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_any_forecaster_learns_and_serves_what_it_learned(tmp_path, case):
    calendar, settings = CASES[case]
    path = table(tmp_path, **calendar)
    forecaster = made(path, tmp_path, learning_rate=0.01, schedule="constant", **settings)
    before = [np.array(it) for it in forecaster.model.trainable_weights]
    with eagerly():
        losses = taught(forecaster.task, forecaster.ready, forecaster.model, 2)
    assert np.isfinite(losses).all()
    after = [np.array(it) for it in forecaster.model.trainable_weights]
    assert all(np.isfinite(it).all() for it in after)
    assert any((one != two).any() for one, two in zip(before, after, strict=True))
    rows = forecaster.ready.splits.test.select(np.arange(4))
    served = forecaster.serve_rows(rows)
    assert all(np.isfinite(it).all() for it in served.values())
    assert (np.diff(served["quantiles"]) >= 0).all()
    np.testing.assert_array_equal(served["time"], rows.target_times(np.arange(4)))
    assert_as_encoded(forecaster, served)


def assert_as_encoded(forecaster, served):
    """What is encoded for training gives the forecasts that raw values give when served."""
    model, corpus = forecaster.model, forecaster.ready.corpora["test"]
    batch = corpus.gather(np.arange(4))
    quantiles, mean = model([batch[tensor.name] for tensor in model.inputs], training=False)
    size = np.abs(served["quantiles"]).max()
    np.testing.assert_allclose(served["quantiles"], quantiles, rtol=1e-4, atol=1e-5 * size)
    np.testing.assert_allclose(served["mean"], mean, rtol=1e-4, atol=1e-5 * size)


@pytest.fixture(scope="module")
def season(tmp_path_factory):
    """A forecaster of a noisy wave that has had no training step."""
    home = tmp_path_factory.mktemp("season")
    path = one_series(home / "y.csv", wave(500, period=6))
    return made(path, home, **ONE, stride=1)


def errors(forecaster, rows):
    """Mean absolute error of the medians, and of repeating the last value."""
    target = np.stack([it.target for it in rows])
    last = np.stack([it.history[-1:, :1] for it in rows])
    median = forecaster.serve_rows(rows)["quantiles"][..., 4]
    return np.abs(median - target).mean(), np.abs(last - target).mean()


def test_fitted_simple_forecasts_are_good_before_any_step(season):
    own, persistence = errors(season, season.ready.splits.test)
    assert own < 0.8 * persistence


def test_calibrated_intervals_cover_what_they_say(season):
    valid = season.ready.splits.valid
    target = np.stack([it.target for it in valid])

    def coverage():
        found = season.serve_rows(valid)["quantiles"]
        return np.mean((found[..., 0] <= target) & (target <= found[..., -1]))

    before = season.serve_rows(valid)["quantiles"]
    with eagerly():
        season.task.calibrate(season.model, season.ready)
    assert coverage() == pytest.approx(0.8, abs=0.03)
    after = season.serve_rows(valid)["quantiles"]
    np.testing.assert_allclose(after[..., 4], before[..., 4], rtol=1e-6)
    assert (np.diff(after) >= 0).all()


def test_calibration_can_be_left_out(season):
    from dataclasses import replace

    task = type(season.task)(replace(season.task.config, calibrate=False))
    task.calibrate(None, season.ready)  # touches no model


def test_an_error_counts_as_its_weight_says(season):
    loss = season.task.objective(season.model, season.artifacts).loss
    batch = season.ready.corpora["test"].gather(np.arange(5))
    learner = season.task.training_model(season.model)
    forecast = learner([batch[tensor.name] for tensor in learner.inputs], training=False)
    once = np.array(loss(batch["target"], forecast))
    batch["target"][..., 1] *= 3
    np.testing.assert_allclose(loss(batch["target"], forecast), 3 * once, rtol=1e-5)


def test_a_missing_target_counts_nothing(season):
    loss = season.task.objective(season.model, season.artifacts).loss
    batch = season.ready.corpora["test"].gather(np.arange(5))
    learner = season.task.training_model(season.model)
    forecast = np.array(learner([batch[it.name] for it in learner.inputs], training=False))
    batch["target"][:, 1, :, 0] = np.nan
    expected = np.array(loss(batch["target"], forecast))
    forecast[:, 1] = 1e6
    np.testing.assert_allclose(loss(batch["target"], forecast), expected, rtol=1e-5)
    assert np.isfinite(expected).all()


@pytest.mark.parametrize("settings", [{}, {"scaling": "mean", "head": "gaussian"}], ids=str)
def test_a_model_of_another_unit_gives_the_same_forecasts_in_that_unit(tmp_path, settings):
    found = {}
    for size in (1.0, 1e9, 1e-9):
        home = tmp_path / str(size)
        home.mkdir()
        values = [f"{it * size:.7g}" for it in wave(140, period=6)]
        path = one_series(home / "y.csv", values)
        forecaster = made(path, home, steps=2, **ONE, **settings)
        with eagerly():
            forecaster.task.calibrate(forecaster.model, forecaster.ready)
        rows = forecaster.ready.splits.test
        found[size] = forecaster.serve_rows(rows)["quantiles"] / size
    for size in (1e9, 1e-9):
        np.testing.assert_allclose(found[size], found[1.0], rtol=2e-3)


def test_imputation_counts_where_values_are_missing_and_nowhere_else(tmp_path):
    values = list(wave(200, period=6))
    values[60::9] = [None] * len(values[60::9])
    path = one_series(tmp_path / "y.csv", values)
    served = {}
    for how in ("none", "last", "season"):
        (home := tmp_path / how).mkdir()
        forecaster = made(path, home, **ONE, impute=how)
        whole = np.nan_to_num(np.stack([it.history for it in forecaster.ready.splits.test]), nan=20)
        gappy = whole.copy()
        gappy[:, 8] = np.nan
        time = [it.time for it in forecaster.ready.splits.test]
        served[how] = [
            forecaster.serve(history=it, time=time)["quantiles"] for it in (whole, gappy)
        ]
    for how in ("last", "season"):
        np.testing.assert_allclose(served[how][0], served["none"][0], rtol=1e-5)
        assert not np.allclose(served[how][1], served["none"][1], rtol=1e-4)

"""What training, validation and test see of a series, and what they must not."""

import numpy as np
import pytest

from pipelines.corpus import write_corpus
from pipelines.datasets.series import Column, SeriesLayout, SeriesStore, WindowRows
from pipelines.datasets.series_frequency import parse_frequency
from pipelines.datasets.series_options import SeriesOptions
from pipelines.datasets.series_split import split_windows
from pipelines.series.artifacts import fit_series_artifacts
from pipelines.series.encoding import encode_windows, error_weights
from pipelines.series.forecaster_config import ForecasterConfig
from tests.unit.series_tables import layout, stamp

SETTINGS = {"history": 12, "horizon": 4, "season": 6}
START, STEPS = stamp("2024-01-01"), 300


def tables(seed=0):
    """Two series of a target, a past and a known covariate; the second begins later."""
    rng = np.random.default_rng(seed)
    return {f"s{n}": (START + n * 40 * 3600, rng.gamma(2.0, 5.0, (STEPS, 3))) for n in range(2)}


def splits_of(series, **options):
    store = SeriesStore.of(layout("h", past=1, known=1), series)
    return split_windows(store, SeriesOptions(**SETTINGS, **options))


def encoded(rows, artifacts, folder):
    return write_corpus(folder, encode_windows(rows, artifacts))


def contents(corpus):
    return corpus.gather(np.arange(len(corpus)))


def target_steps(rows):
    """(series, stamp) of everything that windows are scored on."""
    times = rows.target_times(np.arange(len(rows)))
    return {
        (n, t) for n, row in zip(rows.series.tolist(), times.tolist(), strict=True) for t in row
    }


def after(series, stamp_, change):
    """Change what series hold from a stamp on."""
    changed = {}
    for name, (start, values) in series.items():
        values = values.copy()
        first = max(0, (stamp_ - start) // 3600)
        values[first:] = change(values[first:])
        changed[name] = (start, values)
    return changed


def future_known(values):
    """Let the known covariate tell the target of the same step."""
    values[:, 2] = values[:, 0]
    return values


CHANGES = {
    "other values": lambda values: values * -1000 - 5,
    "nothing": lambda values: np.full_like(values, np.nan),
    "a covariate that tells the answer": future_known,
}


@pytest.mark.parametrize("change", CHANGES)
def test_nothing_of_validation_and_test_reaches_training(tmp_path, change):
    config = ForecasterConfig(**SETTINGS)
    series = tables()
    splits = splits_of(series)
    planted = after(series, splits.train.span[1], CHANGES[change])
    store = SeriesStore.of(splits.train.store.layout, planted)
    rows = WindowRows(
        store, splits.train.series, splits.train.origins,
        history=12, horizon=4, span=splits.train.span,
    )  # fmt: skip
    honest, leaky = (fit_series_artifacts(it, config) for it in (splits.train, rows))
    assert honest.fingerprint() == leaky.fingerprint()
    one = contents(encoded(splits.train, honest, tmp_path / "one"))
    other = contents(encoded(rows, leaky, tmp_path / "other"))
    for name, values in one.items():
        np.testing.assert_array_equal(values, other[name], err_msg=name)


@pytest.mark.parametrize("history_from", ["part", "past"])
def test_no_step_is_a_target_of_two_parts(history_from):
    splits = splits_of(tables(), history_from=history_from)
    parts = {name: getattr(splits, name) for name in ("train", "valid", "test")}
    steps = {name: target_steps(rows) for name, rows in parts.items()}
    assert all(steps.values())
    for one, other in (("train", "valid"), ("valid", "test")):
        last = max(time for _, time in steps[one])
        first = min(time for _, time in steps[other])
        assert first - last >= (SETTINGS["horizon"] + 1) * 3600, "a gap lies between"
    end = splits.train.span[1]
    assert max(time for _, time in steps["train"]) < end
    if history_from == "part":
        for rows in (splits.valid, splits.test):
            assert min(it.time for it in rows) - 11 * 3600 >= rows.span[0] - 4 * 3600


def test_a_history_holds_nothing_after_its_origin(tmp_path):
    series = tables()
    splits = splits_of(series)
    artifacts = fit_series_artifacts(splits.train, ForecasterConfig(**SETTINGS))
    rows = splits.test
    origin = int(rows.origins[0])
    moment = int(rows[0].time) + 3600
    planted = SeriesStore.of(rows.store.layout, after(series, moment, lambda it: it * 0 + 9e5))
    other = WindowRows(planted, rows.series, rows.origins, history=12, horizon=4, span=rows.span)
    chosen = np.flatnonzero(rows.origins + (rows.series == 1) * 40 <= origin)
    one = contents(encoded(rows.select(chosen), artifacts, tmp_path / "a"))
    two = contents(encoded(other.select(chosen), artifacts, tmp_path / "b"))
    for name in ("history", "calendar"):
        np.testing.assert_array_equal(one[name], two[name])
    assert (two["target"][..., 0] == 9e5).any(), "what came did change"


def test_errors_count_in_units_of_the_seasonal_change(tmp_path):
    values = tables()
    values["flat"] = (START, np.full((STEPS, 3), 7.0))
    splits = splits_of(values)
    artifacts = fit_series_artifacts(splits.train, ForecasterConfig(**SETTINGS))
    weights = error_weights(artifacts, ["s0", "s1", "flat", "new"])
    for name in ("s0", "s1"):
        assert weights[name] == pytest.approx(1 / artifacts.scales[name][0])
    usual = 1 / np.median([artifacts.scales[name][0] for name in ("s0", "s1")])
    assert weights["flat"] == weights["new"] == pytest.approx(usual)
    corpus = contents(encoded(splits.test, artifacts, tmp_path / "test"))
    names = [splits.test.store.names[n] for n in splits.test.series]
    np.testing.assert_allclose(corpus["target"][:, 0, 0, 1], [weights[n][0] for n in names])


def test_a_word_that_training_never_had_is_missing(tmp_path):
    rng = np.random.default_rng(3)
    columns = (Column("y", "target"), Column("sky", "past", ("rain", "hail", "sun")))
    statics = (Column("region", "static", ("hills", "coast")),)
    series = {}
    for n in range(2):
        values = np.stack([rng.gamma(2.0, 5.0, STEPS), rng.choice([0.0, 2.0], STEPS)], axis=1)
        values[250:, 1] = 1.0
        series[f"s{n}"] = (START + n * 270 * 3600, values)  # the second begins after training
    plain = SeriesLayout(columns, statics, parse_frequency("h"))
    store = SeriesStore.of(plain, series, [[0], [1]])
    splits = split_windows(store, SeriesOptions(**SETTINGS))
    train = splits.train.select(np.flatnonzero(splits.train.series == 0))
    train.span = (START, START + 200 * 3600)
    artifacts = fit_series_artifacts(train, ForecasterConfig(**SETTINGS))
    rows = WindowRows(store, [0, 0, 1], [240, 260, 20], history=12, horizon=4)
    found = contents(encoded(rows, artifacts, tmp_path / "rows"))
    assert not np.isnan(found["history"][0]).any()
    assert np.isnan(found["history"][1, -5:, 1]).all()
    np.testing.assert_array_equal(found["static"], [[0], [0], [np.nan]])


def test_likelihoods_count_alike():
    artifacts = fit_series_artifacts(
        splits_of(tables()).train, ForecasterConfig(**SETTINGS, head="gaussian")
    )
    assert error_weights(artifacts, ["s0", "new"]) == {"s0": [1.0], "new": [1.0]}

import json
from dataclasses import replace

import numpy as np
import pytest

from pipelines.datasets.series import Column, SeriesLayout, SeriesStore, WindowRows
from pipelines.datasets.series_frequency import parse_frequency
from pipelines.datasets.series_options import SeriesOptions
from pipelines.datasets.series_sources import load_series
from pipelines.datasets.storage import DataFolders
from pipelines.errors import ConfigError, DataError
from pipelines.series.artifacts import SeriesArtifacts, fit_series_artifacts
from pipelines.series.forecaster_config import ForecasterConfig
from tests.unit.series_tables import stamp, stamps

NAN = float("nan")
CONFIG = ForecasterConfig(history=6, horizon=2, season=3)
START, CUT, STEPS = stamp("2024-01-01"), 20, 40
SPAN = (START, START + CUT * 3600)


def rows_of(*series, columns=None, statics=(), static=None, zone=""):
    """Training windows of hourly series [n, F]; training ends before step `CUT`."""
    blocks = [np.asarray(it, np.float64).reshape(len(it), -1) for it in series]
    columns = columns or tuple(Column(f"y{n}", "target") for n in range(blocks[0].shape[1]))
    layout = SeriesLayout(columns, statics, parse_frequency("h"), zone)
    store = SeriesStore.of(layout, {f"s{n}": (START, it) for n, it in enumerate(blocks)}, static)
    pairs = [(n, origin) for n in range(len(series)) for origin in range(5, CUT - 2)]
    return WindowRows(store, *zip(*pairs, strict=True), history=6, horizon=2, span=SPAN)


def wave(size=10.0, seed=0):
    rng = np.random.default_rng(seed)
    return size * (2 + np.sin(np.arange(STEPS)) + 0.1 * rng.random(STEPS))


def test_nothing_after_the_training_part_is_learned():
    one, other = wave(), wave()
    other[CUT:] = np.random.default_rng(9).normal(-1e6, 1e6, STEPS - CUT)
    pairs = (fit_series_artifacts(rows_of(it, wave(seed=1)), CONFIG) for it in (one, other))
    first, second = pairs
    assert first.fingerprint() == second.fingerprint()
    one[CUT - 1] += 1
    assert fit_series_artifacts(rows_of(one, wave(seed=1)), CONFIG).fingerprint() != (
        first.fingerprint()
    )


def with_words(codes, words):
    columns = (Column("y", "target"), Column("sky", "past", words))
    return rows_of(np.stack([wave(), codes], axis=1), columns=columns)


def test_words_that_only_the_future_has_are_not_learned():
    codes = np.zeros(STEPS)
    codes[3:CUT:2] = 2
    codes[CUT:] = 3
    codes[4] = NAN
    artifacts = fit_series_artifacts(with_words(codes, ("rain", "fog", "sun", "hail")), CONFIG)
    sky = artifacts.layout.columns[1]
    assert sky.categories == ("rain", "", "sun"), "codes keep their meaning"
    codes[CUT:] = 1
    fewer = fit_series_artifacts(with_words(codes, ("rain", "fog", "sun")), CONFIG)
    assert fewer.fingerprint() == artifacts.fingerprint()


def test_a_column_whose_words_come_too_late_stays_a_column_of_words():
    codes = np.where(np.arange(STEPS) < CUT, NAN, 1.0)
    artifacts = fit_series_artifacts(with_words(codes, ("rain", "fog")), CONFIG)
    assert artifacts.layout.columns[1].categories == ("",)


def test_words_of_statics_are_those_of_series_with_training_windows():
    words = ("hills", "plain", "coast")
    statics = (Column("region", "static", words),)
    rows = rows_of(wave(), wave(seed=1), wave(seed=2), statics=statics, static=[[1], [0], [2]])
    chosen = rows.select(np.flatnonzero(rows.series < 2))
    assert fit_series_artifacts(chosen, CONFIG).layout.statics[0].categories == words[:2]


@pytest.mark.parametrize(
    ("values", "transform", "expected"),
    [
        (np.exp(np.linspace(0, 9, STEPS)), "auto", True),
        (wave(), "auto", False),
        (-np.exp(np.linspace(0, 9, STEPS)), "auto", False),
        (np.full(STEPS, 5.0), "auto", False),
        (wave(), "log", True),
        (np.exp(np.linspace(0, 9, STEPS)), "none", False),
    ],
)
def test_a_logarithm_is_for_skewed_values_above_0(values, transform, expected):
    config = ForecasterConfig(history=6, horizon=2, season=3, transform=transform)
    assert fit_series_artifacts(rows_of(values), config).settings["log"] is expected


@pytest.mark.filterwarnings("error")
def test_missing_and_constant_training_values_are_no_trouble():
    gappy = wave()
    gappy[::2] = NAN
    artifacts = fit_series_artifacts(rows_of(gappy, np.full(STEPS, 7.0)), CONFIG)
    assert artifacts.scales["s1"] == [0.0]
    assert all(np.isfinite(value).all() for value in artifacts.statistics.values())


@pytest.mark.filterwarnings("error")
def test_a_target_without_a_training_value_is_named():
    late = np.where(np.arange(STEPS) < CUT, NAN, wave())
    message = r"target 'y1' has no value in the training part, .* in 1 series; give earlier .*or le"
    with pytest.raises(DataError, match=message):
        fit_series_artifacts(rows_of(np.stack([wave(), late], axis=1)), CONFIG)


def test_one_series_is_measured_by_training_and_many_by_their_windows():
    assert fit_series_artifacts(rows_of(wave()), CONFIG).settings["scaling"] == "none"
    many = rows_of(wave(), wave(50, seed=1))
    assert fit_series_artifacts(many, CONFIG).settings["scaling"] == "mean"
    asked = ForecasterConfig(history=6, horizon=2, season=3, scaling="robust")
    assert fit_series_artifacts(many, asked).settings["scaling"] == "robust"


def test_scales_are_the_seasonal_changes_of_training():
    values = wave()
    artifacts = fit_series_artifacts(rows_of(values), CONFIG)
    kept = values.astype(np.float32).astype(np.float64)[:CUT]
    assert artifacts.scales == {"s0": [pytest.approx(np.abs(kept[3:] - kept[:-3]).mean())]}


def test_artifacts_come_back_from_their_file(tmp_path):
    statics = (Column("region", "static", ("é", "b")),)
    rows = rows_of(wave(), wave(seed=1), statics=statics, static=[[0], [1]], zone="Europe/Berlin")
    artifacts = fit_series_artifacts(rows, CONFIG)
    artifacts.save(tmp_path)
    again = SeriesArtifacts.load(tmp_path)
    assert again.fingerprint() == artifacts.fingerprint()
    assert (again.layout, again.levels) == (artifacts.layout, CONFIG.quantiles)
    assert again.reading(SeriesOptions()) == artifacts.reading(SeriesOptions())
    assert "é" in (tmp_path / "series.json").read_text(encoding="utf-8")
    described = json.loads(json.dumps(again.describe()))
    assert described["time_zone"] == "Europe/Berlin"
    assert described["columns"]["region"] == {"role": "static", "unit": "", "words": ["é", "b"]}
    assert (described["history"], described["horizon"], described["season"]) == (6, 2, 3)


def test_what_the_user_gives_is_read_with_but_for_the_sizes_of_windows():
    artifacts = fit_series_artifacts(
        rows_of(wave()),
        ForecasterConfig(history=6, horizon=2, season=3, decimal=",", delimiter=";"),
    )
    reading = artifacts.reading(SeriesOptions(decimal=".", delimiter="|", history=9, horizon=9))
    assert (reading.decimal, reading.delimiter) == (",", "|"), "a default is nothing given"
    assert (reading.history, reading.horizon, reading.season) == (6, 2, 3)


def test_options_of_windows_are_those_of_the_run_and_not_of_the_cache(tmp_path):
    table = tmp_path / "y.csv"
    times = [str(np.datetime64(int(it), "s")) for it in stamps("2024-01-01", 200)]
    lines = [f"{time},{n % 7}" for n, time in enumerate(times)]
    table.write_text("\n".join(["time,y", *lines]) + "\n")
    folders = DataFolders(tmp_path / "raw", tmp_path / "cache")
    for stride in (1, 5):  # the second run finds the store of the first
        config = ForecasterConfig(history=6, horizon=2, season=3, stride=stride, impute="last")
        rows = load_series(str(table), config.reading(), folders=folders).train
        reading = fit_series_artifacts(rows, config).reading(SeriesOptions())
        assert (reading.stride, reading.impute, reading.time_column) == (stride, "last", ("time",))


COUNTS = replace(CONFIG, head="negative-binomial")


def test_counts_are_divided_and_nothing_else():
    skewed = np.where(np.arange(STEPS) % 9 == 0, 50.0, 1.0)
    settings = fit_series_artifacts(rows_of(skewed), COUNTS).settings
    assert (settings["scaling"], settings["log"]) == ("mean", False)
    quantiles = fit_series_artifacts(rows_of(skewed), CONFIG).settings
    assert (quantiles["scaling"], quantiles["log"]) == ("none", True)


@pytest.mark.parametrize("choice", [{"scaling": "robust"}, {"transform": "log"}])
def test_a_scale_on_which_counts_are_none_is_refused(choice):
    with pytest.raises(ConfigError, match=r"--head is 'negative-binomial'; .*--scaling mean"):
        replace(COUNTS, **choice)


def test_values_below_zero_are_no_counts():
    with pytest.raises(DataError, match=r"'y0' falls to -1 .*negative-binomial.*--head"):
        fit_series_artifacts(rows_of(np.full(STEPS, -1.0)), COUNTS)

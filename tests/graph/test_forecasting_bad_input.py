"""Tables that are wrong or odd, from the file to the forecast."""

import io
from types import SimpleNamespace

import numpy as np
import pytest

from pipelines.errors import ConfigError, DataError
from pipelines.series.forecaster_config import LEVELS
from tasks.forecasting import Forecasting, ForecastingConfig
from tests.contract.samples import FORECASTER, forecasting
from tests.graph.tiny_forecasters import TINY, made, one_series, prepared, stamps, wave, write

HEADER = ["series", "time", "load", "wind", "sky", "price", "region"]
COLUMNS = {name: FORECASTER[name] for name in (
    "series_column", "targets", "past_covariates", "known_covariates", "static_covariates",
)}  # fmt: skip
ROWS, AHEAD = 60, TINY["horizon"]


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A model of two series with every kind of column."""
    home = tmp_path_factory.mktemp("shop")
    return made(forecasting(home), home, **COLUMNS)


def recent(name="north", rows=ROWS, size=10.0, changes=None):
    """Rows of one series as a user gives them: a past, then known prices of the future."""
    loads = [f"{it:.9g}" for it in wave(rows, size)] + [""] * AHEAD
    found = []
    for number, time in enumerate(stamps(rows + AHEAD, "2024-02-01")):
        weather = ("0.5", "rain") if number < rows else ("", "")
        cells = [name, time, loads[number], *weather, str(number % 5), "hills"]
        row = dict(zip(HEADER, cells, strict=True)) | (changes or {}).get(number, {})
        found.append([row[column] for column in HEADER])
    return found


def table(folder, *series, header=HEADER):
    return write(folder / "recent.csv", header, [row for rows in series for row in rows])


def numbers(lines, *names):
    """Forecasts as float[lines, names]."""
    return np.array([[float(line[name]) for name in names] for line in lines])


QUANTILES = [f"q{level:g}" for level in LEVELS]


def test_the_next_horizon_follows_the_last_value(shop, capsys, tmp_path):
    lines = shop.predict(capsys, table(tmp_path, recent(), recent("south", size=30.0)))
    assert [line["series"] for line in lines] == ["north"] * AHEAD + ["south"] * AHEAD
    assert lines[0]["time"] == stamps(ROWS + 1, "2024-02-01")[-1].replace(" ", "T") + ":00"
    quantiles = numbers(lines, *QUANTILES)
    assert (np.diff(quantiles, axis=1) >= 0).all()
    np.testing.assert_array_equal(numbers(lines, "median")[:, 0], quantiles[:, 4])


@pytest.mark.parametrize(
    ("number", "column", "cell", "message"),
    [
        (7, "load", "n.v.", r"recent\.csv:9: column 'load' reads 'n\.v\.', expected a number; m"),
        (7, "price", "12,5", r"recent\.csv:9: column 'price' reads '12,5', .*--decimal ,"),
        (7, "load", "inf", r"recent\.csv:9: column 'load' reads 'inf', an infinite value; expe"),
        (7, "wind", "-Infinity", r"recent\.csv:9: column 'wind' reads '-Infinity', an infinite"),
        (7, "time", "yesterday", r"recent\.csv:9: .*'yesterday'"),
        (7, "time", "2024-02-30 07:00", r"recent\.csv:9: .*'2024-02-30 07:00'"),
        (7, "time", "2024-02-01 03:00", r"recent\.csv:9: .*recent\.csv:\d"),
        (ROWS + 2, "price", "", r"series 'north' has no value of 'price' for .*\(1 of 6 steps"),
        (7, "region", "plain", r"recent\.csv:.*'region'"),
    ],
)
def test_a_bad_cell_is_named(shop, capsys, tmp_path, number, column, cell, message):
    path = table(tmp_path, recent(changes={number: {column: cell}}))
    with pytest.raises(DataError, match=message):
        shop.predict(capsys, path)
    assert capsys.readouterr().out == "", "nothing is printed before all is known to be good"


def test_values_missing_in_the_past_are_none_to_worry_about(shop, capsys, tmp_path):
    gaps = {number: dict.fromkeys(("load", "wind", "sky", "price"), "") for number in (7, 50, 58)}
    lines = shop.predict(capsys, table(tmp_path, recent(changes=gaps)))
    assert np.isfinite(numbers(lines, "mean", *QUANTILES)).all()


def test_rows_of_the_future_that_are_absent_are_asked_for(shop, capsys, tmp_path):
    message = r"'north' has no value of 'price' for 2024-02-03 12:00 \(6 of 6 .* add rows"
    with pytest.raises(DataError, match=message):
        shop.predict(capsys, table(tmp_path, recent()[:ROWS]))


def test_columns_may_stand_in_any_order(shop, capsys, tmp_path):
    expected = shop.predict(capsys, table(tmp_path, recent()))
    order = ["price", "region", "load", "sky", "comment", "time", "series", "wind"]
    rows = [[dict(zip(HEADER, row, strict=True)).get(it, "x") for it in order] for row in recent()]
    assert shop.predict(capsys, table(tmp_path, rows, header=order)) == expected


@pytest.mark.parametrize("column", ["load", "wind", "price", "region", "time"])
def test_a_column_that_is_gone_is_named(shop, capsys, tmp_path, column):
    place = HEADER.index(column)
    rows = [row[:place] + row[place + 1 :] for row in recent()]
    header = HEADER[:place] + HEADER[place + 1 :]
    with pytest.raises(DataError, match=rf"recent\.csv.*'{column}'"):
        shop.predict(capsys, table(tmp_path, rows, header=header))


def test_words_never_seen_count_as_missing(shop, capsys, tmp_path):
    changes = {number: {"sky": "hail"} for number in range(50, ROWS)}
    empty = {number: {"sky": ""} for number in range(50, ROWS)}
    hail = shop.predict(capsys, table(tmp_path, recent(changes=changes)))
    assert hail == shop.predict(capsys, table(tmp_path, recent(changes=empty)))
    rows = [[*row[:-1], "moor"] for row in recent()]
    assert np.isfinite(numbers(shop.predict(capsys, table(tmp_path, rows)), *QUANTILES)).all()


def test_a_new_series_is_forecast(shop, capsys, tmp_path):
    lines = shop.predict(capsys, table(tmp_path, recent("west")))
    assert {line["series"] for line in lines} == {"west"}
    known = shop.predict(capsys, table(tmp_path, recent("north")))
    assert numbers(lines, *QUANTILES).tolist() == numbers(known, *QUANTILES).tolist()


def test_a_short_past_is_enough_and_a_shorter_one_is_refused(shop, capsys, tmp_path):
    lines = shop.predict(capsys, table(tmp_path, recent(rows=10)))
    assert np.isfinite(numbers(lines, *QUANTILES)).all()
    with pytest.raises(DataError, match=r"in 3 of its last 24 steps; expected at least 6, bett"):
        shop.predict(capsys, table(tmp_path, recent(rows=3)))


def test_only_the_end_of_a_long_past_counts(shop, capsys, tmp_path):
    long = recent(rows=ROWS)
    lines = shop.predict(capsys, table(tmp_path, long[ROWS - TINY["history"] :]))
    expected = shop.predict(capsys, table(tmp_path, long))
    np.testing.assert_allclose(numbers(lines, *QUANTILES), numbers(expected, *QUANTILES), rtol=1e-5)


def test_a_constant_past_is_forecast_near_its_value(shop, capsys, tmp_path):
    flat = {number: {"load": "20"} for number in range(ROWS)}
    found = numbers(shop.predict(capsys, table(tmp_path, recent(changes=flat))), "median")
    assert (abs(found - 20) < 20).all()


def test_a_series_without_any_value_is_left_out_and_alone_refused(shop, capsys, tmp_path):
    nothing = recent("empty", changes={number: {"load": ""} for number in range(ROWS)})
    lines = shop.predict(capsys, table(tmp_path, recent(), nothing))
    assert {line["series"] for line in lines} == {"north"}
    with pytest.raises(DataError, match="load"):
        shop.predict(capsys, table(tmp_path, nothing))


@pytest.mark.parametrize("size", [1e-9, 1e9])
def test_another_unit_gives_forecasts_in_that_unit(shop, capsys, tmp_path, size):
    found = numbers(shop.predict(capsys, table(tmp_path, recent(size=size))), *QUANTILES) / size
    assert np.isfinite(found).all()
    assert (abs(found) < 100).all(), "the values lie between 1 and 3, the model learned nothing"


def test_standard_input_is_read(shop, capsys, tmp_path, monkeypatch):
    path = table(tmp_path, recent())
    expected = shop.predict(capsys, path)
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(path.read_bytes())))
    assert shop.predict(capsys, "-") == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "^standard input"),
        (b"series,time,load\n", "^standard input: a header .* but no rows"),
        (b"time,load\n2024-01-01 00:00,1\n", "^standard input: no column 'series'"),
    ],
)
def test_an_error_in_standard_input_names_it(shop, capsys, monkeypatch, text, message):
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(text)))
    with pytest.raises(DataError, match=message) as caught:
        shop.predict(capsys, "-")
    assert "tmp" not in str(caught.value)


def test_quantiles_between_the_levels_of_the_model_lie_between_its_quantiles(
    shop, capsys, tmp_path
):
    path = table(tmp_path, recent())
    own = numbers(shop.predict(capsys, path), "q0.2", "q0.3", "median")
    lines = shop.predict(capsys, path, quantiles=(0.25, 0.2, 0.25))
    assert list(lines[0])[-2:] == ["q0.2", "q0.25"]
    assert len(lines[0]) == 7
    found = numbers(lines, "q0.2", "q0.25", "median")
    np.testing.assert_allclose(found[:, 1], own[:, :2].mean(axis=1), rtol=1e-5)
    np.testing.assert_array_equal(found[:, [0, 2]], own[:, [0, 2]])


@pytest.mark.parametrize("level", [0.05, 0.95, 0.0, 7.0, float("nan")])
def test_quantiles_outside_the_levels_are_refused_before_reading(shop, capsys, tmp_path, level):
    message = r"--quantiles asks for \[.*\]; this model knows levels from 0\.1 to 0\.9: ask"
    with pytest.raises(ConfigError, match=message):
        shop.predict(capsys, tmp_path / "no.csv", quantiles=(0.5, level))


def test_a_plot_is_drawn_beside_the_table(shop, capsys, tmp_path):
    path = table(tmp_path, recent())
    assert shop.predict(capsys, path, plot=tmp_path / "fan.png") == shop.predict(capsys, path)
    assert (tmp_path / "fan.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ConfigError, match=r"--plot.*'no\.gif'|--plot.*no\.gif"):
        shop.predict(capsys, tmp_path / "no.csv", plot=tmp_path / "no.gif")


@pytest.mark.parametrize(("name", "value"), [("horizon", 0), ("history", 0), ("horizon", -3)])
def test_a_horizon_of_nothing_is_refused(name, value):
    with pytest.raises(ConfigError, match=f"--{name} is {value}; it must be at least 1"):
        ForecastingConfig(**{**TINY, name: value})


def test_a_series_shorter_than_its_windows_is_refused_in_numbers(tmp_path):
    path = one_series(tmp_path / "y.csv", wave(15))
    message = r"has 15 steps .* for a history of 24 and a horizon of 6; expected at least 24 steps"
    with pytest.raises(DataError, match=message):
        prepared(path, tmp_path)


def test_a_target_that_is_never_observed_is_refused(tmp_path):
    path = one_series(tmp_path / "y.csv", [None] * 200)
    with pytest.raises(DataError, match=r"y\.csv.*'y'"):
        prepared(path, tmp_path, targets=("y",))


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_a_target_that_training_never_sees_is_refused_by_name(tmp_path):
    values = wave(400)
    cells = [["" if n < 300 else it, it] for n, it in enumerate(values)]
    rows = [[time, *pair] for time, pair in zip(stamps(400), cells, strict=True)]
    path = write(tmp_path / "y.csv", ["time", "late", "y"], rows)
    message = r"target 'late' has no value in the training part, .* leave it out \(--targets\)"
    with pytest.raises(DataError, match=message):
        prepared(path, tmp_path, targets=("late", "y"))


def test_a_constant_series_trains_and_stays_constant(tmp_path):
    path = one_series(tmp_path / "y.csv", [5.0] * 300)
    flat = made(path, tmp_path, steps=2)
    found = flat.serve_rows(flat.ready.splits.test)
    assert np.isfinite(found["quantiles"]).all()
    assert (abs(found["quantiles"][..., 4] - 5) < 2.5).all()


def test_a_new_table_is_scored_whatever_series_it_holds(shop, tmp_path):
    new = table(tmp_path, recent("west"), recent("north"))
    task = shop.task
    rows = task.load_rows(str(new), shop.artifacts, shop.folders)
    fresh = task.without_known(rows, shop.ready.splits)
    assert {fresh.test.store.names[n] for n in fresh.test.series} == {"west", "north"}
    outputs = shop.serve_rows(fresh.test)
    predict = lambda inputs, endpoint="serve": shop.serve(**inputs)  # noqa: E731
    scores = task.evaluate(fresh.test, outputs, {}, shop.artifacts, predict).scores
    assert {score.name for score in scores} >= {"mase", "crps", "mae"}


def test_windows_that_training_saw_are_left_out_of_scores(shop):
    splits = shop.ready.splits
    source = splits.card.source
    rows = shop.task.load_rows(source, shop.artifacts, shop.folders)
    fresh = shop.task.without_known(rows, splits)
    assert 0 < len(fresh.test) < len(rows.test)
    assert min(window.time for window in fresh.test) >= splits.valid.span[1]
    assert fresh.card.dropped["window the model was trained on"] == len(rows.test) - len(fresh.test)


def test_rows_are_scored_with_the_lengths_of_the_model(shop, tmp_path):
    other = Forecasting(ForecastingConfig(history=5, horizon=2))
    rows = other.load_rows(str(table(tmp_path, recent())), shop.artifacts, shop.folders)
    assert (rows.test.history, rows.test.horizon) == (TINY["history"], TINY["horizon"])

"""The exported endpoint: raw values and stamps in, forecasts in their units out."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from pipelines.datasets.series import SeriesStore, WindowRows
from tests.contract.samples import FORECASTER, forecasting
from tests.graph.tiny_forecasters import TINY, made, one_series, wave

COLUMNS = {name: FORECASTER[name] for name in (
    "series_column", "targets", "past_covariates", "known_covariates", "static_covariates",
)}  # fmt: skip
PAST, AHEAD = TINY["history"], TINY["horizon"]


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    home = tmp_path_factory.mktemp("shop")
    return made(forecasting(home), home, steps=1, **COLUMNS)


@pytest.fixture
def rows(shop):
    return shop.ready.splits.test.select(np.array([0, 3, 5]))


def inputs(shop, rows):
    return {name: np.array(it) for name, it in shop.task.serve_inputs(list(rows)).items()}


def assert_alike(one, other):
    for name, values in one.items():
        np.testing.assert_allclose(values, other[name], rtol=1e-5, err_msg=name)


def test_outputs_are_in_order_finite_and_of_the_shapes_that_are_told(shop, rows):
    found = shop.serve_rows(rows)
    assert found["mean"].shape == (3, AHEAD, 1)
    assert found["quantiles"].shape == (3, AHEAD, 1, 9)
    assert all(np.isfinite(it).all() for it in found.values())
    assert (np.diff(found["quantiles"]) >= 0).all()
    np.testing.assert_array_equal(found["time"], rows.target_times(np.arange(3)))
    endpoint = shop.task.endpoints(shop.model, shop.artifacts)["serve"]
    assert set(endpoint.meaning) == set(found)
    assert "expected values of load" in endpoint.meaning["mean"]
    assert "levels 0.1, 0.2" in endpoint.meaning["quantiles"]


def test_a_longer_history_is_cut_and_a_shorter_one_padded(shop, rows):
    given = inputs(shop, rows)
    history = given["history"]
    longer = np.concatenate([history[:, ::-1] * 7, history], axis=1)
    assert_alike(shop.serve(**given), shop.serve(**{**given, "history": longer}))
    short = history[:, 10:]
    padded = np.where(np.arange(PAST)[:, None] < 10, np.nan, history)
    assert_alike(
        shop.serve(**{**given, "history": padded}), shop.serve(**{**given, "history": short})
    )


def test_a_history_of_nothing_gives_no_forecast_and_disturbs_no_other(shop, rows):
    given = inputs(shop, rows)
    expected = shop.serve(**given)
    given["history"][1, :, 0] = np.nan
    found = shop.serve(**given)
    assert np.isnan(found["mean"][1]).all()
    assert np.isnan(found["quantiles"][1]).all()
    for name in ("mean", "quantiles"):
        np.testing.assert_allclose(found[name][[0, 2]], expected[name][[0, 2]], rtol=1e-5)
    given["history"] = given["history"][:, :0]
    assert np.isnan(shop.serve(**given)["quantiles"]).all()


@pytest.mark.parametrize("value", [np.inf, -np.inf])
@pytest.mark.parametrize("name", ["history", "known", "static"])
def test_an_infinite_value_counts_as_missing(shop, rows, name, value):
    given, gone = inputs(shop, rows), inputs(shop, rows)
    given[name][:, -1:] = value
    gone[name][:, -1:] = np.nan
    found = shop.serve(**given)
    assert np.isfinite(found["quantiles"]).all()
    assert_alike(found, shop.serve(**gone))


@pytest.mark.parametrize("code", [-1.0, 0.5, 99.0, np.nan])
def test_a_code_of_no_word_counts_as_missing(shop, rows, code):
    given, gone = inputs(shop, rows), inputs(shop, rows)
    sky = 2
    given["history"][..., sky], gone["history"][..., sky] = code, np.nan
    given["static"][:], gone["static"][:] = code, np.nan
    found = shop.serve(**given)
    assert np.isfinite(found["quantiles"]).all()
    assert_alike(found, shop.serve(**gone))


@pytest.mark.parametrize("size", [1e-30, 1e-9, 1e9, 1e30])
def test_values_of_any_size_give_finite_ordered_forecasts(shop, rows, size):
    given = inputs(shop, rows)
    given["history"][..., 0] *= size
    found = shop.serve(**given)["quantiles"]
    assert np.isfinite(found).all()
    assert (np.diff(found) >= 0).all()


def test_one_row_is_forecast_as_among_others(shop, rows):
    together = shop.serve_rows(rows)
    for number in range(len(rows)):
        alone = shop.serve_rows(rows.select(np.array([number])))
        assert_alike(alone, {name: it[number : number + 1] for name, it in together.items()})


def test_what_comes_later_changes_no_forecast(shop, rows):
    store = rows.store
    values = np.array(store.values)
    number, origin = int(rows.series[0]), int(rows.origins[0])
    later = slice(int(store.offsets[number]) + origin + 1, int(store.offsets[number + 1]))
    known = values[later, 3].copy()
    values[later] = 1e6
    values[later, 3] = known  # known of the future is what may be seen of it
    series = {
        name: (int(start), values[first:limit])
        for name, start, first, limit in zip(
            store.names, store.starts, store.offsets, store.offsets[1:], strict=False
        )
    }
    planted = SeriesStore.of(store.layout, series, store.static)
    window = WindowRows(planted, [number], [origin], history=PAST, horizon=AHEAD)
    assert (window[0].target == 1e6).all()
    assert_alike(shop.serve_rows(rows.select(np.array([0]))), shop.serve_rows(window))


def test_known_covariates_matter_and_a_missing_one_is_borne(shop, rows):
    given = inputs(shop, rows)
    expected = shop.serve(**given)["mean"]
    assert not np.allclose(shop.serve(**{**given, "known": given["known"] + 2})["mean"], expected)
    given["known"][:, 2:] = np.nan
    assert np.isfinite(shop.serve(**given)["quantiles"]).all()


def test_the_saved_model_answers_as_the_endpoint_in_this_process(shop, rows):
    assert_alike(shop.serve_rows(rows), shop.loaded.call(shop.task.serve_inputs(list(rows))))


def test_stamps_ahead_cross_the_change_of_clocks(tmp_path):
    times = np.arange(400) * 3600 + int(datetime(2024, 3, 16, tzinfo=UTC).timestamp())
    zone = ZoneInfo("Europe/Berlin")
    texts = [datetime.fromtimestamp(int(it), zone).strftime("%Y-%m-%d %H:%M") for it in times]
    path = tmp_path / "y.csv"
    cells = zip(texts, wave(400), strict=True)
    path.write_text("\n".join(["time,y", *(f"{time},{it}" for time, it in cells)]) + "\n")
    berlin = made(path, tmp_path, time_zone="Europe/Berlin")
    splits = berlin.ready.splits
    assert splits.train.store.layout.time_zone == "Europe/Berlin"
    assert len(splits.train.store.values) == 400, "no gap in spring"
    found = berlin.serve_rows(splits.test.select(np.arange(2)))
    np.testing.assert_array_equal(found["time"], splits.test.target_times([0, 1]))


def test_months_are_counted_by_the_calendar(tmp_path, capsys):
    path = one_series(tmp_path / "y.csv", wave(160), first="2000-01", step="1M")
    months = made(path, tmp_path)
    lines = months.predict(capsys, path)
    assert [line["time"] for line in lines] == [f"2013-{n:02}-01" for n in range(5, 11)]

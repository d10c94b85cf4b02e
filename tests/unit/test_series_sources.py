import csv
import json
import shutil

import numpy as np
import pytest

from pipelines.datasets.series_options import SeriesOptions
from pipelines.datasets.series_sources import load_series, load_series_to_score, recent_windows
from pipelines.datasets.storage import DataFolders
from pipelines.errors import DataError
from tests.unit.series_tables import stamps

SMALL = {"history": 12, "horizon": 4}


@pytest.fixture
def folders(tmp_path):
    return DataFolders(tmp_path / "raw", tmp_path / "cache")


def write(path, header, rows):
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([header, *rows])
    return path


def hours(count, first="2021-01-01"):
    return [str(np.datetime64(int(it), "s")).replace("T", " ") for it in stamps(first, count)]


def two_shops(path, count=120, ahead=0):
    """Write sales of two shops, prices known ahead, temperature not."""
    rows = []
    for shop in ("north", "south"):
        for n, time in enumerate(hours(count + ahead)):
            seen = n < count
            sales = n % 24 + 100 * (shop == "south") if seen else ""
            rows.append([shop, time, sales, n % 5, 20 - n % 7 if seen else ""])
    return write(path, ["shop", "time", "sales", "price", "temp"], rows)


SHOPS = {
    **SMALL,
    "series_column": "shop",
    "time_column": ("time",),
    "targets": ("sales",),
    "known_covariates": ("price",),
    "past_covariates": ("temp",),
}


def test_a_table_becomes_windows_in_three_parts(tmp_path, folders):
    path = two_shops(tmp_path / "shops.csv")
    splits = load_series(str(path), SeriesOptions(**SHOPS), folders=folders)
    card = splits.card
    assert card.counts == {name: len(rows) for name, rows in splits.named()}
    assert list(card.files) == [str(path)]
    assert any(note.startswith("frequency h (found)") for note in card.notes)
    assert any(note.startswith("windows of 12 steps of history") for note in card.notes)
    layout = splits.train.store.layout
    assert (layout.targets, layout.past, layout.known) == (("sales",), ("temp",), ("price",))
    window = splits.test[0]
    assert window.series == "north"
    step = (window.time - int(stamps("2021-01-01", 1)[0])) // 3600
    assert window.target.ravel().tolist() == [(step + n) % 24 for n in range(1, 5)]
    assert window.known.ravel().tolist() == [(step + n) % 5 for n in range(1, 5)]


def test_the_cache_is_used_whatever_the_lengths_of_windows(tmp_path, folders):
    path = two_shops(tmp_path / "shops.csv")
    first = load_series(str(path), SeriesOptions(**SHOPS), folders=folders)
    moved = shutil.move(path, tmp_path / "moved.csv")
    shutil.copy(moved, path)
    longer = SeriesOptions(**{**SHOPS, "horizon": 6, "season": 5, "impute": "last"})
    second = load_series(str(path), longer, folders=folders)
    (folder,) = folders.cache.iterdir()
    assert second.test.horizon == 6
    assert second.card.fingerprint != first.card.fingerprint
    other = SeriesOptions(**{**SHOPS, "aggregate": "mean"})
    load_series(str(path), other, folders=folders)
    assert len(list(folders.cache.iterdir())) == 2
    assert json.loads((folder / "card.json").read_text())["reading"]["time_column"] == ["time"]
    assert first.train.store.reading["series_column"] == "shop"


@pytest.mark.parametrize("name", ["card.json", "series.npz", "values.bin", "series.json"])
def test_a_damaged_cache_is_made_anew(tmp_path, folders, name):
    path = two_shops(tmp_path / "shops.csv")
    expected = list(load_series(str(path), SeriesOptions(**SHOPS), folders=folders).test)
    (folder,) = folders.cache.iterdir()
    (folder / name).write_bytes(b"x")
    again = list(load_series(str(path), SeriesOptions(**SHOPS), folders=folders).test)
    assert [it.time for it in again] == [it.time for it in expected]
    np.testing.assert_array_equal(again[0].history, expected[0].history)


def test_a_failure_leaves_nothing_behind(tmp_path, folders):
    rows = [["2021-01-01 00:00", 1], ["2021-01-01 02:00", 2], ["2021-01-01 01:00", 3]]
    path = write(tmp_path / "t.csv", ["time", "y"], rows)
    with pytest.raises(DataError, match=r"t\.csv:4: time goes back .*t\.csv:3"):
        load_series(str(path), SeriesOptions(**SMALL), folders=folders)
    assert not list(folders.cache.iterdir())


def test_all_windows_of_another_table_are_scored(tmp_path, folders):
    options = SeriesOptions(**SHOPS)
    trained = load_series(str(two_shops(tmp_path / "a.csv")), options, folders=folders)
    other = str(two_shops(tmp_path / "b.csv", count=40))
    layout = trained.train.store.layout
    splits = load_series_to_score(other, layout, options, folders=folders)
    assert (len(splits.train), len(splits.valid)) == (0, 0)
    assert splits.card.counts == {"test": len(splits.test)}
    assert splits.test.store.layout == layout
    assert len(np.unique(splits.test.series)) == 2


def test_another_frequency_is_not_scored(tmp_path, folders):
    options = SeriesOptions(**SMALL)
    rows = [[time, n] for n, time in enumerate(hours(200))]
    path = write(tmp_path / "h.csv", ["time", "y"], rows)
    layout = load_series(str(path), options, folders=folders).train.store.layout
    days = [[str(np.datetime64("2021-01-01") + n), n] for n in range(60)]
    other = str(write(tmp_path / "d.csv", ["time", "y"], days))
    with pytest.raises(DataError, match=r"mostly 1 day apart .*but the model has h"):
        load_series_to_score(other, layout, options, folders=folders)


def trained_layout(tmp_path, folders):
    path = two_shops(tmp_path / "train.csv")
    return load_series(str(path), SeriesOptions(**SHOPS), folders=folders).train.store.layout


def test_recent_windows_end_with_the_last_observed_target(tmp_path, folders):
    layout = trained_layout(tmp_path, folders)
    path = two_shops(tmp_path / "recent.csv", count=50, ahead=4)
    rows = recent_windows(path, layout, SeriesOptions(**SHOPS))
    assert [it.series for it in rows] == ["north", "south"]
    window = rows[1]
    assert window.time == stamps("2021-01-01", 50)[-1]
    assert window.history[-1].tolist() == [49 % 24 + 100, 20 - 49 % 7, 49 % 5]
    assert window.known.ravel().tolist() == [n % 5 for n in range(50, 54)]
    assert np.isnan(window.target).all()


def test_known_values_ahead_must_be_there(tmp_path, folders):
    layout = trained_layout(tmp_path, folders)
    path = two_shops(tmp_path / "recent.csv", count=50, ahead=2)
    message = (
        r"recent.csv: series 'north' has no value of 'price' for 2021-01-03 04:00 \(2 of 4 steps "
        r"ahead lack one\); expected known covariates for every step from 2021-01-03 02:00 to "
        r"2021-01-03 05:00; add rows for these steps, with empty cells"
    )
    with pytest.raises(DataError, match=message):
        recent_windows(path, layout, SeriesOptions(**SHOPS))


def test_an_empty_cell_ahead_is_named(tmp_path, folders):
    layout = trained_layout(tmp_path, folders)
    path = two_shops(tmp_path / "recent.csv", count=50, ahead=4)
    text = path.read_text().replace("2021-01-03 03:00:00,,1,", "2021-01-03 03:00:00,,,")
    path.write_text(text)
    with pytest.raises(DataError, match=r"no value of 'price' for 2021-01-03 03:00 \(1 of 4"):
        recent_windows(path, layout, SeriesOptions(**SHOPS))


def test_rows_ahead_are_needed_even_of_a_sparse_covariate(tmp_path, folders):
    def table(name, count, ahead):
        rows = [
            [time, n if n < count else "", "x" if n % 9 == 0 else ""]
            for n, time in enumerate(hours(count + ahead))
        ]
        return write(tmp_path / name, ["time", "y", "promo"], rows)

    options = SeriesOptions(**SMALL, targets=("y",), known_covariates=("promo",))
    path = table("train.csv", 200, 0)
    layout = load_series(str(path), options, folders=folders).train.store.layout
    assert len(recent_windows(table("all.csv", 50, 4), layout, options)) == 1
    with pytest.raises(DataError, match=r"no value of 'promo' for 2021-01-03 04:00 \(2 of 4"):
        recent_windows(table("some.csv", 50, 2), layout, options)


def test_too_short_a_history_is_an_error_in_numbers(tmp_path, folders):
    layout = trained_layout(tmp_path, folders)
    path = two_shops(tmp_path / "recent.csv", count=2, ahead=4)
    message = r"in 2 of its last 12 steps; expected at least 3, better all 12; give earlier rows"
    with pytest.raises(DataError, match=message):
        recent_windows(path, layout, SeriesOptions(**SHOPS))


def test_a_new_series_is_forecast_and_a_short_history_padded(tmp_path, folders):
    layout = trained_layout(tmp_path, folders)
    path = two_shops(tmp_path / "recent.csv", count=5, ahead=4)
    path.write_text(path.read_text().replace("north", "west"))
    rows = recent_windows(path, layout, SeriesOptions(**SHOPS))
    assert rows[0].series == "west"
    assert np.isnan(rows[0].history[:7]).all()
    assert not np.isnan(rows[0].history[7:]).any()


def test_a_zone_is_kept_for_what_is_forecast(tmp_path, folders):
    rows = [[time, n] for n, time in enumerate(hours(200, "2021-06-01"))]
    path = write(tmp_path / "h.csv", ["time", "y"], rows)
    options = SeriesOptions(**SMALL, time_zone="Europe/Berlin")
    layout = load_series(str(path), options, folders=folders).train.store.layout
    window = recent_windows(path, layout, SeriesOptions(**SMALL))[0]
    assert layout.time_zone == "Europe/Berlin"
    assert window.time == stamps("2021-06-01", 200)[-1] - 2 * 3600


def test_a_missing_value_stays_missing_in_histories_too(tmp_path, folders):
    rows = [[time, n if n % 3 else ""] for n, time in enumerate(hours(200))]
    path = write(tmp_path / "h.csv", ["time", "y"], rows)
    options = SeriesOptions(**SMALL, impute="last")  # the model's business
    splits = load_series(str(path), options, folders=folders)
    assert np.isnan(splits.test[0].history).sum() == 4

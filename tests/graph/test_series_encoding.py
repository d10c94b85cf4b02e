from types import SimpleNamespace

import numpy as np
import pytest

from pipelines.corpus import write_corpus
from pipelines.datasets.series import Column, Frequency, SeriesLayout, SeriesStore, WindowRows
from pipelines.series import encoding
from pipelines.series.encoding import encode_windows

HISTORY, HORIZON = 7, 3


def rows_of(lengths, origins, *, seed=5):
    random = np.random.default_rng(seed)
    columns = (Column("y", "target"), Column("x", "past"), Column("k", "known"))
    layout = SeriesLayout(columns, (Column("size", "static"),), Frequency("second", 3600, "h"))
    series = {
        f"s{n}": (3600 * n, random.normal(size=(length, 3))) for n, length in enumerate(lengths)
    }
    store = SeriesStore.of(layout, series, np.arange(len(lengths))[:, None])
    numbers = np.repeat(np.arange(len(lengths)), [len(it) for it in origins])
    steps = np.concatenate(origins)
    return WindowRows(store, numbers, steps, history=HISTORY, horizon=HORIZON)


def artifacts_of(rows):
    settings = {"zone_changes": ((), (0,)), "weighted": True}
    scales = {name: [2.0] for name in rows.store.names}
    return SimpleNamespace(layout=rows.store.layout, settings=settings, scales=scales)


def encoded(rows, folder):
    return write_corpus(folder, encode_windows(rows, artifacts_of(rows)))


@pytest.mark.parametrize("steps", [1, 16, 200, 65_536])
def test_a_corpus_holds_each_window_as_it_is_cut(tmp_path, monkeypatch, steps):
    monkeypatch.setattr(encoding, "BLOCK_STEPS", steps)
    origins = [[0, 1, 2, 5, 40, 41, 60, 20], np.arange(9, 80, 3), [], [4], [4, 4, 30]]
    rows = rows_of([70, 90, 5, 12, 40], origins)
    corpus = encoded(rows, tmp_path / "corpus")
    found, expected = corpus.gather(np.arange(len(rows))), rows.gather(np.arange(len(rows)))
    for name in ("history", "known", "static"):
        np.testing.assert_array_equal(found[name], expected[name])
    np.testing.assert_array_equal(found["target"][..., 0], expected["target"])
    assert (found["target"][..., 1] == 0.5).all()
    # Equal stamps have the same features, up to rounding, wherever they were encoded.
    stamps = expected["time"][:, None] + 3600 * np.arange(1 - HISTORY, HORIZON + 1)
    marks = {}
    for stamp, features in zip(
        stamps.ravel().tolist(), found["calendar"].reshape(stamps.size, -1), strict=True
    ):
        np.testing.assert_allclose(marks.setdefault(stamp, features), features, atol=1e-6)
    assert len({tuple(it) for it in marks.values()}) > 24


def test_neighbouring_windows_share_their_steps(tmp_path):
    rows = rows_of([500], [np.arange(20, 480)])
    corpus = encoded(rows, tmp_path / "corpus")
    size = (tmp_path / "corpus" / "history.bin").stat().st_size
    assert len(corpus) == 460
    assert size == (460 - 1 + HISTORY + HORIZON) * 3 * 4


def test_distant_windows_do_not_bring_what_lies_between(tmp_path):
    rows = rows_of([100_000], [[10, 50_000, 99_000]])
    encoded(rows, tmp_path / "corpus")
    size = (tmp_path / "corpus" / "history.bin").stat().st_size
    assert size == 3 * (HISTORY + HORIZON) * 3 * 4


def test_a_block_is_bounded_in_steps(monkeypatch):
    monkeypatch.setattr(encoding, "BLOCK_STEPS", 100)
    rows = rows_of([5000, 300], [np.arange(20, 4900, 4), np.arange(20, 280)])
    sizes = [len(chunk["history"].values) for chunk in encode_windows(rows, artifacts_of(rows))]
    assert len(sizes) > 40
    assert max(sizes) <= 100 + 2 * (HISTORY + HORIZON)


def test_no_window_is_no_chunk():
    rows = rows_of([50], [[]])
    assert list(encode_windows(rows, artifacts_of(rows))) == []

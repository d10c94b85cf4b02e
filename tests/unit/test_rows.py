from dataclasses import dataclass

import numpy as np
import pytest

from pipelines.datasets.rows import CHUNK_ROWS, Rows, evenly


@dataclass(frozen=True)
class Sample:
    text: str
    tags: tuple[str, ...]
    rating: float | None = None


def samples(count):
    return [Sample(f"row {i}", ("a",) * (i % 3), i / 2 if i % 2 else None) for i in range(count)]


@pytest.mark.parametrize("on_disk", [False, True])
@pytest.mark.parametrize("count", [0, 1, CHUNK_ROWS, CHUNK_ROWS + 5])
def test_rows_give_back_what_was_stored(tmp_path, on_disk, count):
    expected = samples(count)
    rows = Rows.of(Sample, expected, tmp_path / "rows.arrow" if on_disk else None)
    assert len(rows) == count
    assert list(rows) == expected
    if count:
        assert rows[-1] == expected[-1]


def test_views_of_views_keep_stored_order_and_read_across_chunks():
    expected = samples(2 * CHUNK_ROWS)
    view = Rows.of(Sample, expected).select(np.array([CHUNK_ROWS + 3, 5, 0, 2 * CHUNK_ROWS - 1]))
    assert [row.text for row in view] == ["row 0", "row 5", "row 4099", "row 8191"]
    assert [row.text for row in view.select(np.array([1, 3]))] == ["row 5", "row 8191"]
    assert view[2] == expected[CHUNK_ROWS + 3]
    assert [len(chunk) for chunk in view.chunks(3)] == [3, 1]
    assert list(view[1:3]) == [expected[5], expected[CHUNK_ROWS + 3]]


def test_an_index_out_of_range_is_refused():
    with pytest.raises(IndexError, match="row 3 of 3"):
        Rows.of(Sample, samples(3))[3]


def test_a_share_of_rows_is_drawn_evenly():
    rows = Rows.of(Sample, samples(101))
    assert [row.text for row in evenly(rows, 3)] == ["row 0", "row 50", "row 100"]
    assert evenly(rows, 101) is rows


def test_long_rows_are_stored_few_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr("pipelines.datasets.rows.CHUNK_CHARACTERS", 100)
    expected = [Sample(f"{number} " + "x" * (number % 60), ()) for number in range(200)]
    for path in (None, tmp_path / "rows.arrow"):
        rows = Rows.of(Sample, expected, path)
        assert list(rows) == expected and [rows[it] for it in range(-200, 0)] == expected
        some = rows.select(np.array([3, 77, 199]))
        assert list(some) == [expected[it] for it in (3, 77, 199)] and some[1] == expected[77]
        assert len(rows._starts) > 20

import numpy as np
import pytest

from pipelines.errors import ExportError
from pipelines.export.saved_model import compare_outputs


@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e9])
def test_numbers_are_compared_in_shares_of_their_size(unit):
    expected = {"mean": np.array([[3.0, 4.0], [1.0, 2.0]]) * unit}
    close = {"mean": expected["mean"] * (1 + 1e-7)}
    assert compare_outputs(expected, close).largest_difference < 1e-6
    with pytest.raises(ExportError, match="on 2 of 2 rows"):
        compare_outputs(expected, {"mean": expected["mean"] * 1.001})


def test_missing_numbers_agree_with_missing_ones_alone():
    expected = {"mean": np.array([[np.nan, 1.0], [1.0, 1.0]])}
    assert compare_outputs(expected, expected).mismatches == 0
    with pytest.raises(ExportError, match="first at row 1"):
        compare_outputs(expected, {"mean": np.array([[np.nan, 1.0], [np.nan, 1.0]])})


def test_rows_of_zeros_agree():
    zeros = {"mean": np.zeros((2, 3))}
    assert compare_outputs(zeros, zeros).largest_difference == 0


def test_texts_must_be_equal():
    expected = {"label": np.array(["a", "b"], object)}
    with pytest.raises(ExportError, match="on 1 of 2 rows"):
        compare_outputs(expected, {"label": np.array(["a", "c"], object)})

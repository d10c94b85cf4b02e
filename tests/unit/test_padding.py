import numpy as np
import pytest

from pipelines.padding import concatenate_padded, widened


def test_strings_are_padded_with_the_empty_string_and_numbers_with_0():
    words = [np.array([["a", "b"]], object), np.array([["c"], ["d"]], object)]
    assert concatenate_padded(words).tolist() == [["a", "b"], ["c", ""], ["d", ""]]
    numbers = concatenate_padded([np.ones((1, 1), np.float32), np.ones((2, 3), np.float32)])
    assert numbers.tolist() == [[1, 0, 0], [1, 1, 1], [1, 1, 1]]
    assert numbers.dtype == np.float32
    flags = concatenate_padded([np.ones((1, 1), bool), np.ones((1, 2), bool)])
    assert flags.tolist() == [[True, False], [True, True]]


def test_further_axes_are_kept():
    parts = [np.full((2, width, 3), width) for width in (1, 4, 2)]
    joined = concatenate_padded(parts)
    assert joined.shape == (6, 4, 3)
    assert joined.sum(axis=(1, 2)).tolist() == [3, 3, 48, 48, 12, 12]


@pytest.mark.parametrize("shape", [(2,), (2, 3), (2, 3, 4)])
def test_parts_of_one_width_are_joined_as_they_are(shape):
    parts = [np.random.default_rng(number).normal(size=shape) for number in range(3)]
    np.testing.assert_array_equal(concatenate_padded(parts), np.concatenate(parts))


def test_rows_without_any_column_are_padded_whole():
    joined = concatenate_padded([np.zeros((2, 0), object), np.array([["a"]], object)])
    assert joined.tolist() == [[""], [""], ["a"]]


def test_an_array_is_widened_on_the_right():
    assert widened(np.array([[5, 6]]), 4).tolist() == [[5, 6, 0, 0]]
    assert widened(np.array([["a"]], object), 1).tolist() == [["a"]]

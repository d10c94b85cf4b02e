import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipelines.layers.imputation import ForwardFill

VALUES = st.lists(st.one_of(st.just(float("nan")), st.floats(-9, 9, width=32)), min_size=1,
                  max_size=20)  # fmt: skip


def filled(values, step):
    window = np.array(values, np.float32)[None, :, None]
    return np.asarray(ForwardFill(step)(window))[0, :, 0]


@given(values=VALUES, step=st.integers(1, 7))
def test_a_missing_value_is_the_last_one_of_its_phase(values, step):
    expected = list(values)
    for place in range(step, len(values)):
        if np.isnan(expected[place]):
            expected[place] = expected[place - step]
    np.testing.assert_array_equal(filled(values, step), np.array(expected, np.float32))


@given(values=VALUES, step=st.integers(1, 7), place=st.integers(0, 19))
def test_later_values_change_no_earlier_one(values, step, place):
    changed = [*values[:place], *[7.5] * (len(values) - place)]
    np.testing.assert_array_equal(filled(values, step)[:place], filled(changed, step)[:place])

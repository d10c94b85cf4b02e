import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from keras import ops

from pipelines.errors import DataError
from pipelines.layers.conformal import LARGEST_FACTOR, ConformalQuantiles, conformal_factors
from pipelines.layers.quantiles import DEFAULT_LEVELS, normal_scores

NAN = np.nan
SCORES = normal_scores(DEFAULT_LEVELS)


def numpy(value):
    return ops.convert_to_numpy(value)


def forecasts(windows, spread, seed, steps=6, targets=2, levels=DEFAULT_LEVELS):
    """Draw values whose deviation grows along the horizon; forecasts say `spread` times it."""
    draws = np.random.default_rng(seed)
    deviation = np.linspace(1, 3, steps)[:, None] * draws.gamma(4, size=(windows, 1, targets))
    center = draws.normal(size=(windows, steps, targets)) * 5
    actual = center + deviation * draws.normal(size=center.shape)
    claimed = deviation * np.broadcast_to(spread, (steps, targets))
    quantiles = center[..., None] + claimed[..., None] * normal_scores(levels)
    return actual.astype("float32"), quantiles.astype("float32")


def coverage(actual, quantiles, low=0, high=-1):
    inside = (actual >= quantiles[..., low]) & (actual <= quantiles[..., high])
    return inside.mean()


@pytest.mark.parametrize("spread", [0.4, 1.0, 2.5])
def test_intervals_of_fresh_data_cover_their_share(spread):
    layer = ConformalQuantiles()
    layer.fit(*forecasts(600, spread, seed=1))
    actual, quantiles = forecasts(3000, spread, seed=2)
    calibrated = numpy(layer(quantiles))
    for number, share in enumerate((0.8, 0.6, 0.4, 0.2)):
        found = coverage(actual, calibrated, number, 8 - number)
        assert found == pytest.approx(share, abs=0.02)
    np.testing.assert_allclose(calibrated[..., 4], quantiles[..., 4], rtol=1e-5, atol=1e-5)
    assert (np.diff(calibrated) > 0).all()
    if spread != 1.0:
        assert abs(coverage(actual, quantiles) - 0.8) > 0.1


def test_steps_far_ahead_get_factors_of_their_own():
    spread = np.repeat([0.5, 2.0], 3)[:, None]
    layer = ConformalQuantiles()
    layer.fit(*forecasts(800, spread, seed=3))
    factors = numpy(layer.factors)[:, 0, 0]
    assert factors[0] > 1.3 > 0.8 > factors[-1]
    actual, quantiles = forecasts(4000, spread, seed=4)
    calibrated = numpy(layer(quantiles))
    for step in range(6):
        assert coverage(actual[:, step], calibrated[:, step]) == pytest.approx(0.8, abs=0.05)


def test_the_rule_of_n_plus_one_by_hand():
    actual = np.arange(1.0, 40).reshape(39, 1, 1)  # |y| = 1 ... 39 about the center 0
    quantiles = np.tile([-1.0, 0.0, 1.0], (39, 1, 1, 1))
    # Of 39 scores the ceil(40 × 0.2) = 8th.
    factors = conformal_factors(actual, quantiles, (0.4, 0.5, 0.6))
    assert factors[0, 0].tolist() == [8, 1, 8]
    # ceil(40 × 0.98) = 40 of 39: the largest, here cut.
    assert conformal_factors(actual, quantiles, (0.01, 0.5, 0.99))[0, 0, 0] == LARGEST_FACTOR


def test_levels_without_a_mirror_image_are_calibrated_alone():
    levels = (0.5, 0.9)
    layer = ConformalQuantiles(levels)
    layer.fit(*forecasts(800, 0.3, seed=5, levels=levels))
    actual, quantiles = forecasts(3000, 0.3, seed=6, levels=levels)
    below = (actual <= numpy(layer(quantiles))[..., 1]).mean()
    assert below == pytest.approx(0.9, abs=0.02)


def test_missing_values_count_for_nothing():
    actual, quantiles = forecasts(500, 0.5, seed=7)
    holes = np.concatenate([actual, np.full_like(actual, NAN)])
    double = np.concatenate([quantiles, quantiles * 9])
    np.testing.assert_array_equal(
        conformal_factors(holes, double, DEFAULT_LEVELS),
        conformal_factors(actual, quantiles, DEFAULT_LEVELS),
    )
    empty = conformal_factors(np.full_like(actual, NAN), quantiles, DEFAULT_LEVELS)
    assert (empty == 1).all()


@given(
    arrays("float32", (2, 3, 1, 9), elements=st.floats(-1e6, 1e6, width=32)),
    arrays("float32", (3, 1, 9), elements=st.floats(0, 10, width=32)),
)
def test_quantiles_never_cross_whatever_the_factors(quantiles, factors):
    layer = ConformalQuantiles()
    layer.build((None, 3, 1, 9))
    layer.factors.assign(factors)
    assert (np.diff(numpy(layer(np.sort(quantiles, axis=-1)))) >= 0).all()


def test_an_unfitted_layer_changes_nothing_and_a_fitted_one_survives_saving(tmp_path):
    actual, quantiles = forecasts(500, 0.5, seed=8)
    inputs = keras.Input(quantiles.shape[1:])
    layer = ConformalQuantiles()
    model = keras.Model(inputs, layer(inputs))
    np.testing.assert_allclose(model(quantiles), quantiles, rtol=1e-5, atol=1e-5)
    layer.fit(actual, quantiles)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again(quantiles), model(quantiles))
    assert not np.allclose(model(quantiles), quantiles)


def test_forecasts_of_other_levels_are_refused():
    actual, quantiles = forecasts(5, 1, seed=9)
    expected = r"got quantiles \(5, 6, 2, 3\) for values \(5, 6, 2\), expected \(5, 6, 2, 9\); fore"
    with pytest.raises(DataError, match=expected):
        ConformalQuantiles().fit(actual, quantiles[..., :3])

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from keras import ops

from pipelines.errors import ConfigError, DataError
from pipelines.layers.series_scaling import CLIP, SeriesScaling, to_raw, to_scaled
from pipelines.layers.series_statistics import fit_statistics

SCALINGS = ("mean", "robust", "standard", "none")
NAN = np.nan


def numpy(value):
    return ops.convert_to_numpy(value)


def series(rows=400, columns=1, seed=0):
    return np.random.default_rng(seed).gamma(3, 20, size=(rows, columns))


def scaling_of(values, scaling="mean", log=False, **columns):
    layer = SeriesScaling(1, scaling=scaling, log=log, **columns)
    layer.set_statistics(fit_statistics([values], targets=1, scaling=scaling, log=log))
    return layer


def windows(values, steps=50):
    return np.stack([values[:steps], values[steps : 2 * steps]]).astype("float32")


def test_locations_and_scales_by_hand():
    values = series()
    history = windows(values)
    history[0, ::3] = NAN
    seen = history[0, :, 0][~np.isnan(history[0, :, 0])]
    low, median, high = np.quantile(seen, (0.25, 0.5, 0.75))
    expected = {
        "mean": (0, np.abs(seen).mean()),
        "robust": (median, (high - low) / 1.349),
        "standard": (seen.mean(), seen.std()),
        "none": (values.mean(), values.std()),
    }
    for scaling, pair in expected.items():
        layer = scaling_of(values, scaling)
        np.testing.assert_allclose(numpy(layer.measure(history))[0, 0, :2], pair, rtol=1e-4)


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("scaling", SCALINGS)
def test_raw_values_come_back(scaling, log):
    values = series() - (100 if log else 0)
    layer = scaling_of(values, scaling, log)
    history = windows(values)
    window = layer.measure(history)
    np.testing.assert_allclose(
        to_raw(to_scaled(history, window), window), history, rtol=1e-3, atol=1e-3
    )
    several = np.repeat(history[..., None], 3, axis=-1)
    again = to_raw(np.repeat(numpy(to_scaled(history, window))[..., None], 3, -1), window)
    np.testing.assert_allclose(again, several, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("unit", [1e9, 1e-9])
@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("scaling", SCALINGS)
def test_a_change_of_unit_changes_nothing(scaling, log, unit):
    values = series(columns=2)
    plain = scaling_of(values, scaling, log, past=[0])(windows(values))
    shifted = scaling_of(values * unit, scaling, log, past=[0])(windows(values * unit))
    for name in ("history", "static"):
        np.testing.assert_allclose(shifted[name], plain[name], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("unit", [1e9, 1e-9])
@pytest.mark.parametrize("scaling", ["mean", "robust", "standard"])
def test_a_new_series_of_another_unit_looks_the_same(scaling, unit):
    values = series()
    layer = scaling_of(values, scaling)
    shapes = [numpy(layer(windows(values * u))["history"]) for u in (1, unit)]
    np.testing.assert_allclose(*shapes, rtol=1e-4, atol=1e-4)


def test_few_values_lean_on_the_training_series():
    values = series()
    layer = scaling_of(values, "standard")
    center, spread = values.mean(), values.std()
    history = np.full((4, 50, 1), NAN, "float32")
    history[1, :4], history[2, :8] = 1000 + np.arange(4)[:, None], 1000 + np.arange(8)[:, None]
    history[3, 7] = 1000
    location, scale, *_ = np.moveaxis(numpy(layer.measure(history))[:, 0], -1, 0)
    own = np.arange(4).std()
    np.testing.assert_allclose(location[:3], [center, (1001.5 + center) / 2, 1003.5], rtol=1e-4)
    np.testing.assert_allclose(
        scale[:3], [spread, np.sqrt(own * spread), np.arange(8).std()], rtol=1e-3
    )
    assert center < location[3] < 1000


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("scaling", SCALINGS)
@pytest.mark.parametrize("value", [0.0, 7.0, NAN, np.inf])
def test_constant_and_missing_histories_stay_finite(scaling, log, value):
    layer = scaling_of(series(), scaling, log)
    result = layer(np.full((2, 30, 1), value, "float32"))
    for name in ("history", "static", "window"):
        assert np.isfinite(numpy(result[name])).all(), name
    for z in (-3.0, 0.0, 3.0):
        assert np.isfinite(numpy(to_raw(np.full((2, 5, 1), z), result["window"]))).all()
    flat = np.full((30, 1), 5.0)
    constant = scaling_of(flat, scaling, log)(flat[None].astype("float32"))
    assert np.isfinite(numpy(constant["history"])).all()


def finite(low=-1e6, high=1e6):
    return arrays("float32", (1, 20, 1), elements=st.floats(low, high, width=32) | st.just(NAN))


@given(finite(), st.sampled_from(SCALINGS), st.booleans())
def test_whatever_is_observed_the_network_sees_finite_numbers(history, scaling, log):
    layer = scaling_of(series() - 50, scaling, log)
    result = layer(history)
    seen = numpy(result["history"])
    assert np.isfinite(seen).all()
    assert np.abs(seen).max() <= CLIP
    assert (numpy(result["window"])[..., 1] > 0).all()
    np.testing.assert_array_equal(seen[..., 1], ~np.isnan(history[..., 0]))
    order = numpy(to_raw(np.linspace(-5, 5, 11)[None, :, None], result["window"]))[0, :, 0]
    assert (np.diff(order) >= 0).all()


def test_what_the_network_sees_column_by_column():
    values = np.array([[2.0, 10.0, 1.0], [4.0, 20.0, 0.0], [6.0, 30.0, 1.0]])
    layer = SeriesScaling(1, past=[0], known=[2], static=[0, 3])
    statics = np.array([[5.0, 2.0], [7.0, 0.0]])
    layer.set_statistics(fit_statistics([values, values], statics, targets=1))
    history = np.array([[[4.0, 20.0, 1.0]] * 9 + [[NAN, NAN, 7.0], [8.0, 30.0, NAN]]], "float32")
    known = np.array([[[0.0], [NAN]]], "float32")
    result = {k: numpy(v) for k, v in layer(history, known, np.array([[7.0, 2.0]])).items()}
    spread = np.std([10, 20, 30])
    # target, its flag; past covariate, two words; their flags.
    np.testing.assert_allclose(result["history"][0, 0], [4 / 4.4, 1, 0, 0, 1, 1, 1], rtol=1e-5)
    np.testing.assert_allclose(result["history"][0, 9], [0, 0, 0, 0, 0, 0, 1], rtol=1e-5)
    np.testing.assert_allclose(
        result["history"][0, 10], [8 / 4.4, 1, 10 / spread, 0, 0, 1, 0], rtol=1e-5
    )
    np.testing.assert_array_equal(result["known"][0], [[1, 0, 1], [0, 0, 0]])
    # location, scale over the training scale; a number, three words; their flags.
    np.testing.assert_allclose(
        result["static"][0], [0, np.log(4.4 / 4), 1, 0, 0, 1, 1, 1], atol=1e-5
    )
    widths = [layer.history_width, layer.known_width, layer.static_width]
    assert widths == [result[name].shape[-1] for name in ("history", "known", "static")]


def test_the_logarithm_suits_the_training_values():
    counts = scaling_of(series(), "none", log=True)
    signed = scaling_of(series() - 50, "none", log=True)
    history = np.zeros((1, 3, 1), "float32")
    assert numpy(counts.measure(history))[0, 0, 3] == 1
    assert numpy(signed.measure(history))[0, 0, 3] == 2
    low = to_raw(np.full((1, 3, 1), -9.0), counts.measure(history))
    assert (numpy(low) == 0).all()


def test_statistics_weigh_every_series_alike():
    parts = [np.full((10, 1), 1.0), np.full((2000, 1), 5.0), np.full((10, 1), 3.0)]
    statistics = fit_statistics(parts, targets=1)
    assert statistics.scale == 3
    covariates = [np.column_stack([part, part]) for part in parts]
    pooled = np.concatenate(parts)
    fitted = fit_statistics(covariates, targets=1)
    np.testing.assert_allclose([fitted.center[0], fitted.spread[0]], [pooled.mean(), pooled.std()])


def test_a_layer_survives_saving(tmp_path):
    values = series(columns=2)
    layer = scaling_of(values, "robust", True, past=[0])
    inputs = keras.Input((None, 2))
    model = keras.Model(inputs, layer(inputs))
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    for name, value in model(windows(values)).items():
        np.testing.assert_array_equal(again(windows(values))[name], value)
    assert not model.trainable_weights


def test_a_target_never_observed_is_refused():
    with pytest.raises(DataError, match="target 2: got no observed value in 1 series.*leave it"):
        fit_statistics([np.array([[1.0, NAN]])], targets=2)


def test_statistics_of_other_columns_are_refused():
    layer = SeriesScaling(1, past=[0])
    with pytest.raises(ConfigError, match=r"'center' has 0 value\(s\), expected 1; measure"):
        layer.set_statistics(fit_statistics([series()], targets=1))


@pytest.mark.parametrize("kind", [0.0, 1.0, 2.0])
def test_a_graph_of_keras_tensors_scales_as_values_do(kind):
    values = np.array([[[0.5], [20.0], [NAN]]], np.float32)
    window = np.array([[[3.0, 2.0, 5.0, kind]]], np.float32)
    given_values, given_window = keras.Input((None, 1)), keras.Input((1, 4))
    inputs = [given_values, given_window]
    scaled = keras.Model(inputs, to_scaled(given_values, given_window))([values, window])
    raw = keras.Model(inputs, to_raw(given_values, given_window))([values[:, :2], window])
    np.testing.assert_allclose(numpy(scaled), numpy(to_scaled(values, window)), rtol=1e-6)
    np.testing.assert_allclose(numpy(raw), numpy(to_raw(values[:, :2], window)), rtol=1e-6)

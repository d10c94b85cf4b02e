import keras
import numpy as np
import pytest
from keras import ops
from scipy import stats

from pipelines.errors import ConfigError
from pipelines.layers.autoregression import (
    AutoregressiveDecoder,
    fixed_uniforms,
    forecast_of,
    lagged,
    value_and_flag,
)
from pipelines.layers.forecast_heads import ScaledLoss, with_window
from pipelines.layers.horizon_decoders import DirectDecoder, RecurrentDecoder, decoder_stack
from pipelines.layers.recurrent import RecurrentStack

NAN = np.nan
LSTM = {"cell": "lstm", "units": 4, "depth": 2, "seed": 1}


def numpy(value):
    return ops.convert_to_numpy(value)


def drawn(*size, seed=0):
    return np.random.default_rng(seed).normal(size=size).astype("float32")


def window(rows, targets=2):
    return np.tile(np.array([0, 2, 1, 0], "float32"), (rows, targets, 1))


def test_direct_features_are_of_their_own_step():
    decoder = DirectDecoder(5, units=6, seed=1)
    context, future = drawn(3, 4), drawn(3, 5, 2)
    features = numpy(decoder(context, future))
    assert features.shape == (3, 5, 6) == decoder.compute_output_shape((3, 4))
    changed = future.copy()
    changed[:, 2] += 1
    differs = np.abs(numpy(decoder(context, changed)) - features).max(axis=(0, 2)) > 1e-6
    assert differs.tolist() == [False, False, True, False, False]
    alike = numpy(DirectDecoder(5, units=6, seed=1)(context))
    assert np.abs(np.diff(alike, axis=1)).max() > 1e-4  # steps differ though inputs do not
    assert np.abs(numpy(decoder(context + 1, future)) - features).min(axis=2).max() > 0


def test_attention_reads_the_states_it_may():
    decoder = DirectDecoder(3, units=6, attention=True, seed=1)
    context, states = drawn(2, 4), drawn(2, 7, 5)
    mask = np.arange(7) < np.array([[4], [7]])
    features = numpy(decoder(context, None, states, mask))
    states[0, 4:] = 50
    np.testing.assert_allclose(decoder(context, None, states, mask), features, atol=1e-6)
    states[0, 0] += 1
    assert np.abs(numpy(decoder(context, None, states, mask)) - features)[0].max() > 1e-6


def test_a_recurrent_decoder_reads_on_from_the_encoders_state():
    encoder = RecurrentStack(**LSTM, direction="forward")
    decoder = RecurrentDecoder(5, stack=LSTM, step_size=0, seed=1)
    history, future = drawn(3, 8, 2), drawn(3, 5, 2)
    _, state = encoder.run(history)
    features = decoder(state, future)
    decoder._stack.set_weights(encoder.get_weights())
    whole = numpy(encoder(np.concatenate([history, future], axis=1)))
    np.testing.assert_allclose(decoder(state, future), whole[:, 8:], atol=1e-5)
    assert decoder._bridge is None
    assert features.shape == (3, 5, 4)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_any_encoders_state_is_bridged(cell):
    encoder = RecurrentStack(cell=cell, units=3, direction="both", seed=1)
    decoder = RecurrentDecoder(4, stack=LSTM, seed=1)
    _, state = encoder.run(drawn(3, 8, 2))
    first = numpy(decoder(state))
    assert first.shape == (3, 4, 4)
    assert np.abs(numpy(decoder([part + 1 for part in state])) - first).max() > 1e-4


def test_lagged_values_are_those_of_the_step_before():
    scaled = np.array([[[1.0, 2.0], [NAN, 3.0], [4.0, 5.0]]], "float32")
    expected = [[0, 0, 0, 0], [1, 2, 1, 1], [0, 3, 0, 1]]
    assert numpy(lagged(scaled))[0].tolist() == expected


def test_uniforms_are_fixed_and_fill_every_step_evenly():
    uniforms = fixed_uniforms(50, 3, 2, seed=4)
    np.testing.assert_array_equal(uniforms, fixed_uniforms(50, 3, 2, seed=4))
    grid = (np.arange(50) + 0.5) / 50
    np.testing.assert_allclose(np.sort(uniforms, axis=0), np.tile(grid[:, None, None], (3, 2)))
    flat = uniforms.reshape(50, -1)
    assert np.abs(np.corrcoef(flat.T) - np.eye(6)).max() < 0.5
    assert not np.array_equal(uniforms, fixed_uniforms(50, 3, 2, seed=5))


def autoregressive(family="gaussian", **options):
    settings = {"targets": 2, "horizon": 3, "paths": 40, "seed": 1}
    return AutoregressiveDecoder(stack=LSTM, family=family, **settings | options)


@pytest.mark.parametrize("family", ["quantiles", "gaussian", "student-t", "negative-binomial"])
def test_paths_are_the_steps_taken_one_by_one(family):
    decoder = autoregressive(family, paths=3)
    scaled, known, future = drawn(2, 6, 2), drawn(2, 6, 4), drawn(2, 3, 4)
    decoder(lagged(scaled), known, window(2))
    state = decoder.read(lagged(scaled), known)
    paths = numpy(decoder.paths(value_and_flag(scaled[:, -1]), future, window(2), state))
    again = numpy(decoder.paths(value_and_flag(scaled[:, -1]), future, window(2), state))
    np.testing.assert_array_equal(paths, again)
    assert paths.shape == (2, 3, 3, 2)
    # Teacher forcing along a path gives the distributions its values were drawn from.
    for n in range(3):
        values = np.concatenate([scaled, paths[:, n]], axis=1)
        everything = np.concatenate([known, future], axis=1)
        params = numpy(decoder(lagged(values), everything, window(2)))[:, -3:]
        uniforms = np.tile(decoder._uniforms[n], (2, 1, 1))
        redrawn = decoder._head.family.sample(params, uniforms)
        np.testing.assert_allclose(redrawn, paths[:, n], atol=1e-4)


def test_an_autoregressive_model_learns_a_random_walk():
    keras.utils.set_random_seed(0)
    decoder = autoregressive(targets=1, horizon=4, paths=400)
    draws = np.random.default_rng(0)
    scaled = np.cumsum(0.3 * draws.normal(size=(512, 12, 1)), axis=1).astype("float32")
    previous, scaling = keras.Input((None, 2)), keras.Input((1, 4))
    params = decoder(previous, None, scaling)
    learner = keras.Model([previous, scaling], with_window(params, scaling))
    learner.compile(keras.optimizers.Adam(0.02), ScaledLoss("gaussian"), jit_compile=False)
    unit = np.tile(np.array([0, 1, 1, 0], "float32"), (512, 1, 1))
    inputs = [numpy(lagged(scaled)), unit]
    losses = [float(learner.train_on_batch(inputs, scaled)) for _ in range(250)]
    entropy = 0.5 * np.log(2 * np.pi * np.e * 0.09)
    assert losses[-1] == pytest.approx(entropy, abs=0.15)
    state = decoder.read(inputs[0], None)
    paths = decoder.paths(value_and_flag(scaled[:, -1]), None, unit, state)
    forecast = {k: numpy(v) for k, v in forecast_of(paths, unit, (0.1, 0.5, 0.9)).items()}
    gap = forecast["mean"][..., 0] - scaled[:, -1]
    assert np.abs(gap).mean() < 0.3
    width = (forecast["quantiles"][..., 2] - forecast["quantiles"][..., 0])[..., 0].mean(0)
    expected = 2 * 1.2816 * 0.3 * np.sqrt([1, 2, 3, 4])  # wider the further ahead
    np.testing.assert_allclose(width, expected, rtol=0.3)


def test_quantiles_of_paths_are_those_of_their_distribution():
    grid = stats.norm.ppf((np.arange(500) + 0.5) / 500)
    paths = np.tile(grid[None, :, None, None], (2, 1, 3, 1)).astype("float32")
    levels = (0.0005, 0.1, 0.5, 0.975)
    forecast = forecast_of(paths, np.tile([5.0, 2.0, 1.0, 0.0], (2, 1, 1)), levels)
    expected = stats.norm.ppf((0.001, *levels[1:]), 5, 2)
    np.testing.assert_allclose(forecast["quantiles"][0, 0, 0], expected, atol=0.02)
    np.testing.assert_allclose(forecast["mean"], 5, atol=1e-4)


def test_decoders_survive_saving(tmp_path):
    history, future = keras.Input((6, 2)), keras.Input((3, 4))
    states, *state = RecurrentStack(**LSTM, direction="forward", return_state=True)(history)
    direct = DirectDecoder(3, units=4, attention=True)(states[:, -1], future, states)
    recurrent = RecurrentDecoder(3, stack=LSTM)(state, future)
    model = keras.Model([history, future], [direct, recurrent])
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    inputs = [drawn(2, 6, 2), drawn(2, 3, 4)]
    for ours, theirs in zip(model(inputs), again(inputs), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    decoder = autoregressive("student-t", center=1.0)
    copy = AutoregressiveDecoder.from_config(decoder.get_config())
    assert copy.settings == decoder.settings
    np.testing.assert_array_equal(copy._uniforms, decoder._uniforms)


def test_half_precision_decoders_run():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        decoder, other = autoregressive(), RecurrentDecoder(3, stack=LSTM)
        direct = DirectDecoder(3, attention=True)
        state = decoder.read(numpy(lagged(drawn(2, 6, 2))), drawn(2, 6, 4))
        last = value_and_flag(drawn(2, 2))
        paths = decoder.paths(last, drawn(2, 3, 4).astype("float16"), window(2), state)
        results = [paths, other(state, drawn(2, 3, 4)), direct(drawn(2, 4), None, drawn(2, 5, 4))]
    finally:
        keras.config.set_dtype_policy("float32")
    assert all(np.isfinite(numpy(result)).all() for result in results)


def test_unknown_settings_of_a_stack_are_refused():
    with pytest.raises(ConfigError, match=r"got the setting\(s\) layers, expected.*pass `Recurr"):
        decoder_stack({"layers": 2})


FORECASTER = """
import sys, keras, numpy as np
from keras import ops
from pipelines.layers.autoregression import (
    AutoregressiveDecoder, forecast_of, lagged, value_and_flag)
from pipelines.layers.conformal import ConformalQuantiles
from pipelines.layers.forecast_heads import ForecastHead, ForecastOutput
from pipelines.layers.horizon_decoders import DirectDecoder, RecurrentDecoder
from pipelines.layers.recurrent import RecurrentStack
from pipelines.layers.series_scaling import SeriesScaling, to_scaled

GRU = {"cell": "gru", "units": 4, "seed": 1}

@keras.saving.register_keras_serializable(package="test")
class Paths(keras.layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.decoder = AutoregressiveDecoder(stack=GRU, targets=1, horizon=3, paths=20)

    def build(self, history_shape, known_shape, window_shape):
        self.decoder.build((None, None, 2), known_shape)
        self.built = True

    def call(self, history, known, window):
        scaled = to_scaled(history[..., :1], window)
        state = self.decoder.read(lagged(scaled), ops.zeros_like(known[:, :1]))
        paths = self.decoder.paths(value_and_flag(scaled[:, -1]), known, window, state)
        return forecast_of(paths, window)["quantiles"]

def build():
    history, known = keras.Input((6, 3)), keras.Input((3, 1))
    seen = SeriesScaling(1, past=[0], known=[3], scaling="robust", log=True)(history, known)
    encoder = RecurrentStack(**GRU, direction="forward", return_state=True)
    states, *state = encoder(seen["history"])
    context = keras.layers.Concatenate()([states[:, -1], seen["static"]])
    direct = DirectDecoder(3, units=4, attention=True)(context, seen["known"], states)
    features = direct + RecurrentDecoder(3, stack=GRU)(state, seen["known"])
    params = ForecastHead("student-t", targets=1)(features, seen["window"])
    output = ForecastOutput("student-t", log=True)(params, seen["window"])
    drawn = Paths()(history[:, -1:], seen["known"], seen["window"])
    output["quantiles"] = ConformalQuantiles()(output["quantiles"])
    return keras.Model([history, known], output | {"drawn": drawn})
"""
LOADED = """
model = build()
model.load_weights(sys.argv[1] + "/model.weights.h5")
given = np.load(sys.argv[1] + "/in.npz")
answer = model.predict([given["history"], given["known"]], verbose=0)
np.savez(sys.argv[1] + "/out.npz", **answer)
"""


def forecaster():
    names = {}
    exec(FORECASTER, names)
    return names["build"]()


def inputs_of(rows):
    history = np.abs(drawn(rows, 6, 3)) * 20
    history[0, 2:4], history[-1, :, 2] = NAN, 1
    return {"history": history, "known": np.ones((rows, 3, 1), "float32")}


def test_jax_forecasts_the_same(jax_process, tmp_path):
    model, inputs = forecaster(), inputs_of(4)
    model.save_weights(tmp_path / "model.weights.h5")
    np.savez(tmp_path / "in.npz", **inputs)
    jax_process.run(FORECASTER + LOADED, tmp_path)
    ours, theirs = model(list(inputs.values())), np.load(tmp_path / "out.npz")
    assert set(ours) == set(theirs)
    for name, value in ours.items():
        assert np.isfinite(numpy(value)).all()
        np.testing.assert_allclose(theirs[name], value, rtol=1e-3, atol=1e-3, err_msg=name)


def test_an_export_forecasts_any_number_of_rows(tmp_path):
    import tensorflow as tf

    model = forecaster()
    archive = keras.export.ExportArchive()
    archive.track(model)
    specs = [tf.TensorSpec((None, 6, 3)), tf.TensorSpec((None, 3, 1))]
    archive.add_endpoint("serve", lambda h, k: model([h, k], training=False), specs)
    archive.write_out(str(tmp_path / "export"), verbose=False)
    loaded = tf.saved_model.load(str(tmp_path / "export"))
    for rows in (1, 5):
        inputs = list(inputs_of(rows).values())
        for name, value in loaded.serve(*inputs).items():
            np.testing.assert_allclose(value, model(inputs)[name], rtol=1e-4, atol=1e-4)

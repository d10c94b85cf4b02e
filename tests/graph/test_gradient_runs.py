"""The monitor in whole runs: curves and resuming, gates, and what is not finite."""

from dataclasses import replace

import keras
import numpy as np
import pytest

from pipelines.batching import Batches
from pipelines.config import RunConfig
from pipelines.corpus import Ragged, write_corpus
from pipelines.errors import TrainingError
from pipelines.gradients.gates import gate_values
from pipelines.gradients.saturation import saturation
from pipelines.layers.cells.norm_preserving import NormPreservingRNN
from pipelines.training import Objective, Trainer

ROWS, BAD_ROW = 240, 200
CONFIG = RunConfig(epochs=2, patience=9, seed=3, optimizer="sgd", learning_rate=0.1)


def corpus(folder, bad=None):
    rng = np.random.default_rng(0)
    tokens = Ragged(rng.integers(4, 9, 2 * ROWS).astype(np.int32), np.full(ROWS, 2))
    values = rng.normal(size=(ROWS, 3)).astype(np.float32)
    if bad is not None:
        values[BAD_ROW, 1] = bad
    target = values.sum(axis=1).astype(np.float32)
    return write_corpus(folder, [{"tokens": tokens, "values": values, "target": target}])


def batches(of, seed=None):
    return Batches(
        of, length_of="tokens", inputs=("values",), target="target", batch_tokens=16, seed=seed
    )


def train(train_corpus, valid_corpus, folder, config=CONFIG, callbacks=(), resume=False):
    keras.utils.set_random_seed(3)
    values = keras.Input((3,), name="values")
    model = keras.Model([values], keras.layers.Dense(1, name="top")(values))
    objective = Objective(keras.losses.MeanSquaredError(), [], "loss", better="lower")
    run = Trainer(
        model, objective, config, checkpoint=folder / "state.npz", callbacks=list(callbacks)
    )
    return run, run.fit(batches(train_corpus, 3), batches(valid_corpus), resume=resume)


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    return corpus(tmp_path_factory.mktemp("good") / "corpus")


@pytest.fixture(scope="module")
def whole(good, tmp_path_factory):
    return train(good, good, tmp_path_factory.mktemp("whole"))


def test_a_run_has_curves_of_every_epoch(whole):
    _, result = whole
    assert [one["epoch"] for one in result.gradients] == [1, 2]
    assert [one["steps"] for one in result.gradients] == [60, 60]
    assert list(result.gradients[0]["layers"]) == ["top"]
    assert len(result.gradients[0]["norms"]) == 30
    first, last = (row["gradient_norm"] for row in result.history)
    assert last < first


def test_a_resumed_run_has_the_same_curves_and_weights(whole, good, tmp_path):
    class PowerCut(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 17:
                raise SystemError("power cut")

    with pytest.raises(SystemError):
        every_batch = replace(CONFIG, checkpoint_minutes=0.0)
        train(good, good, tmp_path, config=every_batch, callbacks=[PowerCut()])
    run, result = train(good, good, tmp_path, resume=True)
    assert result.resumed_from_epoch == 0
    assert result.gradients == whole[1].gradients
    for one, other in zip(whole[0].model.get_weights(), run.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_bad_value_in_the_data_is_found(good, tmp_path, bad):
    harmed = corpus(tmp_path / "corpus", bad)
    with pytest.raises(TrainingError, match=r"batch \d+: .*'values' in 1 values") as caught:
        train(harmed, good, tmp_path)
    (saved,) = tmp_path.glob("batch-not-finite-1-*.npz")
    assert str(saved) in str(caught.value)
    with np.load(saved) as arrays:
        assert (~np.isfinite(arrays["values"])).sum() == 1
        assert len(arrays["weights"]) == 4
    plan = batches(harmed, 3).epoch(0)
    number = next(n for n, rows in enumerate(plan.rows, start=1) if BAD_ROW in rows)
    assert saved.name == f"batch-not-finite-1-{number}.npz"


def test_a_rate_that_is_too_high_is_blamed_on_itself(good, tmp_path):
    wild = replace(CONFIG, learning_rate=1e18, clip_norm=0.0, schedule="constant", epochs=9)
    with pytest.raises(TrainingError, match="all its values are finite.*lower --learning-rate"):
        train(good, good, tmp_path, config=wild)
    assert list(tmp_path.glob("batch-not-finite-1-*.npz"))


KINDS = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU, "simple": keras.layers.SimpleRNN}


@pytest.mark.parametrize("cell", list(KINDS))
def test_gates_are_those_the_layer_has(cell):
    keras.utils.set_random_seed(1)
    sequences = np.random.default_rng(0).normal(size=(2, 4, 3)).astype("f")
    mask = np.array([[True] * 4, [True, True, False, False]])
    layer = KINDS[cell](5, return_sequences=True, go_backwards=True, bias_initializer="normal")
    expected = np.array(layer(sequences, mask=mask))
    weights = [np.array(one) for one in layer.get_weights()]
    gates = gate_values(cell, weights, inputs=sequences, mask=mask, backwards=True)
    np.testing.assert_allclose(np.swapaxes(gates.hidden, 0, 1), expected, atol=1e-5)
    assert gates.real.sum() == 6


def test_a_norm_preserving_layer_is_looked_at_as_the_simple_one_it_is():
    inputs = keras.Input((None, 3))
    model = keras.Model(inputs, NormPreservingRNN(2, 1.0, return_sequences=True)(inputs))
    found = saturation(model, np.full((2, 3, 3), 50.0, "f"))
    (shares,) = found.values()
    assert max(shares.values()) >= 0.5


def test_looking_at_gates_puts_everything_back():
    inputs = keras.Input((None, 3))
    layer = keras.layers.Bidirectional(keras.layers.GRU(2, recurrent_dropout=0.5, name="deep"))
    model = keras.Model(inputs, layer(inputs))
    before = [np.array(variable) for variable in model.variables]
    found = saturation(model, np.full((2, 3, 3), 50.0, "f"))
    assert list(found) == ["forward deep", "backward deep"]
    assert max(found["forward deep"].values()) >= 0.5
    for one, variable in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(one, variable)
    assert "call" not in vars(layer.forward_layer)

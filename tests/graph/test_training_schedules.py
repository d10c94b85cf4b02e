"""A run that uses all that changes from epoch to epoch: gates, rate, averaging, streams, state."""

import itertools
from dataclasses import replace

import keras
import numpy as np
import pytest

from pipelines.config import RunConfig
from pipelines.corpus import Ragged, write_corpus
from pipelines.layers.gradient_gate import GradientGate
from pipelines.layers.sequence_losses import SmoothedCrossEntropy
from pipelines.optimizing import optimizer_of
from pipelines.streams import Streams
from pipelines.training import Objective, Trainer

JAX = keras.backend.backend() == "jax"
STREAMS, WINDOW, TYPES = 3, 8, 9
CONFIG = RunConfig(
    epochs=6, patience=1, seed=3, optimizer="sgd", momentum=0.5, learning_rate=0.8,
    weight_decay=0.01, schedule="plateau", plateau_factor=2.0, triggered_averaging=1,
    unfreeze_every=2, checkpoint_minutes=0.0,
)  # fmt: skip
VALUES = [5.0, 4.0, 4.5, 4.2, 3.0, 3.5]  # averaging is due after the fourth
AVERAGED_FROM = 5


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    rng = np.random.default_rng(0)
    lengths = np.array([30, 2, 41, 5])
    tokens = rng.integers(4, TYPES, lengths.sum()).astype(np.int32)
    folder = tmp_path_factory.mktemp("streams") / "corpus"
    target = Ragged(np.roll(tokens, -1), lengths)
    return write_corpus(folder, [{"tokens": Ragged(tokens, lengths), "target": target}])


class Carried(keras.layers.Layer):
    """The sum of all vectors so far, carried from window to window."""

    def build(self, shape):
        self.state = self.add_weight((STREAMS, shape[-1]), initializer="zeros", trainable=False)

    def call(self, vectors, keep):
        start = (self.state * keep[:, None])[:, None]
        sums = start + 0.1 * keras.ops.cumsum(vectors, axis=1)
        self.state.assign(sums[:, -1])
        return sums


def model():
    keras.utils.set_random_seed(3)
    tokens = keras.Input((None,), batch_size=STREAMS, dtype="int32", name="tokens")
    keep = keras.Input((), batch_size=STREAMS, name="keep")
    vectors = keras.layers.Embedding(TYPES, 4, name="bottom")(tokens)
    vectors = keras.layers.Dropout(0.2, seed=1)(GradientGate()(vectors))
    sums = Carried()(vectors, keep)
    return keras.Model([tokens, keep], keras.layers.Dense(TYPES, name="top")(sums))


def weights_now(of):
    if JAX:
        of.jax_state_sync()
    return [np.array(variable) for variable in of.trainable_variables]


def train(corpus, folder, *, callbacks=(), resume=False):
    def validate(trained, valid):
        total = float(sum(np.abs(values).sum() for values in weights_now(trained)))
        return {"value": VALUES[run.state.epoch], "total": total}

    objective = Objective(SmoothedCrossEntropy(), [], "value", better="lower", validate=validate)
    run = Trainer(
        model(), objective, CONFIG, checkpoint=folder / "state.npz", callbacks=list(callbacks)
    )
    fed = Streams(corpus, streams=STREAMS, window=WINDOW, seed=3, jitter=False)
    return run, run.fit(fed, fed, resume=resume)


class Follow(keras.callbacks.Callback):
    """Notes the weights after every batch, and the rate of every epoch."""

    def __init__(self):
        super().__init__()
        self.epochs, self.rates, self.starts = [], [], []

    def on_epoch_begin(self, epoch, logs=None):
        self.epochs.append([])
        self.rates.append(float(optimizer_of(self.model).learning_rate))
        self.starts.append(weights_now(self.model))

    def on_train_batch_end(self, batch, logs=None):
        self.epochs[-1].append(weights_now(self.model))


@pytest.fixture(scope="module")
def whole(corpus, tmp_path_factory):
    follow = Follow()
    return *train(corpus, tmp_path_factory.mktemp("whole"), callbacks=[follow]), follow


def test_the_mean_of_all_iterates_since_the_trigger_is_validated_and_kept(whole):
    run, result, follow = whole
    assert (result.averaged_from, result.best_epoch) == (AVERAGED_FROM, AVERAGED_FROM)
    assert result.as_json()["averaged_from"] == AVERAGED_FROM
    totals = [row["valid_total"] for row in result.history]
    iterates = follow.epochs[AVERAGED_FROM - 1]
    for epoch in range(1, CONFIG.epochs + 1):
        validated = follow.epochs[epoch - 1][-1]
        if epoch >= AVERAGED_FROM:
            since = itertools.chain(*follow.epochs[AVERAGED_FROM - 1 : epoch])
            validated = [np.mean(values, axis=0) for values in zip(*since, strict=True)]
        total = sum(np.abs(values).sum() for values in validated)
        assert totals[epoch - 1] == pytest.approx(total, rel=1e-5)
    for kept, values in zip(weights_now(run.model), zip(*iterates, strict=True), strict=True):
        np.testing.assert_allclose(kept, np.mean(values, axis=0), rtol=1e-4, atol=1e-6)


def test_training_goes_on_from_the_iterates_themselves(whole):
    _, _, follow = whole
    for before, start in zip(follow.epochs, follow.starts[1:], strict=False):
        for one, other in zip(before[-1], start, strict=True):
            np.testing.assert_array_equal(one, other)


def test_the_rate_falls_on_plateaus(whole):
    assert whole[2].rates == pytest.approx([0.8, 0.8, 0.8, 0.4, 0.2, 0.2])


def test_layers_below_a_closed_gate_stay_as_they_were(whole):
    _, _, follow = whole
    bottoms = [start[0] for start in follow.starts]
    np.testing.assert_array_equal(bottoms[0], bottoms[2])
    assert not np.array_equal(bottoms[2], bottoms[3])
    assert not np.array_equal(follow.starts[0][1], follow.starts[1][1])


def test_patience_counts_anew_when_averaging_begins(whole):
    # Without that, the second epoch in a row without a better value, the fourth, was the last.
    assert len(whole[1].history) == CONFIG.epochs


def test_patience_counts_anew_when_a_layer_is_unfrozen(tmp_path):
    config = replace(CONFIG, schedule="constant")
    run = Trainer(model(), None, config, checkpoint=tmp_path / "state.npz")
    run.state.epoch, run.state.history = 3, [{}, {}, {}]
    run._set_out()
    assert run.state.epochs_waited == 1  # the gate opened when two epochs were done


class PowerCut(keras.callbacks.Callback):
    def __init__(self, after):
        super().__init__()
        self.left = after

    def on_train_batch_begin(self, batch, logs=None):
        self.left -= 1
        if not self.left:
            raise SystemError("power cut")


def test_a_run_killed_twice_resumes_to_the_same_weights(whole, corpus, tmp_path):
    run, result, follow = whole
    batches = len(follow.epochs[0])
    for after in (3, 5 * batches):  # in the first epoch, and in the last: the average half made
        with pytest.raises(SystemError):
            train(corpus, tmp_path, callbacks=[PowerCut(after)], resume=True)
    resumed, again = train(corpus, tmp_path, resume=True)
    for one, other in zip(run.model.get_weights(), resumed.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    for name in ("valid_total", "valid_value"):
        assert [row[name] for row in again.history] == [row[name] for row in result.history]
    assert again.averaged_from == AVERAGED_FROM


@pytest.mark.skipif(JAX, reason="this is the run under JAX")
def test_all_of_it_under_jax(jax_process):
    arguments = ["-p", "no:cacheprovider", __file__]
    printed = jax_process.run(f"import pytest\nprint(int(pytest.main({arguments})))")
    assert printed.splitlines()[-1] == "0", printed[-3000:]

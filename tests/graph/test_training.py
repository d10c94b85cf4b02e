import shutil
import signal
from dataclasses import replace

import keras
import numpy as np
import pytest

from pipelines.batching import Batches
from pipelines.config import RunConfig
from pipelines.corpus import Ragged, write_corpus
from pipelines.errors import TrainingError
from pipelines.feeding import evaluate_model, predict_model
from pipelines.layers.noise import WordDropout
from pipelines.layers.recurrent import RecurrentStack, SequencePooling
from pipelines.training import Interrupted, Objective, Trainer

CONFIG = RunConfig(
    epochs=4, patience=9, batch_tokens=60, units=4, direction="forward", seed=3,
    recurrent_dropout=0.2,
)  # fmt: skip


@pytest.fixture(scope="module")
def corpora(tmp_path_factory):
    """Texts whose class is whether token 7 occurs."""
    rng = np.random.default_rng(0)

    def corpus(name, count):
        rows = [rng.integers(4, 12, rng.integers(2, 9)) for _ in range(count)]
        lengths = np.array([len(row) for row in rows])
        tokens = Ragged(np.concatenate(rows).astype(np.int32), lengths)
        labels = np.array([7 in row for row in rows], np.int32)
        return write_corpus(
            tmp_path_factory.mktemp(name) / "corpus", [{"tokens": tokens, "label": labels}]
        )

    return corpus("train", 120), corpus("valid", 40)


def batches(corpus, seed=None):
    return Batches(
        corpus, length_of="tokens", inputs=("tokens",), target="label", batch_tokens=60, seed=seed
    )


def model(recurrent=False):
    """A network with random parts; the recurrent one takes far longer to trace."""
    keras.utils.set_random_seed(3)
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    mask = keras.ops.not_equal(tokens, 0)
    states = keras.layers.Embedding(12, 6)(WordDropout(0.1, seed=1)(tokens))
    if recurrent:
        states = RecurrentStack.from_run_config(CONFIG)(states, mask=mask)
    pooled = SequencePooling(("max",))(states, mask)
    return keras.Model([tokens], keras.layers.Dense(2, activation="softmax")(pooled))


def objective():
    accuracy = keras.metrics.SparseCategoricalAccuracy(name="accuracy")
    return Objective(keras.losses.SparseCategoricalCrossentropy(), [accuracy], "accuracy")


def trainer(path, config=CONFIG, callbacks=(), trained=None):
    return Trainer(
        trained or model(), objective(), config,
        checkpoint=path / "state.npz", callbacks=list(callbacks),
    )  # fmt: skip


def train(corpora, path, *, resume=False, callbacks=(), config=CONFIG, recurrent=False):
    run = trainer(path, config, callbacks, model(recurrent))
    return run, run.fit(batches(corpora[0], seed=3), batches(corpora[1]), resume=resume)


@pytest.fixture(scope="module")
def whole(corpora, tmp_path_factory):
    return train(corpora, tmp_path_factory.mktemp("whole"), recurrent=True)


def test_it_learns(whole):
    _, result = whole
    assert result.history[-1]["loss"] < result.history[0]["loss"]
    assert result.tokens_per_second > 0
    best = max(row["valid_accuracy"] for row in result.history)
    assert result.history[result.best_epoch - 1]["valid_accuracy"] == best


class Stop(keras.callbacks.Callback):
    """Presses Ctrl-C, or breaks down, after a number of batches."""

    def __init__(self, after, how):
        super().__init__()
        self.left, self.how = after, how

    def on_train_batch_begin(self, batch, logs=None):
        self.left -= 1
        if self.left == 0:
            self.how()


def interrupt():
    signal.raise_signal(signal.SIGINT)


def power_cut():
    raise SystemError("power cut")


def test_a_run_killed_again_and_again_ends_with_the_weights_of_one_that_was_not(
    whole, corpora, tmp_path
):
    every_batch = replace(CONFIG, checkpoint_minutes=0.0)
    # In the first epoch and a later one, without notice and by Ctrl-C.
    for after, how, error in [(3, power_cut, SystemError), (14, interrupt, Interrupted)]:
        stop = Stop(after, how)
        with pytest.raises(error):
            train(
                corpora, tmp_path, resume=True, callbacks=[stop], config=every_batch,
                recurrent=True,
            )  # fmt: skip
    resumed, result = train(corpora, tmp_path, resume=True, recurrent=True)
    assert result.resumed_from_epoch == 1  # counted from 0
    for one, other in zip(whole[0].model.get_weights(), resumed.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert [row["valid_loss"] for row in result.history] == [
        row["valid_loss"] for row in whole[1].history
    ]


AVERAGING = RunConfig(epochs=4, patience=9, batch_tokens=60, units=4, seed=3, weight_average=0.9)


class FollowAverage(keras.callbacks.Callback):
    """Makes the moving average of the weights beside the optimizer."""

    def __init__(self):
        super().__init__()
        self.averages, self.trained = [], []

    def on_train_batch_end(self, batch, logs=None):
        now = [np.array(variable) for variable in self.model.trainable_variables]
        before = self.averages[-1] if self.averages else now
        self.averages.append([0.9 * a + 0.1 * w for a, w in zip(before, now, strict=True)])

    def on_epoch_end(self, epoch, logs=None):
        self.trained.append((len(self.averages), self.model.get_weights()))

    def on_train_begin(self, logs=None):
        if self.trained:  # training goes on from the weights themselves
            for one, other in zip(self.model.get_weights(), self.trained[-1][1], strict=True):
                np.testing.assert_array_equal(one, other)


@pytest.fixture(scope="module")
def averaged(corpora, tmp_path_factory):
    follow, folder = FollowAverage(), tmp_path_factory.mktemp("averaged")
    return *train(corpora, folder, callbacks=[follow], config=AVERAGING), follow


def test_the_average_of_the_weights_is_validated_and_kept(averaged, corpora):
    run, result, follow = averaged
    steps = follow.trained[result.best_epoch - 1][0]
    kept = run.model.trainable_variables
    for one, other in zip(kept, follow.averages[steps - 1], strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    measured = evaluate_model(run.model, batches(corpora[1]))
    best = result.history[result.best_epoch - 1]
    assert measured["loss"] == pytest.approx(best["valid_loss"], abs=1e-6)


def test_a_killed_run_with_averaged_weights_resumes_to_the_same_weights(
    averaged, corpora, tmp_path
):
    every_batch = replace(AVERAGING, checkpoint_minutes=0.0)
    with pytest.raises(SystemError):
        train(corpora, tmp_path, callbacks=[Stop(17, power_cut)], config=every_batch)
    resumed, _ = train(corpora, tmp_path, resume=True, config=AVERAGING)
    whole = averaged[0].model.get_weights()
    for one, other in zip(whole, resumed.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_task_may_validate_in_its_own_way(corpora, tmp_path):
    values = iter([0.3, 0.1, 0.2, 0.4])
    own = replace(objective(), monitor="own", better="lower")
    own = replace(own, validate=lambda model, valid: {"own": next(values)})
    run = Trainer(model(), own, CONFIG, checkpoint=tmp_path / "state.npz")
    result = run.fit(batches(corpora[0], seed=3), batches(corpora[1]))
    assert [row["valid_own"] for row in result.history] == [0.3, 0.1, 0.2, 0.4]
    assert result.best_epoch == 2


def test_ctrl_c_says_how_to_go_on(corpora, tmp_path):
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(Interrupted, match="interrupted in epoch 1; the last good model is untou.*"
                       "--resume to go on") as caught:  # fmt: skip
        train(corpora, tmp_path, callbacks=[Stop(2, interrupt)])
    assert caught.value.exit_code == 130
    assert signal.getsignal(signal.SIGINT) is before


def test_early_stopping_keeps_the_best_epoch(corpora, tmp_path):
    config = RunConfig(epochs=30, patience=1, batch_tokens=60, units=4, seed=3, learning_rate=0.05)
    run, result = train(corpora, tmp_path, config=config)
    assert len(result.history) == min(30, result.best_epoch + 2)
    probabilities = predict_model(run.model, batches(corpora[1]))
    right = probabilities.argmax(1) == corpora[1].column("label")
    best = result.history[result.best_epoch - 1]["valid_accuracy"]
    assert right.mean() == pytest.approx(best, abs=1e-6)


def test_a_state_of_another_model_is_refused(whole, corpora, tmp_path):
    shutil.copy(whole[0].checkpoint, tmp_path)
    other = keras.Sequential([keras.layers.Dense(1)])
    other.build((None, 3))
    run = Trainer(other, objective(), CONFIG, checkpoint=tmp_path / "state.npz")
    with pytest.raises(TrainingError, match="do not fit this model's.*without --resume"):
        run.fit(batches(corpora[0], seed=3), batches(corpora[1]), resume=True)


def test_a_damaged_state_is_refused(corpora, tmp_path):
    (tmp_path / "state.npz").write_bytes(b"not an archive")
    with pytest.raises(TrainingError, match=r"state\.npz: the saved training state cannot be read"):
        train(corpora, tmp_path, resume=True)


def test_a_loss_that_is_not_finite_stops_the_run(corpora, tmp_path):
    class Poison(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            self.model.set_weights([weight * np.nan for weight in self.model.get_weights()])

    unwatched = replace(CONFIG, monitor=False)
    with pytest.raises(TrainingError, match="epoch 1: the training loss is nan, expected a finite"):
        train(corpora, tmp_path, callbacks=[Poison()], config=unwatched)


def test_predictions_are_in_the_order_of_the_rows(whole, corpora):
    run, _ = whole
    together = predict_model(run.model, batches(corpora[1]))
    for row in (0, 13, 39):
        alone = run.model.predict_on_batch(corpora[1].gather(np.array([row]))["tokens"])
        np.testing.assert_allclose(together[row], alone[0], atol=1e-6)


def test_nothing_is_traced_anew_for_a_new_shape(corpora, tmp_path):
    traces = []

    class Counting(keras.layers.Layer):
        def call(self, inputs):
            traces.append(inputs.shape)
            return inputs

    tokens = keras.Input((None,), dtype="int32", name="tokens")
    vectors = Counting()(keras.layers.Embedding(12, 4)(tokens))
    pooled = keras.layers.GlobalAveragePooling1D()(vectors)
    counted = keras.Model([tokens], keras.layers.Dense(2, activation="softmax")(pooled))
    run = Trainer(counted, objective(), CONFIG, checkpoint=tmp_path / "state.npz")
    symbolic = len(traces)
    run.fit(batches(corpora[0], seed=3), batches(corpora[1]))
    assert len(traces) - symbolic <= 3  # build, train, evaluate: once each


def averaging(**changes):
    return replace(CONFIG, average_epochs=3, schedule="constant", learning_rate=0.05, **changes)


def test_the_mean_of_the_last_epochs_is_kept_where_it_is_better(corpora, tmp_path, monkeypatch):
    run = trainer(tmp_path, averaging())
    values = iter([0.5, 0.6, 0.7, 0.65, 0.9])  # four epochs, then the mean of the last three
    monkeypatch.setattr(
        run, "objective", replace(run.objective, validate=lambda *_: {"accuracy": next(values)})
    )
    result = run.fit(batches(corpora[0], seed=3), batches(corpora[1]))
    assert result.as_json()["averaged_epochs"] == 3
    last = [np.mean(parts, axis=0) for parts in zip(*run.state.recent, strict=True)]
    assert len(run.state.recent) == 3
    for kept, mean in zip(run.model.get_weights(), last, strict=True):
        np.testing.assert_allclose(kept, mean, atol=1e-6)


def test_the_best_epoch_is_kept_where_the_mean_is_worse(corpora, tmp_path, monkeypatch):
    run = trainer(tmp_path, averaging())
    values = iter([0.5, 0.6, 0.7, 0.65, 0.1])
    monkeypatch.setattr(
        run, "objective", replace(run.objective, validate=lambda *_: {"accuracy": next(values)})
    )
    result = run.fit(batches(corpora[0], seed=3), batches(corpora[1]))
    assert (result.averaged_epochs, result.best_epoch) == (0, 3)
    for kept, third in zip(run.model.get_weights(), run.state.recent[1], strict=True):
        np.testing.assert_array_equal(kept, third)

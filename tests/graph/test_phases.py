"""Training in two parts: the second goes on from the first, and is undone if it is worse."""

from dataclasses import replace
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from rich.console import Console

from pipelines.batching import Batches
from pipelines.config import RunConfig
from pipelines.corpus import Ragged, write_corpus
from pipelines.errors import ConfigError
from pipelines.phases import fit_phases
from pipelines.task import Phase
from pipelines.training import Objective
from pipelines.workspace import Folders

CONFIG = RunConfig(epochs=2, patience=9, schedule="constant", warmup=0.0, learning_rate=0.05)


class TwoPhases:
    """A linear model whose second phase has settings of its own."""

    name = "line"
    config = CONFIG

    def __init__(self, second):
        self.second = second

    def phases(self, model, prepared):
        del prepared
        objective = Objective(keras.losses.MeanSquaredError(), [], "loss", better="lower")
        yield Phase("one", model, objective, CONFIG)
        self.between = model.get_weights()
        yield Phase("two", model, objective, self.second)

    def batches(self, corpus, model, *, seed=None):
        del model
        return Batches(
            corpus, length_of="place", inputs=("number",), target="target", batch_tokens=16,
            seed=seed,
        )  # fmt: skip


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    numbers = np.linspace(-1, 1, 64, dtype=np.float32)[:, None]
    ones = Ragged(np.ones(64, np.int32), np.ones(64, np.int64))
    chunk = {"number": numbers, "target": 3 * numbers, "place": ones}
    corpus = write_corpus(tmp_path_factory.mktemp("line") / "corpus", [chunk])
    known = SimpleNamespace(card=SimpleNamespace(fingerprint="data"), fingerprint=lambda: "learned")
    return SimpleNamespace(
        corpora={"train": corpus, "valid": corpus}, splits=known, artifacts=known
    )


def run(task, prepared, home):
    keras.utils.set_random_seed(1)
    number = keras.Input((1,), name="number")
    model = keras.Model([number], keras.layers.Dense(1)(number))
    folders = Folders(raw=home, cache=home, saved_models=home)
    console = Console(quiet=True)
    trained = fit_phases(task, model, prepared, folders=folders, console=console, resume=False)
    return model, trained


def test_a_second_phase_goes_on_where_the_first_ended(prepared, tmp_path):
    task = TwoPhases(CONFIG)
    model, trained = run(task, prepared, tmp_path)
    history = trained.result.history
    assert [row["epoch"] for row in history] == [1, 2, 3, 4]
    assert history[2]["valid_loss"] < history[1]["valid_loss"]
    assert trained.result.best_epoch == 4
    assert trained.result.seconds == pytest.approx(sum(row["seconds"] for row in history), abs=0.01)
    assert not np.array_equal(model.get_weights()[0], task.between[0])
    saved = list(tmp_path.rglob("state.npz"))
    assert len(saved) == 2  # each phase has a state of its own to resume from
    trained.discard()
    assert not list(tmp_path.rglob("state.npz"))


def test_a_second_phase_that_makes_things_worse_is_undone(prepared, tmp_path):
    task = TwoPhases(replace(CONFIG, learning_rate=100.0, clip_norm=0.0))
    model, trained = run(task, prepared, tmp_path)
    assert trained.result.best_epoch == 2
    assert len(trained.result.history) == 4
    for kept, before in zip(model.get_weights(), task.between, strict=True):
        np.testing.assert_array_equal(kept, before)


def test_a_task_without_a_phase_is_told_so(prepared, tmp_path):
    task = TwoPhases(CONFIG)
    task.phases = lambda model, prepared: iter(())
    with pytest.raises(ConfigError, match="line: `phases` yields none"):
        run(task, prepared, tmp_path)

"""Studies on a tiny sample, and gradients through time against what can be worked out by hand."""

import io
import json
from dataclasses import replace

import keras
import numpy as np
import pytest
from rich.console import Console

from pipelines import pipeline
from pipelines.errors import ConfigError
from pipelines.layers.recurrent import RecurrentStack
from pipelines.registry import find_task
from pipelines.stages import Stages
from pipelines.studies import climbing, compare, reach, runs
from pipelines.studies.budget import count_of
from pipelines.studies.options import CompareCellsOptions, GradientsOptions, LadderOptions
from pipelines.studies.through_time import first_stack, gradient_norms, inputs_read
from pipelines.training import Interrupted
from pipelines.workspace import Folders
from tests.contract.samples import SAMPLES
from tests.graph.tiny_forecasters import eagerly

PREPARE = pipeline.prepare


class Study:
    """A tiny study's task and folders; tells what the console was told."""

    def __init__(self, home):
        make, settings = SAMPLES["sentiment"]
        self.source = make(home)
        task = find_task("sentiment")
        self.task = task(
            task.config_type(**{**settings, "epochs": 1, "batch_tokens": 1024, "limit": 40})
        )
        self.folders = Folders(raw=home / "raw", cache=home / "cache", saved_models=home / "models")

        self.prepared = None

    def prepare(self, *arguments, **named):
        """Read and encode once for all tests: their settings differ in the network alone."""
        self.prepared = self.prepared or PREPARE(*arguments, **named)
        return self.prepared

    def run(self, study, options):
        console = Console(record=True, file=io.StringIO(), width=200)
        with eagerly():  # tiny models take longer to trace than to run
            folder = study(
                self.task, self.source, options, folders=self.folders, stages=Stages(console)
            )
        page = (folder / "study.html").read_text(encoding="utf-8")
        return json.loads((folder / "study.json").read_text()), page, console.export_text()


@pytest.fixture(scope="module")
def only_study(tmp_path_factory):
    return Study(tmp_path_factory.mktemp("study"))


@pytest.fixture
def study(only_study, monkeypatch):
    monkeypatch.setattr(pipeline, "prepare", only_study.prepare)
    return only_study


GRID = {"study_cells": ("simple", "gru"), "study_depths": (1,), "study_encoders": ("rnn",)}


def test_cells_are_compared_at_equal_size_and_an_interrupted_study_goes_on(study, monkeypatch):
    options = CompareCellsOptions(**GRID, study_seeds=1, study_budget=900)
    train, trained, results = runs.train_once, [], []

    def interrupted(desk, changes, **how):
        trained.append(changes["cell"])
        if len(trained) == 2:
            raise Interrupted("Ctrl-C")
        # One real training will do; the other cell is given its result.
        results.append(results[0] if results else train(desk, changes, **how))
        return results[-1]

    monkeypatch.setattr(runs, "train_once", interrupted)
    with pytest.raises(Interrupted):
        study.run(compare.compare_cells, options)
    assert not (study.folders.saved_models / "studies/compare-cells-sentiment/1").exists()
    found, page, told = study.run(compare.compare_cells, replace(options, resume=True))
    assert trained == ["simple", "gru", "gru"]  # the finished run was not done again
    assert "run 1/2  simple, 1 layer, seed 17" in told
    assert "known from before" in told
    for network in found["networks"]:
        assert abs(network["trained_weights"] - 900) < 0.1 * 900
    simple = next(entry for entry in found["networks"] if entry["name"] == "simple, 1 layer")
    assert simple["runs"][0]["trained_weights"] == simple["trained_weights"]
    assert 0 <= simple["runs"][0]["test"] <= 1
    assert simple["runs"][0]["rows_per_second"] > 0
    assert "With one seed nothing is known" in page
    assert not list(study.folders.cache.glob("*-training-*/state.npz"))  # checkpoints are gone


def test_a_combination_that_cannot_be_is_left_out_with_its_reason(study, monkeypatch):
    """A peephole is for LSTMs: other cells of the grid say so, and the study goes on."""
    peephole = replace(study.task.config, peephole=True, linear=False)
    monkeypatch.setattr(study, "task", type(study.task)(peephole))
    cells = GRID | {"study_cells": ("gru",)}
    options = CompareCellsOptions(**cells, study_seeds=1, study_budget=500)
    with pytest.raises(ConfigError, match="no combination could be trained: .*peephole"):
        study.run(compare.compare_cells, options)


def test_a_ladder_is_climbed_and_the_test_split_kept_for_the_chosen_rung(study, monkeypatch):
    scripted = {2: 0.5, 4: 0.7, 8: 0.7, 16: 0.6}

    def train(desk, changes, *, splits):
        assert splits == ("train", "test")
        value = scripted[changes["units"]] + 0.001 * changes["seed"] - 0.1 * (changes["depth"] > 1)
        return {
            "valid": value, "test": value - 0.1, "train": value + 0.1, "seconds": 1.0,
            "epochs": 1, "trained_weights": 100 * changes["units"] * changes["depth"],
        }  # fmt: skip

    monkeypatch.setattr(runs, "train_once", train)
    options = LadderOptions(study_start=2, study_seeds=2, study_most_units=64)
    found, page, told = study.run(climbing.ladder, options)
    sizes = [(rung["units"], rung["depth"]) for rung in found["rungs"]]
    assert sizes == [(2, 1), (4, 1), (8, 1), (16, 1), (4, 2)]
    assert (found["chosen"]["units"], found["chosen"]["depth"]) == (4, 1)
    assert "test" in found["chosen"]["runs"][0]
    assert not any("test" in run for rung in found["rungs"] for run in rung["runs"])
    assert "4 units, 1 layer: 400 trained weights" in page
    assert "seed 18" in told


def test_a_rung_is_measured_on_the_rows_it_learned_from_too(study):
    """A whole training, of the smallest model."""
    options = LadderOptions(study_start=2, study_most_units=2, study_most_depth=1, study_seeds=1)
    found, page, _ = study.run(climbing.ladder, options)
    (rung,) = found["rungs"]
    assert {"valid", "train", "seconds"} <= set(rung["runs"][0])
    assert "before validation had stopped gaining" in page


def test_gradients_are_followed_back_on_the_rows_of_a_task(study, monkeypatch):
    # The first step of a warm-up changes nothing, so that there are to be several.
    steps = replace(study.task.config, batch_tokens=256)
    monkeypatch.setattr(study, "task", type(study.task)(steps))
    options = GradientsOptions(study_cells=("simple", "lstm"), study_rows=4, study_epochs=1)
    found, page, _ = study.run(reach.gradients, options)
    start = found["cells"]["lstm"]["start"]
    assert start["rows"] == 4
    assert len(start["states"]) == 2  # h and c
    assert start["states"][0][0][0] == pytest.approx(1, abs=1e-5)
    assert len(start["states"][0][0]) == start["steps"]
    assert found["cells"]["lstm"]["trained"]["states"] != start["states"]
    assert "after 1 epoch of training" in page
    assert "lstm, memory c" in page


def test_weights_counted_are_all_that_is_trained_but_the_tables(study):
    desk = runs.open_desk(
        "none", study.task, study.source, LadderOptions(), folders=study.folders,
        stages=Stages(Console(quiet=True)),
    )  # fmt: skip
    config = replace(
        desk.task.config, cell="simple", units=3, direction="forward", pooling=("last",)
    )
    # Kernel 8 x 3, recurrent 3 x 3, bias 3; two scores of 3 states and a bias each.
    assert count_of(type(desk.task)(config), desk.prepared.artifacts) == 24 + 9 + 3 + 2 * 3 + 2


def scalar(weight, activation="linear"):
    cell = keras.layers.SimpleRNNCell(1, activation=activation)
    cell.build((None, 1))
    cell.set_weights([np.ones((1, 1)), np.full((1, 1), weight), np.zeros(1)])
    return cell


@pytest.mark.parametrize("weight", [0.5, -0.9, 1.2])
def test_a_linear_scalar_cell_shrinks_gradients_by_its_weight_at_every_step(weight):
    inputs = np.random.default_rng(0).normal(size=(3, 9, 1)).astype(np.float32)
    (norms,) = gradient_norms(scalar(weight), inputs, distance=8, seed=0)
    expected = np.abs(weight) ** np.arange(9)
    np.testing.assert_allclose(norms, np.tile(expected, (3, 1)), rtol=1e-5)


def test_a_saturating_scalar_cell_follows_the_chain_rule():
    inputs = np.random.default_rng(1).normal(size=(2, 6, 1)).astype(np.float32)
    (norms,) = gradient_norms(scalar(0.8, "tanh"), inputs, distance=5, seed=0)
    state, slopes = np.zeros((2, 1)), []
    for step in range(6):
        state = np.tanh(inputs[:, step] + 0.8 * state)
        slopes.append(0.8 * (1 - state**2))
    back = np.cumprod([np.ones((2, 1)), *slopes[:0:-1]], axis=0)[..., 0].T
    np.testing.assert_allclose(norms, back, rtol=1e-4)


def test_an_orthogonal_linear_cell_keeps_the_norm():
    cell = keras.layers.SimpleRNNCell(5, activation="linear")
    (norms,) = gradient_norms(cell, np.ones((2, 12, 3), np.float32), distance=11, seed=3)
    np.testing.assert_allclose(norms, 1, rtol=1e-4)


class Plan(list):
    """Batches as a plan gives them."""


def reading(direction):
    values = keras.Input((None, 2), name="values")
    mask = keras.ops.any(keras.ops.not_equal(values, 0), axis=-1)
    stack = RecurrentStack(cell="gru", units=3, direction=direction)
    return keras.Model({"values": values}, stack(values, mask=mask)), stack


@pytest.mark.parametrize("direction", ["forward", "both", "backward"])
def test_what_a_layer_reads_is_seen_without_padding_and_in_its_order(direction):
    model, stack = reading(direction)
    rows = np.arange(1, 25, dtype=np.float32).reshape(3, 4, 2)
    rows[1, 2:] = 0
    plan = Plan([({"values": rows}, None, None)])
    seen = inputs_read(stack, model, plan, rows=2, distance=10)
    step = -1 if direction == "backward" else 1
    np.testing.assert_array_equal(seen, rows[[0, 2]][:, ::step])
    assert inputs_read(stack, model, plan, rows=3, distance=10).shape == (3, 2, 2)
    assert first_stack(model) is stack
    assert "call" not in vars(stack._recurrences[0])  # nobody watches any more


def test_a_model_without_recurrence_is_told_so():
    values = keras.Input((2,))
    with pytest.raises(ConfigError, match="no recurrent stack; expected one"):
        first_stack(keras.Model(values, keras.layers.Dense(1)(values)))

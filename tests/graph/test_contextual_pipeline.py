"""Whole runs that start from a language model."""

import json
import shutil
from dataclasses import replace

import keras
import numpy as np
import pytest

from pipelines import pipeline
from pipelines.errors import DataError
from pipelines.layers.gradient_gate import gradient_gates
from pipelines.registry import find_task
from pipelines.text.contextual import WITHOUT
from pipelines.workspace import Folders
from tests.contract.conftest import quiet
from tests.contract.samples import SAMPLES
from tests.graph.tiny_language_model import write_language_model


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def language_model(home):
    return write_language_model(home / "language_model" / "1")


@pytest.fixture(scope="module")
def folders(home):
    return Folders(raw=home / "raw", cache=home / "cache", saved_models=home / "models")


def make(name, **changes):
    task_type = find_task(name)
    settings = {**SAMPLES[name][1], "epochs": 1, "context_size": 3, **changes}
    return task_type(task_type.config_type(**settings))


def layer_of(model):
    return model.get_layer("contextual")


@pytest.fixture(scope="module")
def source(home):
    return SAMPLES["sentiment"][0](home)


@pytest.fixture(scope="module")
def version(language_model, source, folders):
    task = make("sentiment", init_from=str(language_model))
    return pipeline.train(task, source, folders=folders, stages=quiet())


@pytest.fixture(scope="module")
def prepared(language_model, source, folders):
    task = make("sentiment", init_from=str(language_model))
    return task, pipeline.prepare(task, source, folders=folders, stages=quiet())


def test_the_report_compares_with_a_model_without_the_language_model(version):
    report = json.loads((version / "report" / "report.json").read_text())
    headline = next(it for it in report["scores"] if it["name"] == report["headline"])
    assert set(headline["baselines"]) == {
        "majority class", "TF-IDF + logistic regression", WITHOUT,
    }  # fmt: skip
    assert report["parity"]["mismatches"] == 0
    assert f"train {WITHOUT}" in report["manifest"]["stage_seconds"]


def test_the_export_keeps_all_it_needs(version, language_model, tmp_path):
    """Settings, vocabulary and weights: the model is rebuilt where the language model is gone."""
    task = make("sentiment", init_from=str(tmp_path / "gone"))
    artifacts = task.artifacts_type.load(version / "assets.extra")
    twin = task.build_model(artifacts, portable=True)
    kept = keras.saving.load_model(version / "assets.extra" / "model.keras")
    twin.set_weights(kept.get_weights())
    trained = keras.saving.load_model(language_model / "assets.extra" / "model.keras")
    wanted = trained.get_layer("language_model").input_layer.get_weights()
    np.testing.assert_array_equal(layer_of(twin).reader.get_weights(), wanted)


def test_the_twin_starts_as_a_run_without_a_language_model_does(prepared, source, folders):
    task, ready = prepared
    (twin, parts) = task.counterparts(ready)[WITHOUT]
    plain = make("sentiment")
    assert twin.config == plain.config
    alone = pipeline.prepare(plain, source, folders=folders, stages=quiet())
    assert parts.artifacts.fingerprint() == alone.artifacts.fingerprint()
    one, other = (start(of, rows) for of, rows in ((twin, parts), (plain, alone)))
    assert [array.shape for array in one] == [array.shape for array in other]
    for mine, theirs in zip(one, other, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def start(task, ready):
    """The first weights of a run, and its first batch."""
    keras.utils.set_random_seed(task.config.seed)
    model = task.build_model(ready.artifacts)
    task.initialise(model, ready)
    batches = task.batches(ready.corpora["train"], task.training_model(model), seed=1)
    inputs, target, weights = batches.epoch(0)[0]
    return [*model.get_weights(), *inputs.values(), target, weights]


def test_a_run_without_a_language_model_has_no_counterpart(prepared):
    _, ready = prepared
    assert make("sentiment").counterparts(ready) == {}


def test_a_tuned_encoder_has_a_gate_above_each_layer(prepared):
    task, ready = prepared
    frozen = task.training_model(task.build_model(ready.artifacts))
    tuned = type(task)(replace(task.config, unfreeze_every=1))
    learner = tuned.training_model(tuned.build_model(ready.artifacts))
    assert gradient_gates(frozen) == []
    assert [gate.number for gate in gradient_gates(learner)] == [1, 2]
    assert not any(float(gate.open) for gate in gradient_gates(learner))


def test_it_goes_without_the_linear_part_too(prepared):
    task, ready = prepared
    task = type(task)(replace(task.config, linear=False))
    model = task.build_model(ready.artifacts)
    task.calibrate(model, ready)
    assert [tensor.name for tensor in model.inputs] == ["tokens", "context", "context_places"]


def test_a_language_model_that_changes_during_the_run_is_refused(
    prepared, language_model, folders, tmp_path
):
    task, ready = prepared
    other = shutil.copytree(language_model, tmp_path / "2")
    write_language_model(tmp_path / "3", seed=8)
    shutil.copytree(tmp_path / "3", other, dirs_exist_ok=True)
    changed = type(task)(replace(task.config, init_from=str(other)))
    with pytest.raises(DataError, match="changed while this run went on; .* start the run again"):
        pipeline.fit(changed, ready, folders=folders, stages=quiet())


def test_a_tagger_answers_raw_text_and_tokens_alike(home, folders):
    folder = write_language_model(home / "deep", depth=2)
    task = make("ner", init_from=str(folder))
    source = SAMPLES["ner"][0](home)
    ready = pipeline.prepare(task, source, folders=folders, stages=quiet())
    model = task.build_model(ready.artifacts, portable=True)
    task.initialise(model, ready)
    trained = task.trained_outputs(model, ready)
    endpoints = task.endpoints(model, ready.artifacts)
    examples = list(ready.splits.test)
    tokens = endpoints["serve_tokens"].function(np.array(task.serve_inputs(examples)["tokens"]))
    np.testing.assert_array_equal(tokens["tags"].numpy().astype(str), trained["tags"])
    np.testing.assert_allclose(tokens["confidences"], trained["confidences"], atol=1e-5)
    raw = endpoints["serve"].function(np.array([" ".join(row.tokens) for row in examples]))
    np.testing.assert_array_equal(raw["tags"], tokens["tags"])
    assert endpoints["serve"].function(np.array([""]))["tags"].shape == (1, 0)

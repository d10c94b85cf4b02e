"""What every task promises, tested on every task."""

import dataclasses
import json
import os

import keras
import numpy as np
import pytest

from pipelines import assessment, pipeline
from pipelines.errors import DataError, ExportError
from pipelines.export.saved_model import compare_outputs
from pipelines.feeding import predict_model
from pipelines.padding import concatenate_padded
from pipelines.registry import task_names
from pipelines.training import compile_model
from tests.contract.conftest import quiet
from tests.contract.samples import SAMPLES
from tests.graph.tiny_forecasters import eagerly


def test_every_task_has_a_sample():
    assert sorted(SAMPLES) == task_names()


def fresh_model(case, prepared, **changes):
    task = case.task(**changes)
    keras.utils.set_random_seed(task.config.seed)
    return task, task.build_model(prepared.artifacts)


def one_step(task, prepared, model):
    learner = task.training_model(model)
    plan = task.batches(prepared.corpora["train"], learner, seed=1).epoch(0)
    compile_model(learner, task.objective(model, prepared.artifacts), task.config, 1)
    inputs, targets, weights = plan[0]
    learner.train_on_batch(inputs, targets, sample_weight=weights)
    return learner


def test_one_step_changes_every_trainable_variable(case):
    prepared = case.prepared()
    # Without warm-up, so that the first step moves; without dropout, so that all units see data.
    task, model = fresh_model(case, prepared, schedule="constant")
    before = [np.array(weight) for weight in task.training_model(model).trainable_variables]
    with eagerly():  # the tests that train further do it in graphs
        learner = one_step(task, prepared, model)
    for variable, old in zip(learner.trainable_variables, before, strict=True):
        assert not np.array_equal(variable, old), variable.path


def test_32_rows_are_overfitted(case):
    prepared = case.prepared(limit=32)
    changes = {
        "schedule": "constant", "learning_rate": 0.01, "units": 16, "input_dropout": 0.0,
        "variational_dropout": 0.0, "word_dropout": 0.0, "output_dropout": 0.0,
        "decoder_dropout": 0.0, "rare_dropout": 0.0, "decoder_units": 64, "label_smoothing": 0.0,
        "memory_dropout": 0.0, "augmentation": False, "word_loss": 0.0,
        "turn": 0.0, "gain": 0.0, "noise": 0.0, "causal": False,
    }  # fmt: skip
    known = {field.name for field in dataclasses.fields(case.task().config)}
    task, model = fresh_model(
        case, prepared, **{name: value for name, value in changes.items() if name in known}
    )
    learner = task.training_model(model)
    compile_model(learner, task.objective(model, prepared.artifacts), task.config, 1)
    plan = task.batches(prepared.corpora["train"], learner, seed=1).epoch(0)
    losses = []
    # A likelihood comes near 0; an absolute error cannot come nearer than a step of Adam is wide.
    while len(losses) < 120 and (not losses or losses[-1] >= max(0.05, 0.15 * losses[0])):
        steps = [learner.train_on_batch(x, y, w, return_dict=True)["loss"] for x, y, w in plan]
        losses.append(np.mean(steps))
    assert losses[-1] < max(0.05, 0.15 * losses[0])


def test_padding_and_batch_size_do_not_change_outputs(case):
    prepared = case.prepared()
    task, model = fresh_model(case, prepared)
    corpus = prepared.corpora["test"]
    free = {tensor.name for tensor in model.inputs if tensor.shape[1:2] == (None,)}
    together = as_list(predict_model(model, task.batches(corpus, model)))
    for row in range(min(8, len(corpus))):
        batch = corpus.gather(np.array([row]))
        padded = {
            tensor.name: with_padding(batch[tensor.name], 7 if tensor.name in free else 0)
            for tensor in model.inputs
        }
        for alone, joint in zip(as_list(model.predict_on_batch(padded)), together, strict=True):
            assert_equal_rows(alone[0], joint[row])


def as_list(outputs):
    return list(outputs) if isinstance(outputs, list | tuple) else [outputs]


def with_padding(array, steps):
    added = [(0, 0), (0, steps), *[(0, 0)] * (array.ndim - 2)]
    return np.pad(array, added[: array.ndim])


def assert_equal_rows(one, other):
    """Rows may be padded to different widths, with zeros."""
    width = max(len(one), len(other))
    one, other = (
        np.pad(row, [(0, width - len(row)), *[(0, 0)] * (row.ndim - 1)]) for row in (one, other)
    )
    np.testing.assert_allclose(one, other, atol=1e-5)


def test_artifacts_come_from_the_training_split_alone(case):
    task = case.task()
    splits = task.load_data(case.source, case.folders)
    none = np.zeros(0, np.int64)
    blind = dataclasses.replace(
        splits, valid=splits.valid.select(none), test=splits.test.select(none)
    )
    assert task.fit_artifacts(blind).fingerprint() == task.fit_artifacts(splits).fingerprint()


def test_artifacts_survive_the_disk(case, tmp_path):
    artifacts = case.prepared().artifacts
    artifacts.save(tmp_path)
    assert type(artifacts).load(tmp_path).fingerprint() == artifacts.fingerprint()


def test_the_version_directory_is_whole(version):
    expected = {
        "saved_model.pb", "variables", "assets.extra/manifest.json", "assets.extra/model.keras",
        "report/report.html", "report/report.json",
        "report/predictions.jsonl", "report/history.csv",
    }  # fmt: skip
    assert {name for name in expected if not (version / name).exists()} == set()
    assert (version.parent / "latest").resolve() == version


def test_the_report_scores_every_test_row_beside_its_baselines(case, version):
    report = json.loads((version / "report" / "report.json").read_text())
    rows = len(case.prepared().splits.test)
    headline = next(it for it in report["scores"] if it["name"] == report["headline"])
    assert headline["low"] <= headline["value"] <= headline["high"]
    assert len(headline["baselines"]) >= 2
    assert report["parity"] == {
        "rows": rows, "mismatches": 0, "largest_difference": report["parity"]["largest_difference"],
    }  # fmt: skip
    assert report["parity"]["largest_difference"] <= 1e-5
    assert len((version / "report" / "predictions.jsonl").read_text().splitlines()) == rows
    paths = report["manifest"]["recurrence"]
    assert paths and set(paths.values()) == {"the fast path"}, paths
    assert report["manifest"]["loops_compiled_seconds"] is not None
    assert report["manifest"]["config"] == json.loads(
        json.dumps(dataclasses.asdict(case.task().config))
    )


def test_the_export_answers_alike_at_two_batch_sizes_in_a_fresh_process(case, process):
    task = case.task()
    examples = list(case.prepared().splits.test)[:6]
    endpoint = task.scored_endpoint
    together = process.call(task.serve_inputs(examples), endpoint)
    alone = [process.call(task.serve_inputs([example]), endpoint) for example in examples]
    assert process.load_seconds() > 0
    joined = {name: concatenate_padded([part[name] for part in alone]) for name in together}
    assert compare_outputs(together, joined).rows == 6


def test_the_kept_keras_model_is_the_exported_one(case, kept_model, process):
    prepared = case.prepared()
    task = case.task()
    served = assessment.served_outputs(task, prepared.splits.test, process)
    with eagerly():
        trained = task.trained_outputs(kept_model, prepared)
    compare_outputs(trained, served)


def test_a_run_that_fails_changes_nothing(case, version, monkeypatch):
    before = sorted(path.name for path in version.parent.iterdir())

    def fail(*args, **kwargs):
        (partial,) = set(version.parent.iterdir()) - {version.parent / name for name in before}
        (partial / "half").write_text("written before it failed")
        raise ExportError("planted")

    monkeypatch.setattr(pipeline, "fit", fail)
    with pytest.raises(ExportError, match="planted"):
        case.train()
    assert sorted(path.name for path in version.parent.iterdir()) == before


def test_one_seed_gives_the_same_weights(case, kept_model):
    again, _, _ = pipeline.fit(case.task(), case.prepared(), folders=case.folders, stages=quiet())
    for one, other in zip(again.get_weights(), kept_model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_next_run_is_a_new_version(case, version):
    if case.name != "sentiment":
        pytest.skip("the pipeline's doing, whatever the task; one is enough")
    again = case.train()
    assert int(again.name) == int(version.name) + 1
    assert (version / "saved_model.pb").exists()
    assert (version.parent / "latest").resolve() == again


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_found_out_before_training(case):  # pragma: no cover
    case.folders.saved_models.chmod(0o500)
    try:
        with pytest.raises(DataError, match="cannot write"):
            case.train()
    finally:
        case.folders.saved_models.chmod(0o700)


def test_a_file_in_the_way_of_the_output_is_found_out_before_training(case, tmp_path):
    (tmp_path / "models").write_text("in the way")
    blocked = dataclasses.replace(case.folders, saved_models=tmp_path / "models")
    with pytest.raises(DataError, match="cannot write .*models.*move it away"):
        pipeline.train(case.task(), case.source, folders=blocked, stages=quiet())


JAX_STEP = """
import sys, pickle
from pathlib import Path
import numpy as np
from pipelines.corpus import EncodedCorpus
from pipelines.registry import find_task
from pipelines.training import compile_model

def step(home):
    name, settings, corpus = pickle.loads((home / "in.pickle").read_bytes())
    task_type = find_task(name)
    task = task_type(task_type.config_type(**settings))
    artifacts = task.artifacts_type.load(home)
    import keras
    assert keras.backend.backend() == "jax"
    keras.utils.set_random_seed(1)
    model = task.build_model(artifacts)
    corpus = EncodedCorpus(Path(corpus))
    learner = task.training_model(model)
    compile_model(learner, task.objective(model, artifacts), task.config, 1)
    x, y, w = task.batches(corpus, learner, seed=1).epoch(0)[0]
    learner.train_on_batch(x, y, sample_weight=w)
    names = [tensor.name for tensor in model.inputs]
    batch = corpus.gather(np.arange(len(corpus)))
    outputs = model([batch[name] for name in names], training=False)
    np.savez(home / "outputs.npz", *map(np.asarray, keras.tree.flatten(outputs)))
    model.save_weights(home / "model.weights.h5")

step(Path(sys.argv[1]))
"""


def test_a_step_under_jax_gives_tensorflow_the_same_model(case, jax_process, tmp_path):
    import pickle

    prepared = case.prepared()
    prepared.artifacts.save(tmp_path)
    corpus = prepared.corpora["test"]
    content = (case.name, case.settings, str(corpus.folder))
    (tmp_path / "in.pickle").write_bytes(pickle.dumps(content))
    jax_process.run(JAX_STEP, tmp_path)  # training from an encoded cache needs no TensorFlow
    _, model = fresh_model(case, prepared)
    model.load_weights(tmp_path / "model.weights.h5")
    batch = corpus.gather(np.arange(len(corpus)))
    inputs = [batch[tensor.name] for tensor in model.inputs]
    outputs = as_list(model(inputs, training=False))
    with np.load(tmp_path / "outputs.npz") as expected:
        for ours, theirs in zip(outputs, expected.values(), strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-4)

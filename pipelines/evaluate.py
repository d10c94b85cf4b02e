"""Score an exported model on other labelled rows than those it was made with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipelines import assessment, pipeline
from pipelines.config import config_from_json
from pipelines.datasets.splits import Splits
from pipelines.datasets.storage import storage_errors
from pipelines.errors import DataError
from pipelines.stages import Stages
from pipelines.task import Task
from pipelines.workspace import Folders


def trained_task(task: Task[Any, Any], manifest: Mapping[str, Any]) -> Task[Any, Any]:
    """Return the task with the settings a model was trained with, and those of evaluation."""
    own = {name: getattr(task.config, name) for name in task.evaluation_settings}
    return type(task)(config_from_json(task.config_type, {**manifest["config"], **own}))


def evaluate_version(
    task: Task[Any, Any],
    version: Path,
    source: str,
    *,
    folders: Folders,
    stages: Stages,
) -> Path:
    """Send labelled rows through an exported model and report, beside baselines if possible.

    Rows the model was trained on are left out and counted. The reading options are those of
    `task`, everything else is as it was in training.

    Returns:
        the folder with report.html, report.json and predictions.jsonl, inside the version.
    """
    manifest = pipeline.load_manifest(version)
    trained = trained_task(task, manifest)
    artifacts = task.artifacts_type.load(version / "assets.extra")
    with stages.stage("read") as stage:
        training = _training_splits(trained, manifest, folders)
        rows = _fresh_rows(task, source, artifacts, training, folders)
        stage.note = pipeline.describe_rows(rows)
    report = _assess(trained, version, rows, training, stages=stages)
    name = f"{Path(source).stem or 'rows'}-{rows.card.fingerprint[:8]}"
    folder = version / "evaluations" / name
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        seconds = {"wall_seconds": round(stages.total(), 1), "stage_seconds": stages.seconds}
        assessment.write_report_files(folder, report, manifest | seconds)
    return folder


def _training_splits(
    trained: Task[Any, Any], manifest: Mapping[str, Any], folders: Folders
) -> Splits[Any] | None:
    """Return the data the model was made with, if it is still there and still the same."""
    try:
        splits = trained.load_data(manifest["data"]["source"], folders)
    except DataError:
        return None
    same = splits.card.fingerprint == manifest["data"]["fingerprint"]
    return trained.limited(splits) if same else None


def _fresh_rows(
    task: Task[Any, Any],
    source: str,
    artifacts: Any,
    training: Splits[Any] | None,
    folders: Folders,
) -> Splits[Any]:
    """Return rows to score as the test split, without those the model has learned from."""
    if training is not None and source == training.card.source:
        return training
    rows = task.load_rows(source, artifacts, folders)
    if training is None:
        note = "the training data is gone, so rows the model was trained on could not be left out"
        return replace(rows, card=replace(rows.card, notes=(*rows.card.notes, note)))
    return task.without_known(rows, training)


def _assess(
    task: Task[Any, Any],
    version: Path,
    rows: Splits[Any],
    training: Splits[Any] | None,
    *,
    stages: Stages,
) -> dict[str, Any]:
    from pipelines.export.process import ServingProcess

    artifacts = task.artifacts_type.load(version / "assets.extra")
    with ServingProcess(version) as process:
        with stages.stage("serve") as stage:
            outputs = assessment.served_outputs(task, rows.test, process)
            serving = assessment.measure_serving(task, rows.test, process)
            stage.note = f"{len(rows.test):,} rows through the SavedModel in a fresh process"
        baselines = {}
        if training is not None:
            with stages.stage("baselines") as stage:
                baselines = task.baselines(replace(training, test=rows.test), process.call)
                stage.note = ", ".join(baselines)
        evaluation = task.evaluate(rows.test, outputs, baselines, artifacts, process.call)
    earlier = json.loads((version / "report" / "report.json").read_text())
    return {
        "task": task.name,
        "headline": task.headline,
        "scores": [score.as_json() for score in evaluation.scores],
        "data": rows.card.to_json(),
        "training": None,
        "model": earlier["model"],
        "serving": serving,
        "parity": None,
        "sections": evaluation.sections,
        "predictions": assessment.predictions(task, rows.test, outputs),
    }

"""One run, from raw file to report. Each step is a function that any task goes through."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.assessment import assess, finish
from pipelines.config import RunConfig, fingerprint
from pipelines.corpus import EncodedCorpus, write_corpus
from pipelines.datasets.rows import Rows
from pipelines.datasets.splits import Splits
from pipelines.datasets.storage import new_folder
from pipelines.errors import DataError
from pipelines.layers.fast.ready import LoopCompiler
from pipelines.manifest import make_manifest
from pipelines.stages import Stages
from pipelines.task import Artifacts, Outputs, Prepared, Task
from pipelines.workspace import Folders, latest_version, new_version

if TYPE_CHECKING:
    import keras

    from pipelines.training import TrainingResult

ENCODING_VERSION = 3  # raise when `Task.encode` or the corpus layout changes its output


def train(
    task: Task[Any, Any], source: str, *, folders: Folders, stages: Stages, resume: bool = False
) -> Path:
    """Train, export, verify, evaluate and report; return the new version directory.

    A run that fails or is interrupted changes nothing that was there.
    """
    with new_version(folders, task.name) as version:
        task.begin()
        loops = LoopCompiler().start() if task.config.fast else LoopCompiler()
        prepared = prepare(task, source, folders=folders, stages=stages)
        model, trainer, result = fit(task, prepared, folders=folders, stages=stages, resume=resume)
        others = fit_counterparts(task, prepared, folders=folders, stages=stages, resume=resume)
        export(task, model, prepared.artifacts, version, stages)
        manifest = make_manifest(
            task.name,
            task.config,
            data={"source": source, "fingerprint": prepared.splits.card.fingerprint},
            artifacts=prepared.artifacts.describe(),
        )
        further = {name: outputs for name, (outputs, _) in others.items()}
        report = assess(
            task, model, prepared, version, stages=stages, result=result, further=further
        )
        manifest |= {
            "recurrence": result.recurrence,
            "tables": result.tables,
            "loops_compiled_seconds": loops.seconds,
        }
        finish(version, report, manifest, stages)
        for done in (trainer, *(other for _, other in others.values())):
            done.discard()
    return latest_version(folders, task.name)


def prepare(task: Task[Any, Any], source: str, *, folders: Folders, stages: Stages) -> Prepared:
    """Read, split, learn the artifacts from the training split, and encode once."""
    with stages.stage("read") as stage:
        splits = task.limited(task.load_data(source, folders))
        stage.note = describe_splits(splits)
    for finding in task.check(splits):
        if finding.level in ("warning", "error"):
            stages.line(finding.level, f"{finding.title}: {finding.detail}")
    with stages.stage("encode") as stage:
        artifacts = task.fit_artifacts(splits)
        corpora = {
            name: encoded(task, rows, artifacts, (splits.card.fingerprint, name), folders)
            for name, rows in splits.named()
        }
        stage.note = ", ".join(
            f"{key} {value}"
            for key, value in artifacts.describe().items()
            if value and isinstance(value, int | str)
        )
    return Prepared(splits, artifacts, corpora)


def describe_splits(splits: Splits[Any]) -> str:
    """Say how many rows each split holds, and how many rows were left out."""
    sizes = ", ".join(f"{len(rows):,} {name}" for name, rows in splits.named())
    dropped = sum(splits.card.dropped.values())
    return f"{sizes} rows from {splits.card.source}" + (
        f"; {dropped:,} left out" if dropped else ""
    )


def describe_rows(rows: Splits[Any]) -> str:
    """Say how many rows there are to score, and how many were left out."""
    dropped = sum(rows.card.dropped.values())
    left_out = f"; {dropped:,} left out" if dropped else ""
    return f"{len(rows.test):,} rows to score from {rows.card.source}{left_out}"


def encoded(
    task: Task[Any, Any],
    rows: Rows[Any],
    artifacts: Artifacts,
    data_key: tuple[str, str],
    folders: Folders,
) -> EncodedCorpus:
    """Encode rows into the content-addressed cache, or reuse what is there."""
    key = fingerprint(
        {
            "version": ENCODING_VERSION,
            "data": data_key,
            "rows": len(rows),
            "artifacts": artifacts.fingerprint(),
        }
    )
    folder = folders.cache / f"{task.name}-encoded-{key}"
    if not (folder / "corpus" / "features.json").exists():
        with new_folder(folder) as partial:
            write_corpus(partial / "corpus", task.encode(rows, artifacts, data_key[1]))
    return EncodedCorpus(folder / "corpus")


def fit(
    task: Task[Any, Any],
    prepared: Prepared,
    *,
    folders: Folders,
    stages: Stages,
    resume: bool = False,
    stage_name: str = "train",
) -> tuple[keras.Model, Any, TrainingResult]:
    """Build and train the model; return it with its best weights, what was saved and the result."""
    import keras

    from pipelines.phases import fit_phases

    config: RunConfig = task.config
    keras.utils.set_random_seed(config.seed)
    if config.mixed_precision:
        keras.mixed_precision.set_global_policy("mixed_float16")
    model = task.build_model(prepared.artifacts)
    with stages.stage(stage_name) as stage:
        task.initialise(model, prepared)
        trained = fit_phases(
            task, model, prepared, folders=folders, console=stages.console, resume=resume
        )
        task.calibrate(model, prepared)
        result = trained.result
        stage.note = (
            f"best epoch {result.best_epoch} of {len(result.history)}, "
            f"{result.tokens_per_second:,.0f} tokens/s"
        )
    return model, trained, result


def fit_counterparts(
    task: Task[Any, Any],
    prepared: Prepared,
    *,
    folders: Folders,
    stages: Stages,
    resume: bool = False,
) -> dict[str, tuple[Outputs, Any]]:
    """Train the task's counterparts; return what each says of the test rows, and its trainer."""
    found = {}
    for name, (other, parts) in task.counterparts(prepared).items():
        model, trainer, _ = fit(
            other,
            parts,
            folders=folders,
            stages=stages,
            resume=resume,
            stage_name=f"train {name}",
        )
        found[name] = (other.trained_outputs(model, parts), trainer)
    return found


def export(
    task: Task[Any, Any],
    model: keras.Model,
    artifacts: Artifacts,
    version: Path,
    stages: Stages,
) -> None:
    """Write the SavedModel from a portable twin of the model, and the artifacts beside it."""
    import keras

    from pipelines.export.saved_model import write_saved_model

    with stages.stage("export") as stage:
        keras.mixed_precision.set_global_policy("float32")
        twin = task.build_model(artifacts, portable=True)
        twin.set_weights(model.get_weights())
        endpoints = task.endpoints(twin, artifacts)
        write_saved_model(version, endpoints)
        extra = version / "assets.extra"
        extra.mkdir()
        artifacts.save(extra)
        twin.save(extra / "model.keras")
        signatures = {name: dict(endpoint.meaning) for name, endpoint in endpoints.items()}
        (extra / "signatures.json").write_text(json.dumps(signatures, indent=2))
        size = sum(path.stat().st_size for path in version.rglob("*") if path.is_file())
        stage.note = f"{twin.count_params():,} parameters, {size / 1e6:.1f} MB"


def load_manifest(version: Path) -> dict[str, Any]:
    """Read the manifest of an exported version.

    Raises:
        DataError: the folder is no exported version.
    """
    path = version / "assets.extra" / "manifest.json"
    try:
        return dict(json.loads(path.read_text()))
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path}: cannot read the manifest ({error}); expected a version directory such as "
            "saved_models/sentiment/1: give one with --model, or train again"
        ) from error

"""Verify and score an exported model on raw rows, in a fresh process, and write the report."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.datasets.rows import Rows
from pipelines.padding import concatenate_padded
from pipelines.stages import Stages
from pipelines.task import Outputs, Prepared, Task

if TYPE_CHECKING:
    import keras

    from pipelines.export.process import ServingProcess
    from pipelines.export.saved_model import Parity
    from pipelines.training_result import TrainingResult

CHUNK_ROWS = 1024  # rows in one request where only throughput counts


def served_outputs(task: Task[Any, Any], rows: Rows[Any], process: ServingProcess) -> Outputs:
    """Send raw rows through the exported model and collect its outputs, in row order."""
    parts = [
        process.call(task.serve_inputs(chunk), task.scored_endpoint)
        for chunk in rows.chunks(min(CHUNK_ROWS, task.request_rows))
    ]
    return {name: concatenate_padded([part[name] for part in parts]) for name in parts[0]}


def measure_serving(
    task: Task[Any, Any], rows: Rows[Any], process: ServingProcess
) -> dict[str, float]:
    """Return latency of single-row requests and throughput of full ones."""
    examples = task.latency_examples(rows)
    single = [task.serve_inputs([example]) for example in examples]
    full = task.serve_inputs(list(examples))
    endpoint = task.scored_endpoint
    process.latencies(single[:10], endpoint)  # the first requests pay for set-up
    milliseconds = process.latencies(single, endpoint)
    batch = float(np.median(process.latencies([full] * 5, endpoint)))
    return {
        "latency_ms_p50": round(float(np.percentile(milliseconds, 50)), 3),
        "latency_ms_p99": round(float(np.percentile(milliseconds, 99)), 3),
        "rows_per_second": round(len(examples) / batch * 1000, 1),
        "batch_rows": len(examples),
        "load_seconds": round(process.load_seconds(), 2),
    }


def assess(
    task: Task[Any, Any],
    model: keras.Model,
    prepared: Prepared,
    version: Path,
    *,
    stages: Stages,
    result: TrainingResult,
    further: Mapping[str, Outputs],
) -> dict[str, Any]:
    """Verify and score the exported model on raw test rows; write predictions and report pages.

    `further` holds outputs of systems to compare with, besides the task's baselines.
    """
    from pipelines.evaluation.gradient_sections import gradient_sections
    from pipelines.export.process import ServingProcess

    rows = prepared.splits.test
    with ServingProcess(version) as process:
        with stages.stage("verify") as stage:
            outputs = served_outputs(task, rows, process)
            parity = check_parity(task, model, prepared, outputs)
            serving = measure_serving(task, rows, process)
            stage.note = (
                f"{parity.rows:,} raw test rows through the SavedModel in a fresh process, "
                f"0 differ (largest gap {parity.largest_difference:.1g}); "
                f"{serving['rows_per_second']:,.0f} rows/s"
            )
        with stages.stage("baselines") as stage:
            baselines = {**task.baselines(prepared.splits, process.call), **further}
            stage.note = ", ".join(baselines)
        with stages.stage("evaluate") as stage:
            evaluation = task.evaluate(rows, outputs, baselines, prepared.artifacts, process.call)
            stage.note = f"{len(evaluation.scores)} scores, {len(evaluation.sections)} sections"
    report = {
        "task": task.name,
        "headline": task.headline,
        "scores": [score.as_json() for score in evaluation.scores],
        "data": prepared.splits.card.to_json(),
        "training": result.as_json(),
        "model": {"parameters": model.count_params(), "bytes": model_bytes(version)},
        "serving": serving,
        "parity": vars(parity),
    }
    return report | {
        "sections": [
            *evaluation.sections,
            *gradient_sections(result.gradients, clip_norm=task.config.clip_norm),
        ],
        "predictions": predictions(task, rows, outputs),
    }


def predictions(
    task: Task[Any, Any], rows: Rows[Any], outputs: Outputs
) -> Iterator[dict[str, Any]]:
    """Yield every row with what the exported model said of it."""
    for number, example in enumerate(rows):
        row = {name: values[number] for name, values in outputs.items()}
        yield {**task.record(example), "output": task.answer(row)}


def check_parity(
    task: Task[Any, Any], model: keras.Model, prepared: Prepared, served: Outputs
) -> Parity:
    """Compare the served test outputs with the trained model's on the encoded test rows."""
    from pipelines.export.saved_model import compare_outputs

    return compare_outputs(task.trained_outputs(model, prepared), served)


def model_bytes(version: Path) -> int:
    """Return the size of the SavedModel proper, without report and training files."""
    parts = [version / "saved_model.pb", *version.glob("variables/*"), *version.glob("assets/*")]
    return sum(path.stat().st_size for path in parts)


def finish(version: Path, report: dict[str, Any], manifest: dict[str, Any], stages: Stages) -> None:
    """Write manifest, history and report into the version directory."""
    import pandas as pd

    manifest |= {"wall_seconds": round(stages.total(), 1), "stage_seconds": stages.seconds}
    (version / "assets.extra" / "manifest.json").write_text(json.dumps(manifest, indent=2))
    folder = version / "report"
    folder.mkdir()
    pd.DataFrame(report["training"]["history"]).to_csv(folder / "history.csv", index=False)
    write_report_files(folder, report, manifest)


def write_report_files(folder: Path, report: dict[str, Any], manifest: Mapping[str, Any]) -> None:
    """Write predictions.jsonl and the report."""
    from pipelines.evaluation.predictions import write_predictions
    from pipelines.evaluation.report import write_report

    write_predictions(folder / "predictions.jsonl", report.pop("predictions"))
    sections = report.pop("sections")
    write_report(folder, report | {"manifest": manifest}, sections)

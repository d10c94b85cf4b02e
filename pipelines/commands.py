"""What each verb of the command line does."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rich.console import Console

from pipelines import pipeline
from pipelines.quiet import import_quietly
from pipelines.stages import Stages
from pipelines.task import Task
from pipelines.workspace import Folders, latest_version

if TYPE_CHECKING:
    from pathlib import Path

    from pipelines.lab.options import MemoryLabOptions
    from pipelines.options import DataOptions, EvaluateOptions, PredictOptions, TrainOptions
    from pipelines.studies.options import (
        CompareCellsOptions,
        GradientsOptions,
        LadderOptions,
        StudyOptions,
    )


def data(task: Task[Any, Any], options: DataOptions) -> int:
    """Fetch, read and split; print what was found."""
    console = Console()
    splits = task.load_data(options.data or task.default_source, Folders.default())
    console.print(pipeline.describe_splits(splits), highlight=False)
    for reason, count in splits.card.dropped.items():
        console.print(f"  left out: {count:,} {reason}", highlight=False)
    for note in splits.card.notes:
        console.print(f"  {note}", highlight=False)
    return 0


def check(task: Task[Any, Any], options: DataOptions) -> int:
    """Print what a careful person would look at; 1 if something would ruin training."""
    from pipelines.datasets.findings import render_findings

    splits = task.load_data(options.data or task.default_source, Folders.default())
    findings = task.check(splits)
    render_findings(findings, Console())
    return int(any(finding.level == "error" for finding in findings))


def train(task: Task[Any, Any], options: TrainOptions) -> int:
    """Run the whole pipeline and print the summary."""
    from pipelines.evaluation.summary import terminal_summary

    console = Console(file=sys.stderr)
    logging.basicConfig(format="%(levelname)s  %(message)s")
    # Word vectors found, long tuning, what was chosen on the validation split.
    for talkative in ("text", "evaluation.tag_baselines", "captioning.banking", "frames"):
        logging.getLogger(f"pipelines.{talkative}").setLevel(logging.INFO)
    with console.status("loading TensorFlow"):
        import_quietly("tensorflow", "keras")
    version = pipeline.train(
        task,
        options.data or task.default_source,
        folders=Folders.default(),
        stages=Stages(console),
        resume=options.resume,
    )
    report = json.loads((version / "report" / "report.json").read_text())
    paths = {"SavedModel": version, "report": version / "report" / "report.html"}
    Console().print(terminal_summary(report, paths))
    return 0


def evaluate(task: Task[Any, Any], options: EvaluateOptions) -> int:
    """Score an exported model on labelled rows and write a report beside the model's own."""
    from pipelines.evaluate import evaluate_version
    from pipelines.evaluation.summary import terminal_summary

    folders = Folders.default()
    import_quietly("tensorflow", "keras")
    version = options.model or latest_version(folders, task.name)
    folder = evaluate_version(
        task,
        version,
        options.data or task.default_source,
        folders=folders,
        stages=Stages(Console(file=sys.stderr)),
    )
    report = json.loads((folder / "report.json").read_text())
    paths = {"SavedModel": version, "report": folder / "report.html"}
    Console().print(terminal_summary(report, paths))
    return 0


def predict(task: Task[Any, Any], options: PredictOptions) -> int:
    """Run an exported model on what the user gives."""
    version = options.model or latest_version(Folders.default(), task.name)
    pipeline.load_manifest(version)  # a clear error before TensorFlow is loaded
    return task.predict(version, options)


def compare_cells(task: Task[Any, Any], options: CompareCellsOptions) -> int:
    """Train cells, encoders and depths at equal size, and write the page that compares them."""
    from pipelines.studies.compare import compare_cells as study

    return _study(study, task, options)


def ladder(task: Task[Any, Any], options: LadderOptions) -> int:
    """Train ever larger models, and write the page that says how big one should be."""
    from pipelines.studies.climbing import ladder as study

    return _study(study, task, options)


def gradients(task: Task[Any, Any], options: GradientsOptions) -> int:
    """Follow gradients back through time, and write the page that shows how far they reach."""
    from pipelines.studies.reach import gradients as study

    return _study(study, task, options)


def _study(study: Callable[..., Path], task: Task[Any, Any], options: StudyOptions) -> int:
    console = Console(file=sys.stderr)
    logging.basicConfig(format="%(levelname)s  %(message)s")
    with console.status("loading TensorFlow"):
        import_quietly("tensorflow", "keras")
    # Every run makes graphs of its own, which TensorFlow takes for one that is made anew too often.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    source = options.data or task.default_source
    folder = study(task, source, options, folders=Folders.default(), stages=Stages(console))
    Console().print(f"{folder / 'study.html'}", highlight=False, soft_wrap=True)
    return 0


def memory_lab(options: MemoryLabOptions) -> int:
    """Train every cell on problems of memory, and write the page that shows where each stops."""
    from pipelines.lab import command

    return command.memory_lab(options)


def report() -> int:
    """Write saved_models/index.html."""
    from pipelines.evaluation.index import write_index

    Console().print(f"{write_index(Folders.default().saved_models)}", highlight=False)
    return 0

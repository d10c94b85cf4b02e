"""What each verb of the command line does."""

from __future__ import annotations

import itertools
import json
import logging
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console

from pipelines import pipeline
from pipelines.errors import ConfigError, DataError
from pipelines.evaluation.plain import plain
from pipelines.quiet import import_quietly, standard_error_held
from pipelines.stages import Stages
from pipelines.task import Task
from pipelines.workspace import Folders, latest_version

if TYPE_CHECKING:
    from pipelines.cli import DataOptions, EvaluateOptions, PredictOptions, TrainOptions
    from pipelines.export.serving import ServedModel

STREAM_ROWS = 64  # lines in one request: a pipe sees answers soon, the graph is still used well
FILE_ROWS = 1024  # lines in one request where nobody waits for the first answer


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
    for talkative in ("pipelines.text", "pipelines.evaluation.tag_baselines"):
        logging.getLogger(talkative).setLevel(logging.INFO)  # word vectors found, long tuning
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
    """Print the exported model's answer for one text, or one JSON line for each line of a file."""
    if (options.text is None) == (options.file is None):
        raise ConfigError("predict needs one of --text and --file (in Make: TEXT= or FILE=)")
    version = options.model or latest_version(Folders.default(), task.name)
    pipeline.load_manifest(version)  # a clear error before TensorFlow is loaded
    if options.file is not None:
        return _predict_stream(task, version, options.file)
    outputs = _load(version).call(task.predict_inputs([options.text or ""]))
    labels = task.output_labels(version)
    answer = next(_records(task, [options.text or ""], outputs, labels))
    if options.json:
        sys.stdout.write(json.dumps(answer, ensure_ascii=False) + "\n")
    else:
        Console().print(task.render_prediction(answer), highlight=False, soft_wrap=True)
    return 0


def _load(version: Path) -> ServedModel:
    """Load an exported model, and with it TensorFlow, in silence."""
    from pipelines.export.serving import ServedModel

    with standard_error_held():
        return ServedModel(version)


def _predict_stream(task: Task[Any, Any], version: Path, file: str) -> int:
    with _open_lines(file) as lines:
        model = _load(version)
        labels = task.output_labels(version)
        size = STREAM_ROWS if file == "-" else FILE_ROWS
        while batch := [line.rstrip("\r\n") for line in itertools.islice(lines, size)]:
            outputs = model.call(task.predict_inputs(batch))
            for record in _records(task, batch, outputs, labels):
                sys.stdout.write(json.dumps(record, ensure_ascii=False) + "\n")
            sys.stdout.flush()
    return 0


def _open_lines(file: str) -> Any:
    """Open a text file, or standard input for "-"; bytes that are no UTF-8 become U+FFFD."""
    if file == "-":
        sys.stdin.reconfigure(errors="replace")  # type: ignore[union-attr]
        return sys.stdin
    try:
        return Path(file).open(encoding="utf-8-sig", errors="replace")
    except OSError as error:
        raise DataError(
            f"{file}: cannot be read: {error.strerror}; give a file with one text a line, or - for "
            "standard input"
        ) from error


def _records(
    task: Task[Any, Any],
    texts: Iterable[str],
    outputs: Mapping[str, np.ndarray],
    labels: list[str] | None,
) -> Iterator[dict[str, Any]]:
    """Yield one plain dict a row; a vector with one number a label is shown by label."""
    for number, text in enumerate(texts):
        record: dict[str, Any] = {"text": text}
        answer = task.answer({name: values[number] for name, values in outputs.items()})
        for name, value in plain(answer).items():
            if labels and isinstance(value, list) and len(value) == len(labels):
                value = dict(zip(labels, value, strict=True))
            record[name] = _rounded(value)
        yield record


def _rounded(value: Any) -> Any:
    """Cut numbers to the six digits float32 can vouch for."""
    if isinstance(value, dict):
        return {name: _rounded(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [_rounded(entry) for entry in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value


def report() -> int:
    """Write saved_models/index.html."""
    from pipelines.evaluation.index import write_index

    Console().print(f"{write_index(Folders.default().saved_models)}", highlight=False)
    return 0

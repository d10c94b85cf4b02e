"""A task whose input is a text: what `predict` does for all of them."""

from __future__ import annotations

import itertools
import json
import sys
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from rich.console import Console

from pipelines.errors import DataError
from pipelines.evaluation.plain import plain
from pipelines.export.loading import load_served
from pipelines.options import PredictOptions, TextPredictOptions
from pipelines.task import C, E, Outputs, Task

if TYPE_CHECKING:
    from rich.console import RenderableType

    from pipelines.export.serving import ServedModel

STREAM_ROWS = 64  # lines in one request: a pipe sees answers soon, the graph is still used well
FILE_ROWS = 1024  # lines in one request where nobody waits for the first answer


class TextTask(Task[E, C]):
    """Base class of tasks that read text."""

    predict_options: ClassVar[type[PredictOptions]] = TextPredictOptions

    @abstractmethod
    def predict_inputs(self, texts: Sequence[str]) -> dict[str, list[Any]]:
        """Return the raw inputs of `serve` for what a user typed or streamed."""

    @abstractmethod
    def render_prediction(self, answer: Mapping[str, Any], options: Any) -> RenderableType:
        """Show one answer on a terminal, as the options of `predict` ask."""

    def ask(self, model: ServedModel, texts: Sequence[str], options: Any) -> Outputs:
        """Send what a user typed or streamed through the exported model."""
        del options
        return model.call(self.predict_inputs(texts))

    def line(self, record: Mapping[str, Any], options: Any) -> str:
        """Return what is printed for one line of a file."""
        del options
        return json.dumps(record, ensure_ascii=False)

    def output_labels(self, version: Path) -> list[str] | None:
        """Return the names that a vector of probabilities goes with, if the task has such."""
        del version
        return None

    def predict(self, version: Path, options: Any) -> int:
        """Print the answer for one text, or one JSON line for each line of a file."""
        if options.file is not None:
            return _predict_stream(self, version, options)
        outputs = self.ask(load_served(version), [options.text], options)
        answer = next(_records(self, [options.text], outputs, self.output_labels(version)))
        if options.json:
            sys.stdout.write(json.dumps(answer, ensure_ascii=False) + "\n")
        else:
            Console().print(
                self.render_prediction(answer, options), highlight=False, soft_wrap=True
            )
        return 0


def _predict_stream(task: TextTask[Any, Any], version: Path, options: Any) -> int:
    with _open_lines(options.file) as lines:
        model = load_served(version)
        labels = task.output_labels(version)
        size = min(task.request_rows, STREAM_ROWS if options.file == "-" else FILE_ROWS)
        while batch := [line.rstrip("\r\n") for line in itertools.islice(lines, size)]:
            outputs = task.ask(model, batch, options)
            for record in _records(task, batch, outputs, labels):
                sys.stdout.write(task.line(record, options) + "\n")
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
    task: TextTask[Any, Any],
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

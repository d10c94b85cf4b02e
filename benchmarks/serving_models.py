"""Exported models of every task with random weights: latency does not depend on training."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from common import ROOT

sys.path.insert(0, str(ROOT))

EXAMPLES = 256  # of the test rows; as many as the largest request has
MOST_CHARACTERS = 200  # of a request
TOKENS = "serve_tokens"  # taggers answer sentences that are cut into tokens, as their data are


@dataclass
class Case:
    """A task's model in this process, and as it is served.

    Attributes:
        name: of the task, and what differs from its default settings.
        task, artifacts, model: what was exported.
        served: the SavedModel, loaded.
        examples: rows as a user would send them.
        first_seconds: the first request took this long.
    """

    name: str
    task: Any
    artifacts: Any
    model: Any
    served: Any
    examples: Sequence[Any]
    endpoint: str = "serve"
    first_seconds: float = field(default=0.0)

    def request(self, examples: Sequence[Any]) -> dict[str, list[Any]]:
        """Return the raw inputs of rows."""
        return dict(self.task.serve_inputs(examples))

    def call(self, request: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Answer a request through the SavedModel."""
        return dict(self.served.call(dict(request), self.endpoint))


def make_case(name: str, work: Path, settings: Mapping[str, Any], *, tiny: bool) -> Case:
    """Build a task's network on its default data, export it and load it.

    Args:
        name: of the task.
        work: a folder for the export.
        settings: that differ from the defaults.
        tiny: with the contract tests' data and settings instead.
    """
    from pipelines.export.loading import load_served
    from pipelines.export.saved_model import write_saved_model

    task, splits = _read(name, settings, tiny=tiny)
    artifacts = task.fit_artifacts(splits)
    model = task.build_model(artifacts, portable=True)
    _draw_fitted_weights(model)
    endpoints = task.endpoints(model, artifacts)
    folder = Path(tempfile.mkdtemp(dir=work)) / "1"
    write_saved_model(folder, endpoints)
    examples = [_shortened(row) for row in task.latency_examples(splits.test[:EXAMPLES])]
    endpoint = TOKENS if TOKENS in endpoints else "serve"
    label = ", ".join([name, *(f"{key}={value}" for key, value in settings.items())])
    case = Case(label, task, artifacts, model, load_served(folder), examples, endpoint)
    started = time.perf_counter()
    case.call(case.request(examples[:1]))
    case.first_seconds = time.perf_counter() - started
    return case


def _read(name: str, settings: Mapping[str, Any], *, tiny: bool) -> tuple[Any, Any]:
    """Return the task and its data."""
    from pipelines.registry import find_task
    from pipelines.workspace import Folders

    task_type = find_task(name)
    if not tiny:
        task = task_type(task_type.config_type(**settings))
        return task, task.load_data(task.default_source, Folders.default())
    from tests.contract.samples import SAMPLES

    make, small = SAMPLES[name]
    home = Path(tempfile.mkdtemp())
    folders = Folders(raw=home / "raw", cache=home / "cache", saved_models=home / "models")
    task = task_type(task_type.config_type(**small | settings))
    return task, task.load_data(make(home), folders)


def _shortened(example: Any) -> Any:
    """Cut a text that is as long as a book, or a chapter, to a request's length."""
    text = getattr(example, "text", None)
    if not isinstance(text, str) or len(text) <= MOST_CHARACTERS:
        return example
    return replace(example, text=text[:MOST_CHARACTERS])


def _draw_fitted_weights(model: Any) -> None:
    """Give layers that are fitted by other means than descent, and are 0 before, random weights."""
    from pipelines.layers.linear import NgramLinear

    draw = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, NgramLinear):
            weights = [draw.normal(size=weight.shape) for weight in layer.get_weights()]
            weights[0] = np.abs(weights[0]) * (np.arange(len(weights[0])) > 0)
            layer.set_weights(weights)

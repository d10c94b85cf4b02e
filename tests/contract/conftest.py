"""Every task, trained on its tiny sample, once a session."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import keras
import pytest
from rich.console import Console

from pipelines import pipeline
from pipelines.export.process import ServingProcess
from pipelines.registry import find_task, task_names
from pipelines.stages import Stages
from pipelines.task import Prepared
from pipelines.workspace import Folders
from tests.contract.samples import SAMPLES


@dataclass
class Case:
    """A task with tiny settings, its data and folders."""

    name: str
    source: str
    folders: Folders
    settings: dict[str, Any]
    kept: dict[tuple, Prepared] = field(default_factory=dict)

    def task(self, **changes):
        task_type = find_task(self.name)
        return task_type(replace(task_type.config_type(**self.settings), **changes))

    def prepared(self, **changes):
        """The data ready to learn from: read once for all tests with the same changes."""
        key = tuple(sorted(changes.items()))
        if key not in self.kept:
            self.kept[key] = pipeline.prepare(
                self.task(**changes), self.source, folders=self.folders, stages=quiet()
            )
        return self.kept[key]

    def train(self, **changes) -> Path:
        return pipeline.train(
            self.task(**changes), self.source, folders=self.folders, stages=quiet()
        )


def quiet():
    return Stages(Console(quiet=True))


@pytest.fixture(scope="session", params=task_names())
def case(request, tmp_path_factory):
    make, settings = SAMPLES[request.param]
    home = tmp_path_factory.mktemp(request.param)
    folders = Folders(raw=home / "raw", cache=home / "cache", saved_models=home / "models")
    return Case(request.param, make(home), folders, settings)


@pytest.fixture(scope="session")
def version(case):
    """The first exported version of each task."""
    return case.train()


@pytest.fixture(scope="session")
def process(version):
    """A fresh process that serves the version, for all tests of a task."""
    with ServingProcess(version) as process:
        yield process


@pytest.fixture(scope="session")
def kept_model(version):
    """The Keras model that is kept beside the export."""
    return keras.saving.load_model(version / "assets.extra" / "model.keras")

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


class LastingProcess(ServingProcess):
    """Serves on when the run that started it has ended, until it is closed."""

    def __exit__(self, kind, error, trace):
        if kind is not None:
            self.close()

    def close(self):
        super().__exit__(None, None, None)


@pytest.fixture(scope="session")
def trained(case):
    """The first exported version of each task, and the fresh process it was verified in."""
    started = []

    def start(folder):
        started.append(LastingProcess(folder))
        return started[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipelines.export.process.ServingProcess", start)
        version = case.train()
    (process,) = started
    yield version, process
    process.close()


@pytest.fixture(scope="session")
def version(trained):
    """The first exported version of each task."""
    return trained[0]


@pytest.fixture(scope="session")
def process(trained):
    """A fresh process that serves the version, for all tests of a task."""
    return trained[1]


@pytest.fixture(scope="session")
def kept_model(version):
    """The Keras model that is kept beside the export."""
    return keras.saving.load_model(version / "assets.extra" / "model.keras")

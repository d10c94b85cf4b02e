"""Every task, trained on its tiny sample, once a session."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from pipelines import pipeline
from pipelines.registry import find_task, task_names
from pipelines.stages import Stages
from pipelines.workspace import Folders
from tests.contract.samples import SAMPLES


@dataclass
class Case:
    """A task with tiny settings, its data and folders."""

    name: str
    source: str
    folders: Folders
    settings: dict[str, Any]

    def task(self, **changes):
        task_type = find_task(self.name)
        return task_type(replace(task_type.config_type(**self.settings), **changes))

    def prepared(self, **changes):
        return pipeline.prepare(
            self.task(**changes), self.source, folders=self.folders, stages=quiet()
        )

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

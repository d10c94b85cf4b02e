import importlib.util

import pytest

from pipelines import phases
from pipelines.errors import ConfigError
from pipelines.registry import find_task
from pipelines.workspace import Folders


def task(**settings):
    task_type = find_task("sentiment")
    return task_type(task_type.config_type(**settings))


def test_no_log_is_written_unless_asked_for():
    assert phases.tensorboard_callbacks(task(), Folders.default()) == []


def test_a_missing_package_is_named_before_training(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="--tensorboard needs the tensorboard package.*pip insta"):
        phases.tensorboard_callbacks(task(tensorboard=True), Folders.default())

"""Find tasks by file name: `tasks/<name>.py` exists, so `make train-<name>` works."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from pipelines.task import Task

TASKS_FOLDER = Path(__file__).resolve().parent.parent / "tasks"


def task_names() -> list[str]:
    """Return the names of all task files, sorted."""
    return sorted(path.stem for path in TASKS_FOLDER.glob("[a-z]*.py"))


def find_task(name: str) -> type[Task[Any, Any]]:
    """Import `tasks/<name>.py` and return its one Task class.

    Raises:
        ConfigError: there is no such file.
        TypeError: the file does not define exactly one Task.
    """
    module_name = name.replace("-", "_")
    if module_name not in task_names():
        hint = did_you_mean(module_name, task_names())
        raise ConfigError(f"unknown task {name!r}{hint}; known tasks: {', '.join(task_names())}")
    from pipelines.task import Task

    module = importlib.import_module(f"tasks.{module_name}")
    found = [
        member
        for _, member in inspect.getmembers(module, inspect.isclass)
        if issubclass(member, Task) and member.__module__ == module.__name__
    ]
    if len(found) != 1:
        raise TypeError(f"tasks/{module_name}.py defines {len(found)} Task classes; it needs one")
    return found[0]

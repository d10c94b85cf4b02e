"""How far back gradients reach, by recurrent cell, on a task's own rows."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console

from pipelines import pipeline
from pipelines.errors import ConfigError, TrainingError
from pipelines.evaluation.wording import duration
from pipelines.stages import Stages
from pipelines.studies.ledger import Found
from pipelines.studies.options import GradientsOptions
from pipelines.studies.runs import Desk, open_desk
from pipelines.task import Task
from pipelines.workspace import Folders, latest_version, new_version

if TYPE_CHECKING:
    import keras

QUARTILES = (50, 25, 75)  # as drawn: the median, and the ends of the band around it


def gradients(
    task: Task[Any, Any],
    source: str,
    options: GradientsOptions,
    *,
    folders: Folders,
    stages: Stages,
) -> Path:
    """Follow gradients back through every cell, and write the page; return the study's folder.

    Raises:
        ConfigError: no cell could be looked at.
        Interrupted: Ctrl-C; finished cells are kept for --resume.
    """
    from pipelines.studies.reach_page import write_reach

    options.check(task.config)
    name = f"studies/gradients-{task.name}"
    with new_version(folders, name) as folder:
        desk = open_desk("gradients", task, source, options, folders=folders, stages=stages)
        found: dict[str, Found] = {}
        for cell in options.study_cells:
            found[cell] = _told(desk, cell, options)
        if all("failure" in entry for entry in found.values()):
            raise ConfigError(f"gradients: {next(iter(found.values()))['failure']}")
        write_reach(folder, desk, options, found)
    return latest_version(folders, name)


def _told(desk: Desk, cell: str, options: GradientsOptions) -> Found:
    started = time.perf_counter()
    found = desk.ledger.recall({"cell": cell}, lambda: _look(desk, cell, options))
    words = found.get("failure") or f"looked at in {duration(time.perf_counter() - started)}"
    desk.console.print(f"  {cell}: {words}", highlight=False, soft_wrap=True)
    return found


def _look(desk: Desk, cell: str, options: GradientsOptions) -> Found:
    """Return the curves of one cell at the start, and after a short training."""
    import keras

    from pipelines.training import Interrupted

    keras.backend.clear_session()
    try:
        task = desk.variant({"cell": cell})
        keras.utils.set_random_seed(task.config.seed)
        model = task.build_model(desk.prepared.artifacts)
        task.initialise(model, desk.prepared)
        found = {"start": look_back(task, model, desk, options)}
        if options.study_epochs:
            found["trained"] = look_back(*_trained(task, desk, options), desk, options)
    except Interrupted:
        raise
    except (ConfigError, TrainingError) as error:
        return {"failure": str(error)}
    return found


def _trained(
    task: Task[Any, Any], desk: Desk, options: GradientsOptions
) -> tuple[Task[Any, Any], keras.Model]:
    short = type(task)(replace(task.config, epochs=options.study_epochs))
    model, trained, _ = pipeline.fit(
        short,
        desk.prepared,
        folders=desk.folders,
        stages=Stages(Console(quiet=True)),
        resume=desk.resume,
    )
    trained.discard()
    return short, model


def look_back(
    task: Task[Any, Any], model: keras.Model, desk: Desk, options: GradientsOptions
) -> Found:
    """Return quartiles over rows of the norms at every distance, for each tensor of the state."""
    from pipelines.layers.recurrent_state import parts_of
    from pipelines.studies.through_time import first_stack, gradient_norms, inputs_read

    learner = task.training_model(model)
    stack = first_stack(learner, model)
    plan = task.batches(desk.prepared.corpora["train"], learner).epoch(0)
    rows, distance = options.study_rows, options.study_distance
    inputs = inputs_read(stack, learner, plan, rows=rows, distance=distance)
    cell = parts_of(stack._recurrences[0])[0].cell
    norms = gradient_norms(cell, inputs, distance=inputs.shape[1] - 1, seed=task.config.seed)
    return {
        "rows": len(inputs),
        "steps": inputs.shape[1],
        "states": [np.percentile(part, QUARTILES, axis=0).tolist() for part in norms],
    }


def curves(found: Mapping[str, Found], moment: str) -> dict[str, tuple[list[float], ...]]:
    """Return curves by name: of h, and of the memory c of cells that have one beside it."""
    named = {}
    for cell, entry in found.items():
        for number, quartiles in enumerate(entry.get(moment, {}).get("states", [])):
            named[cell if number == 0 else f"{cell}, memory c"] = tuple(quartiles)
    return named


def reach(curve: list[float], share: float) -> int | None:
    """Return the first distance at which a curve has fallen to a share of its start, if it does."""
    for distance, value in enumerate(curve):
        if distance and value <= share * curve[0]:
            return distance
    return None

"""Tiny forecasters, trained on generated tables and exported without a report."""

import csv
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from rich.console import Console

from pipelines import pipeline
from pipelines.export.serving import ServedModel
from pipelines.series import predicting
from pipelines.series.predict_options import ForecastOptions
from pipelines.stages import Stages
from pipelines.task import Prepared
from pipelines.training import compile_model
from pipelines.workspace import Folders
from tasks.forecasting import Forecasting, ForecastingConfig

TINY = {
    "units": 4, "decoder_units": 8, "batch_tokens": 512, "windows_per_epoch": 200, "history": 24,
    "horizon": 6, "season": 12,
}  # fmt: skip


@dataclass
class Made:
    """A forecaster with its simple forecasts fitted, and what it was made from."""

    task: Forecasting
    folders: Folders
    ready: Prepared
    model: Any

    @property
    def artifacts(self):
        """What was learned besides weights."""
        return self.ready.artifacts

    @cached_property
    def _serve(self):
        return self.task.endpoints(self.model, self.artifacts)["serve"]

    def serve(self, **inputs):
        """Call the endpoint that is exported, in this process."""
        signature = self._serve.inputs
        given = [tf.constant(inputs[name], spec.dtype) for name, spec in signature.items()]
        return {name: np.array(it) for name, it in self._serve.function(*given).items()}

    def serve_rows(self, rows, **changes):
        """Call the endpoint with windows."""
        return self.serve(**{**self.task.serve_inputs(list(rows)), **changes})

    @cached_property
    def version(self):
        """The exported model."""
        version = self.folders.saved_models / "1"
        pipeline.export(self.task, self.model, self.artifacts, version, quiet())
        return version

    @cached_property
    def loaded(self):
        """The exported model, loaded once."""
        return ServedModel(self.version)

    def predict(self, capsys, file, **options):
        """Return the lines that `predict` prints, as dicts."""
        capsys.readouterr()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(predicting, "load_served", lambda _: self.loaded)
            code = self.task.predict(self.version, ForecastOptions(file=str(file), **options))
        assert code == 0
        return list(csv.DictReader(capsys.readouterr().out.splitlines()))


def folders_in(home):
    """Folders of a run of its own."""
    return Folders(raw=home / "raw", cache=home / "cache", saved_models=home / "models")


def quiet():
    """Stages that print nothing."""
    return Stages(Console(quiet=True))


def prepared(source, home, **settings):
    """Return a task, its folders and the data ready to learn from."""
    task, folders = Forecasting(ForecastingConfig(**{**TINY, **settings})), folders_in(home)
    return task, folders, pipeline.prepare(task, str(source), folders=folders, stages=quiet())


def made(source, home, *, steps=0, **settings):
    """Build a forecaster on a table, fit its simple forecasts, take some training steps."""
    task, folders, ready = prepared(source, home, **settings)
    keras.utils.set_random_seed(task.config.seed)
    model = task.build_model(ready.artifacts)
    with eagerly():
        task.initialise(model, ready)
        if steps:
            taught(task, ready, model, steps)
    return Made(task, folders, ready, model)


def taught(task, ready, model, steps):
    """Take training steps, and return the losses."""
    learner = task.training_model(model)
    compile_model(learner, task.objective(model, ready.artifacts), task.config, 1)
    plan = task.batches(ready.corpora["train"], learner, seed=1).epoch(0)
    losses = []
    for step in range(steps):
        inputs, targets, weights = plan[step % len(plan)]
        losses.append(learner.train_on_batch(inputs, targets, sample_weight=weights))
    return losses


@contextmanager
def eagerly():
    """Run graphs step by step: tiny models take longer to trace than to run."""
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)


def write(path, header, rows):
    """Write a table."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([header, *rows])
    return path


def stamps(count, first="2024-01-01", step="1h"):
    """Return stamps as texts: of hours, minutes, days or months."""
    unit = step.lstrip("0123456789")
    size = int(step.removesuffix(unit))
    start = np.datetime64(first, "M" if unit == "M" else "s")
    times = start + size * np.arange(count) * np.timedelta64(1, unit)
    text = times.astype("M8[D]" if unit in "DM" else "M8[m]")
    return [str(it).replace("T", " ") for it in text]


def wave(count, size=10.0, period=12, seed=0):
    """Return a wave with a little noise: above 0 and never constant."""
    noise = np.random.default_rng(seed).normal(0, 0.05, count)
    return size * (2 + np.sin(2 * np.pi * np.arange(count) / period) + noise)


def one_series(path, values, **calendar):
    """Write stamps and one column of values, "y"; None is an empty cell."""
    cells = ["" if it is None else it for it in values]
    return write(path, ["time", "y"], list(zip(stamps(len(cells), **calendar), cells, strict=True)))

"""Everything a training run needs to go on where it was, in one file."""

from __future__ import annotations

import itertools
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from pipelines.errors import TrainingError
from pipelines.lazy_updates import LazyUpdates
from pipelines.optimizing import optimizer_of

Weights = list[np.ndarray]
_PLAIN = (
    "epoch",
    "batch",
    "seconds",
    "best_epoch",
    "best_value",
    "averaged",
    "averaged_from",
    "patient_from",
    "history",
    "gradients",
)


@dataclass
class TrainState:
    """Position, history and best weights of a run; `epoch` and `batch` are the next to do.

    `recent` are the weights of the last epochs, the latest at the end, where they are averaged;
    `averaged` is of how many epochs the best weights are the mean, 0 if they are an epoch's own.
    `averaged_from` is the first epoch whose weights are a mean of iterates, if averaging was
    triggered; `patient_from` is the number of epochs done when patience was last counted anew;
    `gradients` is what was measured of them in every epoch.
    """

    epoch: int = 0
    batch: int = 0
    seconds: float = 0.0
    best_epoch: int = 0
    best_value: float | None = None
    averaged: int = 0
    averaged_from: int | None = None
    patient_from: int = 0
    best_weights: Weights = field(default_factory=list)
    recent: list[Weights] = field(default_factory=list)
    history: list[dict[str, float]] = field(default_factory=list)
    gradients: list[dict[str, Any]] = field(default_factory=list)

    @property
    def epochs_waited(self) -> int:
        """Finished epochs since the best one, or since patience was last counted anew."""
        return len(self.history) - max(self.best_epoch, self.patient_from)

    def save(self, path: Path, model: keras.Model, *, elapsed: float = 0.0) -> None:
        """Write the state and the model's variables, replacing the file in one step.

        `elapsed` is the seconds spent in an epoch that is not finished yet.
        """
        plain = {name: getattr(self, name) for name in _PLAIN}
        plain["seconds"] += elapsed
        arrays = {"plain": np.array(json.dumps(plain))}
        kinds = {"now": snapshot_state(model), "best": self.best_weights}
        kinds |= {f"recent{age}_": weights for age, weights in enumerate(self.recent)}
        for kind, values in kinds.items():
            arrays |= {f"{kind}{number}": value for number, value in enumerate(values)}
        partial = path.with_suffix(".partial")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with partial.open("wb") as handle:
                np.savez(handle, **arrays)  # type: ignore[arg-type]
            os.replace(partial, path)  # noqa: PTH105 - the atomic call, by its own name
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise TrainingError(
                f"{path}: the training state cannot be saved: {error.strerror}; free some disk "
                "space or make the folder writable, then run again with --resume"
            ) from error

    @classmethod
    def load(cls, path: Path, model: keras.Model) -> TrainState:
        """Read a state and put its variables into the model.

        Raises:
            TrainingError: the file is damaged or belongs to a model of another shape.
        """
        try:
            with np.load(path) as arrays:
                plain = json.loads(str(arrays["plain"]))
                now, best = (_numbered(arrays, kind) for kind in ("now", "best"))
                ages = itertools.takewhile(
                    lambda age: f"recent{age}_0" in arrays, itertools.count()
                )
                recent = [_numbered(arrays, f"recent{age}_") for age in ages]
        except (OSError, ValueError, KeyError) as error:
            raise TrainingError(
                f"{path}: the saved training state cannot be read ({error}); run again without "
                "--resume to start afresh"
            ) from error
        _assign(_state_variables(model), now, path)
        return cls(**plain, best_weights=best, recent=recent)


def _numbered(arrays: Any, kind: str) -> Weights:
    count = sum(name.startswith(kind) for name in arrays.files)
    return [arrays[f"{kind}{number}"] for number in range(count)]


def _state_variables(model: keras.Model) -> list[Any]:
    """Weights and random state of the layers, then the optimizer's variables."""
    return [*model.variables, *model.optimizer.variables]


def _settle(model: keras.Model) -> None:
    """Give the variables their values back, which JAX keeps to itself within an epoch."""
    if keras.backend.backend() == "jax":
        model.jax_state_sync()


def snapshot_state(model: keras.Model) -> Weights:
    """Copy all variables that decide how training goes on."""
    _settle(model)
    return [keras.ops.convert_to_numpy(variable) for variable in _state_variables(model)]


def snapshot_weights(model: keras.Model) -> Weights:
    """Copy the model's weights, all rows of its tables up to date."""
    _settle(model)
    if model.compiled and isinstance(optimizer_of(model), LazyUpdates):
        optimizer_of(model).settle()
    return [np.array(value) for value in model.get_weights()]


def restore_weights(model: keras.Model, weights: Weights) -> None:
    """Put copied weights back."""
    model.set_weights(weights)


def _assign(variables: list[Any], values: Weights, path: Path) -> None:
    shapes = [tuple(variable.shape) for variable in variables]
    saved = [value.shape for value in values]
    if shapes != saved:
        raise TrainingError(
            f"{path}: the saved training state holds {len(saved)} arrays that do not fit this "
            f"model's {len(shapes)} variables; it belongs to other settings or another version: "
            "run again without --resume to start afresh"
        )
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)

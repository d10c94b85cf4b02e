"""What the optimizer measured in an epoch, read and set back to nothing."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from pipelines.gradients.records import EpochGradients, LayerCurve
from pipelines.layers.gradient_gate import GradientGate


def first_bad_step(optimizer: Any) -> int:
    """Return the step of this epoch, from 0, that was not finite first; -1 if all were."""
    return int(keras.ops.convert_to_numpy(optimizer.place)[1])


def read_epoch(
    optimizer: Any, epoch: int, *, frozen: bool = False, whole: bool = False
) -> EpochGradients:
    """Return what was measured since the last time, and begin anew.

    Args:
        optimizer: a built one that is monitored.
        epoch: the number of the epoch that ended, from 1.
        frozen: whether a gate was closed in it.
        whole: keep of every layer the means over the epoch, not every sample.
    """
    place, curve, looks = (
        np.array(keras.ops.convert_to_numpy(variable), np.float64)
        for variable in (optimizer.place, optimizer.curve, optimizer.looks)
    )
    steps = int(place[0])
    curve = curve[curve[:, 2] > 0]
    samples = min(len(looks), -(-steps // optimizer.sample_steps))
    looks = looks[:samples]
    sampled = [n * optimizer.sample_steps / max(steps, 1) for n in range(samples)]
    if whole and samples:
        looks, sampled = looks.mean(axis=0, keepdims=True), [1.0]
    ends = np.cumsum(curve[:, 2])
    optimizer.place.assign(np.array([0, -1], np.int32))
    for variable in (optimizer.curve, optimizer.looks):
        variable.assign(np.zeros(variable.shape, np.float32))
    return EpochGradients(
        epoch=epoch,
        steps=steps,
        at=(ends / max(ends[-1:], default=1)).tolist(),
        norms=(curve[:, 0] / curve[:, 2]).tolist(),
        largest=curve[:, 3].tolist(),
        clipped=(curve[:, 1] / curve[:, 2]).tolist(),
        sampled=sampled,
        layers={
            name: LayerCurve(*looks[:, number].T.tolist())
            for number, name in enumerate(optimizer.layer_names)
        },
        frozen=frozen,
    )


def has_closed_gate(model: keras.Model) -> bool:
    """Tell whether some layers of a model are kept from their gradients just now."""
    gates = (layer for layer in model._flatten_layers() if isinstance(layer, GradientGate))
    return any(float(keras.ops.convert_to_numpy(gate.open)) <= 0.5 for gate in gates)

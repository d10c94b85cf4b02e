"""Write a SavedModel with named endpoints, and prove that it does what the trained model does."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.errors import ExportError


@dataclass(frozen=True)
class Endpoint:
    """One signature of a SavedModel.

    Args:
        function: takes tensors in the order of `inputs`, returns a dict of named tensors.
        inputs: name -> `tf.TensorSpec` with a free first axis.
        meaning: output name -> what it holds, for the manifest.
        resources: the Keras models and layers the function uses.
    """

    function: Callable[..., dict[str, Any]]
    inputs: Mapping[str, Any]
    meaning: Mapping[str, str]
    resources: tuple[Any, ...]


@dataclass(frozen=True)
class Parity:
    """Agreement between the exported and the trained model, row by row."""

    rows: int
    mismatches: int
    largest_difference: float


def write_saved_model(folder: Path, endpoints: Mapping[str, Endpoint]) -> None:
    """Write `endpoints` as signatures; the first is also `serving_default`.

    Args:
        folder: created; a version directory for TensorFlow Serving.
        endpoints: at least "serve".

    Raises:
        ExportError: "serve" is missing, or the graph holds machine-bound operations.
    """
    import keras
    import tensorflow as tf

    if next(iter(endpoints), None) != "serve":
        raise ExportError(f"endpoints are {list(endpoints)}; the first must be 'serve'")
    archive = keras.export.ExportArchive()
    resources = {id(item): item for entry in endpoints.values() for item in entry.resources}
    for resource in resources.values():
        # Variables that endpoints use are kept anyway; tracking their model would write them twice.
        if not getattr(resource, "variables", ()):
            archive.track(resource)
    for name, endpoint in endpoints.items():
        signature = [
            tf.TensorSpec(spec.shape, spec.dtype, name=input_name)
            for input_name, spec in endpoint.inputs.items()
        ]
        archive.add_endpoint(name, endpoint.function, input_signature=signature)
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # two lines of assets chatter
    archive.write_out(str(folder), verbose=False)
    _refuse_machine_bound_operations(folder)


_BOUND = ("Cudnn", "Xla", "PyFunc")


def _refuse_machine_bound_operations(folder: Path) -> None:
    """Refuse what runs on the machine or in the process of its tracing alone.

    CuDNN is chosen when a graph is traced; the fast path of training calls Python.
    """
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel()
    saved.ParseFromString((folder / "saved_model.pb").read_bytes())
    library = saved.meta_graphs[0].graph_def.library.function
    kinds = {node.op for function in library for node in function.node_def}
    bound = sorted(kind for kind in kinds if any(part in kind for part in _BOUND))
    if bound:
        raise ExportError(
            f"{folder}: the graph holds {bound}, which run on one kind of machine or in one "
            "process alone; build the exported model with use_cudnn=False, without jit_compile, "
            "and call its layers with training=False"
        )


def compare_outputs(
    trained: Mapping[str, np.ndarray], served: Mapping[str, np.ndarray], *, tolerance: float = 1e-5
) -> Parity:
    """Compare outputs by name: text must be equal, numbers within `tolerance`.

    Numbers are compared as shares of the row's largest one (and at least of a thousandth of the
    output's largest), so that forecasts in units or in thousands of millions are judged alike; two
    missing numbers agree.

    Raises:
        ExportError: any row differs; the message names the first.
    """
    rows = len(next(iter(trained.values())))
    different = np.zeros(rows, bool)
    largest = 0.0
    for name, expected in trained.items():
        if expected.dtype == object:
            different |= np.asarray(expected != served[name]).reshape(rows, -1).any(axis=1)
            continue
        gaps = _relative_gaps(expected.reshape(rows, -1), served[name].reshape(rows, -1))
        largest = max(largest, float(gaps.max(initial=0.0)))
        different |= ~(gaps <= tolerance).all(axis=1)
    if different.any():
        first = int(np.argmax(different))
        shown = {name: (trained[name][first], served[name][first]) for name in trained}
        raise ExportError(
            f"the reloaded model disagrees with the trained one on {int(different.sum())} of "
            f"{rows} rows (largest gap {largest:.2g}, tolerance {tolerance:g}); first at row "
            f"{first}: (trained, served) = {shown}; a layer behaves differently at inference, or "
            "serving encodes text differently: check Task.endpoints against Task.encode"
        )
    return Parity(rows=rows, mismatches=0, largest_difference=largest)


def _relative_gaps(expected: np.ndarray, served: np.ndarray) -> np.ndarray:
    """Return |expected - served| / size of the row, float[N, M]; infinite where one is missing."""
    expected, served = expected.astype(float), served.astype(float)
    sizes = np.abs(np.nan_to_num(expected)).max(axis=1, keepdims=True, initial=0.0)
    sizes = np.maximum(sizes, 1e-3 * sizes.max(initial=0.0))
    gaps = np.abs(expected - served) / np.where(sizes > 0, sizes, 1.0)
    gaps[np.isnan(expected) & np.isnan(served)] = 0.0
    return np.nan_to_num(gaps, nan=np.inf)

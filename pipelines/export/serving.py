"""Call an exported model with nothing but TensorFlow.

Imported, it gives `ServedModel`. Run as a script in a fresh, isolated process it answers JSON
lines, so that what is scored is what a user without Keras or this project would get. It must
therefore import neither.
"""

from __future__ import annotations

import base64
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

Inputs = dict[str, list[Any]]
Outputs = dict[str, np.ndarray]


class ServedModel:
    """A SavedModel's endpoints as functions from lists to arrays."""

    def __init__(self, folder: Path) -> None:
        tf = _tensorflow_alone()
        started = time.perf_counter()
        self._tf = tf
        # Kept: the functions die with the object they were loaded with.
        self._loaded = tf.saved_model.load(str(folder))
        self.load_seconds = time.perf_counter() - started

    def call(self, inputs: Inputs, endpoint: str = "serve") -> Outputs:
        """Run one request; strings come back as str objects.

        Args:
            inputs: one list per named input of the endpoint, first axis rows.
            endpoint: name of a signature of the SavedModel.
        """
        function = self._loaded.signatures[endpoint]
        specs = function.structured_input_signature[1]
        tensors = {
            name: self._tf.constant(values, dtype=specs[name].dtype)
            for name, values in inputs.items()
        }
        return {name: _readable(value.numpy()) for name, value in function(**tensors).items()}

    def latencies(self, requests: list[Inputs], endpoint: str = "serve") -> list[float]:
        """Return the milliseconds each request takes, one after the other."""
        milliseconds = []
        for request in requests:
            started = time.perf_counter()
            self.call(request, endpoint)
            milliseconds.append((time.perf_counter() - started) * 1000)
        return milliseconds


def _tensorflow_alone() -> Any:
    """Import TensorFlow without the Keras and JAX it would pick up: faster, and the proof."""
    absent = [name for name in ("keras", "jax") if name not in sys.modules]
    sys.modules.update(dict.fromkeys(absent))  # type: ignore[arg-type]  # None refuses the import
    try:
        import tensorflow as tf
    finally:
        for name in absent:
            del sys.modules[name]
    return tf


def _readable(array: np.ndarray) -> np.ndarray:
    if array.dtype != object:
        return array
    decoded = [value.decode("utf-8", errors="replace") for value in array.ravel()]
    return np.array(decoded, object).reshape(array.shape)


def _answer(model: ServedModel, request: dict[str, Any]) -> dict[str, Any]:
    if request["do"] == "call":
        outputs = model.call(request["inputs"], request["endpoint"])
        return {name: value.tolist() for name, value in outputs.items()}
    if request["do"] == "latencies":
        return {"milliseconds": model.latencies(request["requests"], request["endpoint"])}
    # What else got into this process: the parity gate insists on TensorFlow alone.
    loaded = {name.split(".")[0] for name in sys.modules}
    return {"load_seconds": model.load_seconds, "modules": sorted(loaded)}


def _bytes_again(entry: dict[str, Any]) -> Any:
    """Turn what stands for bytes in JSON back into them."""
    return base64.b64decode(entry["base64"]) if entry.keys() == {"base64"} else entry


def main() -> None:
    """Answer one JSON line for every JSON line read from standard input."""
    model = ServedModel(Path(sys.argv[1]))
    for line in sys.stdin:
        request = json.loads(line, object_hook=_bytes_again)
        sys.stdout.write(json.dumps(_answer(model, request)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()

"""A fresh process that serves an exported model, seen from the training process."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from pipelines.errors import ExportError

_SCRIPT = Path(__file__).with_name("serving.py")
_UNWELCOME = {"keras", "jax", "pipelines", "tasks"}


class ServingProcess:
    """Context manager: `serving.py` in isolated mode, spoken to in JSON lines."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed in __exit__
        # -I: neither the environment nor the current folder can lend it the project's code.
        self._process = subprocess.Popen(
            [sys.executable, "-I", str(_SCRIPT), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )

    def __enter__(self) -> ServingProcess:
        return self

    def call(self, inputs: dict[str, list[Any]], endpoint: str = "serve") -> dict[str, np.ndarray]:
        """Run one request and return arrays; strings as objects, numbers as float64 or int64."""
        answer = self._ask({"do": "call", "inputs": inputs, "endpoint": endpoint})
        return {name: _as_array(values) for name, values in answer.items()}

    def latencies(
        self, requests: list[dict[str, list[Any]]], endpoint: str = "serve"
    ) -> list[float]:
        """Return milliseconds per request, measured inside the serving process."""
        answer = self._ask({"do": "latencies", "requests": requests, "endpoint": endpoint})
        return list(answer["milliseconds"])

    def load_seconds(self) -> float:
        """Return how long loading took.

        Raises:
            ExportError: the process needed more than TensorFlow to load the model.
        """
        state = self._ask({"do": "describe"})
        extra = _UNWELCOME & set(state["modules"])
        if extra:
            raise ExportError(
                f"{self._folder}: loading the exported model imported {sorted(extra)}; it must "
                "need TensorFlow alone: check Task.endpoints for Python or Keras calls"
            )
        return float(state["load_seconds"])

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:  # pragma: no cover - both are pipes
            raise ExportError("the serving process has no pipes")
        try:
            stdin.write(json.dumps(request, default=_as_json) + "\n")
            stdin.flush()
            line = stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise ExportError(
                f"{self._folder}: the exported model failed in a fresh process: "
                f"{self._last_error()}"
            )
        return dict(json.loads(line))

    def _last_error(self) -> str:
        self._process.wait()
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"it ended with status {self._process.returncode}"

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        if kind is not None:
            self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._log.close()


def _as_json(value: Any) -> dict[str, str]:
    """Let bytes, such as those of an image, travel in JSON."""
    if not isinstance(value, bytes):
        raise TypeError(f"a request holds {type(value).__name__}, expected lists, text or bytes")
    return {"base64": base64.b64encode(value).decode()}


def _as_array(values: list[Any]) -> np.ndarray:
    array = np.array(values)
    if array.dtype.kind != "U":
        return array
    seen: dict[str, str] = {}  # one object a label, not one a row
    texts = [seen.setdefault(text, text) for text in array.ravel().tolist()]
    return np.array(texts, object).reshape(array.shape)

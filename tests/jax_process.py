"""A process with Keras on JAX that many tests share: it takes seconds to start."""

import contextlib
import gc
import importlib
import io
import json
import os
import subprocess
import sys
import traceback
from pathlib import Path

import pytest

# What is compiled runs once or twice: most of the time went into making it fast.
QUICK_TO_COMPILE = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"


class JaxProcess:
    """Runs scripts one after the other in a process that has JAX and no TensorFlow."""

    def __init__(self, root: Path, log: Path):
        self.log = log
        changes = {
            "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "XLA_FLAGS": QUICK_TO_COMPILE,
        }  # fmt: skip
        with log.open("w") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__], env={**os.environ, **changes},
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, cwd=root,
            )  # fmt: skip

    def run(self, script: str, *arguments) -> str:
        """Run a script, whose `sys.argv[1:]` are the arguments; gives what it printed."""
        request = json.dumps({"script": script, "arguments": [str(it) for it in arguments]})
        self._process.stdin.write(f"{request}\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            pytest.fail(f"the process with JAX ended: {self.log.read_text()[-3000:]}")
        printed, error = json.loads(answer)
        if error:
            pytest.fail(f"under JAX: {error[-3000:]}{printed[-3000:]}")
        return printed

    def close(self):
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


def run_script(script, arguments):
    """What a script prints, and how it failed; no model of an earlier script is left to it."""
    import keras

    keras.utils.clear_session()
    sys.argv = ["-c", *arguments]
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        try:
            exec(script, {"__name__": "under_jax"})
        except Exception:
            return printed.getvalue(), traceback.format_exc()
    return printed.getvalue(), ""


def serve():
    sys.modules["tensorflow"] = None  # nothing of a model may need it
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    importlib.import_module("keras")
    gc.freeze()  # what was imported is no garbage, for which Keras looks before every script
    for line in sys.stdin:
        answers.write(json.dumps(run_script(**json.loads(line))) + "\n")
        answers.flush()


if __name__ == "__main__":
    serve()

"""Compiling the loops before they are needed."""

from __future__ import annotations

import importlib.util
import os
import threading
import time


class LoopCompiler:
    """Compiles the loops beside other work, where make has not done it; then they lie on the disk.

    Reading and encoding leave a processor free for it; a step that comes too early waits.

    Attributes:
        seconds: that it took; None until it ended.
    """

    seconds: float | None = None

    def start(self) -> LoopCompiler:
        """Begin, unless they cannot be used here."""
        if os.environ.get("KERAS_BACKEND", "tensorflow") == "tensorflow" and has_numba():
            threading.Thread(target=self._compile, name="compile loops", daemon=True).start()
        return self

    def _compile(self) -> None:
        self.seconds = round(compile_now(), 2)


def compile_now() -> float:
    """Compile the loops, or load them from the disk; return the seconds it took."""
    started = time.perf_counter()
    from pipelines.layers.fast.layer import compile_loops

    compile_loops()
    return time.perf_counter() - started


def has_numba() -> bool:
    """Tell whether the compiler is installed."""
    return importlib.util.find_spec("numba") is not None

"""Import TensorFlow without the lines its C++ side prints before any log level can be set."""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


def import_quietly(*modules: str) -> None:
    """Import modules; what they write to standard error is shown only if an import fails."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with standard_error_held():
        for name in modules:
            importlib.import_module(name)


@contextmanager
def standard_error_held() -> Iterator[None]:
    """Hold back what is written to file descriptor 2, C++ included."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(kept, 2)
            held.seek(0)
            sys.stderr.write(held.read().decode(errors="replace"))
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)

"""Standard input, for readers that want a file."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines.errors import DataError


@contextmanager
def as_file(file: str) -> Iterator[Path]:
    """Give the path of a table; standard input is kept in a temporary file, and named in errors.

    Args:
        file: a path, or "-" for csv on standard input.
    """
    if file != "-":
        yield Path(file).expanduser()
        return
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder) / "standard-input.csv"
        with kept.open("wb") as stream:
            shutil.copyfileobj(sys.stdin.buffer, stream)
        try:
            yield kept
        except DataError as error:
            raise DataError(str(error).replace(str(kept), "standard input")) from None

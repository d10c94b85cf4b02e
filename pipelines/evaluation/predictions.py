"""Predictions on disk: one JSON object a line, written as they come."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pipelines.evaluation.plain import plain


def write_predictions(path: Path, rows: Iterable[Mapping[str, Any]]) -> int:
    """Write rows as JSON lines (UTF-8) and return how many; only one row is in memory at a time.

    Values may be NumPy scalars and arrays; bytes are read as UTF-8; NaN and infinity become null.
    The file appears under its name once complete.
    """
    partial = path.with_name(path.name + ".partial")
    count = 0
    with partial.open("w", encoding="utf-8", newline="\n") as file:
        for row in rows:
            file.write(json.dumps(plain(row), ensure_ascii=False, allow_nan=False) + "\n")
            count += 1
    partial.replace(path)
    return count

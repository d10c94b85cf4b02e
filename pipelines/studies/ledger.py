"""What a study has found so far, on disk after every run, so that Ctrl-C loses nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pipelines.errors import DataError

Found = dict[str, Any]


class Ledger:
    """Results by key, one JSON line each.

    Args:
        path: of the file; its folder is made.
        resume: keep what is there; otherwise the study starts anew.

    Raises:
        DataError: a line of the file is not what was written.
    """

    def __init__(self, path: Path, *, resume: bool) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        if not resume:
            path.unlink(missing_ok=True)
        self._found = dict(_read(path)) if path.exists() else {}

    def __len__(self) -> int:
        return len(self._found)

    def holds(self, key: Mapping[str, Any]) -> bool:
        """Tell whether a result is known."""
        return _name(key) in self._found

    def recall(self, key: Mapping[str, Any], make: Callable[[], Found]) -> Found:
        """Return the result of a key, made and written down if it is not known yet."""
        name = _name(key)
        if name not in self._found:
            found = make()
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"key": name, "found": found}) + "\n")
            self._found[name] = found
        return self._found[name]


def _name(key: Mapping[str, Any]) -> str:
    return json.dumps(key, sort_keys=True, default=list)


def _read(path: Path) -> list[tuple[str, Found]]:
    lines = path.read_text(encoding="utf-8").splitlines()
    found = []
    for number, line in enumerate(lines, start=1):
        try:
            entry = json.loads(line)
            found.append((str(entry["key"]), dict(entry["found"])))
        except (ValueError, KeyError, TypeError) as error:
            if number == len(lines):  # cut off when the machine stopped: the run is done again
                _cut(path, lines[:-1])
                break
            raise DataError(
                f"{path}:{number}: cannot read this line of the study ({error}); expected one JSON "
                "object a line: start the study again without --resume"
            ) from error
    return found


def _cut(path: Path, lines: list[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")

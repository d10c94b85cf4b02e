"""Where things are on disk, and how a finished run gets there in one step."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipelines.datasets.storage import DataFolders, storage_errors
from pipelines.errors import ExportError

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Folders(DataFolders):
    """The folders a run reads and writes; `Folders.default()` are the project's own."""

    saved_models: Path = Path("saved_models")

    @classmethod
    def default(cls) -> Folders:
        """Return the project's folders; DATA_HOME and SAVED_MODELS move them."""
        data = Path(os.environ.get("DATA_HOME", ROOT / "data"))
        models = Path(os.environ.get("SAVED_MODELS", ROOT / "saved_models"))
        return cls(raw=data / "raw", cache=data / "cache", saved_models=models)


def latest_version(folders: Folders, task: str) -> Path:
    """Return the newest exported version of a task.

    Raises:
        ExportError: nothing was trained yet.
    """
    versions = _versions(folders.saved_models / task)
    if not versions:
        raise ExportError(
            f"{folders.saved_models / task}: no trained model here; run `make train-{task}` first"
        )
    return folders.saved_models / task / str(max(versions))


def _versions(folder: Path) -> list[int]:
    if not folder.is_dir():
        return []
    return [int(path.name) for path in folder.iterdir() if path.name.isdigit()]


@contextmanager
def new_version(folders: Folders, task: str) -> Iterator[Path]:
    """Give a hidden folder that becomes the next version when the block ends well.

    A block that fails changes nothing that was there. Writability is tried at once, so that a
    read-only folder is found out before an hour of training.

    Raises:
        DataError: the folder cannot be written, or the disk is full.
    """
    home = folders.saved_models / task
    partial = home / f".partial-{os.getpid()}"
    with storage_errors(home):
        try:
            partial.mkdir(parents=True)
            (partial / ".probe").write_bytes(b"\0" * 4096)
            (partial / ".probe").unlink()
            yield partial
            _publish(partial, home)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def _publish(partial: Path, home: Path) -> None:
    while True:  # another run may take the number between looking and renaming
        version = str(max(_versions(home), default=0) + 1)
        try:
            partial.rename(home / version)
            break
        except FileExistsError:  # pragma: no cover - needs two runs ending at once
            continue
    link = home / ".latest"
    link.unlink(missing_ok=True)
    link.symlink_to(version)
    link.replace(home / "latest")

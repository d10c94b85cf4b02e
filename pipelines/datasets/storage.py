"""Writing to disk safely: whole or not at all, and with a message a user can act on."""

from __future__ import annotations

import errno
import glob
import hashlib
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipelines.errors import DataError

ABANDONED_SECONDS = 3600.0
_REMEDIES = {
    errno.ENOSPC: "free some space, or give another place",
    errno.EDQUOT: "the quota is used up: free some space, or give another place",
    errno.EFBIG: "files may not grow so large here: raise the limit, or give another place",
    errno.EROFS: "the file system is read-only: give a place that can be written",
    errno.EACCES: "no permission: change the folder's rights, or give another place",
    errno.EPERM: "no permission: change the folder's rights, or give another place",
    errno.ENOTDIR: "a file stands where a folder is needed: move it away",
    errno.EEXIST: "a file stands where a folder is needed: move it away",
}


@dataclass(frozen=True)
class DataFolders:
    """Where fetched archives (`raw`) and prepared rows (`cache`) are kept."""

    raw: Path = Path("data/raw")
    cache: Path = Path("data/cache")


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn a full disk, a read-only place or missing rights into a `DataError` naming `path`."""
    try:
        yield
    except OSError as error:
        if error.errno not in _REMEDIES:
            raise
        raise DataError(
            f"cannot write {error.filename or path}: {error.strerror}; {_REMEDIES[error.errno]} "
            "(DATA_HOME moves data/, SAVED_MODELS moves saved_models/)"
        ) from error


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary sibling folder that becomes `path` if the block succeeds.

    An exception, Ctrl-C included, removes it; a folder already at `path` is replaced last.

    Raises:
        DataError: the disk is full or cannot be written.
    """
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(path)
        partial = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
        try:
            yield partial
            partial.chmod(0o755)
            _put(partial, path)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def _put(partial: Path, path: Path) -> None:
    """Rename a finished folder into place; another run may be doing the same."""
    shutil.rmtree(path, ignore_errors=True)
    try:
        partial.rename(path)
    except OSError as error:
        # The other run was faster: its folder was made from the same input.
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST) or not path.is_dir():
            raise


def _remove_abandoned(path: Path) -> None:
    """Remove what a killed run left; an hour spares a run that is writing the same folder now."""
    for partial in path.parent.glob(f".{glob.escape(path.name)}-*"):
        if time.time() - partial.stat().st_mtime > ABANDONED_SECONDS:
            shutil.rmtree(partial, ignore_errors=True)


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file's bytes as 64 hexadecimal digits, in bounded memory."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()

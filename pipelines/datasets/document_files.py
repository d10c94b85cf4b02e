"""Choose the files of a corpus: a walk through folders, patterns, and what is passed over."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from pipelines.datasets.document_text import BinaryError, require_text
from pipelines.datasets.remarks import Remarks
from pipelines.errors import DataError

_BLOCK = 1 << 20
HIDDEN = "hidden file(s) or folder(s), not looked into"
BINARY = "binary file(s), not read"


@dataclass
class Selection:
    """Files to read, and what was passed over on the way to them.

    Args:
        root: the folder they are in, or the one file.
        files: to read, in the order of their names.
        remarks: told of everything passed over.
        unreadable: file -> why it cannot be read.
    """

    root: Path
    files: list[Path] = field(default_factory=list)
    remarks: Remarks = field(default_factory=Remarks)
    unreadable: dict[Path, str] = field(default_factory=dict)

    def name_of(self, path: Path) -> str:
        """Return a file's path inside the root; the root's own name for a lone file."""
        return path.name if path == self.root else path.relative_to(self.root).as_posix()

    def sha256(self) -> str:
        """Hash the names, sizes and contents of all files together."""
        digest = hashlib.sha256()
        for path in self.files:
            digest.update(f"{self.name_of(path)}\0{path.stat().st_size}\0".encode())
            with path.open("rb") as stream:
                while block := stream.read(_BLOCK):
                    digest.update(block)
        return digest.hexdigest()


def select_files(
    root: Path, pattern: str, *, encoding: str = "", leave_out: Sequence[str] = ()
) -> Selection:
    """Choose the text files of a folder and the folders in it, sorted by path.

    Hidden entries are passed over, links are followed once to each place.

    Args:
        root: a folder.
        pattern: globs by comma; empty means every text file.
        encoding: of files without a byte-order mark.
        leave_out: names of folders to pass over.

    Raises:
        DataError: no file matches, or none of those that do is text.
    """
    selection = Selection(root)
    passed: list[Path] = []
    globs = [it.strip() for it in pattern.split(",") if it.strip()]
    for path in _walk(root, selection.remarks, leave_out):
        if globs and not _matches(selection.name_of(path), globs):
            passed.append(path)
        else:
            _take(path, selection, encoding)
    if not selection.files:
        raise _nothing(selection, pattern, passed)
    return selection


def choose(files: Sequence[Path], root: Path, *, encoding: str = "") -> Selection:
    """Choose the text files among those that a glob found.

    Raises:
        DataError: none is text.
    """
    selection = Selection(root)
    for path in files:
        _take(path, selection, encoding)
    if not selection.files:
        raise _nothing(selection, "", [])
    return selection


def _walk(root: Path, remarks: Remarks, leave_out: Sequence[str]) -> Iterator[Path]:
    """Yield files, those of a folder before its folders; each folder and file once."""
    seen: set[Path] = set()
    waiting = [root]
    while waiting:
        folder = waiting.pop()
        if folder.resolve() in seen:
            continue
        seen.add(folder.resolve())
        folders = []
        for entry in _entries(folder, remarks):
            if entry.name.startswith("."):
                remarks.add(HIDDEN, str(entry))
            elif entry.is_dir():
                folders += [] if entry.name in leave_out else [entry]
            elif entry.is_file() and not (entry.is_symlink() and _again(entry, seen)):
                yield entry
        waiting += reversed(folders)


def _entries(folder: Path, remarks: Remarks) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except PermissionError:
        remarks.add("folder(s) without permission to read", str(folder))
        return []


def _again(link: Path, seen: set[Path]) -> bool:
    """Tell whether a link leads to a place seen before, and remember it."""
    place = link.resolve()
    known = place in seen or place.parent in seen
    seen.add(place)
    return known


def _matches(name: str, globs: Sequence[str]) -> bool:
    plain = name.removesuffix(".gz")
    for glob in globs:
        for path in (name, plain):
            if fnmatchcase(path if "/" in glob else path.rsplit("/", 1)[-1], glob):
                return True
    return False


def _take(path: Path, selection: Selection, encoding: str) -> None:
    """Add a file to those to read, if it is text as far as its first bytes tell."""
    try:
        require_text(path, encoding)
        selection.files.append(path)
    except BinaryError:
        selection.remarks.add(BINARY, str(path))
    except (DataError, OSError) as error:
        selection.unreadable[path] = str(error)


def _nothing(selection: Selection, pattern: str, passed: Sequence[Path]) -> DataError:
    """Say why there is no text: no file at all, none that matches, or only binary ones."""
    found = [f"{count:,} {what}" for what, count in selection.remarks.counts.items()]
    found += [f"{len(selection.unreadable):,} that cannot be read"] if selection.unreadable else []
    if passed:
        kinds = Counter(path.suffix or path.name for path in passed).most_common(8)
        shown = ", ".join(f"{count:,} {kind}" for kind, count in kinds)
        found.append(f"{len(passed):,} of other names ({shown})")
    wanted = f"no text file matches --pattern {pattern!r}" if pattern else "no text file"
    reason = next(iter(selection.unreadable.values()), "")
    return DataError(
        f"{selection.root}: {wanted}: found {'; '.join(found) or 'nothing'}; expected text such as "
        f".txt, .md or .py; {'give another --pattern' if passed else 'give another folder'}"
        f"{reason and f' (first: {reason})'}"
    )

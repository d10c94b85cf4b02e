"""Find the files `DATA=` means: a built-in name, a file, a glob or a folder; and identify them."""

from __future__ import annotations

import glob
import itertools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from pipelines.datasets.package_index import Progress
from pipelines.datasets.sources import Source, fetch, load_catalogue
from pipelines.datasets.storage import DataFolders, file_sha256
from pipelines.datasets.text_files import describe_missing
from pipelines.errors import DataError, did_you_mean

S = TypeVar("S")
SPLIT_WORDS = {
    "train": "train",
    "training": "train",
    "valid": "valid",
    "validation": "valid",
    "val": "valid",
    "dev": "valid",
    "development": "valid",
    "test": "test",
    "testing": "test",
}


@dataclass(frozen=True)
class Part:
    """One file or folder to read.

    Args:
        path: where it is.
        split: train, valid or test, if its name tells.
        kind: how it is read, where a task knows several ways that the path does not tell apart.
    """

    path: Path
    split: str | None = None
    kind: str = "records"


Parts = tuple[list[Part], list[str]]  # what to read, and the names of files left unread


@dataclass(frozen=True, kw_only=True)
class Found(Generic[S]):
    """Data that can be read, and what identifies it.

    Args:
        name: of the cache folder.
        streams: one reader a file, or a split of a `tfds:` set.
        files: path -> sha256.
        layout: tells apart equal files read in different ways.
        licence: as published.
        citation: as published.
        language: space-separated codes.
        notes: what a reader of a score should know.
    """

    name: str
    streams: tuple[S, ...]
    files: Mapping[str, str]
    layout: str
    licence: str = ""
    citation: str = ""
    language: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Convention:
    """How the files of one kind of data are named, and what they are called in messages.

    Args:
        is_built_in: whether a default set is of this kind.
        unit: what is read, such as "rows".
        named: what is named after a split: "file", or "file or folder".
        split_words: word of a name -> split.
        split_in_ending: whether a split may stand behind a dot, as in eng.testa.
    """

    is_built_in: Callable[[Source], bool]
    unit: str
    named: str
    split_words: Mapping[str, str]
    split_in_ending: bool = False

    def built_in_names(self) -> list[str]:
        """Return the names of the default sets of this kind."""
        return [name for name, source in load_catalogue().items() if self.is_built_in(source)]

    def split_of(self, path: Path) -> str | None:
        """Read train, valid or test from a name such as `train-00000-of-00001.parquet`."""
        name = path.name if self.split_in_ending else path.name.split(".")[0]
        words = re.split(r"[^a-z]+", name.lower())
        splits = {self.split_words[word] for word in words if word in self.split_words}
        return splits.pop() if len(splits) == 1 else None

    def file_parts(self, files: list[Path]) -> Parts:
        """Use the files named after a split if there are such, else all of them.

        Raises:
            DataError: some are named after a split, but none after train.
        """
        splits = {path: self.split_of(path) for path in files}
        if not any(splits.values()) or len(files) == 1:
            return [Part(path) for path in files], []
        parts = [Part(path, split) for path, split in splits.items() if split]
        self.require_train(files[0].parent, parts)
        return parts, [path.name for path, split in splits.items() if not split]

    def require_train(self, folder: Path, parts: list[Part]) -> None:
        """Refuse parts that are named after splits if none is named after train."""
        if not any(part.split == "train" for part in parts):
            found = ", ".join(part.path.name for part in parts[:5])
            raise DataError(
                f"{folder}: no training {self.unit}: found {found}; expected also a {self.named} "
                "named train; give the one file as DATA= to split it by seed"
            )


def existing_sha256(path: Path) -> str:
    """Hash a file's bytes.

    Raises:
        DataError: there is no such file.
    """
    if not path.is_file():
        raise DataError(describe_missing(path))
    return file_sha256(path)


@dataclass(frozen=True)
class Located:
    """The parts that `DATA=` means, before they are hashed; `published` if it is a default set."""

    name: str
    parts: list[Part]
    ignored: list[str] = field(default_factory=list)
    published: Source | None = None

    def found(
        self,
        stream: Callable[[Part], S],
        layout: Callable[[Part], str],
        sha256: Callable[[Path], str] = existing_sha256,
    ) -> Found[S]:
        """Hash the files and say how each is read.

        Args:
            stream: makes the reader of a part.
            layout: describes how a part is read.
            sha256: hashes the content of a path.

        Raises:
            DataError: a file is missing.
        """
        published = self.published
        return Found(
            name=re.sub(r"[^\w-]+", "-", self.name) or "data",
            streams=tuple(stream(part) for part in self.parts),
            files={str(it.path): sha256(it.path) for it in self.parts},
            layout=" ".join(f"{layout(part)}:{part.split}" for part in self.parts),
            licence=published.licence if published else "",
            citation=published.citation if published else "",
            language=published.language if published else "",
            notes=(f"not read: {', '.join(self.ignored[:10])}",) if self.ignored else (),
        )


def locate(
    source: str,
    convention: Convention,
    folder_parts: Callable[[Path], Parts],
    given: list[Part],
    *,
    folders: DataFolders,
    progress: Progress | None,
) -> Located:
    """Resolve a built-in name, a file, a glob or a folder.

    Args:
        source: the `DATA=` given.
        convention: of the kind of data looked for.
        folder_parts: chooses what to read of a folder.
        given: files of other splits beside it.
        folders: where default sets are kept.
        progress: told of a download a few times a second.

    Raises:
        DataError: it is none of these, or holds nothing to read.
    """
    built_in = load_catalogue().get(source)
    if built_in is not None and convention.is_built_in(built_in):
        members = fetch(built_in, folders.raw, progress=progress)
        parts = [Part(path, kind=built_in.text) for path in members.values()]
        return Located(source, parts + given, published=built_in)
    parts, ignored = _parts_of_path(source, convention, folder_parts)
    name = Path(source.rstrip("/*")).name.split(".")[0]
    return Located(name, parts + given, ignored)


def _parts_of_path(
    source: str, convention: Convention, folder_parts: Callable[[Path], Parts]
) -> Parts:
    if not source:
        raise DataError("DATA= is empty; expected a file, a folder, a built-in name or tfds:NAME")
    path = Path(source).expanduser()
    if path.is_dir():
        return folder_parts(path)
    if path.exists():
        return [Part(path)], []
    if glob.has_magic(source):
        files = [found for found in _matching_paths(path) if found.is_file()]
        if not files:
            raise DataError(f"DATA={source}: no file matches this pattern; check it")
        return convention.file_parts(files)
    names = convention.built_in_names()
    raise DataError(
        f"{describe_missing(path)}; nor is it a built-in set ({', '.join(names)}) or tfds:NAME"
        f"{did_you_mean(source, names)}"
    )


def _matching_paths(pattern: Path) -> list[Path]:
    """Return the paths that match, sorted; the part of the pattern without `*` is a folder."""
    base = Path(*itertools.takewhile(lambda part: not glob.has_magic(part), pattern.parts))
    return sorted(base.glob(str(pattern.relative_to(base))))


def given_parts(valid_file: str, test_file: str) -> list[Part]:
    """Return the parts of files given beside the source; an empty path stands for none."""
    given = (("valid", valid_file), ("test", test_file))
    return [Part(Path(path).expanduser(), split) for split, path in given if path]

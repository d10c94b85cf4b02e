"""Find the image that a caption file means, whatever the system that wrote its name."""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from pipelines.datasets.captions_pictures import SUFFIXES, UNSUPPORTED_SUFFIXES
from pipelines.errors import DataError

SHOWN_FILES = 8
_PASSED_OVER = ("__MACOSX",)
_IMAGE_FOLDER = re.compile(
    r"images?|imgs?|jpe?gs?|pictures?|photos?|flic?k(?:e)?r\d+k[-_](?:dataset|images)"
    r"|(?:train|val|valid|validation|test)(?:20\d\d)?"
)
_TEXT_FOLDER = re.compile(r"annotations|captions|texts?|labels|flickr\d+k_text")
IMAGE_NAME = re.compile(
    rf".*\.(?:{'|'.join(it[1:] for it in SUFFIXES + UNSUPPORTED_SUFFIXES)})(?:\.\d+)?(?:#\d+)?",
    re.IGNORECASE,
)


class ImageIndex:
    """The image files of one or several folders, by name.

    Args:
        folders: looked through with all folders in them, hidden ones left out.
    """

    def __init__(self, folders: list[Path]) -> None:
        self.folders = folders
        self.paths: list[Path] = []
        self._states: list[str] = []
        self._inside: dict[str, int] = {}  # path inside a folder, or the whole path
        self._keys: dict[str, list[int]] = {}
        for folder in map(_plain, folders):
            for path in _images_of(folder):
                self._add(path, path.relative_to(folder).as_posix())

    def _add(self, path: Path, inside: str) -> None:
        number = len(self.paths)
        state = path.stat()
        self.paths.append(path)
        self._states.append(f"{inside}\0{state.st_size}\0{state.st_mtime_ns}\n")
        self._inside.setdefault(inside, number)
        plain = folded(inside)
        stem = plain.rsplit("/", 1)[-1]
        # A dict keeps the order and drops keys that are equal.
        for key in dict.fromkeys((plain, f"/{stem}", f"/{PurePosixPath(stem).stem}.")):
            self._keys.setdefault(key, []).append(number)

    def find(self, name: str, near: Path | None = None) -> list[Path]:
        r"""Return the file a caption file calls `name`: one, none, or several that fit alike.

        Looked for are, in this order, the path as given, the same in another case or Unicode form,
        the file name in any folder, and the file name without its ending.

        Args:
            name: with / or \ between folders.
            near: a folder to look in first, that of the caption file.
        """
        name = name.strip().replace("\\", "/").removeprefix("./")
        if not name:
            return []
        if near is not None and (near / name).is_file():
            return [_plain(near / name)]
        if name in self._inside:
            return [self.paths[self._inside[name]]]
        plain = folded(name)
        stem = plain.rsplit("/", 1)[-1]
        for key in (plain, f"/{stem}", f"/{stem}."):
            if key in self._keys:
                return [self.paths[number] for number in self._keys[key]]
        return []

    def sha256(self) -> str:
        """Hash names, sizes and times of change; contents would take long at every start."""
        return hashlib.sha256("".join(sorted(self._states)).encode("utf-8", "replace")).hexdigest()


def _plain(path: Path) -> Path:
    """Return one path for one file, without following links."""
    return Path(os.path.normpath(path.absolute()))


def folded(name: str) -> str:
    """Return a name as file systems compare them that heed neither case nor Unicode form."""
    return name if name.isascii() and name == name.lower() else _fold(name)


def _fold(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _images_of(folder: Path) -> Iterator[Path]:
    known = SUFFIXES + UNSUPPORTED_SUFFIXES
    for path in files_of(folder):
        if path.suffix.lower() in known:
            yield path


def files_of(folder: Path, *, depth: int = 99) -> Iterator[Path]:
    """Yield the files in a folder and in those below it, sorted; hidden ones are passed over."""
    seen: set[str] = set()
    for root, folders, names in os.walk(folder, followlinks=True):
        here = Path(root)
        real = os.path.realpath(root)
        within = len(here.relative_to(folder).parts) < depth and real not in seen
        seen.add(real)
        kept = [it for it in folders if it[0] != "." and it not in _PASSED_OVER]
        folders[:] = sorted(kept) if within else []
        yield from (here / it for it in sorted(names) if it[0] != ".")


def folders_beside(captions: Path) -> list[Path]:
    """Return where the images of a caption file are likely to be.

    These are its folder, folders in it that are called like Images, Flicker8k_Dataset or train2017,
    and, for a file in a folder such as annotations, those beside that folder.
    """
    parent = captions.absolute().parent
    bases = [parent]
    if _TEXT_FOLDER.fullmatch(parent.name.lower()):
        bases.append(parent.parent)
    found: list[Path] = []
    for base in bases:
        entries = sorted(base.iterdir())
        if any(it.suffix.lower() in SUFFIXES for it in entries):
            found.append(base)
        else:
            named = (it for it in entries if _IMAGE_FOLDER.fullmatch(it.name.lower()))
            found += [it for it in named if it.is_dir()]
    return found


def describe_folder(folder: Path) -> str:
    """Say in a few words what a folder holds, such as "3 .jpg, 1 .txt (readme.txt)"."""
    paths = list(files_of(folder, depth=2))
    kinds = Counter(path.suffix.lower() or path.name for path in paths)
    others = [path.name for path in paths if path.suffix.lower() not in SUFFIXES]
    shown = ", ".join(f"{count:,} {kind}" for kind, count in kinds.most_common(SHOWN_FILES))
    named = f" ({', '.join(others[:SHOWN_FILES])})" if others else ""
    return f"{shown or 'no file'}{named}"


def require_images(index: ImageIndex, searched: str) -> None:
    """Refuse folders without an image.

    Raises:
        DataError: the message says what the folders hold instead.
    """
    if index.paths:
        return
    held = "; ".join(f"{it}: {describe_folder(it)}" for it in index.folders[:3])
    raise DataError(
        f"{searched}: no images found: {held or 'no folder of images beside it'}; expected "
        f"{', '.join(SUFFIXES)} files; give their folder as --images"
    )

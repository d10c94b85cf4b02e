"""Lists of image names that say which split an image is of, such as Flickr_8k.testImages.txt."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from pipelines.datasets.captions_folder import IMAGE_NAME, folded
from pipelines.datasets.locate import SPLIT_WORDS, Part
from pipelines.datasets.readers import format_of
from pipelines.datasets.remarks import Remarks
from pipelines.datasets.text_files import open_text, reading_errors
from pipelines.errors import DataError

LIST = "list"
NOT_LISTED = "in no split list"
_WORD = re.compile(
    r"(?:^|[^a-z])(train|dev|valid|val|test)(?:ing|idation)?(?:[^a-z]|images|$)", re.I
)


def listed_split(path: Path) -> str | None:
    """Return the split that a list of names is of, by its own name."""
    words = {SPLIT_WORDS[it.lower()] for it in _WORD.findall(path.name)}
    return words.pop() if len(words) == 1 else None


def is_list(path: Path, encoding: str) -> bool:
    """Tell whether a text file's first line is the name of an image and nothing else."""
    if format_of(path) not in (".txt", ".lst", ".list") or not path.is_file():
        return False
    with reading_errors(path, encoding), open_text(path, encoding) as stream:
        first = next((line.strip() for line in stream if not line.isspace()), "")
    return bool(IMAGE_NAME.fullmatch(first)) and not re.search(r"[\t,;|]", first)


class SplitLists:
    """Which split each listed image is of.

    Args:
        parts: lists, each with its split.
        encoding: of the files.
    """

    def __init__(self, parts: Sequence[Part], encoding: str) -> None:
        self.complete = any(part.split == "train" for part in parts)
        self._splits: dict[str, str] = {}
        self._places: dict[str, str] = {}
        for part in parts:
            self._read(part, encoding)

    def _read(self, part: Part, encoding: str) -> None:
        if part.split is None:
            raise DataError(
                f"{part.path}: a list of image names, of no known split; expected train, dev or "
                "test in its name, or give it as --valid-file or --test-file"
            )
        with reading_errors(part.path, encoding), open_text(part.path, encoding) as stream:
            for line, text in enumerate(stream, start=1):
                name = _key(text)
                if name and self._splits.setdefault(name, part.split) != part.split:
                    raise DataError(
                        f"{part.path}:{line}: {text.strip()!r} is in the {part.split} list, and in "
                        f"the {self._splits[name]} list at {self._places[name]}; expected each "
                        "image in one; mend the lists"
                    )
                self._places.setdefault(name, f"{part.path}:{line}")

    def split_of(self, name: str) -> str | None:
        """Return the split of an image; None if it is not listed."""
        return self._splits.get(_key(name))

    def note_unused(self, used: Iterable[str], remarks: Remarks) -> None:
        """Tell of listed images that have no caption."""
        known = {_key(name) for name in used}
        for name, place in self._places.items():
            if name and name not in known:
                remarks.add("listed image(s) without a caption", f"{place} ({name})")

    def __bool__(self) -> bool:
        return bool(self._splits)


def _key(name: str) -> str:
    return folded(name.strip().replace("\\", "/").rsplit("/", 1)[-1])

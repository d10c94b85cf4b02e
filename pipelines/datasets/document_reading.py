"""Read the documents of chosen files one by one; what cannot be read is counted."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from pipelines.datasets.document_files import BINARY, Selection
from pipelines.datasets.document_messages import read_rows, read_speaker
from pipelines.datasets.document_options import DocumentOptions, RawDocument
from pipelines.datasets.document_text import (
    BinaryError,
    read_text,
    with_line_feeds,
    without_ebook_frame,
)
from pipelines.datasets.remarks import Remarks
from pipelines.datasets.text_files import wrong_encoding
from pipelines.errors import DataError

LEFT_OUT = "document(s) left out as "
UNDECODABLE, UNREADABLE = "not in the encoding", "unreadable"
MOST_LOST = 0.1  # of the files; more are a mistake of the user's, not a few odd ones
_SHOWN = 5
_ORDER = ("test", "valid", "train", None)  # of texts that are repeated, the first is kept
# Three poems of the one are spoken in the other.
_TOGETHER = ("The Passionate Pilgrim", "Love's Labour's Lost")
_SMALL_WORDS = ("a", "an", "and", "in", "of", "or", "the", "to")
_ROMAN = re.compile(r"[IVX]+")


def read_logs(
    selection: Selection, options: DocumentOptions, remarks: Remarks
) -> Iterator[RawDocument]:
    """Yield the documents of tables: rows, or what one speaker wrote.

    Raises:
        DataError: a table cannot be read, or lacks a column or the speaker.
    """
    if options.speaker:
        yield from read_speaker(selection.files, options, remarks)
        return
    for path in selection.files:
        yield from read_rows(path, selection.name_of(path), options, remarks)


def read_texts(
    selection: Selection,
    options: DocumentOptions,
    given: Mapping[Path, str],
    works: bool,
    remarks: Remarks,
) -> Iterator[RawDocument]:
    """Yield the text of each file; of given splits test first, then valid, then train.

    Args:
        selection: the files.
        options: encoding.
        given: file -> split, where the files' names tell.
        works: whether the first line of a text is its title.
        remarks: told of everything mended or left out.

    Raises:
        DataError: the one file there is cannot be read, or over a tenth of them.
    """
    reader = _Reader(selection, options, remarks)
    for path in sorted(selection.files, key=lambda it: _ORDER.index(given.get(it))):
        text = reader.text(path)
        if text is not None:
            name = title_of(text) if works else selection.name_of(path)
            group = _TOGETHER[0] if works and name in _TOGETHER else ""
            yield RawDocument(text, name, str(path), given.get(path), group)
    reader.require_most()


class _Reader:
    """Reads files one at a time, and counts those that cannot be read."""

    def __init__(self, selection: Selection, options: DocumentOptions, remarks: Remarks) -> None:
        self.selection, self.options, self.remarks = selection, options, remarks
        self.is_lone = selection.files == [selection.root]
        self.lost: list[str] = []
        for path, reason in selection.unreadable.items():
            self._lose(UNREADABLE, path, reason)

    def text(self, path: Path) -> str | None:
        """Return the text of a file; None if it cannot be read, or is binary.

        Raises:
            DataError: it is the only file.
        """
        try:
            text, encoding = read_text(path, self.options.encoding)
        except (UnicodeDecodeError, DataError, OSError) as error:
            self._leave_out(path, error)
            return None
        if not encoding.startswith("utf-8"):
            self.remarks.add(f"file(s) read as {encoding}", str(path))
        text = with_line_feeds(text, str(path), self.remarks)
        return without_ebook_frame(text, str(path), self.remarks)

    def _leave_out(self, path: Path, error: Exception) -> None:
        name = self.options.encoding or "utf-8"
        if self.is_lone:
            if isinstance(error, UnicodeDecodeError):
                raise wrong_encoding(path, name, error) from error
            raise error
        if isinstance(error, BinaryError):
            self.remarks.add(BINARY, str(path))
        elif isinstance(error, UnicodeDecodeError):
            byte = f"byte 0x{error.object[error.start]:02x} at offset {error.start:,}"
            self._lose(UNDECODABLE, path, f"{path} ({byte} is not {error.encoding})")
        else:
            self._lose(UNREADABLE, path, str(error))

    def _lose(self, reason: str, path: Path, what: str) -> None:
        self.lost.append(what)
        place = what if what.startswith(str(path)) else f"{path} ({what})"
        self.remarks.add(LEFT_OUT + reason, place)

    def require_most(self) -> None:
        """Refuse files of which over a tenth cannot be read."""
        files = len(self.selection.files) + len(self.selection.unreadable)
        if len(self.lost) <= MOST_LOST * files:
            return
        shown = "; ".join(self.lost[:_SHOWN])
        more = f"; and {len(self.lost) - _SHOWN:,} more" if len(self.lost) > _SHOWN else ""
        raise DataError(
            f"{self.selection.root}: {len(self.lost):,} of {files:,} files cannot be read: {shown}"
            f"{more}; expected nine in ten to be UTF-8, or to begin with a byte-order mark; give "
            "--encoding for the others (such as cp1252, latin-1 or gbk), or --pattern to leave "
            "them out"
        )


def title_of(text: str) -> str:
    """Return the first line that is not blank, its words capitalised as in a title."""
    line = next((line.strip() for line in text.split("\n") if line.strip()), "")
    words = [_capital(word, first=not number) for number, word in enumerate(line.split())]
    return " ".join(words)


def _capital(word: str, *, first: bool) -> str:
    if _ROMAN.fullmatch(word.strip(",.;")):
        return word
    lower = word.lower()
    return lower if lower in _SMALL_WORDS and not first else lower[:1].upper() + lower[1:]

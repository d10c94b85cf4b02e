"""Turn the bytes of a file into text: encodings, line ends, and what a publisher put around it."""

from __future__ import annotations

import codecs
import re
from pathlib import Path

from pipelines.datasets.remarks import Remarks
from pipelines.datasets.text_files import open_bytes, open_text, reading_errors
from pipelines.errors import DataError

HEAD = 8192  # bytes that tell whether a file is text
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, whose mark it begins with
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_EBOOK = re.compile(
    r"^\*{3} ?START OF (?:THE|THIS) PROJECT GUTENBERG EBOOK.*?\*{3}[ \t]*\n\s*"
    r"(?P<text>.*?\n)\s*(?:^End of (?:the )?Project Gutenberg.*\n\s*)?"
    r"^\*{3} ?END OF (?:THE|THIS) PROJECT GUTENBERG EBOOK",
    re.DOTALL | re.MULTILINE,
)
_OTHER_LINE_END = re.compile(r"\r\n?")


class BinaryError(DataError):
    """A file that holds something else than text."""


def marked_encoding(head: bytes) -> str:
    """Return the encoding that a byte-order mark tells; "" without one."""
    return next((name for mark, name in _MARKS.items() if head.startswith(mark)), "")


def require_text(path: Path, encoding: str = "") -> None:
    """Refuse a file whose first bytes are not those of text.

    Args:
        path: a file, or one compressed as .gz.
        encoding: of files without a byte-order mark; UTF-16 and UTF-32 are full of NUL bytes.

    Raises:
        BinaryError: it is binary.
        DataError: it cannot be read.
    """
    with reading_errors(path, "utf-8"), open_bytes(path) as stream:
        head = stream.read(HEAD)
    try:
        open_text(path, marked_encoding(head) or encoding or "utf-8").close()
    except DataError as error:
        raise BinaryError(str(error)) from error


def read_text(path: Path, encoding: str = "") -> tuple[str, str]:
    """Return the text of a file as it stands, and the encoding it was read by.

    A byte-order mark decides, and is left out; else the text is UTF-8 if it can be.

    Args:
        path: a file, or one compressed as .gz.
        encoding: of a file that is neither.

    Raises:
        UnicodeDecodeError: it is in no encoding known.
        BinaryError: it is binary.
        DataError: it cannot be read.
    """
    with reading_errors(path, "utf-8"), open_bytes(path) as stream:
        content = stream.read()
    attempts = (marked_encoding(content) or "utf-8", encoding)
    text, name = _decode(content, [it for it in attempts if it])
    if "\0" in text:
        raise BinaryError(
            f"{path}: expected text, but character {text.index(chr(0)):,} is NUL, as in a binary "
            "file; give a text file, or --encoding utf-16-le if it is such text without a mark"
        )
    return text, name


def _decode(content: bytes, attempts: list[str]) -> tuple[str, str]:
    *first, last = attempts
    for name in first:
        try:
            text = content.decode(name)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:  # UTF-16 of plain letters is valid UTF-8, but for its NUL bytes
            return text, name
    return content.decode(last), last


def with_line_feeds(text: str, place: str, remarks: Remarks) -> str:
    """Return a text whose lines all end in a line feed; others are counted."""
    if "\r" not in text:
        return text
    changed, count = _OTHER_LINE_END.subn("\n", text)
    remarks.add("line end(s) CRLF or CR, now LF, in such files", place, count)
    return changed


def without_ebook_frame(text: str, place: str, remarks: Remarks) -> str:
    """Take off what Project Gutenberg puts around a work: header, footer and licence."""
    # Looked for first: the pattern takes seconds for a text of 100 MB.
    found = _EBOOK.search(text) if "PROJECT GUTENBERG EBOOK" in text else None
    if found is None:
        return text
    removed = len(text) - len(found["text"])
    remarks.add("character(s) of Project Gutenberg's header and licence, removed", place, removed)
    return found["text"]

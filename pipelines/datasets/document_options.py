"""What every reader of running text takes and gives: options and documents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

PASSAGE = 1000  # characters scored together; the last passage of a document is shorter


@dataclass(frozen=True, kw_only=True)
class DocumentOptions:
    """How to read running text; an empty value means to find it out."""

    pattern: str = ""
    """Of a folder, which files: globs by comma, such as "*.py,*.md"; empty means every text
    file. A glob with a slash is compared with the path inside the folder."""
    encoding: str = ""
    """Of files that are not UTF-8 and have no byte-order mark, such as cp1252, gbk or utf-16-le;
    empty leaves them out."""
    valid_share: float = 0.05
    """Share of the documents to set aside for validation."""
    test_share: float = 0.10
    """Share of the documents to set aside for the test."""
    text_column: str = "text"
    """Of jsonl, csv and parquet, the column of the text; empty reads such files as they stand."""
    speaker: str = ""
    """Of a message log, whose messages to learn from: in order, they form one document a file."""
    speaker_column: str = "speaker"
    """Of a message log, the column that says who speaks."""
    max_test_characters: int = 500_000
    """Most characters to be judged on: of a larger test share, fewer documents are drawn, and of
    validation in proportion; 0 means any number."""
    seed: int = 17
    """Draws the split."""


@dataclass(frozen=True)
class Document:
    """A text to be read from its beginning to its end.

    Args:
        text: as written, but with a line feed at every line's end and no byte-order mark.
        name: what it is called: a work's title, a path inside a folder, who speaks.
        origin: where it was read: a file, or a file and the lines of it, such as "a.txt:1-70".
    """

    text: str
    name: str = ""
    origin: str = ""


class RawDocument(NamedTuple):
    """A document before any check.

    `split` is the one its file names; documents of one `group` other than "" share a split.
    """

    text: str
    name: str
    origin: str
    split: str | None = None
    group: str = ""

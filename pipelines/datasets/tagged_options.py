"""What every reader of tagged sentences takes and gives: options and raw sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from pipelines.datasets.remarks import Remarks

DOCUMENT_MARKER = "-DOCSTART-"


@dataclass(frozen=True, kw_only=True)
class TaggedOptions:
    """How to read tagged sentences; an empty value means to find it out."""

    tag_field: str = ""
    """Of CoNLL-U, what holds the tag: a column such as xpos, or a key of MISC such as NER."""
    token_column: str = ""
    """Where the words are: the number of a column, from 1 or negative from the last; in jsonl and
    parquet a key; in a tfds: set a feature."""
    tag_column: str = ""
    """The same for the tags, or, in jsonl with texts, for the spans."""
    delimiter: str = ""
    """Of column files; empty means tabs in lines that have one, else white space."""
    scheme: Literal["auto", "bio", "iob1", "bioes", "none"] = "auto"
    """How tags write spans; none: tags are types; auto: found out from the tags."""
    encoding: str = "utf-8"
    """Of text files; a byte-order mark is skipped."""
    valid_file: str = ""
    """File of validation sentences, beside the source."""
    test_file: str = ""
    """File of test sentences, beside the source."""
    document_marker: str = ""
    """First word of the line that begins a document in column files; empty means -DOCSTART-."""
    seed: int = 17
    """Draws the split where the source has none."""


@dataclass(frozen=True)
class TaggedSentence:
    """The words of a sentence and their tags.

    Args:
        tokens: the words that carry tags, T of them.
        tags: one a word; of spans always valid BIO, whatever scheme was read.
        text: the sentence as written, where the source has it, else "".
        document: which document it is from, where known, else "".
        surfaces: the orthographic tokens in order, where some stand for several words (the lines
            n-m of CoNLL-U), else empty.
        parts: of how many words each of `surfaces` consists; adds up to T.
        place: file:line of the first word.
    """

    tokens: tuple[str, ...]
    tags: tuple[str, ...]
    text: str = ""
    document: str = ""
    surfaces: tuple[str, ...] = ()
    parts: tuple[int, ...] = ()
    place: str = ""


class RawSentence(NamedTuple):
    """A sentence before any check; an untagged word has the tag "".

    `lines` are the line of each word, or one line for all of them.
    """

    path: Path
    lines: Sequence[int]
    tokens: tuple[str, ...]
    tags: tuple[str, ...]
    text: str = ""
    document: str = ""
    surfaces: tuple[str, ...] = ()
    parts: tuple[int, ...] = ()
    split: str | None = None

    def place(self, position: int = 0) -> str:
        """Name file and line of a word."""
        return f"{self.path}:{self.lines[position if position < len(self.lines) else 0]}"


@dataclass(frozen=True)
class Reading:
    """What a reader of one file is given: the options, the kind of tags, where to remark.

    Args:
        options: of the user.
        spans: whether tags mark spans (a word without a tag is then outside), or stand alone.
        remarks: told of everything mended or skipped.
    """

    options: TaggedOptions
    spans: bool
    remarks: Remarks

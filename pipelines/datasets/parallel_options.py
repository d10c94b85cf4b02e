"""What every reader of text pairs takes and gives: options, raw pairs, pairs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, kw_only=True)
class ParallelOptions:
    """How to read pairs of a text and its translation; an empty value means to find it out."""

    source_language: str = "en"
    """Language to translate from: a code such as en, which also names files and columns."""
    target_language: str = "fr"
    """Language to translate into, by its code."""
    source_version: str = ""
    """Of a built-in set, which version of the source text; empty means the language's first."""
    target_version: str = ""
    """The same for the target text."""
    extra_versions: tuple[str, ...] = ()
    """Of a built-in set, further versions of either language to learn from: documents of the
    training split alone."""
    source_column: str = ""
    """Of tables, the column of the source text (in jsonl its key): its name, or number from 1."""
    target_column: str = ""
    """The same for the target text."""
    delimiter: str = ""
    """Of csv files; empty means that the first line tells it."""
    valid_file: str = ""
    """File of validation pairs, beside the source; of two text files both, separated by a comma."""
    test_file: str = ""
    """File of test pairs, as valid_file."""
    valid_share: float = 0.05
    """Share of the documents (of the distinct source texts where no documents are known) to set
    aside for validation, if the source brings no validation pairs."""
    test_share: float = 0.05
    """The same for the test."""
    max_length_ratio: float = 3.0
    """Pairs whose longer side has more than so many times the characters of the shorter are left
    out, if they also differ by more than 40 characters."""
    keep_identical: bool = False
    """Keep pairs whose sides are equal; else they are left out as untranslated."""
    encoding: str = ""
    """Of text files; empty means what the file says itself, else UTF-8."""
    seed: int = 17
    """Draws the split where the source has none."""


@dataclass(frozen=True)
class TextPair:
    """A text and its translation.

    Args:
        source: the text, without outer blanks or control characters, on one line.
        target: its translation, likewise.
        document: chapter or file it is from, where known, else "".
        origin: where it was read, such as "corpus.en:7" or "verses Gen 1:1".
    """

    source: str
    target: str
    document: str = ""
    origin: str = ""


class RawPair(NamedTuple):
    """A pair before any check; `split` is the one its file or row names.

    Every reader is `read_...(path or paths, options: ParallelOptions, remarks: Remarks) ->
    Iterator[RawPair]`. It yields pairs with an empty side as they are: they are counted later. What
    it leaves out itself (fuzzy entries, and the like) it tells to `remarks`.
    """

    source: str
    target: str
    document: str = ""
    origin: str = ""
    split: str | None = None

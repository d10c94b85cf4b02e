"""Read tagged sentences from text files: CoNLL-U, and columns as in the CoNLL shared tasks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from pipelines.datasets.readers import without_nul
from pipelines.datasets.tagged_options import DOCUMENT_MARKER, RawSentence, Reading
from pipelines.datasets.text_files import describe_missing, open_text, reading_errors
from pipelines.errors import DataError

MAX_SENTENCE_WORDS = 200_000  # a longer sentence is a file without blank lines
_COMMENT = re.compile(r"# +(?:new(?:doc|par)\b|[\w.:\[\]]+ *=)")
_DELIMITER_NAMES = {"tab": "\t", "\\t": "\t", "space": " ", "comma": ","}


def text_lines(path: Path, encoding: str) -> Iterator[tuple[int, str]]:
    """Yield number (from 1) and text of each line, without its end, be it LF, CR LF or CR.

    Raises:
        DataError: the file is absent, empty, binary, of another encoding, or holds a NUL.
    """
    if not path.is_file():
        raise DataError(describe_missing(path))
    if path.stat().st_size == 0:
        raise DataError(f"{path}: the file is empty; expected tagged sentences, one word a line")
    with reading_errors(path, encoding), open_text(path, encoding) as stream:
        for number, line in enumerate(without_nul(path, stream), start=1):
            yield number, line.rstrip("\r\n")


def is_blank(line: str) -> bool:
    """Tell whether a line ends a sentence: some files write blanks or a tab there."""
    return not line.strip(" \t")


def read_columns(path: Path, reading: Reading) -> Iterator[RawSentence]:
    """Yield the sentences of a file with one word a line, its tag in another column.

    Blank lines part sentences, a line that begins with the document marker parts documents, and
    lines such as `# sent_id = 3` are comments.

    Raises:
        DataError: a line has more or fewer columns than the first, an empty word or tag, or the
            file has one column only; the message names file and line.
    """
    options = reading.options
    marker = options.document_marker or DOCUMENT_MARKER
    columns = _Columns(path, reading)
    document, found = "", 0
    words: list[tuple[int, str, str]] = []
    for number, line in text_lines(path, options.encoding):
        starts_document = line.startswith(marker)
        if starts_document or is_blank(line):
            if words:
                yield _sentence(path, words, document)
                words = []
            if starts_document:
                found += 1
                document = f"{path.name}#{found}"
        elif not (_COMMENT.match(line) and "\t" not in line):
            token, tag = columns.word_and_tag(number, line)
            words.append((number, token, tag))
            check_length(path, words[0][0], len(words))
    if words:
        yield _sentence(path, words, document)


def _sentence(path: Path, words: list[tuple[int, str, str]], document: str) -> RawSentence:
    lines, tokens, tags = zip(*words, strict=True)
    return RawSentence(path, lines, tokens, tags, document=document)


def check_length(path: Path, line: int, words: int) -> None:
    """Refuse a sentence so long that blank lines must be missing."""
    if words > MAX_SENTENCE_WORDS:
        raise DataError(
            f"{path}:{line}: more than {MAX_SENTENCE_WORDS:,} words in the sentence that starts "
            "here; expected a blank line after each sentence; put them in"
        )


class _Columns:
    """Splits the lines of one file, all into as many columns as the first."""

    def __init__(self, path: Path, reading: Reading) -> None:
        self.path, self.options = path, reading.options
        given = self.options.delimiter
        self.delimiter = _DELIMITER_NAMES.get(given.lower(), given)
        self.width = self.first_line = self.token = self.tag = 0

    def word_and_tag(self, number: int, line: str) -> tuple[str, str]:
        fields = self._split(line)
        if not self.width:
            self._learn(number, line, fields)
        if len(fields) != self.width:
            raise self._ragged(number, line, len(fields))
        token, tag = fields[self.token], fields[self.tag]
        if not token or not tag:
            what = "tag" if token else "word"
            raise DataError(
                f"{self.path}:{number}: an empty {what} in column "
                f"{(self.tag if token else self.token) + 1}; the line reads {line[:60]!r}; "
                "expected a word and a tag; mend the line, or leave it blank to end a sentence"
            )
        return token, tag

    def _split(self, line: str) -> list[str]:
        if self.delimiter.strip(" "):
            return [field.strip(" ") for field in line.split(self.delimiter)]
        if "\t" in line and not self.delimiter:
            return [field.strip(" ") for field in line.split("\t")]
        # Not str.split(): a no-break space may stand inside a word.
        return re.split(r"[ \t]+", line.strip(" \t"))

    def _learn(self, number: int, line: str, fields: list[str]) -> None:
        self.width, self.first_line = len(fields), number
        if self.width == 1:
            guess = next((mark for mark in ",;|" if mark in line), "")
            remedy = (
                f"the line looks delimited: give --delimiter {guess!r} if it is a word and its tag"
                if guess
                else "give --delimiter"
            )
            raise DataError(
                f"{self.path}:{number}: one column only ({line[:60]!r}); expected a word and its "
                f"tag, separated by a tab or a blank; {remedy}"
            )
        self.token = self._column(self.options.token_column, 0, "token", fields)
        self.tag = self._column(self.options.tag_column, -1, "tag", fields)
        if self.token == self.tag:
            raise DataError(
                f"{self.path}: column {self.token + 1} for both words and tags; columns found: "
                f"{_numbered(fields)}; give --token-column and --tag-column"
            )

    def _column(self, wanted: str, default: int, what: str, fields: list[str]) -> int:
        try:
            number = int(wanted) if wanted else default + (default >= 0)
        except ValueError:
            number = 0
        if not 1 <= abs(number) <= self.width:
            raise DataError(
                f"{self.path}: no {what} column {wanted!r}; columns found: {_numbered(fields)}; "
                f"give --{what}-column one of their numbers, or -1 for the last"
            )
        return number - 1 if number > 0 else self.width + number

    def _ragged(self, number: int, line: str, found: int) -> DataError:
        if found == 1:
            remedy = "a tag is missing, or blank line and text were mixed up: mend the line"
        else:
            remedy = "a word may hold the delimiter: mend the line, or give --delimiter"
        return DataError(
            f"{self.path}:{number}: {found} column(s), expected {self.width} as in line "
            f"{self.first_line}; the line reads {line[:60]!r}; {remedy}"
        )


def _numbered(fields: list[str]) -> str:
    return ", ".join(f"{number} ({field[:20]!r})" for number, field in enumerate(fields, 1))

"""Read tagged sentences from CoNLL-U (universaldependencies.org/format.html) and CoNLL-U Plus.

Words are the syntactic words; of a multi-word token `n-m` the written form is kept beside them, and
empty nodes `n.m` are skipped.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipelines.datasets.tagged_files import check_length, is_blank, text_lines
from pipelines.datasets.tagged_options import RawSentence, Reading
from pipelines.errors import DataError, did_you_mean

COLUMNS = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")
ENTITY_KEYS = ("NER", "NE", "ner", "ne", "NamedEntity", "EntityTag")
_UNIVERSAL_TAG = re.compile(
    "ADJ|ADP|ADV|AUX|CCONJ|DET|INTJ|NOUN|NUM|PART|PRON|PROPN|PUNCT|SCONJ|SYM|VERB|X"
)
_WORD_ID = re.compile(r"(\d+)(?:([-.])(\d+))?")
_SENTENCE_NUMBER = re.compile(r"(.*\D)\d+[a-z]?", re.DOTALL)
_SENTENCE_WORD = re.compile(r"(?:[-_.:]+(?:p\d+)?s(?:ent)?)?[-_.:]*$", re.IGNORECASE)


def looks_like_conllu(lines: Iterator[tuple[int, str]]) -> bool:
    """Tell by the first word line: ten columns or more, the first of them word number 1."""
    for _, line in lines:
        if not is_blank(line) and not line.startswith("#"):
            fields = line.split("\t")
            return (
                len(fields) >= len(COLUMNS)
                and re.fullmatch(r"1(-\d+)?|0\.1", fields[0]) is not None
            )
    return False


def read_conllu(path: Path, reading: Reading) -> Iterator[RawSentence]:
    """Yield the sentences of a CoNLL-U file.

    Documents are those of the `# newdoc` lines if there are two or more, else what stands before
    the sentence's number in `# sent_id`.

    Raises:
        DataError: a line has not ten columns, word 1 stands inside a sentence, or no word has the
            tag field; the message names file and line.
    """
    encoding = reading.options.encoding
    by_newdoc = _has_two_documents(path, encoding)
    tags = _TagField(path, reading)
    newdoc, sentence = "", _Sentence(path, reading)
    for number, line in text_lines(path, encoding):
        if line.startswith("#"):
            key, _, value = (part.strip() for part in line[1:].partition("="))
            if key.split()[:1] == ["newdoc"]:
                newdoc = value or f"{path.name}:{number}"
            elif key == "global.columns":
                tags.columns = [name.split(":")[-1].lower() for name in value.split()]
            elif key == "text":
                sentence.text = value
            elif key == "sent_id":
                sentence.document = document_of(value)
        elif is_blank(line):
            if sentence.lines:
                yield sentence.finished(newdoc if by_newdoc else sentence.document or newdoc)
            sentence = _Sentence(path, reading)
        else:
            sentence.add(number, line, tags)
    if sentence.lines:
        yield sentence.finished(newdoc if by_newdoc else sentence.document or newdoc)
    tags.require_found()


def document_of(sentence_id: str) -> str:
    """Return what stands before the sentence's number: "A_DOC7_SENT003" gives "A_DOC7"."""
    found = _SENTENCE_NUMBER.fullmatch(sentence_id)
    return _SENTENCE_WORD.sub("", found[1]) if found else ""


def _has_two_documents(path: Path, encoding: str) -> bool:
    found = 0
    for _, line in text_lines(path, encoding):
        found += line.startswith("#") and line[1:].lstrip().startswith("newdoc")
        if found == 2:
            return True
    return False


class _TagField:
    """Finds the tag of a word among its fields."""

    def __init__(self, path: Path, reading: Reading) -> None:
        self.path, self.reading = path, reading
        self.columns: Sequence[str] = COLUMNS
        self.found = 0
        self.keys: Counter[str] = Counter()
        self.name = reading.options.tag_field

    def split(self, number: int, line: str) -> list[str]:
        """Return the fields of a line, one a column."""
        fields = line.split("\t")
        if len(fields) == len(self.columns):
            return fields
        # A surplus after the tenth column does no harm; a tab inside a word shifts the tags.
        if (
            self.columns is COLUMNS
            and len(fields) > len(COLUMNS)
            and _UNIVERSAL_TAG.fullmatch(fields[3])
        ):
            what = "line(s) with more than ten columns, the surplus not read"
            self.reading.remarks.add(what, f"{self.path}:{number}")
            return fields[: len(COLUMNS)]
        raise DataError(
            f"{self.path}:{number}: {len(fields)} column(s), expected {len(self.columns)} "
            f"separated by tabs ({', '.join(self.columns)}); the line reads {line[:60]!r}; mend "
            "the line" + ("" if "\t" in line else "; a blank line must be quite empty")
        )

    def of(self, fields: list[str]) -> str:
        """Return the tag of a word, "" if it has none."""
        if self.name.lower() in self.columns:
            value = fields[self.columns.index(self.name.lower())]
        elif self.name or self.reading.spans:
            value = self._in_misc(fields)
        else:
            value = fields[self.columns.index("upos")] if "upos" in self.columns else "_"
        self.found += value not in ("_", "")
        missing = "O" if self.reading.spans else ""
        return missing if value in ("_", "") else value

    def _in_misc(self, fields: list[str]) -> str:
        misc = fields[self.columns.index("misc")] if "misc" in self.columns else "_"
        for item in misc.split("|") if misc != "_" else ():
            key, _, value = item.partition("=")
            if not self.name and key in ENTITY_KEYS:
                self.name = key
            if key == self.name:
                return value
            if len(self.keys) < 1000:
                self.keys[key] += 1
        return "_"

    def require_found(self) -> None:
        """Refuse a file in which no word has a tag."""
        if self.found:
            return
        wanted = self.name or ("/".join(ENTITY_KEYS[:2]) if self.reading.spans else "upos")
        keys = [key for key, _ in self.keys.most_common(10)]
        raise DataError(
            f"{self.path}: no word has a tag in {wanted!r}{did_you_mean(wanted, keys)}; columns: "
            f"{', '.join(self.columns)}; keys in misc: {', '.join(keys) or 'none'}; give "
            "--tag-field one of them"
        )


class _Sentence:
    """A sentence while its lines are read."""

    def __init__(self, path: Path, reading: Reading) -> None:
        self.path, self.reading = path, reading
        self.text = self.document = ""
        self.lines: list[int] = []
        self.tokens: list[str] = []
        self.tags: list[str] = []
        self.surfaces: list[str] = []
        self.parts: list[int] = []
        self.misnumbered = ""  # place of the first word whose number does not follow
        self.covered = 0  # last word of the multi-word token being read

    def add(self, number: int, line: str, tags: _TagField) -> None:
        fields = tags.split(number, line)
        found = _WORD_ID.fullmatch(fields[0])
        if found is None:
            raise DataError(
                f"{self.path}:{number}: word number {fields[0][:20]!r}, expected 1, 2, 3, "
                "..., n-m or n.m; mend the line; comments begin with #"
            )
        first, mark, last = int(found[1]), found[2], int(found[3] or 0)
        if mark == ".":
            return
        if first == 1 and self.tokens:
            raise DataError(
                f"{self.path}:{number}: word number {fields[0]}, expected {len(self.tokens) + 1}; "
                "put a blank line before each sentence"
            )
        if first != len(self.tokens) + 1 or (mark and not max(first, self.covered + 1) <= last):
            self.misnumbered = self.misnumbered or f"{self.path}:{number}"
        if not fields[1].strip():
            raise DataError(f"{self.path}:{number}: an empty word in column 2; mend the line")
        if mark or first > self.covered:
            self.surfaces.append(fields[1])
            self.parts.append(last - first + 1 if mark else 1)
        if mark:
            self.covered = last
            return
        self.lines.append(number)
        self.tokens.append(fields[1])
        self.tags.append(tags.of(fields))
        check_length(self.path, self.lines[0], len(self.lines))

    def finished(self, document: str) -> RawSentence:
        if self.covered > len(self.tokens):
            self.misnumbered = self.misnumbered or f"{self.path}:{self.lines[-1]}"
        if self.misnumbered:
            what = "sentence(s) with words not numbered 1, 2, 3, ..., read in the order of lines"
            self.reading.remarks.add(what, self.misnumbered)
        # Numbers that are wrong do not tell which words a multi-word token stands for.
        several = not self.misnumbered and any(count > 1 for count in self.parts)
        return RawSentence(
            self.path,
            self.lines,
            tuple(self.tokens),
            tuple(self.tags),
            self.text,
            document,
            tuple(self.surfaces) if several else (),
            tuple(self.parts) if several else (),
        )

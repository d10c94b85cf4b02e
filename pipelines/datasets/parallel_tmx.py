"""Pairs in translation memories (TMX 1.4), read as a stream of any length."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from pipelines.datasets.parallel_languages import closest_code
from pipelines.datasets.parallel_options import ParallelOptions, RawPair
from pipelines.datasets.remarks import Remarks
from pipelines.datasets.text_files import describe_missing, open_bytes, reading_errors
from pipelines.errors import DataError

TMX = (".tmx",)
_BLOCK = 1 << 16
# Inline elements that hold codes of the formatting, not text; <hi> and <sub> hold text.
_CODES = ("bpt", "ept", "ph", "it", "ut")
_SHOWN = 12


@dataclass
class _Unit:
    """A translation unit: the line it starts on, and its segments by language."""

    line: int
    segments: dict[str, str] = field(default_factory=dict)


def read_tmx(path: Path, options: ParallelOptions, remarks: Remarks) -> Iterator[RawPair]:
    """Yield the pairs of a TMX file (also .gz) whose languages are those of the options.

    Codes fit by their main part, so that EN-US serves en. Tags inside a segment are left out with
    the codes they hold. A unit without one of the languages is left out and told to `remarks`.

    Args:
        path: the file.
        options: the languages; `encoding` where the file declares a wrong one.
        remarks: told of what is left out.

    Raises:
        DataError: the file is absent, no XML, no TMX, declares entities, or holds no unit of both
            languages; the message lists the languages there are.
    """
    if not path.is_file():
        raise DataError(describe_missing(path))
    wanted = (options.source_language, options.target_language)
    found: dict[str, int] = {}
    pairs = 0
    for unit in _units(path, options.encoding):
        for language in unit.segments:
            found[language] = found.get(language, 0) + 1
        place = f"{path}:{unit.line}"
        codes = [closest_code(unit.segments, language) for language in wanted]
        if codes[0] is None or codes[1] is None:
            remarks.add("unit(s) without one of the languages, left out", place)
            continue
        pairs += 1
        yield RawPair(unit.segments[codes[0]], unit.segments[codes[1]], "", place)
    if not pairs:
        raise _no_pairs(path, wanted, found)


def _no_pairs(path: Path, wanted: tuple[str, str], found: dict[str, int]) -> DataError:
    common = sorted(found, key=lambda code: -found[code])
    shown = ", ".join(f"{code} ({found[code]:,})" for code in common[:_SHOWN]) or "none"
    return DataError(
        f"{path}: no unit holds both {wanted[0]} and {wanted[1]}; languages found (units): "
        f"{shown}; give --source-language and --target-language two of them"
    )


def _units(path: Path, encoding: str) -> Iterator[_Unit]:
    """Yield the units as the parser completes them, a block of the file at a time."""
    reader = _Reader(path, encoding)
    with reading_errors(path, encoding or "utf-8"), open_bytes(path) as stream:
        while True:
            block = stream.read(_BLOCK)
            reader.feed(block)
            yield from reader.done
            reader.done.clear()
            if not block:
                return


class _Reader:
    """Collects units from the parser's events."""

    def __init__(self, path: Path, encoding: str) -> None:
        self.path, self.done = path, list[_Unit]()
        self._unit: _Unit | None = None
        self._language = ""
        self._text: list[str] | None = None
        self._codes = self._depth = 0
        self._parser = expat.ParserCreate(encoding or None)
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters
        # Entities that expand into each other can fill the memory; no TMX needs its own.
        self._parser.EntityDeclHandler = self._refuse_entity

    def feed(self, block: bytes) -> None:
        """Parse a block of bytes; an empty one ends the file."""
        try:
            self._parser.Parse(block, not block)
        except expat.ExpatError as error:
            what = expat.ErrorString(error.code)
            raise DataError(
                f"{self.path}:{error.lineno}: not valid XML: {what} at column {error.offset + 1}; "
                "expected TMX 1.4; export the memory again, or mend the line"
            ) from error
        except (LookupError, ValueError) as error:
            raise DataError(
                f"{self.path}: cannot be decoded ({error}); save it as UTF-8, or give --encoding"
            ) from error

    def _refuse_entity(self, name: str, *_: object) -> None:
        raise DataError(
            f"{self.path}:{self._parser.CurrentLineNumber}: declares the entity {name!r}; expected "
            "a TMX file without entities of its own, which could expand without end; export the "
            "memory again"
        )

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth == 1 and name != "tmx":
            raise DataError(
                f"{self.path}: the XML begins with <{name}>, expected <tmx>; give a TMX file"
            )
        if self._text is not None:
            # The text of a <sub> inside a code, such as a footnote's, is not of the sentence.
            self._codes += name in _CODES
        elif name == "tu":
            self._unit = _Unit(self._parser.CurrentLineNumber)
        elif name == "tuv":
            self._language = attributes.get("xml:lang") or attributes.get("lang", "")
        elif name == "seg" and self._unit is not None:
            self._text = []

    def _characters(self, text: str) -> None:
        if self._text is not None and not self._codes:
            self._text.append(text)

    def _end(self, name: str) -> None:
        self._depth -= 1
        if name == "seg" and self._text is not None and self._unit is not None:
            # The first of several variants of a language stands.
            self._unit.segments.setdefault(self._language, "".join(self._text))
            self._text = None
        elif self._text is not None:
            self._codes -= name in _CODES
        elif name == "tu" and self._unit is not None:
            self.done.append(self._unit)
            self._unit = None

"""Pairs in gettext catalogues (.po, .mo): messages of a program and their translations.

Babel reads the catalogues, one file at a time in memory.
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.datasets.parallel_languages import is_language, same_language
from pipelines.datasets.parallel_options import ParallelOptions, RawPair
from pipelines.datasets.readers import format_of
from pipelines.datasets.remarks import Remarks
from pipelines.datasets.text_files import (
    codec_name,
    describe_missing,
    open_bytes,
    open_text,
    reading_errors,
)
from pipelines.errors import DataError

if TYPE_CHECKING:
    from babel.messages.catalog import Catalog, Message

GETTEXT = (".po", ".mo")
_HEAD_BYTES = 16384
_CHARSET = re.compile(rb"charset=([\w.-]+)")
_LANGUAGE = re.compile(rb"^\"?Language:[ \t]*([A-Za-z]{2,3}(?:[_-][A-Za-z0-9]+)*)", re.MULTILINE)
# What Babel is strict about and no pair needs: dates and languages written in other ways.
_UNNEEDED_HEADER = re.compile(r'"(?:POT-Creation-Date|PO-Revision-Date|Language):')
_UNQUOTED = re.compile(r"\s*msg(?:id|id_plural|ctxt|str(?:\[\d+\])?)\s+[^\s\"]")
_RARE_ESCAPE = re.compile(r"(?<!\\)((?:\\\\)*)\\[abfv]")  # Babel would keep the letter
_UNNEEDED_COMPILED = re.compile(rb"^(?:POT-Creation-Date|PO-Revision-Date|Language):", re.MULTILINE)


def gettext_files(folder: Path, options: ParallelOptions) -> list[Path]:
    """Return the catalogues of the target language in a folder and those below, sorted.

    A catalogue's language is that of its header, else of its name (`fr.po`, `app.fr.po`), else of a
    folder above it (`fr/LC_MESSAGES/app.po`). A .mo beside a .po of the same name is left out.

    Raises:
        DataError: there are catalogues, but none of the target language.
    """
    files = sorted(it for it in folder.rglob("*") if it.suffix in GETTEXT and it.is_file())
    files = [it for it in files if it.suffix == ".po" or it.with_suffix(".po") not in files]
    languages = {it: catalogue_language(it, folder) for it in files}
    wanted = options.target_language
    chosen = [it for it, code in languages.items() if not code or same_language(code, wanted)]
    if files and not chosen:
        found = ", ".join(sorted(set(languages.values())))
        raise DataError(
            f"{folder}: {len(files)} gettext file(s), none into {wanted}; languages found: "
            f"{found}; give --target-language one of them"
        )
    return chosen


def catalogue_language(path: Path, top: Path | None = None) -> str:
    """Return the code of the language a catalogue translates into, "" if nothing says it."""
    header = _LANGUAGE.search(_head(path))
    if header is not None:
        return header[1].decode()
    folders = path.relative_to(top).parent.parts if top else ()
    names = [path.name.removesuffix(path.suffix).split(".")[-1], *reversed(folders)]
    return next((name for name in names if is_language(name)), "")


def _head(path: Path) -> bytes:
    """Return the bytes that hold the header."""
    with reading_errors(path, "utf-8"), open_bytes(path) as stream:
        if format_of(path) != ".mo":
            return stream.read(_HEAD_BYTES)
        content = stream.read()
    return content[_compiled_header(content)]


def _compiled_header(content: bytes) -> slice:
    """Return where a .mo file has its header: the translation of the empty text, its first.

    The file begins with magic number, version, count, and where the tables of lengths and offsets
    of texts and translations lie (gettext manual, "The Format of GNU MO Files").
    """
    order = "<" if content[:4] == b"\xde\x12\x04\x95" else ">"
    try:
        texts, translations = struct.unpack_from(f"{order}2I", content, 12)
        (text_length,) = struct.unpack_from(f"{order}I", content, texts)
        length, offset = struct.unpack_from(f"{order}2I", content, translations)
    except struct.error:
        return slice(0, 0)
    return slice(0, 0) if text_length else slice(offset, offset + length)


def read_gettext(path: Path, options: ParallelOptions, remarks: Remarks) -> Iterator[RawPair]:
    """Yield the translated messages of a .po or .mo file; the document is the file.

    Fuzzy, obsolete and untranslated messages are left out and told to `remarks`. Of a message with
    plural forms, the singular is paired with the first form and the plural with the last. The
    header is no message. The context (msgctxt) tells messages apart but is not part of the text.
    Of a .mo file, texts that depend on the system (with <PRIu64>) are not read.

    Args:
        path: the file.
        options: `encoding`, where the header does not say it; `source_language` is not checked, as
            no header names it.
        remarks: told of what is left out.

    Raises:
        DataError: the file is absent, damaged or not gettext; or of another target language.
    """
    if not path.is_file():
        raise DataError(describe_missing(path))
    language = catalogue_language(path)
    if language and not same_language(language, options.target_language):
        raise DataError(
            f"{path}: translates into {language}, expected {options.target_language}; give "
            f"--target-language {language}, or another file"
        )
    catalogue = _read_mo(path) if format_of(path) == ".mo" else _read_po(path, options)
    document = _document(path)
    for message in catalogue:
        yield from _pairs(message, path, document, remarks)
    for message in catalogue.obsolete.values():
        remarks.add("obsolete message(s), left out", f"{path}:{message.lineno}")


def _document(path: Path) -> str:
    """Name a catalogue by as much of its path as tells it from others, wherever they lie.

    That is its folder and name, or `shop/locale/fr/LC_MESSAGES/app.po`.
    """
    return "/".join(path.parts[-5 if path.parent.name == "LC_MESSAGES" else -2 :])


def _read_po(path: Path, options: ParallelOptions) -> Catalog:
    # Imported here: most pairs come in other formats.
    from babel.messages.pofile import PoFileError, read_po

    encoding = options.encoding or _charset(path)
    try:
        with reading_errors(path, encoding), open_text(path, encoding) as stream:
            return read_po(_needed_lines(stream, path), abort_invalid=True)
    except PoFileError as error:
        line = f"; the line reads {error.line[:60]!r}" if error.line else ""
        raise DataError(
            f"{path}:{error.lineno + 1}: not valid gettext: {str(error).rpartition(' on ')[0]}"
            f'{line}; expected msgid "..." and msgstr "..."; mend the message (msgfmt --check '
            "names what is wrong)"
        ) from error
    except (ValueError, IndexError, AssertionError) as error:
        raise DataError(
            f"{path}: not valid gettext ({error}); expected a header and messages of msgid and "
            "msgstr; mend the file (msgfmt --check names what is wrong)"
        ) from error


def _charset(path: Path) -> str:
    """Return the encoding that the header names; UTF-8 if it names none that exists."""
    found = _CHARSET.search(_head(path))
    try:
        return codec_name(found[1].decode()) if found else "utf-8"
    except DataError:  # "CHARSET" as in a template
        return "utf-8"


def _needed_lines(lines: Iterator[str], path: Path) -> Iterator[str]:
    """Blank out what Babel cannot read though gettext can; line numbers stay.

    Raises:
        DataError: a text has no quotes; Babel would take its first and last letter for them.
    """
    messages = 0
    for number, line in enumerate(lines, start=1):
        if _UNQUOTED.match(line):
            raise DataError(
                f"{path}:{number}: not valid gettext: a text without quotes; the line reads "
                f'{line[:60].strip()!r}; expected msgid "..." and msgstr "..."; mend the message '
                "(msgfmt --check names what is wrong)"
            )
        messages += line.startswith("msgid ")
        previous = line.startswith("#~|")
        unneeded = previous or (messages < 2 and _UNNEEDED_HEADER.match(line))
        yield "\n" if unneeded else _RARE_ESCAPE.sub(r"\1 ", line)


def _read_mo(path: Path) -> Catalog:
    from babel.messages.mofile import read_mo

    try:
        with reading_errors(path, "utf-8"), open_bytes(path) as stream:
            return read_mo(io.BytesIO(_with_plain_header(stream.read())))
    except (OSError, struct.error, ValueError, AssertionError) as error:
        raise DataError(
            f"{path}: not a readable .mo file ({error}); compile it again with msgfmt, or give the "
            ".po file"
        ) from error


def _with_plain_header(content: bytes) -> bytes:
    """Make a .mo file's header one that Babel reads, of the same length.

    Dates and the language get another name; bytes that are not ASCII, as in names of translators,
    become "?", as Babel decodes the header before it knows the encoding.
    """
    place = _compiled_header(content)
    header = _UNNEEDED_COMPILED.sub(lambda it: b"X" + it[0][1:], content[place])
    plain = bytes(byte if byte < 128 else ord("?") for byte in header)
    return content[: place.start] + plain + content[place.start + len(plain) :]


def _pairs(message: Message, path: Path, document: str, remarks: Remarks) -> Iterator[RawPair]:
    if not message.id:
        return
    place = f"{path}:{message.lineno}" if message.lineno else str(path)
    texts, translations = _forms(message.id), _forms(message.string or "")
    if not any(translations):
        remarks.add("untranslated message(s), left out", place)
    elif message.fuzzy:
        remarks.add("fuzzy message(s), left out", place)
    else:
        yield RawPair(texts[0], translations[0], document, place)
        if len(texts) > 1 and len(translations) > 1:
            yield RawPair(texts[1], translations[-1], document, place)


def _forms(text: str | Sequence[str]) -> Sequence[str]:
    return (text,) if isinstance(text, str) else text

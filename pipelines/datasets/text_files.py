"""Open text files and say plainly what is wrong with those that cannot be read as text."""

from __future__ import annotations

import codecs
import gzip
import io
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from pipelines.errors import DataError, did_you_mean

_BLOCK = 1 << 20
_MAGIC = {
    b"PK\x03\x04": "a zip archive or spreadsheet (.zip, .xlsx)",
    b"\x1f\x8b": "gzip-compressed; name it so that it ends in .gz",
    b"PAR1": "a parquet file; name it so that it ends in .parquet",
    b"\xd0\xcf\x11\xe0": "an old spreadsheet (.xls)",
    b"%PDF": "a PDF",
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"SQLite format 3": "an SQLite database",
}
_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def describe_missing(path: Path) -> str:
    """Say why there is no file to read at `path`, with the closest name in its folder."""
    if path.is_dir():
        return f"{path}: this is a folder, expected a file; give one of the files in it"
    parent = path.parent
    if not parent.is_dir():
        return f"{path}: no such file, nor its folder {parent}; check the path"
    names = [entry.name for entry in parent.iterdir()]
    return f"{path}: no such file{did_you_mean(path.name, names)}; check the path"


def open_bytes(path: Path) -> IO[bytes]:
    """Open a file for reading bytes, decompressing `.gz`."""
    if path.suffix.lower() == ".gz":
        return cast(IO[bytes], gzip.open(path, "rb"))
    return path.open("rb")


@contextmanager
def unzipped(path: Path) -> Iterator[IO[bytes]]:
    """Yield a seekable stream of the file's bytes; `.gz` goes through a temporary file."""
    if path.suffix.lower() != ".gz":
        with path.open("rb") as stream:
            yield stream
        return
    with tempfile.TemporaryFile() as plain, gzip.open(path, "rb") as packed:
        shutil.copyfileobj(packed, plain, _BLOCK)
        plain.seek(0)
        yield plain


def open_text(path: Path, encoding: str) -> IO[str]:
    """Open a text file (or `.gz`) with its line ends kept, after a look whether it is text.

    Raises:
        DataError: the first bytes are those of a binary format, or hold NUL bytes.
    """
    with open_bytes(path) as stream:
        _refuse_binary(path, stream.read(8192), encoding)
    name = "utf-8-sig" if codec_name(encoding) == "utf-8" else encoding
    return io.TextIOWrapper(open_bytes(path), encoding=name, newline="")


def codec_name(encoding: str) -> str:
    """Return Python's name of an encoding.

    Raises:
        DataError: there is none of that name.
    """
    try:
        return codecs.lookup(encoding).name
    except LookupError as error:
        known = ("utf-8", "latin-1", "cp1252", "utf-16", "gbk", "shift_jis", "big5", "euc_kr")
        raise DataError(
            f"unknown encoding {encoding!r}{did_you_mean(encoding, known)}; usual ones: "
            f"{', '.join(known)}; give --encoding"
        ) from error


def _refuse_binary(path: Path, head: bytes, encoding: str) -> None:
    for magic, what in _MAGIC.items():
        if head.startswith(magic):
            raise DataError(f"{path}: expected text, but this is {what}")
    if b"\0" not in head or codec_name(encoding).startswith(("utf-16", "utf-32")):
        return
    if head.startswith(_UTF16_MARKS):
        raise DataError(f"{path}: the text is UTF-16; give --encoding utf-16")
    raise DataError(
        f"{path}: expected text, but byte {head.index(0)} is NUL, as in a binary file; give a "
        "csv, tsv, jsonl or parquet file, or --encoding utf-16 if it is UTF-16 text"
    )


@contextmanager
def reading_errors(path: Path, encoding: str) -> Iterator[None]:
    """Turn wrong encoding, damaged compression and missing rights into a `DataError`."""
    try:
        yield
    except UnicodeError as error:
        raise wrong_encoding(path, encoding, error) from error
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(
            f"{path}: damaged or not gzip-compressed ({error}); copy it again, or drop .gz from "
            "its name"
        ) from error
    except PermissionError as error:
        raise DataError(f"{path}: no permission to read; change the file's rights") from error


def wrong_encoding(path: Path, encoding: str, error: UnicodeError) -> DataError:
    """Name the byte that is not of the encoding, the line it is on, and the option to give."""
    found = _first_bad_byte(path, encoding)
    if found is None:
        return DataError(f"{path}: not {encoding} text ({error}); give --encoding")
    offset, line, value = found
    remedy = "cp1252 or --encoding latin-1" if codec_name(encoding) == "utf-8" else "utf-8"
    return DataError(
        f"{path}:{line}: byte 0x{value:02x} at offset {offset} is not {encoding}; if the file is "
        f"in another encoding, give it, for example --encoding {remedy}"
    )


def _first_bad_byte(path: Path, encoding: str) -> tuple[int, int, int] | None:
    """Return (byte offset, line from 1, byte value) of the first undecodable byte."""
    decoder = codecs.getincrementaldecoder(encoding)()
    done, line = 0, 1
    with open_bytes(path) as stream:
        while True:
            block = stream.read(_BLOCK)
            pending = decoder.getstate()[0]
            try:
                decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                line += error.object[: error.start].count(b"\n")
                return done - len(pending) + error.start, line, error.object[error.start]
            if not block:
                return None
            done += len(block)
            line += block.count(b"\n")

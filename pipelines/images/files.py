"""Image files, and what is wrong with those that cannot be read; without TensorFlow."""

from __future__ import annotations

from pathlib import Path

from pipelines.datasets.text_files import describe_missing
from pipelines.errors import DataError

KNOWN = "PNG, JPEG, GIF, WebP or BMP"
_HEAD_BYTES = 16
_MAGIC = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF8", b"BM", b"RIFF")
# What a file turns out to be by its first bytes, or those from the fifth on.
_OTHERS = {
    b"II*\0": "a TIFF",
    b"MM\0*": "a TIFF",
    b"ftypavif": "an AVIF image",
    b"ftyphei": "a HEIC image",
    b"ftypmif1": "a HEIC image",
    b"\0\0\0\x0cJXL ": "a JPEG XL image",
    b"\xff\x0a": "a JPEG XL image",
    b"\0\0\x01\0": "an icon (.ico)",
    b"8BPS": "a Photoshop file",
    b"%PDF": "a PDF",
    b"PK\x03\x04": "a zip archive",
    b"\x1f\x8b": "gzip-compressed",
    b"<svg": "an SVG drawing",
    b"<?xml": "XML, such as an SVG drawing",
    b"<!DOCTYPE": "a web page, such as a server sends instead of a missing image",
    b"<html": "a web page, such as a server sends instead of a missing image",
    b"version https://git-lfs": "a pointer of Git LFS; fetch the image itself",
}


def read_file(path: str | Path) -> bytes:
    """Return the bytes of an image file.

    Raises:
        DataError: there is no such file, it is empty, or may not be read.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(describe_missing(path))
    try:
        contents = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror}); expected an image; check the file's rights"
        ) from error
    if not contents:
        raise DataError(f"{path}: the file is empty; expected {KNOWN}; copy it again or remove it")
    return contents


def describe_failure(path: str | Path, reason: str = "") -> str:
    """Say what a file is that could not be read as an image, what was expected, and a remedy.

    Args:
        path: the file.
        reason: what the decoder said, if it did.
    """
    try:
        contents = read_file(path)
    except DataError as error:
        return str(error)
    said = f" ({reason})" if reason else ""
    found = f"{len(contents):,} bytes that begin with {contents[:_HEAD_BYTES]!r}"
    other = _other_format(contents)
    if contents.startswith(_MAGIC):
        remedy = "it is damaged, cut off or of a rare kind: copy it again, or save it anew as PNG"
    elif other:
        remedy = f"it is {other}: save it as one of these, or remove it"
    else:
        remedy = "save it as one of these, or remove it"
    return f"{path}: cannot be read as an image{said}: found {found}; expected {KNOWN}; {remedy}"


def _other_format(contents: bytes) -> str:
    head = contents[:256].lstrip()
    starts = (head, contents[4:])
    return next(
        (name for magic, name in _OTHERS.items() for start in starts if start.startswith(magic)), ""
    )

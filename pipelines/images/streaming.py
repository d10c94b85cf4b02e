"""Image files to pixels in batches, one batch in memory at a time."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf

from pipelines.errors import DataError
from pipelines.images.files import describe_failure, read_file
from pipelines.images.reading import ImageReader

Pixels = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
Broken = Callable[[int, DataError], None]


def read_images(
    paths: Iterable[str | Path],
    reader: ImageReader,
    *,
    batch: int = 64,
    on_broken: Broken | None = None,
) -> Iterator[Pixels]:
    """Read files in their order, holding one batch at a time.

    Args:
        paths: image files; may be endless.
        reader: what turns bytes into pixels.
        batch: how many images come at once.
        on_broken: told the number (from 0) of every file that cannot be read, and why; its pixels
            are then the reader's background. Without it, the first such file ends the reading.

    Yields:
        uint8[b, S, S, 3], b as `batch` and less at the end.

    Raises:
        DataError: a file cannot be read and nobody is to be told.
    """
    done = 0
    for some in _in_batches(paths, batch):
        yield _read_batch(some, reader, done, on_broken)
        done += len(some)


def _in_batches(paths: Iterable[str | Path], size: int) -> Iterator[list[Path]]:
    some: list[Path] = []
    for path in paths:
        some.append(Path(path))
        if len(some) == size:
            yield some
            some = []
    if some:
        yield some


def _read_batch(
    paths: list[Path], reader: ImageReader, first: int, on_broken: Broken | None
) -> Pixels:
    """Read all at once, and only if that fails one by one, to learn which it was."""
    try:
        return np.asarray(reader([read_file(path) for path in paths]))
    except (DataError, tf.errors.OpError):
        pixels = np.empty((len(paths), reader.size, reader.size, 3), np.uint8)
        pixels[:] = reader.background
    for place, path in enumerate(paths):
        try:
            pixels[place] = _read_one(path, reader)
        except DataError as error:
            if on_broken is None:
                raise
            on_broken(first + place, error)
    return pixels


def _read_one(path: Path, reader: ImageReader) -> Pixels:
    contents = read_file(path)
    try:
        return np.asarray(reader([contents])[0])
    except tf.errors.OpError as error:
        raise DataError(describe_failure(path, _reason(error.message))) from error


def _reason(message: str) -> str:
    """Take the decoder's own words out of an error's text, which tells of the graph at length."""
    said = [line for line in message.splitlines() if line and not line.startswith(("  File", "\t"))]
    return re.sub(r"^assertion failed: \[(.*)\]$", r"\1", said[-1].strip()) if said else ""

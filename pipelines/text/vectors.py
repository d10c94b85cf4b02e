"""Pretrained word vectors in the text format of word2vec, GloVe and fastText; no TensorFlow."""

from __future__ import annotations

import gzip
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pipelines.errors import DataError
from pipelines.text.vocabulary import PAD, Vocabulary

_PLAIN_STD = 0.05  # spread of the drawn rows when no row was found to take it from


_HEADER = re.compile(r"\d+ (\d+)")


@dataclass(frozen=True, kw_only=True)
class Vectors:
    """Vectors for a vocabulary.

    Attributes:
        matrix: float32[V, D]; row i belongs to token i, and PAD's is zero.
        found: tokens whose vector is in the file.
        other_case: those of them found only in another case, as "Paris" for "paris".
        coverage: `found` as a fraction of the tokens that are not reserved.
        missing: the first tokens (of most frequent, at most 20) that were drawn at random.
        file_words: vectors in the file.
    """

    matrix: np.ndarray
    found: int
    other_case: int
    coverage: float
    missing: tuple[str, ...]
    file_words: int


@dataclass
class _Reading:
    """What one pass over the file collects."""

    exact: dict[int, np.ndarray] = field(default_factory=dict)
    any_case: dict[int, np.ndarray] = field(default_factory=dict)
    width: int = 0
    words: int = 0


def load_vectors(path: Path, vocabulary: Vocabulary, *, seed: int) -> Vectors:
    """Read the vectors of a vocabulary's tokens in one pass; other lines cost no memory.

    A line is a word and its numbers, separated by single spaces or tabs; the word may hold spaces.
    A first line "count dimension" gives the dimension, else the first vector does. Every line must
    have that many numbers; they are parsed for wanted words alone. A token that is absent takes the
    first vector of the same word in another case; one absent in every case is drawn from a normal
    distribution whose standard deviation per dimension is that of the rows found. The first of
    repeated words counts.

    Args:
        path: `.vec` or `.txt`, plain or gzipped (recognised by its content).
        vocabulary: the tokens to keep.
        seed: for the drawn rows.

    Raises:
        DataError: the file is absent, empty or unreadable, or a line has no numbers, a value that
            is not finite, or another dimension than the first; the message names the line.
    """
    reading = _read(Path(path), vocabulary)
    if not reading.width:
        raise DataError(
            f"no vectors in {path}: the file holds no line with a word and its numbers; expected "
            "word2vec, GloVe or fastText text format; binary .bin files have to be converted first"
        )
    return _assemble(reading, vocabulary, seed)


def _read(path: Path, vocabulary: Vocabulary) -> _Reading:
    same_word: dict[str, list[int]] = {}
    for index in range(len(vocabulary.reserved), len(vocabulary)):
        same_word.setdefault(vocabulary.tokens[index].lower(), []).append(index)
    reading = _Reading()
    for number, line in _lines(path):
        if number == 1 and (header := _HEADER.fullmatch(line)):
            reading.width = int(header[1])
            continue
        reading.width = reading.width or _first_width(line, path, number)
        word, values = _word_and_values(line, reading.width, path, number)
        reading.words += 1
        targets = same_word.get(word.lower())
        if targets is None:
            continue
        vector = _parse(values, path, number)
        for index in targets:
            known = reading.exact if vocabulary.tokens[index] == word else reading.any_case
            known.setdefault(index, vector)
    return reading


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (line number, line), unzipping a gzipped file."""
    number = 0
    try:
        with path.open("rb") as file:
            is_gzip = file.read(2) == b"\x1f\x8b"
        with gzip.open(path) if is_gzip else path.open("rb") as stream:
            for number, line in enumerate(stream, 1):
                # fastText files hold a few words cut in the middle of a character.
                yield number, line.decode(errors="replace").replace("\t", " ").rstrip(" \r\n")
    except (OSError, EOFError) as error:
        raise DataError(
            f"cannot read word vectors {path} after line {number}: {error}; expected a text file, "
            "plain or gzipped; download it again or correct --embeddings"
        ) from error


def _first_width(line: str, path: Path, number: int) -> int:
    """Tell the dimension from the first vector: the numbers at the end of its line."""
    values = line.split(" ")[1:]
    width = sum(1 for _ in itertools.takewhile(_is_number, reversed(values)))
    if not width:
        raise _malformed(path, number, "no number after the word", line)
    return width


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _word_and_values(line: str, width: int, path: Path, number: int) -> tuple[str, str]:
    spaces = line.count(" ")
    if spaces == width:
        word, _, values = line.partition(" ")
        return word, values
    parts = line.split(" ")
    if spaces < width or all(_is_number(part) for part in parts[1:]):
        found = f"{spaces} numbers, but {width} in the lines before"
        raise _malformed(path, number, found, line)
    return " ".join(parts[:-width]), " ".join(parts[-width:])


def _parse(values: str, path: Path, number: int) -> np.ndarray:
    try:
        vector = np.array(values.split(" "), np.float32)
    except ValueError as error:
        raise _malformed(path, number, str(error), values) from error
    if not np.isfinite(vector).all():
        raise _malformed(path, number, "a value that is not finite", values)
    return vector


def _malformed(path: Path, number: int, found: str, line: str) -> DataError:
    shown = line if len(line) <= 60 else line[:57] + "..."
    return DataError(
        f"{path}:{number}: {found} (line reads {shown!r}); expected a word and the same count of "
        "numbers on every line, separated by single spaces; repair the line or download the file "
        "again"
    )


def _assemble(reading: _Reading, vocabulary: Vocabulary, seed: int) -> Vectors:
    rows = {**reading.any_case, **reading.exact}
    found = np.array(sorted(rows), np.int64)
    values = np.array([rows[index] for index in found], np.float32).reshape(-1, reading.width)
    spread = (
        values.std(axis=0, dtype=np.float64)
        if len(found) > 1
        else np.full(reading.width, _PLAIN_STD)
    )
    drawn = np.random.default_rng(seed).normal(size=(len(vocabulary), reading.width))
    matrix = (drawn * spread).astype(np.float32)
    matrix[found] = values
    if vocabulary.reserved:
        matrix[PAD] = 0
    ordinary = range(len(vocabulary.reserved), len(vocabulary))
    missing = [vocabulary.tokens[index] for index in ordinary if index not in rows]
    return Vectors(
        matrix=matrix,
        found=len(found),
        other_case=len(found) - len(reading.exact),
        coverage=len(found) / max(1, len(ordinary)),
        missing=tuple(missing[:20]),
        file_words=reading.words,
    )


def vector_width(path: Path) -> int:
    """Return the dimensions of the vectors in a file, from its first line.

    Raises:
        DataError: the file is absent, empty or no vector file.
    """
    for number, line in _lines(path):
        header = _HEADER.fullmatch(line)
        return int(header[1]) if header else _first_width(line, path, number)
    raise _malformed(path, 1, "an empty file", "")

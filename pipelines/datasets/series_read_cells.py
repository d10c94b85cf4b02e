"""Turn the cells of a column into numbers or into the codes of words, a block at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.datasets.series_read_times import as_text
from pipelines.errors import DataError

Place = Callable[[int], str]
Values = npt.NDArray[np.float64]
Kind = Literal["", "number", "word"]
MAX_CATEGORIES = 50
MISSING = pa.array(["", "NA", "N/A", "n/a", "NaN", "nan", "null", "NULL", "?", "-", "<NA>", "#N/A"])
_NO_NUMBER = pa.array([*MISSING.to_pylist(), "None", "none"])  # "None" may be a word
_NUMBER = r"^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$|^[+-]?[Ii]nf(?:inity)?$"


def kind_of(cells: pa.Array, decimal: str = ".") -> Kind:
    """Tell what a sample of cells holds: numbers, words, or "" if nothing.

    At least half of the cells that are not missing must be numbers: the others are mistakes then,
    which the reader names, line by line.
    """
    if _is_numeric(cells.type):
        return "number"
    texts = as_text(cells)
    present = texts.filter(pc.invert(pc.is_in(texts, _NO_NUMBER)))
    if not len(present):
        return "word" if (pc.sum(pc.is_in(texts, MISSING)).as_py() or 0) < len(texts) else ""
    # A comma marks decimals or thousands: a number, though perhaps one to ask about.
    dotted = pc.replace_substring(_dotted(present, decimal), ",", "")
    numbers = pc.sum(pc.match_substring_regex(dotted, _NUMBER)).as_py()
    return "number" if 2 * numbers >= len(present) else "word"


def _is_numeric(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(
        types.is_integer(kind)
        or types.is_floating(kind)
        or types.is_decimal(kind)
        or types.is_boolean(kind)
    )


def _dotted(texts: pa.Array, decimal: str) -> pa.Array:
    return texts if decimal == "." else pc.replace_substring(texts, decimal, ".")


@dataclass
class Cells:
    """One column as it is read.

    Args:
        name: of the column.
        kind: what its cells are; "": decided by the first that are not missing.
        place: row -> file:line.
        decimal: mark before the decimals.
        fixed: words whose codes are known already; others are missing then, and counted.
        required: whether the user named it, so that it must not be left out.
        limit: most different words.
    """

    name: str
    kind: Kind
    place: Place
    decimal: str = "."
    fixed: tuple[str, ...] = ()
    required: bool = False
    limit: int = MAX_CATEGORIES
    words: dict[str, int] = field(default_factory=dict)
    unseen: dict[str, int] = field(default_factory=dict)
    dropped: str = ""
    _blocks: list[Values] = field(default_factory=list)
    _rows: int = 0

    def __post_init__(self) -> None:
        self.words = {word: code for code, word in enumerate(self.fixed)}

    def add(self, cells: pa.Array) -> None:
        """Take the next block of rows.

        Raises:
            DataError: a number cannot be read or is infinite, or a required column has too many
                different words.
        """
        self.kind = self.kind or kind_of(cells, self.decimal)
        if not self.dropped:
            self._blocks.append(self._words(cells) if self.kind == "word" else self._numbers(cells))
        self._rows += len(cells)

    def values(self) -> Values:
        """Return all rows as float64[N]: numbers, or codes; NaN is missing."""
        if len(self._blocks) != 1:
            self._blocks = [np.concatenate(self._blocks) if self._blocks else np.zeros(0)]
        return self._blocks[0]

    def free(self) -> None:
        """Forget the rows."""
        self._blocks = []

    def _numbers(self, cells: pa.Array) -> Values:
        values = self._cast(cells)
        infinite = np.isinf(values)
        if infinite.any():
            row = int(np.argmax(infinite))
            raise DataError(
                f"{self.place(self._rows + row)}: column {self.name!r} reads "
                f"{cells[row].as_py()!r}, an infinite value; expected a finite number; mend it, or "
                "leave the cell empty if the value is missing"
            )
        return values

    def _cast(self, cells: pa.Array) -> Values:
        if _is_numeric(cells.type):
            floats = pc.cast(cells, pa.float64(), safe=False)
            return np.array(pc.fill_null(floats, np.nan))
        if not (pa.types.is_string(cells.type) or pa.types.is_large_string(cells.type)):
            cells = as_text(cells)
        texts = pc.if_else(pc.is_in(cells, _NO_NUMBER), "nan", _dotted(cells, self.decimal))
        try:
            return np.array(pc.fill_null(pc.cast(texts, pa.float64()), np.nan))
        except pa.ArrowInvalid:
            return self._cast_trimmed(as_text(cells))

    def _cast_trimmed(self, texts: pa.Array) -> Values:
        """Read numbers with white space around them, or name the first cell that is none."""
        missing = pc.is_in(texts, _NO_NUMBER)
        dotted = pc.if_else(missing, "nan", _dotted(texts, self.decimal))
        try:
            return np.array(pc.cast(dotted, pa.float64()))
        except pa.ArrowInvalid:
            good = np.asarray(pc.or_(missing, pc.match_substring_regex(dotted, _NUMBER)))
            row = int(np.argmin(good))
            raise self._not_a_number(row, texts[row].as_py()) from None

    def _not_a_number(self, row: int, text: str) -> DataError:
        comma = "," in text and self.decimal == "."
        remedy = (
            "give --decimal , if the comma marks decimals, else write numbers without commas"
            if comma
            else "mend the cell, leave it empty if the value is missing, or leave the column out "
            "(--targets and --past-covariates name those to read)"
        )
        return DataError(
            f"{self.place(self._rows + row)}: column {self.name!r} reads {text[:40]!r}, expected a "
            f"number; {remedy}"
        )

    def _words(self, cells: pa.Array) -> Values:
        coded = as_text(cells).dictionary_encode()
        words = coded.dictionary.to_pylist()
        missing = set(MISSING.to_pylist())
        codes = np.full(len(words), np.nan)
        counts = np.bincount(np.asarray(coded.indices), minlength=len(words))
        for number, word in enumerate(words):
            if word in missing:
                continue
            if word not in self.words and self.fixed:
                self.unseen[word] = self.unseen.get(word, 0) + int(counts[number])
                continue
            codes[number] = self.words.setdefault(word, len(self.words))
        if len(self.words) > self.limit and not self.fixed:
            self._too_many()
        return codes[np.asarray(coded.indices)]

    def _too_many(self) -> None:
        if self.required:
            shown = ", ".join(repr(word) for word in list(self.words)[:3])
            raise DataError(
                f"{self.place(0)}: column {self.name!r} holds more than {self.limit} different "
                f"words ({shown}, ...); expected numbers, or at most {self.limit} words; leave it "
                "out, or give --series-column if it tells series apart"
            )
        self.dropped = f"more than {self.limit} different words"
        self._blocks, self.words = [], {}

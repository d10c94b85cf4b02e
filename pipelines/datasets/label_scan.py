"""One pass over labelled rows: check each, count what is left out, and remember only numbers."""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pipelines.datasets.labelled_rows import RawRow
from pipelines.datasets.placement import Placement, place_rows
from pipelines.datasets.readers import Value, is_missing
from pipelines.datasets.splits import SPLIT_NAMES, duplicate_key
from pipelines.errors import DataError, did_you_mean

LONG_TEXT_CHARACTERS = 100_000
MAX_LABELS = 10_000
_WHOLE_NUMBER = re.compile(r"[+-]?\d+\.0+")


@dataclass(frozen=True)
class LabelledText:
    """A text with its label, and the rating the label was made from where the set has one."""

    text: str
    label: str
    rating: float | None = None


class LabelScan:
    """What one pass over the rows learns: key, label code and split code of each kept row."""

    def __init__(self) -> None:
        self.dropped: Counter[str] = Counter()
        self.labels: dict[str, int] = {}
        self._codes: dict[Value, int] = {}
        self._keys, self._label_codes, self._splits = array("Q"), array("i"), array("b")
        self._first_seen: dict[tuple[int, int], str] = {}
        self._long: list[str] = []
        self._long_count = self._surrogates = 0

    def examples(self, rows: Iterator[RawRow], seed: int) -> Iterator[LabelledText]:
        """Yield the rows that have text and label, noting their keys on the way."""
        splits = {None: -1, "train": 0, "valid": 1, "test": 2}
        codes, readable, first_seen = self._codes, list(self.labels), self._first_seen
        for row in rows:
            text = row.text if isinstance(row.text, str) else self._as_text(row)
            if not text or text.isspace():
                self.dropped["empty text"] += 1
                continue
            code = codes.get(row.label, -1) if isinstance(row.label, Hashable) else -1
            if code < 0:
                code = self._new_label(row)
                if code < 0:
                    continue
                readable = list(self.labels)
            if len(text) > LONG_TEXT_CHARACTERS or not text.isascii():
                text = self._unusual(row, text)
            split = splits[row.split]
            if (split, code) not in first_seen:
                first_seen[split, code] = _place(row)
            self._keys.append(duplicate_key(text, seed))
            self._label_codes.append(code)
            self._splits.append(split)
            yield LabelledText(text, readable[code], row.rating)

    def _as_text(self, row: RawRow) -> str:
        if is_missing(row.text):
            return ""
        if isinstance(row.text, int | float):
            return readable_label(row.text)
        raise DataError(
            f"{_place(row)}: the text is a {type(row.text).__name__}, expected a string; choose "
            "another column with --text-column"
        )

    def _new_label(self, row: RawRow) -> int:
        """Return the code of a label value not met before, or -1 if it is missing."""
        if is_missing(row.label):
            reason = "rating 0" if row.rating == 0 else "missing label"
            self.dropped[reason] += 1
            return -1
        if not isinstance(row.label, str | int | float):
            raise DataError(
                f"{_place(row)}: the label is a {type(row.label).__name__}, expected a string or a "
                "number; choose another column with --label-column"
            )
        name = readable_label(row.label)
        code = self.labels.setdefault(name, len(self.labels))
        self._codes[row.label] = code
        if len(self.labels) > MAX_LABELS:
            raise DataError(
                f"{_place(row)}: more than {MAX_LABELS:,} different labels, the latest "
                f"{name[:40]!r}; expected classes; choose another column with --label-column"
            )
        return code

    def _unusual(self, row: RawRow, text: str) -> str:
        """Note an over-long text; replace half surrogate pairs, which no file can hold."""
        if len(text) > LONG_TEXT_CHARACTERS:
            self._long_count += 1
            if len(self._long) < 5:
                self._long.append(f"{_place(row)} ({len(text):,})")
        try:
            text.encode()
        except UnicodeEncodeError:
            self._surrogates += 1
            return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return text

    def notes(self) -> list[str]:
        """Return what is odd about rows that were kept."""
        notes = []
        if self._long_count:
            notes.append(
                f"{self._long_count} text(s) of more than {LONG_TEXT_CHARACTERS:,} characters, "
                f"kept: {', '.join(self._long)}"
            )
        if self._surrogates:
            notes.append(
                f"{self._surrogates} text(s) with half a surrogate pair, replaced by U+FFFD"
            )
        return notes

    @property
    def keys(self) -> np.ndarray:
        """`duplicate_key` of each kept row, uint64[N]."""
        return np.frombuffer(self._keys, np.uint64)

    def require_labels(self, known: Sequence[str], source: str) -> None:
        """Refuse rows with a label that a model does not know, and a source without rows.

        Raises:
            DataError: the message names file and line of the first such row.
        """
        if not self._keys:
            raise DataError(
                f"{source}: no labelled row (left out: {dict(self.dropped) or 'none'}); expected "
                "rows with text and label; check the file, or give --text-column and --label-column"
            )
        names = list(self.labels)
        for (_, code), place in self._first_seen.items():
            if names[code] not in known:
                raise DataError(
                    f"{place}: label {names[code]!r} is unknown to the model"
                    f"{did_you_mean(names[code], known)}; its labels: {', '.join(known)}; mend the "
                    "label, or give another --label-column"
                )

    def placement(self, source: str) -> Placement:
        """Return the rows of each split.

        Raises:
            DataError: no rows, one label only, a label training rows lack, or too few rows.
        """
        names = list(self.labels)
        if len(names) < 2:
            found = f"only the label {names[0]!r}" if names else "no labelled row"
            raise DataError(
                f"{source}: {found} among {len(self._keys) + self.dropped.total():,} rows (left "
                f"out: {dict(self.dropped) or 'none'}); expected two labels or more; check the "
                "rows, or give another --label-column"
            )
        return place_rows(
            source,
            names,
            keys=np.frombuffer(self._keys, np.uint64),
            labels=np.frombuffer(self._label_codes, np.int32),
            splits=np.frombuffer(self._splits, np.int8),
            first_seen=self._first_seen,
        )

    def label_counts(self, placement: Placement) -> dict[str, dict[str, int]]:
        """Return split -> label -> rows, labels in order of name."""
        codes = np.frombuffer(self._label_codes, np.int32)
        counts = {}
        for split, rows in zip(SPLIT_NAMES, placement.rows, strict=True):
            found = np.bincount(codes[rows], minlength=len(self.labels)).tolist()
            counts[split] = dict(sorted(zip(self.labels, found, strict=True)))
        return counts


def readable_label(value: str | int | float) -> str:
    """Write a label as a person would: 1.0 and "1.0" as "1"; other strings without outer blanks."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    text = str(value).strip()
    return text.split(".")[0] if _WHOLE_NUMBER.fullmatch(text) else text


def _place(row: RawRow) -> str:
    return f"{row.path}:{row.line}" if row.line else str(row.path)

"""Examples read once, split and kept in the cache, with a data card; or read whole to be scored."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import pyarrow as pa

from pipelines.datasets.locate import Found
from pipelines.datasets.placement import Keys
from pipelines.datasets.rows import Rows
from pipelines.datasets.splits import SPLIT_NAMES, DataCard, IntArray, Splits, first_rows
from pipelines.datasets.storage import new_folder
from pipelines.errors import DataError

E = TypeVar("E")
_ROWS, _SPLITS, _CARD, _EXTRA = "rows.arrow", "splits.npz", "card.json", "extra"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prepared:
    """What reading and splitting a source gave.

    Args:
        rows: row numbers of train, valid and test.
        label_counts: split -> label -> rows.
        dropped: reason -> rows left out.
        notes: what a reader of a score should know.
        extra: numbers of further rows to learn from, if there are such.
    """

    rows: tuple[IntArray, IntArray, IntArray]
    label_counts: Mapping[str, Mapping[str, int]]
    dropped: Mapping[str, int]
    notes: Sequence[str]
    extra: IntArray | None = None


@dataclass(frozen=True)
class Unsplit:
    """What reading a source without splitting it gave.

    Args:
        keys: equal for rows that count as one, uint64[N].
        dropped: reason -> rows left out.
        notes: what a reader of a score should know.
    """

    keys: Keys
    dropped: Mapping[str, int]
    notes: Sequence[str]


@dataclass(frozen=True)
class Preparation(Generic[E]):
    """Where examples come from, what they are, and where they are kept.

    Args:
        example_type: dataclass of an example.
        source: the `DATA=` given.
        found: what it means.
        fingerprint: of `fingerprint`.
        cache: folder of all prepared data.
    """

    example_type: type[E]
    source: str
    found: Found[Any]
    fingerprint: str
    cache: Path

    def load(self, read: Callable[[Path], Prepared], *, unit: str) -> Splits[E]:
        """Return the splits in the cache; where there are none, or damaged ones, make them.

        Args:
            read: stores the examples as `Rows` at a path, and splits them.
            unit: what an example is called in messages, such as "rows".

        Raises:
            DataError: as `read`, or the cache cannot be written.
        """
        folder = self.cache / f"{self.found.name[:60]}-{self.fingerprint}"
        splits = self._read_back(folder)
        if splits is None:
            with new_folder(folder) as partial:
                self._write(partial, read(partial / _ROWS))
            splits = self._read_back(folder)
        if splits is None:
            raise DataError(f"{folder}: prepared {unit} cannot be read back; delete the folder")
        files = dict(self.found.files)
        card = dataclasses.replace(splits.card, source=self.source, files=files)
        return dataclasses.replace(splits, card=card)

    def _read_back(self, folder: Path) -> Splits[E] | None:
        """Return prepared examples; None if there are none, or they are damaged."""
        try:
            card = DataCard.from_json(json.loads((folder / _CARD).read_text(encoding="utf-8")))
            with np.load(folder / _SPLITS) as stored:
                train, valid, test, extra = (
                    Rows(self.example_type, folder / _ROWS, stored[name])
                    if name in stored
                    else None
                    for name in (*SPLIT_NAMES, _EXTRA)
                )
        except (OSError, ValueError, KeyError, TypeError, pa.ArrowInvalid):
            return None
        if train is None or valid is None or test is None:
            return None
        return Splits(train, valid, test, card, extra)

    def _write(self, folder: Path, prepared: Prepared) -> None:
        """Write the splits and the card beside the rows."""
        train, valid, test = prepared.rows
        stored = {"train": train, "valid": valid, "test": test}
        if prepared.extra is not None:
            stored[_EXTRA] = prepared.extra
        np.savez(folder / _SPLITS, allow_pickle=False, **stored)
        card = self._card(
            counts={"train": len(train), "valid": len(valid), "test": len(test)},
            label_counts=prepared.label_counts,
            dropped=prepared.dropped,
            notes=prepared.notes,
        )
        content = json.dumps(card.to_json(), indent=1, ensure_ascii=False)
        (folder / _CARD).write_text(content, encoding="utf-8")
        counts, dropped = dict(card.counts), dict(card.dropped)
        _log.info("read %s: %s; left out: %s", self.source, counts, dropped or "none")

    def load_to_score(self, read: Callable[[Path], Unsplit], *, repeats: str) -> Splits[E]:
        """Read examples anew: each distinct one is in the test split; train and valid are empty.

        Args:
            read: stores the examples as `Rows` at a path.
            repeats: the reason under which repeated ones are counted.

        Raises:
            DataError: as `read`, or the cache cannot be written.
        """
        folder = self.cache / f"{self.found.name[:60]}-to-score-{self.fingerprint}"
        with new_folder(folder) as partial:
            unsplit = read(partial / _ROWS)
        rows = Rows(self.example_type, folder / _ROWS)
        distinct = first_rows(unsplit.keys)
        dropped = dict(unsplit.dropped)
        if len(distinct) < len(rows):
            dropped[repeats] = len(rows) - len(distinct)
        counts = {"test": len(distinct)}
        card = self._card(counts=counts, label_counts={}, dropped=dropped, notes=unsplit.notes)
        nothing = rows.select(np.zeros(0, np.int64))
        return Splits(nothing, nothing, rows.select(distinct), card)

    def _card(
        self,
        *,
        counts: Mapping[str, int],
        label_counts: Mapping[str, Mapping[str, int]],
        dropped: Mapping[str, int],
        notes: Sequence[str],
    ) -> DataCard:
        """Say where examples come from, and what was counted while reading them."""
        return DataCard(
            source=self.source,
            licence=self.found.licence,
            citation=self.found.citation,
            language=self.found.language,
            files=dict(self.found.files),
            counts=counts,
            label_counts=label_counts,
            dropped=dict(sorted(dropped.items())),
            notes=(*self.found.notes, *notes),
            fingerprint=self.fingerprint,
        )


def fingerprint(reader: Sequence[Any], options: Mapping[str, Any], found: Found[Any]) -> str:
    """Hash what examples depend on: reader, options, seed and contents, but not the files' paths.

    Args:
        reader: its version, and whatever else tells it from other readers.
        options: name -> value; `valid_file` and `test_file` are among the contents.
        found: the contents.

    Returns:
        16 hexadecimal digits.
    """
    settings = {**options, "valid_file": "", "test_file": ""}
    identity = [*reader, settings, found.layout, [*found.files.values()]]
    return hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:16]

"""Count documents, leave out repeats, and note what their placement needs while they are stored."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import numpy.typing as npt

from pipelines.datasets.document_copies import CopyFinder, merged
from pipelines.datasets.document_options import Document, DocumentOptions, RawDocument
from pipelines.datasets.document_placement import FEW_DOCUMENTS, cut_by_place
from pipelines.datasets.document_reading import LEFT_OUT
from pipelines.datasets.placement import Keys
from pipelines.datasets.remarks import Remarks
from pipelines.datasets.splits import SPLIT_NAMES, IntArray
from pipelines.errors import DataError

_UNPLACED = -1


class DocumentScan:
    """Passes documents on, and keeps a few numbers of each.

    Args:
        options: shares, and where to cut a lone document.
    """

    def __init__(self, options: DocumentOptions) -> None:
        self.options, self.remarks = options, Remarks()
        self._keys, self._sizes, self._splits = array("Q"), array("q"), array("b")
        self._groups: list[str] = []
        self._copies = CopyFinder()
        self._further: list[str] = []

    def documents(
        self,
        streams: Iterable[Callable[[Remarks], Iterator[RawDocument]]],
        *,
        whole: bool = False,
    ) -> Iterator[Document]:
        """Yield the documents to store, each distinct text once.

        Fewer than three are cut by place, unless they are to stay `whole` or have splits given.
        """
        held: list[RawDocument] | None = None if whole else []
        for raw in self._distinct(streams):
            if held is None or raw.split is not None:
                yield self._noted(raw)
                continue
            held.append(raw)
            if len(held) == FEW_DOCUMENTS:
                yield from map(self._noted, held)
                held = None
        yield from self._cut(held or [])

    def _distinct(
        self, streams: Iterable[Callable[[Remarks], Iterator[RawDocument]]]
    ) -> Iterator[RawDocument]:
        seen: set[int] = set()
        for raw in (raw for stream in streams for raw in stream(self.remarks)):
            key = _key(raw.text)
            if not raw.text.strip():
                self.remarks.add(f"{LEFT_OUT}empty", raw.origin)
            elif key in seen:
                self.remarks.add(f"{LEFT_OUT}duplicate", raw.origin)
            else:
                seen.add(key)
                yield raw

    def _noted(self, raw: RawDocument) -> Document:
        split = _UNPLACED if raw.split is None else SPLIT_NAMES.index(raw.split)
        self._note(raw.text, split, raw.group)
        self._copies.add(raw.text)
        return Document(raw.text, raw.name, raw.origin)

    def _note(self, text: str, split: int, group: str) -> None:
        self._keys.append(_key(text))
        self._sizes.append(len(text))
        self._splits.append(split)
        self._groups.append(group)

    def _cut(self, held: list[RawDocument]) -> Iterator[Document]:
        for raw in held:
            parts = cut_by_place(Document(raw.text, raw.name, raw.origin), self.options)
            for split, part in enumerate(parts):
                self._note(part.text, split, "")
                yield part
        if held:
            documents = "the document is" if len(held) == 1 else "both documents are"
            self._further.append(
                f"{documents} cut by place, since fewer than {FEW_DOCUMENTS} cannot be dealt out "
                "whole: first the training text, then valid, then test"
            )

    def sizes(self) -> npt.NDArray[np.int64]:
        """Return the characters of each stored document, int64[N]."""
        return np.frombuffer(self._sizes, np.int64)

    def keys(self) -> Keys:
        """Return a number of each stored document's text, uint64[N]."""
        return np.frombuffer(self._keys, np.uint64)

    def given(self) -> tuple[IntArray, IntArray, IntArray] | None:
        """Return the row numbers of train, valid and test, if they need not be drawn."""
        splits = np.frombuffer(self._splits, np.int8)
        if (splits == _UNPLACED).any():
            return None
        train, valid, test = (np.flatnonzero(splits == code) for code in range(3))
        return train, valid, test

    def groups(self) -> IntArray:
        """Return a number for each document, int64[N], equal for those that must share a split.

        Where near-copies make up so few groups that nothing can be drawn, each document is one.
        """
        groups = merged(self._copies.groups(), self._groups)
        _, sizes = np.unique(groups, return_counts=True)
        copies = int(sizes[sizes > 1].sum())
        weights = np.bincount(groups, weights=self.sizes())
        if len(sizes) < FEW_DOCUMENTS or (weights.max() > weights.sum() / 2 and copies):
            self._further.append(
                f"{copies:,} documents are near-copies of others: too many to keep in one split"
            )
            return np.arange(len(groups))
        if copies:
            self._further.append(
                f"{copies:,} documents are near-copies of others or share passages with them, in "
                f"{int((sizes > 1).sum()):,} group(s), each in one split"
            )
        return groups

    def dropped(self) -> dict[str, int]:
        """Return reason -> documents left out."""
        counts = self.remarks.counts.items()
        return {what.removeprefix(LEFT_OUT): it for what, it in counts if what.startswith(LEFT_OUT)}

    def notes(self) -> tuple[str, ...]:
        """Return one line for each thing counted or decided."""
        return (*self._further, *self.remarks.notes())

    def require_documents(self, source: str) -> None:
        """Refuse a source without text."""
        if not self._keys:
            raise DataError(
                f"{source}: no text: no document with a character other than white space (left "
                f"out: {self.dropped() or 'none'}); expected running text; give another file or "
                "folder"
            )


def _key(text: str) -> int:
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big")

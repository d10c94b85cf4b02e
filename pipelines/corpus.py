"""Encode once, read for ever: a corpus on disk.

A corpus is a folder of flat arrays. A ragged feature (tokens) is all rows' values end to end plus
row offsets; a windowed feature (the past week of a series) is slices of one length, which may
overlap, of a flat array; a shared feature (the image of several captions) is values that rows
point to; a row feature (a label) is one array. All are memory-mapped, so an epoch touches only the
rows of the batch at hand. NumPy only: training from a corpus needs no TensorFlow.
"""

from __future__ import annotations

import json
import mmap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from pipelines.errors import DataError

Batch = dict[str, np.ndarray]
MAPPED_AT_ONCE = 1 << 16  # bytes the system maps around a first read
MOST_MAPPED = 1 << 27  # bytes that may be mapped before they are given back
READ_ROWS = 1024  # rows between two looks at how much is mapped


@dataclass(frozen=True)
class Ragged:
    """Rows of unequal length, end to end: `values[sum(lengths), ...]` and `lengths[B]`."""

    values: np.ndarray
    lengths: np.ndarray

    @classmethod
    def of_ids(cls, values: Any, lengths: Any, largest: int) -> Ragged:
        """Store ids as uint16 when every id up to `largest` fits, else as int32: half the disk."""
        narrowest = np.uint16 if largest < 1 << 16 else np.int32
        return cls(np.asarray(values).astype(narrowest), np.asarray(lengths))


@dataclass(frozen=True)
class Windows:
    """Rows that are slices of a flat array: `values[starts[b] : starts[b] + length]`.

    Slices may overlap, so that a series of N steps has N windows at the cost of one copy.
    """

    values: np.ndarray
    starts: np.ndarray
    length: int


@dataclass(frozen=True)
class Shared:
    """Rows that point to values: row b is `values[places[b]]`; several rows may share one."""

    values: np.ndarray
    places: np.ndarray


Column = np.ndarray | Ragged | Windows | Shared
Chunk = Mapping[str, Column]


def merge_ragged(parts: Sequence[Ragged]) -> Ragged:
    """Put chunks of one ragged feature end to end."""
    values = np.concatenate([part.values for part in parts])
    return Ragged(values, np.concatenate([part.lengths for part in parts]))


class _Writer:
    """Appends one feature's values to a file, and keeps where its rows are."""

    def __init__(self, folder: Path, name: str, column: Column) -> None:
        values = _values(column)
        self._file: IO[bytes] = (folder / f"{name}.bin").open("wb")
        self._places = folder / f"{name}.places.npy"
        self._rows: list[np.ndarray] = []
        self._written = 0
        self.spec = {
            "kind": type(column).__name__.lower(),
            "dtype": values.dtype.str,
            "shape": list(values.shape[1:]),
            "length": column.length if isinstance(column, Windows) else None,
        }

    def append(self, column: Column) -> None:
        values = _values(column)
        self._file.write(np.ascontiguousarray(values).data)
        if isinstance(column, Ragged):
            self._rows.append(column.lengths.astype(np.int32))
        elif isinstance(column, Windows):
            self._rows.append(column.starts + self._written)
        elif isinstance(column, Shared):
            self._rows.append(column.places + self._written)
        self._written += len(values)

    def close(self) -> None:
        self._file.close()
        if self.spec["kind"] == "ragged":
            lengths = np.concatenate(self._rows)
            offsets = np.zeros(len(lengths) + 1, np.int64)
            np.cumsum(lengths, out=offsets[1:])
            np.save(self._places, offsets)
        elif self.spec["kind"] in ("windows", "shared"):
            np.save(self._places, np.concatenate(self._rows).astype(np.int64))


def _values(column: Column) -> np.ndarray:
    return column if isinstance(column, np.ndarray) else column.values


def write_corpus(folder: Path, chunks: Iterable[Chunk]) -> EncodedCorpus:
    """Append encoded chunks to flat files in `folder`, then return the corpus.

    Every chunk holds the same features: `Ragged`, `Windows` (of one length in all chunks; starts
    count from the chunk's first value), `Shared` (places likewise), or an array whose first axis is
    rows.
    """
    folder.mkdir(parents=True)
    writers: dict[str, _Writer] = {}
    for chunk in chunks:
        for name, column in chunk.items():
            if name not in writers:
                writers[name] = _Writer(folder, name, column)
            writers[name].append(column)
    for writer in writers.values():
        writer.close()
    specs = {name: writer.spec for name, writer in writers.items()}
    (folder / "features.json").write_text(json.dumps(specs))
    return EncodedCorpus(folder)


class EncodedCorpus:
    """A folder written by `write_corpus`, memory-mapped."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._features: dict[str, dict[str, Any]] = json.loads(
            (folder / "features.json").read_text()
        )
        if not self._features:
            raise DataError(f"{folder}: the encoded corpus is empty; at least one row is needed")
        self._maps = {name: _map(folder, name, spec) for name, spec in self._features.items()}
        self._places = {
            name: np.load(folder / f"{name}.places.npy", mmap_mode="r")
            for name, spec in self._features.items()
            if spec["kind"] != "ndarray"
        }
        self._touched = 0
        arrays = (*self._maps.values(), *self._places.values())
        self._size = sum(array.nbytes for array in arrays)

    def __len__(self) -> int:
        name, spec = next(iter(self._features.items()))
        if spec["kind"] == "ragged":
            return len(self._places[name]) - 1
        return len(self._maps[name] if spec["kind"] == "ndarray" else self._places[name])

    @property
    def names(self) -> list[str]:
        """Names of all features."""
        return list(self._features)

    @property
    def ragged_names(self) -> set[str]:
        """Names of features whose rows differ in length."""
        return {name for name, spec in self._features.items() if spec["kind"] == "ragged"}

    def lengths(self, name: str) -> np.ndarray:
        """Return the row lengths of a ragged or windowed feature, int32[N]."""
        places, length = self._places[name], self._features[name]["length"]
        if length is not None:
            return np.full(len(places), length, np.int32)
        return np.subtract(places[1:], places[:-1], dtype=np.int32, casting="same_kind")

    def column(self, name: str) -> np.ndarray:
        """Return a row feature as one array, [N, ...]."""
        return np.asarray(self._maps[name])

    def shared(self, name: str) -> Shared:
        """Return a shared feature whole, still on disk: its values, and each row's place."""
        return Shared(self._maps[name], self._places[name])

    def shared_values(self, name: str, places: np.ndarray) -> np.ndarray:
        """Return some values of a shared feature, [len(places), ...]."""
        return self._read_rows(name, places)

    def ragged(self, name: str) -> Ragged:
        """Return a ragged feature whole: all values and the row lengths."""
        return Ragged(np.asarray(self._maps[name]), self.lengths(name))

    def gather(self, rows: np.ndarray, names: Iterable[str] | None = None) -> Batch:
        """Return features of the given rows, all or some: ragged ones padded with 0, [B, T]."""
        wanted = list(self._features if names is None else names)
        return {name: self._gather_one(name, rows) for name in wanted}

    def _gather_one(self, name: str, rows: np.ndarray) -> np.ndarray:
        kind = self._features[name]["kind"]
        if kind == "ragged":
            return self._gather_ragged(name, rows)
        if kind == "windows":
            return self._gather_windows(name, rows)
        return self._read_rows(name, self._places[name][rows] if kind == "shared" else rows)

    def _read_rows(self, name: str, rows: np.ndarray) -> np.ndarray:
        values = self._maps[name]
        self._forget_now_and_then(len(rows) * (1 + values[:1].nbytes // MAPPED_AT_ONCE))
        return np.asarray(values[rows])

    def _gather_windows(self, name: str, rows: np.ndarray) -> np.ndarray:
        flat, length = np.asarray(self._maps[name]), self._features[name]["length"]
        self._forget_now_and_then(2 * len(rows))
        # One line a possible window, overlapping in memory: a window is then one copy, not T.
        windows = as_strided(
            flat,
            (len(flat) - length + 1, length * int(np.prod(flat.shape[1:]))),
            (flat.strides[0], flat.itemsize),
            writeable=False,
        )
        return windows[self._places[name][rows]].reshape(-1, length, *flat.shape[1:])

    def _gather_ragged(self, name: str, rows: np.ndarray) -> np.ndarray:
        values = self._maps[name]
        starts, stops = self._places[name][rows], self._places[name][rows + 1]
        lengths = stops - starts
        steps = np.arange(max(1, int(lengths.max(initial=0))))
        padded = np.zeros((len(rows), len(steps), *values.shape[1:]), _signed(values.dtype))
        for first in range(0, len(rows), READ_ROWS):
            block = slice(first, first + READ_ROWS)
            real = steps < lengths[block, None]
            padded[block][real] = values[(starts[block, None] + steps)[real]]
            self._forget_now_and_then(2 * len(real))
        return padded

    def _forget_now_and_then(self, reads: int) -> None:
        """Give mapped pages back, or a pass over a large corpus would count as resident memory."""
        self._touched += reads * MAPPED_AT_ONCE
        if self._touched < MOST_MAPPED or self._size < MOST_MAPPED:
            return
        self._touched = 0
        for array in (*self._maps.values(), *self._places.values()):
            mapped = getattr(array, "_mmap", None)  # NumPy's own name for the mapping
            if mapped is not None:
                mapped.madvise(mmap.MADV_DONTNEED)


def _map(folder: Path, name: str, spec: Mapping[str, Any]) -> np.ndarray:
    path, dtype, shape = folder / f"{name}.bin", spec["dtype"], spec["shape"]
    if path.stat().st_size == 0:  # an empty file cannot be mapped
        return np.zeros((0, *shape), dtype)
    flat = np.memmap(path, dtype, mode="r")
    return flat.reshape(-1, *shape) if shape else flat


def _signed(dtype: np.dtype) -> np.dtype:
    """Ids are stored as narrowly as possible; models take int32."""
    return np.dtype(np.int32) if dtype.kind in "ui" else dtype

"""Encode once, read for ever: a corpus on disk, and length-bucketed batches over it.

A corpus is a folder of flat arrays. A ragged feature (tokens) is all rows' values end to end plus
row offsets; a row feature (a label) is one array. Both are memory-mapped, so an epoch touches only
the rows of the batch at hand. NumPy only: training from a corpus needs no TensorFlow.
"""

from __future__ import annotations

import copy
import json
import mmap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipelines.errors import DataError

Batch = dict[str, np.ndarray]
RESIDENT_BYTES = 1 << 28  # mapped pages read before they are given back
MAPPED_AT_ONCE = 1 << 16  # bytes the system maps around a first read
MOST_MAPPED = 1 << 27  # bytes that may be mapped before they are given back
READ_ROWS = 1024  # rows between two looks at how much is mapped
LENGTH_STEP = 4  # lengths are rounded up to this before sorting, so that shuffling has room


@dataclass(frozen=True)
class Ragged:
    """Rows of unequal length, end to end: `values[sum(lengths), ...]` and `lengths[B]`."""

    values: np.ndarray
    lengths: np.ndarray


Chunk = Mapping[str, "np.ndarray | Ragged"]


def merge_ragged(parts: Sequence[Ragged]) -> Ragged:
    """Put chunks of one ragged feature end to end."""
    values = np.concatenate([part.values for part in parts])
    return Ragged(values, np.concatenate([part.lengths for part in parts]))


def write_corpus(folder: Path, chunks: Iterable[Chunk]) -> EncodedCorpus:
    """Append encoded chunks to flat files in `folder`, then return the corpus.

    Every chunk holds the same features: `Ragged`, or an array whose first axis is rows.
    """
    folder.mkdir(parents=True)
    features: dict[str, dict[str, object]] = {}
    files: dict[str, object] = {}
    lengths: dict[str, list[np.ndarray]] = {}
    for chunk in chunks:
        for name, column in chunk.items():
            values = column.values if isinstance(column, Ragged) else column
            if name not in files:
                files[name] = (folder / f"{name}.bin").open("wb")
                features[name] = {
                    "dtype": values.dtype.str,
                    "shape": list(values.shape[1:]),
                    "ragged": isinstance(column, Ragged),
                }
            files[name].write(np.ascontiguousarray(values).data)  # type: ignore[attr-defined]
            if isinstance(column, Ragged):
                lengths.setdefault(name, []).append(column.lengths.astype(np.int32))
    for name, handle in files.items():
        handle.close()  # type: ignore[attr-defined]
        if name in lengths:
            rows = np.concatenate(lengths[name])
            offsets = np.zeros(len(rows) + 1, np.int64)
            np.cumsum(rows, out=offsets[1:])
            np.save(folder / f"{name}.offsets.npy", offsets)
    (folder / "features.json").write_text(json.dumps(features))
    return EncodedCorpus(folder)


class EncodedCorpus:
    """A folder written by `write_corpus`, memory-mapped."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._features = json.loads((folder / "features.json").read_text())
        if not self._features:
            raise DataError(f"{folder}: the encoded corpus is empty; at least one row is needed")
        self._maps = {name: _map(folder, name, **spec) for name, spec in self._features.items()}
        self._offsets = {
            name: np.load(folder / f"{name}.offsets.npy", mmap_mode="r")
            for name, spec in self._features.items()
            if spec["ragged"]
        }
        self._touched = 0
        arrays = (*self._maps.values(), *self._offsets.values())
        self._size = sum(array.nbytes for array in arrays)

    def __len__(self) -> int:
        for offsets in self._offsets.values():
            return len(offsets) - 1
        return len(next(iter(self._maps.values())))

    @property
    def names(self) -> list[str]:
        """Names of all features."""
        return list(self._features)

    def lengths(self, name: str) -> np.ndarray:
        """Return the row lengths of a ragged feature, int32[N]."""
        offsets = self._offsets[name]
        return np.subtract(offsets[1:], offsets[:-1], dtype=np.int32, casting="same_kind")

    def column(self, name: str) -> np.ndarray:
        """Return a row feature as one array, [N, ...]."""
        return np.asarray(self._maps[name])

    def ragged(self, name: str) -> Ragged:
        """Return a ragged feature whole: all values and the row lengths."""
        return Ragged(np.asarray(self._maps[name]), self.lengths(name))

    def gather(self, rows: np.ndarray, names: Iterable[str] | None = None) -> Batch:
        """Return features of the given rows, all or some: ragged ones padded with 0, [B, T]."""
        wanted = list(self._features if names is None else names)
        return {name: self._gather_one(name, rows) for name in wanted}

    def _gather_one(self, name: str, rows: np.ndarray) -> np.ndarray:
        values = self._maps[name]
        if name not in self._offsets:
            self._forget_now_and_then(len(rows))
            return np.asarray(values[rows])
        starts, stops = self._offsets[name][rows], self._offsets[name][rows + 1]
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
        for array in (*self._maps.values(), *self._offsets.values()):
            mapped = getattr(array, "_mmap", None)  # NumPy's own name for the mapping
            if mapped is not None:
                mapped.madvise(mmap.MADV_DONTNEED)


def _map(folder: Path, name: str, dtype: str, shape: list[int], ragged: bool) -> np.ndarray:
    del ragged
    path = folder / f"{name}.bin"
    if path.stat().st_size == 0:  # an empty file cannot be mapped
        return np.zeros((0, *shape), dtype)
    flat = np.memmap(path, dtype, mode="r")
    return flat.reshape(-1, *shape) if shape else flat


def _signed(dtype: np.dtype) -> np.dtype:
    """Ids are stored as narrowly as possible; models take int32."""
    return np.dtype(np.int32) if dtype.kind in "ui" else dtype


def narrowest(values: np.ndarray, largest: int) -> np.ndarray:
    """Return ids as uint16 when every id up to `largest` fits, else int32: half the disk."""
    return values.astype(np.uint16 if largest < 1 << 16 else np.int32)


def plan_batches(
    lengths: np.ndarray, batch_tokens: int, *, rng: np.random.Generator | None
) -> list[np.ndarray]:
    """Cut rows into batches of similar length with at most `batch_tokens` padded tokens.

    Args:
        lengths: tokens of every row, int[N]. A row longer than the budget is a batch by itself.
        batch_tokens: rows × longest row of a batch stay at or below this.
        rng: shuffles rows of similar length among batches, and the batches; None keeps the
            order by length, for evaluation.

    Returns:
        Row numbers of each batch; every row is in exactly one.
    """
    if not len(lengths):
        return []
    order = _by_length(-(-lengths // LENGTH_STEP), rng)
    padded = -(-np.maximum(lengths[order], 1) // LENGTH_STEP) * LENGTH_STEP
    batches, start = [], 0
    while start < len(order):
        most = max(1, batch_tokens // int(padded[start]))
        last = min(start + most, len(order)) - 1
        stop = start + max(1, min(last - start + 1, batch_tokens // int(padded[last])))
        batches.append(order[start:stop])
        start = stop
    if rng is not None:
        rng.shuffle(batches)
    return batches


def _by_length(rounded: np.ndarray, rng: np.random.Generator | None) -> np.ndarray:
    """Return row numbers by rounded length, int32[N]; rows of one length as they come, or drawn."""
    # Narrow integers: sorted in linear time, and with many rows these arrays are what memory holds.
    keys = rounded.astype(np.uint16 if rounded.max() < 1 << 16 else np.int32)
    if rng is None:
        return np.argsort(keys, kind="stable").astype(np.int32)
    drawn = np.empty(len(keys), np.int32)
    drawn[rng.permutation(np.arange(len(keys), dtype=np.int32))] = np.arange(len(keys))
    return drawn[np.argsort(keys[drawn], kind="stable")]


class Batches:
    """All batches of an epoch, the same for the same seed and epoch.

    Yields `(inputs, targets, weights)` as `fit` takes them; `weights` is explicit, float32[B].
    """

    def __init__(
        self,
        corpus: EncodedCorpus,
        *,
        length_of: str,
        inputs: tuple[str, ...],
        target: str,
        batch_tokens: int,
        seed: int | None,
    ) -> None:
        self.corpus, self.inputs, self.target = corpus, inputs, target
        self.lengths = corpus.lengths(length_of)
        self._budget, self._seed = batch_tokens, seed
        self.tokens = int(self.lengths.sum(dtype=np.int64))

    def epoch(self, number: int, start: int = 0) -> EpochPlan:
        """Return epoch `number` from its batch `start` on; without a seed all epochs are alike."""
        rng = None if self._seed is None else np.random.default_rng((self._seed, number))
        return EpochPlan(self, plan_batches(self.lengths, self._budget, rng=rng)[start:])

    def __len__(self) -> int:
        return len(plan_batches(self.lengths, self._budget, rng=None))

    def with_inputs(self, names: Iterable[str]) -> Batches:
        """Return the same batches with other features as inputs."""
        other = copy.copy(self)
        other.inputs = tuple(names)
        return other

    def load(self, rows: np.ndarray) -> tuple[Batch, np.ndarray, np.ndarray]:
        """Read one batch: inputs by name, targets, and weights float32[B]."""
        weighted = ("weight",) if "weight" in self.corpus.names else ()
        columns = self.corpus.gather(rows, {*self.inputs, self.target, *weighted})
        weights = columns.get("weight", np.ones(len(rows), np.float32))
        return {name: columns[name] for name in self.inputs}, columns[self.target], weights


@dataclass(frozen=True)
class EpochPlan:
    """The batches of one epoch, in order."""

    batches: Batches
    rows: list[np.ndarray]

    @property
    def token_counts(self) -> np.ndarray:
        """Real tokens of each batch, int64."""
        return np.array(
            [self.batches.lengths[rows].sum(dtype=np.int64) for rows in self.rows], np.int64
        )

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[Batch, np.ndarray, np.ndarray]:
        return self.batches.load(self.rows[index])

    def __iter__(self) -> Iterator[tuple[Batch, np.ndarray, np.ndarray]]:
        return (self.batches.load(rows) for rows in self.rows)

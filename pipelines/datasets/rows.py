"""A sequence of examples that lives on disk, so that memory does not grow with the corpus.

An example is a frozen dataclass; its fields become Arrow columns. Rows are read a chunk at a time
from an uncompressed Arrow IPC file (or from memory, for small data and tests). A selection of rows
is a view: it holds sorted row numbers and shares the file.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from functools import lru_cache
from pathlib import Path
from typing import Any, Generic, TypeVar, overload

import numpy as np
import pyarrow as pa

E = TypeVar("E")
CHUNK_ROWS = 4096  # rows per record batch at most: a few hundred kB of text, the unit of reading
CHUNK_CHARACTERS = 1 << 24  # and at most so much text, for rows as long as a book

_ARROW_TYPES: dict[Any, pa.DataType] = {
    str: pa.string(),
    int: pa.int64(),
    float: pa.float64(),
    bool: pa.bool_(),
    bytes: pa.binary(),
}


def arrow_schema(example_type: type) -> pa.Schema:
    """Derive the Arrow schema of a dataclass from its annotations.

    Supported: str, int, float, bool, bytes, `T | None`, and homogeneous tuples `tuple[T, ...]`.

    Raises:
        TypeError: a field has another type.
    """
    hints = typing.get_type_hints(example_type)
    return pa.schema(
        [(field.name, _arrow_type(hints[field.name])) for field in fields(example_type)]
    )


def _arrow_type(hint: Any) -> pa.DataType:
    if isinstance(hint, types.UnionType):
        (hint,) = (part for part in typing.get_args(hint) if part is not types.NoneType)
    if typing.get_origin(hint) is tuple:
        return pa.list_(_arrow_type(typing.get_args(hint)[0]))
    if hint not in _ARROW_TYPES:
        raise TypeError(f"example field of type {hint!r} has no Arrow type; known: {_ARROW_TYPES}")
    return _ARROW_TYPES[hint]


class Rows(Sequence[E], Generic[E]):
    """Examples of one dataclass, backed by an Arrow file or buffer.

    Iteration and `chunks` read each stored chunk once; `rows[i]` is for occasional looks.
    """

    def __init__(
        self, example_type: type[E], source: Path | pa.Buffer, indices: np.ndarray | None = None
    ) -> None:
        self.example_type = example_type
        self._source = source
        stream = (
            pa.BufferReader(source) if isinstance(source, pa.Buffer) else pa.OSFile(str(source))
        )
        self._reader = pa.ipc.open_file(stream)
        self._starts = np.cumsum([0, *self._chunk_sizes()])
        self._indices = indices
        hints = typing.get_type_hints(example_type)
        self._tuples = {
            field.name
            for field in fields(example_type)  # type: ignore[arg-type]
            if typing.get_origin(hints[field.name]) is tuple
        }
        self._chunk = lru_cache(maxsize=4)(self._read_chunk)

    @classmethod
    def of(cls, example_type: type[E], examples: Iterable[E], path: Path | None = None) -> Rows[E]:
        """Store examples at `path` (or in memory), a chunk at a time, and return them."""
        sink = pa.BufferOutputStream() if path is None else pa.OSFile(str(path), "wb")
        schema = arrow_schema(example_type)
        with pa.ipc.new_file(sink, schema) as writer:
            for batch in _in_chunks(examples, CHUNK_ROWS, CHUNK_CHARACTERS):
                columns = [
                    pa.array([getattr(row, name) for row in batch], schema.field(name).type)
                    for name in schema.names
                ]
                writer.write_batch(pa.record_batch(columns, schema=schema))
        if path is None:
            return cls(example_type, sink.getvalue())
        sink.close()
        return cls(example_type, path)

    def _chunk_sizes(self) -> list[int]:
        """Rows per stored chunk; a memory map tells them without reading the chunks."""
        if isinstance(self._source, pa.Buffer):
            return _batch_sizes(self._reader)
        with pa.memory_map(str(self._source)) as mapped:
            return _batch_sizes(pa.ipc.open_file(mapped))

    def _read_chunk(self, number: int) -> list[E]:
        columns = self._reader.get_batch(number).to_pydict()
        for name in self._tuples:
            columns[name] = [None if value is None else tuple(value) for value in columns[name]]
        names = list(columns)
        return [
            self.example_type(**dict(zip(names, values, strict=True)))
            for values in zip(*columns.values(), strict=True)
        ]

    def __len__(self) -> int:
        return int(self._starts[-1]) if self._indices is None else len(self._indices)

    @overload
    def __getitem__(self, index: int) -> E: ...
    @overload
    def __getitem__(self, index: slice) -> Rows[E]: ...
    def __getitem__(self, index: int | slice) -> E | Rows[E]:
        if isinstance(index, slice):
            return self.select(np.arange(len(self))[index])
        if not -len(self) <= index < len(self):
            raise IndexError(f"row {index} of {len(self)}")
        index %= len(self)
        stored = index if self._indices is None else int(self._indices[index])
        chunk = int(np.searchsorted(self._starts, stored, side="right")) - 1
        return self._chunk(chunk)[stored - int(self._starts[chunk])]

    def __iter__(self) -> Iterator[E]:
        for number, offsets in self._plan():
            rows = self._chunk(number)
            yield from rows if offsets is None else (rows[offset] for offset in offsets)

    def _plan(self) -> Iterator[tuple[int, list[int] | None]]:
        """Yield (chunk number, offsets within it) in order; None stands for the whole chunk."""
        count = self._reader.num_record_batches
        if self._indices is None:
            yield from ((number, None) for number in range(count))
            return
        edges = np.searchsorted(self._indices, self._starts)
        for number in range(count):
            inside = self._indices[edges[number] : edges[number + 1]]
            if len(inside):
                yield number, (inside - self._starts[number]).tolist()

    def chunks(self, size: int = CHUNK_ROWS) -> Iterator[list[E]]:
        """Yield consecutive lists of at most `size` examples; only one is in memory at a time."""
        return _in_chunks(self, size)

    def select(self, indices: np.ndarray) -> Rows[E]:
        """Return a view of the given row numbers (of this view), kept in stored order."""
        indices = np.sort(np.asarray(indices, np.int64))
        stored = indices if self._indices is None else self._indices[indices]
        return Rows(self.example_type, self._source, stored)


def evenly(rows: Rows[E], most: int) -> Rows[E]:
    """Return at most `most` rows, evenly spaced."""
    if len(rows) <= most:
        return rows
    return rows.select(np.linspace(0, len(rows) - 1, most).astype(np.int64))


def _batch_sizes(reader: pa.RecordBatchFileReader) -> list[int]:
    return [reader.get_batch(number).num_rows for number in range(reader.num_record_batches)]


def _in_chunks(items: Iterable[E], size: int, characters: int | None = None) -> Iterator[list[E]]:
    """Yield lists of `size` items, or fewer once they hold so many characters."""
    chunk: list[E] = []
    held = 0
    for item in items:
        chunk.append(item)
        if characters is not None:
            held += sum(len(it) for it in vars(item).values() if isinstance(it, str))
        if len(chunk) == size or (characters is not None and held >= characters):
            yield chunk
            chunk, held = [], 0
    if chunk:
        yield chunk

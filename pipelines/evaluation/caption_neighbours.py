"""The nearest of many vectors, a block at a time: small pictures, or features of a network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.datasets.captions_pictures import Look, look_at_all

Array = NDArray[Any]
Block = tuple[Array, Array]  # numbers int64[B], rising, and vectors [B, K]
_BLOCK = 1024  # vectors held at a time
_QUERIES = 4096  # compared with a block at a time: 32 MB of distances
_DECIMALS = 5  # of squared distances between features: what lies below is rounding


def nearest_rows(blocks: Iterable[Block], queries: Array) -> Array:
    """Return the number of the nearest vector for each query, int64[N]; the first of equals.

    Args:
        blocks: numbers and vectors to choose from.
        queries: [N, K].

    Returns:
        The numbers; -1 where there is no vector.
    """
    best = np.full(len(queries), np.inf)
    nearest = np.full(len(queries), -1, np.int64)
    for numbers, vectors in blocks:
        for start in range(0, len(queries) if len(numbers) else 0, _QUERIES):
            part = slice(start, start + _QUERIES)
            gaps = _squared_distances(queries[part], vectors)
            places = gaps.argmin(axis=1)
            found = gaps[np.arange(len(gaps)), places]
            nearer = found < best[part]
            best[part] = np.where(nearer, found, best[part])
            nearest[part] = np.where(nearer, numbers[places], nearest[part])
    return nearest


def _squared_distances(first: Array, second: Array) -> Array:
    """Squared distances of all pairs, float64[N, B]."""
    first, second = first.astype(np.float32), second.astype(np.float32)
    products = (first @ second.T).astype(np.float64)
    squares = (np.square(each, dtype=np.float64).sum(axis=1) for each in (first, second))
    return np.round(next(squares)[:, None] + next(squares) - 2 * products, _DECIMALS)


def feature_blocks(features: Array) -> Iterator[Block]:
    """Yield features [M, C] scaled to length 1, so that the nearest points the same way."""
    for start in range(0, len(features), _BLOCK):
        block = np.asarray(features[start : start + _BLOCK], np.float32)
        length = np.linalg.norm(block, axis=1, keepdims=True)
        yield np.arange(start, start + len(block)), block / np.maximum(length, 1e-12)


def thumbnail_blocks(paths: Sequence[str]) -> Iterator[Block]:
    """Yield the thumbnails (`captions_pictures.Look`) of the files that can be read, int8[B, 768].

    -128 is black and 127 white. About 0, the products of two thumbnails add up to less than
    2 ** 24, which float32 holds exactly: equally near pictures are seen to be equally near.
    """
    for start in range(0, len(paths), _BLOCK):
        looks = enumerate(
            look_at_all([Path(path) for path in paths[start : start + _BLOCK]]), start
        )
        seen = [(row, look.thumbnail) for row, look in looks if isinstance(look, Look)]
        if seen:
            shades = np.frombuffer(b"".join(thumbnail for _, thumbnail in seen), np.uint8)
            numbers = np.array([row for row, _ in seen])
            yield numbers, (shades.astype(np.int16) - 128).astype(np.int8).reshape(len(seen), -1)

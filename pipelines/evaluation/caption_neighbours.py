"""The nearest of many vectors, a block at a time: small pictures, or features of a network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

Array = NDArray[Any]
Block = tuple[Array, Array]  # numbers int64[B], rising, and vectors [B, K]
_BLOCK = 1024  # vectors held at a time
_QUERIES = 4096  # compared with a block at a time: 32 MB of distances
_THREADS = 2  # decoding releases the interpreter; more gain little on few cores
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


def thumbnail_blocks(paths: Sequence[str], size: int) -> Iterator[Block]:
    """Yield small pictures int8[B, size * size * 3] of the files that can be read."""
    with ThreadPoolExecutor(_THREADS) as pool:
        for start in range(0, len(paths), _BLOCK):
            found = list(pool.map(partial(thumbnail, size=size), paths[start : start + _BLOCK]))
            numbers = [start + place for place, seen in enumerate(found) if seen is not None]
            if numbers:
                yield np.array(numbers), np.stack([seen for seen in found if seen is not None])


def thumbnail(path: str, size: int) -> Array | None:
    """Read an image as int8[size * size * 3], -128 black and 127 white; None if it is unreadable.

    About 0 the products of two pictures of 16 x 16 pixels add up to less than 2 ** 24, which
    float32 holds exactly: equally near pictures are then seen to be equally near.
    """
    try:
        with Image.open(path) as image:
            image.draft("RGB", (4 * size, 4 * size))  # JPEG: decode a fraction of the pixels
            seen = _over_white(ImageOps.exif_transpose(image))
            small = seen.resize((size, size), Image.Resampling.BOX)
    except Exception:  # Pillow lets through whatever its many decoders raise
        return None
    return (np.asarray(small).astype(np.int16).ravel() - 128).astype(np.int8)


def _over_white(image: Image.Image) -> Image.Image:
    """Return an image as RGB; what shines through is white."""
    if image.mode.startswith(("I", "F")):  # 16 bits a channel
        shades = np.asarray(image).astype(np.float64) / 257
        return Image.fromarray(shades.clip(0, 255).astype(np.uint8)).convert("RGB")
    if not image.has_transparency_data:
        return image.convert("RGB")
    white = Image.new("RGBA", image.size, (255, 255, 255, 255))
    return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")

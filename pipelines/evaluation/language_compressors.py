"""What a passage adds to a compressed stream that already holds the training text.

A compressor with adaptive statistics is a language model: the bytes by which its output grows are
the bits it needs for what it read. Each function here takes the bytes read `before` and `pieces`
that follow, and returns the growth of the output by each piece, in bytes.

Sources: Shkarin (2002), PPMd variant I, as in 7-zip; Pavlov's LZMA; Burrows and
Wheeler (1994), bzip2.
"""

from __future__ import annotations

import bz2
import lzma
from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
import pyppmd
from numpy.typing import NDArray

Array = NDArray[Any]
BZIP2_BLOCK = 890_000  # bytes; what surely fits bzip2's block of 900 kB after its run lengths

# 4.3 MB of plays needed 15 times their size at order 8 and 20 times at order 12.
_PPMD_BYTES_PER_BYTE = 32
_PPMD_MEMORY = (16 << 20, 1 << 30)
_LZMA_DICTIONARY = (1 << 16, (1 << 30) + (1 << 29))  # bytes; its format's ends


def ppmd_memory(read: int) -> int:
    """Choose PPMd's memory in bytes for a text of `read` bytes: 16 MB to 1 GB.

    Above 32 MB of text the model no longer fits; PPMd then cuts off what it used least.
    """
    low, high = _PPMD_MEMORY
    return min(max(low, _PPMD_BYTES_PER_BYTE * read), high)


def ppmd_growth(before: bytes, pieces: Sequence[bytes], *, order: int) -> Array:
    """Growth of a PPMd stream, variant I, by each byte that follows `before`.

    The range coder writes whole bytes, up to four of them late, and so always the same: sums are
    exact, while a single byte's growth is 0 in most places and 1 or 2 in the others. Averages over
    many places of one kind are right, as where a byte falls due has nothing to do with the kind.

    Args:
        before: what the model has read already; its cost is not counted.
        pieces: what follows, in order.
        order: how many bytes before the next one the longest context has, 2 to 64.

    Returns:
        int64[total bytes of the pieces], in bytes.
    """
    size = ppmd_memory(len(before) + sum(map(len, pieces)))
    encoder = pyppmd.Ppmd8Encoder(order, size, pyppmd.PPMD8_RESTORE_METHOD_CUT_OFF)
    encoder.encode(before)
    text = b"".join(pieces)
    growth = (len(encoder.encode(text[at : at + 1])) for at in range(len(text)))
    return np.fromiter(growth, np.int64, len(text))


def lzma_growth(before: bytes, pieces: Sequence[bytes]) -> Array:
    """Growth of a raw LZMA stream (preset 9, extreme; one dictionary for all) by each piece.

    The encoder looks ahead and writes late, so what it has written says little about what it has
    read. The decoder tells: a piece has cost the bytes of the stream that had to be fed before the
    piece came out, give or take a byte or two and the rest of a match across its end. The mark that
    ends the stream is nobody's.

    Returns:
        int64[pieces], in bytes.
    """
    ends = list(accumulate(map(len, pieces), initial=len(before)))
    low, high = _LZMA_DICTIONARY
    filters = [
        {
            "id": lzma.FILTER_LZMA1,
            "preset": 9 | lzma.PRESET_EXTREME,
            "dict_size": min(max(low, ends[-1]), high),
        }
    ]
    stream = lzma.compress(before + b"".join(pieces), lzma.FORMAT_RAW, filters=filters)
    decoder = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=filters)
    steps = (len(decoder.decompress(stream[at : at + 1])) for at in range(len(stream)))
    decoded = np.cumsum(np.fromiter(steps, np.int64, len(stream)))
    needed = np.searchsorted(decoded, ends, "left") + 1
    return np.diff(np.where(np.array(ends) == 0, 0, needed))


def bzip2_growth(before: bytes, documents: Iterable[bytes]) -> Array:
    """Growth of a bzip2 stream by each document alone, put behind `before`.

    bzip2 sorts blocks of 900 kB, each from scratch: only what shares a block with a document helps.

    Returns:
        int64[documents], in bytes.
    """
    start = len(bz2.compress(before))
    return np.array([len(bz2.compress(before + text)) - start for text in documents], np.int64)


def by_piece(growth: Array, pieces: Sequence[bytes]) -> list[Array]:
    """Cut growth by byte into one array for each piece."""
    ends = accumulate(map(len, pieces), initial=0)
    return [growth[start:end] for start, end in pairwise(ends)]

"""Find passages of some documents in others, by hashes of runs of 200 characters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from pipelines.datasets.document_options import Document

RUN = 200  # characters that must be the same in a row
_BASE = 0x9E3779B97F4A7C15  # odd, so that it has an inverse modulo 2**64
_INVERSE = pow(_BASE, -1, 1 << 64)
_BLOCK = 1 << 18  # characters hashed at once
Hashes = npt.NDArray[np.uint64]


def _powers(base: int) -> Hashes:
    factors = np.full(_BLOCK + RUN, base, np.uint64)
    factors[0] = 1
    return np.cumprod(factors, dtype=np.uint64)


_UP, _DOWN = _powers(_BASE), _powers(_INVERSE)


def run_hashes(text: str) -> Iterable[Hashes]:
    """Yield the hashes of all runs of `RUN` characters, a block at a time.

    A polynomial modulo 2**64, rolled over the text (Karp & Rabin, 1987).
    """
    for start in range(0, len(text) - RUN + 1, _BLOCK):
        block = text[start : start + _BLOCK + RUN - 1]
        codes = np.frombuffer(block.encode("utf-32-le", "surrogatepass"), np.uint32)
        sums = np.zeros(len(codes) + 1, np.uint64)
        np.cumsum((codes.astype(np.uint64) + 1) * _UP[: len(codes)], out=sums[1:])
        yield (sums[RUN:] - sums[:-RUN]) * _DOWN[: len(codes) - RUN + 1]


def _blocks_of(text: str) -> Hashes:
    """Return the hashes of consecutive runs that do not overlap; none of a text under one run."""
    step = np.concatenate([*run_hashes(text)] or [np.zeros(0, np.uint64)])
    return step[::RUN]


def known_shares(
    documents: Iterable[Document], others: Sequence[Iterable[Document]]
) -> npt.NDArray[np.float64]:
    """Return, for each document, the share of it that stands somewhere in others.

    It is measured in runs of 200 characters; a text under one run counts when it is a whole other
    document's.

    Args:
        documents: D of them, held as one number a run.
        others: streamed.

    Returns:
        float64[D], from 0 to 1.
    """
    runs = [_blocks_of(document.text) for document in documents]
    short = {document.text for document in documents if len(document.text) < RUN}
    wanted = np.unique(np.concatenate([*runs, np.zeros(0, np.uint64)]))
    seen = np.zeros(len(wanted), bool)
    known: set[str] = set()
    for other in (document for rows in others for document in rows):
        if len(other.text) < RUN:
            known |= {other.text} & short
        for hashes in run_hashes(other.text) if len(wanted) else ():
            places = np.searchsorted(wanted, hashes).clip(max=len(wanted) - 1)
            seen[places[wanted[places] == hashes]] = True
    return np.array(
        [
            seen[np.searchsorted(wanted, hashes)].mean()
            if len(hashes)
            else float(document.text in known)
            for document, hashes in zip(documents, runs, strict=True)
        ]
    )

"""Opponents of a language model: primed compressors, and models without any context.

Each states the bits it needs for every passage of a document, having read the training text and
the earlier passages of that document; the outputs have the exported model's form.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import EvaluationError
from pipelines.evaluation.language_compressors import (
    BZIP2_BLOCK,
    by_piece,
    bzip2_growth,
    lzma_growth,
    ppmd_growth,
)
from pipelines.evaluation.language_measures import (
    join_bytes,
    language_outputs,
    passage_lengths,
    passage_sums,
    passages,
)

Array = NDArray[Any]
Outputs = dict[str, Array]
PPMD, LZMA, BZIP2 = "PPMd", "lzma", "bzip2"
UNIFORM, UNIGRAM = "uniform", "unigram"
UNSEEN_BITS = 20.0  # one of 2^20 code points, on top of the bits of "some other character"
ORDERS = range(4, 13)
_FIRST_ORDER = 6

# Limits in bytes of UTF-8, so that five megabytes of training text cost about half a minute.
MAX_PRIMING = 32_000_000
_TUNING_TRAIN, _TUNING_VALID = 8_000_000, 200_000
_REPEATED = {PPMD: 60_000_000, LZMA: 40_000_000, BZIP2: 40_000_000}  # read again for documents
# Ends every document, so that a compressor can learn how one begins.
_END = b"\0"


class Text(Protocol):
    """What is needed of a document."""

    @property
    def text(self) -> str:
        """All of it."""


@dataclass(frozen=True)
class LanguageBaselines:
    """Outputs of every opponent, and what a reader has to know of them.

    Attributes:
        outputs: name -> "bits" float64[N], "characters" int64[N], "passage_bits" float32[N, P]; all
            but lzma and bzip2 also have "character_bits", object[N] of float32[characters]. PPMd's
            are whole bytes at the places where its coder wrote them: good for averages over
            hundreds of characters, meaningless for one.
        notes: one sentence each.
        order: of PPMd, in bytes, as tuned.
    """

    outputs: dict[str, Outputs]
    notes: list[str] = field(default_factory=list)
    order: int = _FIRST_ORDER


def language_baselines(
    train: Sequence[Text], valid: Sequence[Text], documents: Sequence[Text]
) -> LanguageBaselines:
    """Let every opponent read the training text and state its bits for each document.

    Args:
        train: documents to learn from.
        valid: documents that PPMd's order is tuned on; without any, the order is 6.
        documents: what to score.

    Raises:
        EvaluationError: there is no training text.
    """
    primer, notes = drawn_text(train, MAX_PRIMING)
    if not primer:
        raise EvaluationError(
            f"language baselines: {len(train):,} training documents without a character; at least "
            "one is needed: check the training split"
        )
    texts = [document.text for document in documents]
    order = tuned_order(train, valid)
    found: dict[str, Outputs] = {}
    found[PPMD], told = ppmd(primer, texts, order=order)
    notes += [f"PPMd is 7-zip's variant I, of order {order} as tuned on the valid split.", *told]
    found[LZMA], told = primed_lzma(primer, texts)
    notes += told
    found[BZIP2], told = primed_bzip2(primer, texts)
    notes += told
    known = character_counts(train)
    return LanguageBaselines(
        {**found, UNIGRAM: unigram(known, texts), UNIFORM: uniform(known, texts)}, notes, order
    )


def drawn_text(documents: Sequence[Text], limit: int) -> tuple[bytes, list[str]]:
    """Join documents, each with its end marked; of more than `limit` bytes, evenly drawn ones.

    Returns:
        At most `limit` bytes, and a note where something was left out.
    """
    sizes = [_size(document.text) for document in documents]
    total = sum(sizes)
    if total <= limit:
        return b"".join(
            _encoded(document.text) + _END for document in documents if document.text
        ), []
    step = -(-total // limit)
    drawn = b"".join(
        _encoded(document.text) + _END for document in islice(iter(documents), 0, None, step)
    )
    # What is left of the nearest text counts most where one document was split by place.
    kept = drawn[-limit:]
    return kept, [
        f"The compressors read {len(kept) / 1e6:,.1f} of {total / 1e6:,.1f} MB of training text, "
        "drawn evenly."
    ]


def tuned_order(train: Sequence[Text], valid: Sequence[Text]) -> int:
    """Find PPMd's order with the fewest bits on valid text, climbing from 6 within 4 to 12.

    At most 8 MB of training text and 200 kB of valid text are read for it.
    """
    primer, _ = drawn_text(train, _TUNING_TRAIN)
    held_out, _ = drawn_text(valid, _TUNING_VALID)
    if not held_out:
        return _FIRST_ORDER
    cost: dict[int, int] = {}

    def better(order: int, than: int) -> bool:
        for tried in (order, than):
            if tried not in cost:
                cost[tried] = int(ppmd_growth(primer, [held_out], order=tried).sum())
        return cost[order] < cost[than]

    best = _FIRST_ORDER
    for step in (1, -1):
        while best + step in ORDERS and better(best + step, best):
            best += step
        if best != _FIRST_ORDER:
            break
    return best


def ppmd(primer: bytes, texts: Sequence[str], *, order: int) -> tuple[Outputs, list[str]]:
    """State PPMd's bits; see `LanguageBaselines.outputs`."""

    def growth(before: bytes, pieces: Sequence[bytes]) -> list[Array]:
        return by_piece(ppmd_growth(before, pieces, order=order), pieces)

    cut = [_encoded_passages(text) for text in texts]
    found, notes = _after(PPMD, primer, cut, growth)
    by_byte = [np.concatenate([np.zeros(0, np.int64), *pieces]) for pieces in found]
    bits = [8.0 * join_bytes(text, row) for text, row in zip(texts, by_byte, strict=True)]
    return _of_characters(bits), notes


def primed_lzma(primer: bytes, texts: Sequence[str]) -> tuple[Outputs, list[str]]:
    """State lzma's bits by passage."""
    found, notes = _after(LZMA, primer, [_encoded_passages(text) for text in texts], lzma_growth)
    return language_outputs([8.0 * np.array(g, float) for g in found], list(map(len, texts))), notes


def primed_bzip2(primer: bytes, texts: Sequence[str]) -> tuple[Outputs, list[str]]:
    """State bzip2's bits: a document's, shared among its passages by length."""
    encoded = [_encoded(text) for text in texts]
    room = BZIP2_BLOCK - max(map(len, encoded), default=0)
    length = max(0, min(room, len(primer), _REPEATED[BZIP2] // max(1, len(encoded))))
    growth = bzip2_growth(primer[len(primer) - length :], encoded)
    shares = [
        _by_length(len(text), 8.0 * bytes_) for text, bytes_ in zip(texts, growth, strict=True)
    ]
    note = (
        f"bzip2 sorts blocks of 900 kB by themselves, so only {length / 1e3:,.0f} kB of training "
        "text can help; a document's bits are shared among its passages by length."
    )
    return language_outputs(shares, list(map(len, texts))), [note]


def character_counts(documents: Iterable[Text]) -> Counter[str]:
    """Count the characters of training documents."""
    counts: Counter[str] = Counter()
    for document in documents:
        counts.update(document.text)
    return counts


def uniform(known: Counter[str], texts: Sequence[str]) -> Outputs:
    """Give every character of the training text the same probability, and all others together one.

    An unseen character costs 20 bits more: which of 2^20 code points it is.
    """
    return _context_free(dict.fromkeys(known, 1.0), 1.0, texts)


def unigram(known: Counter[str], texts: Sequence[str]) -> Outputs:
    """Give characters their share of the training text, each counted once more than it occurs.

    All unseen characters together count as one that occurs never; see `uniform` for the rest.
    """
    return _context_free({char: count + 1.0 for char, count in known.items()}, 1.0, texts)


def _context_free(mass: dict[str, float], other: float, texts: Sequence[str]) -> Outputs:
    total = sum(mass.values()) + other
    bits = {character: math.log2(total / share) for character, share in mass.items()}
    unseen = math.log2(total / other) + UNSEEN_BITS
    return _of_characters(
        [np.fromiter((bits.get(char, unseen) for char in text), float, len(text)) for text in texts]
    )


def _of_characters(bits: list[Array]) -> Outputs:
    outputs = language_outputs([passage_sums(row) for row in bits], [len(row) for row in bits])
    outputs["character_bits"] = np.empty(len(bits), object)
    for row, values in enumerate(bits):
        outputs["character_bits"][row] = values.astype(np.float32)
    return outputs


def _after(
    name: str,
    primer: bytes,
    documents: Sequence[list[bytes]],
    growth: Callable[[bytes, Sequence[bytes]], Iterable[Any]],
) -> tuple[list[list[Any]], list[str]]:
    """Measure each document behind the primer alone, or all in a row where that would take long."""
    if len(primer) * len(documents) <= _REPEATED[name]:
        return [list(growth(primer, pieces)) for pieces in documents], []
    pieces = [piece for document in documents for piece in (*document, _END)]
    found = iter(growth(primer, pieces))
    rows = []
    for document in documents:
        rows.append(list(islice(found, len(document))))
        next(found)
    note = (
        f"{name} read the {len(documents):,} documents one after another, since to prime it anew "
        "for each would take long: it has also learned from the documents before, in its favour."
    )
    return rows, [note]


def _by_length(characters: int, bits: float) -> Array:
    return bits * passage_lengths(characters) / max(1, characters)


def _encoded(text: str) -> bytes:
    # A text may hold half a surrogate pair, which plain UTF-8 refuses.
    return text.encode("utf-8", "surrogatepass")


def _encoded_passages(text: str) -> list[bytes]:
    return [_encoded(passage) for passage in passages(text)]


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(_encoded(text))

"""Decide in which split each document is: drawn so that sizes come near the shares."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipelines.datasets.document_options import Document, DocumentOptions
from pipelines.datasets.splits import IntArray

FEW_DOCUMENTS = 3  # fewer cannot be dealt out to three splits: each is cut instead
_DRAWS = 64
Shares = tuple[float, float]


def shares_of(characters: int, options: DocumentOptions) -> Shares:
    """Return the shares of valid and test, both shrunk where the test would be too large.

    Args:
        characters: of all documents.
        options: shares, and the most test characters.
    """
    test = options.test_share
    if options.max_test_characters:
        test = min(test, options.max_test_characters / max(characters, 1))
    return options.valid_share * test / options.test_share, test


def cut_by_place(document: Document, options: DocumentOptions) -> tuple[Document, ...]:
    """Cut one document into a beginning to learn from, a valid part and a test part.

    Cuts are at line ends, if one follows within the part; else at the character.

    Args:
        document: of more characters than a few.
        options: shares, and the most test characters.

    Returns:
        three documents, of train, valid and test, which joined are the document again.
    """
    text = document.text
    valid, test = shares_of(len(text), options)
    places = [round(len(text) * (1.0 - valid - test)), round(len(text) * (1.0 - test))]
    first = _line_end(text, places[0], places[1])
    second = _line_end(text, max(places[1], first), len(text))
    edges = (0, first, second, len(text))
    parts = []
    for start, limit, name in zip(edges, edges[1:], ("train", "valid", "test"), strict=False):
        lines = (text.count("\n", 0, start) + 1, text.count("\n", 0, max(limit - 1, 0)) + 1)
        origin = f"{document.origin}:{lines[0]}-{lines[1]}"
        parts.append(Document(text[start:limit], f"{document.name} ({name} part)", origin))
    return tuple(parts)


def _line_end(text: str, place: int, limit: int) -> int:
    """Return the first place behind a line feed, from `place` on but before `limit`."""
    found = text.find("\n", max(place - 1, 0), max(limit - 1, 0))
    return place if found < 0 else found + 1


def draw_documents(
    sizes: npt.NDArray[np.int64], groups: npt.NDArray[np.int64], options: DocumentOptions
) -> tuple[IntArray, IntArray, IntArray]:
    """Deal documents out to train, valid and test, by number and so that sizes fit.

    As many groups are drawn as the shares say (one at least); of several draws by seed, the one
    whose characters come nearest to the shares is taken. Where all draws hold more test characters
    than allowed, fewer groups are drawn.

    Args:
        sizes: characters of each document, int64[N].
        groups: equal for documents that must share a split, int64[N]; three different ones or more.
        options: shares, most test characters, seed.

    Returns:
        numbers of the documents of train, valid and test, each sorted.
    """
    _, codes = np.unique(groups, return_inverse=True)
    weights = np.bincount(codes, weights=sizes).astype(np.int64)
    valid, test = _counts(len(weights), shares_of(int(sizes.sum()), options))
    drawn = _best_draw(weights, valid, test, options)
    most = options.max_test_characters
    while test > 1 and 0 < most < weights[drawn[:test]].sum():
        test -= 1
        drawn = _best_draw(weights, valid, test, options)
    split = np.zeros(len(weights), np.int64)
    split[drawn[test:]], split[drawn[:test]] = 1, 2
    places = split[codes]
    train_rows, valid_rows, test_rows = (np.flatnonzero(places == number) for number in range(3))
    return train_rows, valid_rows, test_rows


def _best_draw(weights: IntArray, valid: int, test: int, options: DocumentOptions) -> IntArray:
    """Return the numbers of `test` groups for the test, then `valid` ones for validation."""
    wanted = np.maximum(np.array(shares_of(int(weights.sum()), options)) * weights.sum(), 1.0)
    most = options.max_test_characters
    rng = np.random.default_rng(options.seed)
    best, least = np.zeros(0, np.int64), np.inf
    for _ in range(_DRAWS):
        order = rng.permutation(len(weights))[: test + valid]
        got = np.array([weights[order[test:]].sum(), weights[order[:test]].sum()])
        distance = float(np.abs(np.log(np.maximum(got, 1.0) / wanted)).max())
        distance += 1e6 if 0 < most < got[1] else 0.0
        if distance < least:
            best, least = order, distance
    return best


def _counts(groups: int, shares: Shares) -> tuple[int, int]:
    """Return how many groups valid and test get: one at least, and one is left to train on."""
    valid, test = (max(round(groups * share), 1) for share in shares)
    while valid + test >= groups:
        valid, test = max(valid - 1, 1), max(test - (valid <= 1), 1)
    return valid, test

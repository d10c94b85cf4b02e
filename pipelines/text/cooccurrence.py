"""Word vectors from the text at hand: few seconds, no download, no gradient."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import svds

FIRST_WORD = 4  # ids below stand for padding, unknown words, and the ends of a text


def cooccurrence_vectors(
    ids: np.ndarray,
    lengths: np.ndarray,
    *,
    vocabulary_size: int,
    dimensions: int,
    window: int = 5,
    positional: bool = False,
    unit_length: bool = False,
    seed: int = 17,
    scale: float = 0.3,
) -> np.ndarray:
    """Factorise the positive pointwise mutual information of words that occur near one another.

    Matches skip-gram with negative sampling on small corpora at a fraction of its cost
    (Levy, Goldberg & Dagan, 2015: context distribution smoothing 0.75, eigenvalue weighting 0.5).

    Args:
        ids: tokens of all texts, end to end, int[sum(lengths)].
        lengths: tokens of each text, int[N].
        vocabulary_size: rows of the result.
        dimensions: columns of the result; fewer singular values fill the first columns only.
        window: largest distance of two words that count as near.
        positional: tell contexts at different distances and sides apart: vectors then show how a
            word is used (its part of speech) more than what it is about (Levy & Goldberg, 2014).
        unit_length: give all words vectors of one length, rare and frequent ones alike.
        seed: starts the solver.
        scale: standard deviation of the result.

    Returns:
        float32[vocabulary_size, dimensions]; words never seen near another one are rows of zeros.
    """
    association = _positive_mutual_information(
        _counts(np.asarray(ids, np.int64), lengths, vocabulary_size, window, positional)
    )
    vectors = np.zeros((vocabulary_size, dimensions), np.float32)
    rank = min(dimensions, vocabulary_size - 1)
    if association.nnz <= rank:
        return vectors
    left, values, _ = svds(association, k=rank, random_state=seed)
    vectors[:, :rank] = left * np.sqrt(values)
    vectors[association.getnnz(axis=1) == 0] = 0  # the solver may leave rounding errors there
    if unit_length:
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)
    return np.asarray(vectors * (scale / max(float(vectors.std()), 1e-9)), np.float32)


def _counts(
    ids: np.ndarray, lengths: np.ndarray, size: int, window: int, positional: bool
) -> sp.csr_matrix:
    """Count pairs of words at most `window` apart within a text: a row a word, columns contexts."""
    texts = np.repeat(np.arange(len(lengths)), lengths)
    at_distance = []
    for distance in range(1, window + 1):
        near, far = ids[:-distance], ids[distance:]
        real = (texts[:-distance] == texts[distance:]) & (near >= FIRST_WORD) & (far >= FIRST_WORD)
        ones = np.ones(int(real.sum()), np.float32)
        at_distance.append(sp.coo_matrix((ones, (near[real], far[real])), (size, size)).tocsr())
    if positional:
        return sp.hstack([side for pairs in at_distance for side in (pairs, pairs.T)]).tocsr()
    total = sum(at_distance, sp.csr_matrix((size, size), dtype=np.float32))
    return total + total.T


def _positive_mutual_information(counts: sp.csr_matrix) -> sp.csr_matrix:
    words = np.asarray(counts.sum(axis=1)).ravel()
    contexts = np.asarray(counts.sum(axis=0)).ravel() ** 0.75
    contexts /= max(float(contexts.sum()), 1.0)
    pairs = counts.tocoo()
    information = np.log(pairs.data / (words[pairs.row] * contexts[pairs.col]))
    kept = information > 0
    cells = (information[kept].astype(np.float32), (pairs.row[kept], pairs.col[kept]))
    return sp.csr_matrix(cells, shape=counts.shape)

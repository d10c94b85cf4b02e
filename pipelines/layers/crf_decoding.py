"""Answers of a linear-chain CRF: best paths, their probabilities, and how sure each tag is.

Pure functions of log-potentials float32[B, T, K, K]; `pipelines.layers.crf` says what these hold
and derives the chain W the functions share. At padding steps tags and probabilities are those of
the last real token; cut by length. Under a compiled graph an answer nobody uses costs nothing.
"""

from __future__ import annotations

from typing import Any

from keras import ops

from pipelines.layers.crf import (
    NEVER,
    along_path,
    log_backward_chain,
    over_time,
    prefix_sums,
    repeat_last,
    shifted,
    tag_marginals,
)

TINY = 1e-37  # the smallest marginal told from 0


def viterbi(potentials: Any) -> tuple[Any, Any]:
    """Return the most probable path (Viterbi, 1967) and its log-probability.

    The forward pass keeps the best score of each tag and no pointers; the way back asks only for
    the column of the tag it stands on.

    Args:
        potentials: log-potentials, float32[B, T, K, K].

    Returns:
        tags int32[B, T] and log P(tags | x) float32[B].
    """

    def forward(before: Any, t: Any) -> tuple[Any, Any]:
        best = shifted(ops.max(before[:, :, None] + potentials[:, t], axis=1))
        return best, best

    best = over_time(forward, ops.zeros_like(potentials[:, 0, 0]), potentials)
    before = ops.pad(best[:, :-1], ((0, 0), (1, 0), (0, 0)))

    def back(tag: Any, t: Any) -> tuple[Any, Any]:
        column = ops.take_along_axis(potentials[:, t], tag[:, None, None], axis=2)[:, :, 0]
        return _argmax(before[:, t] + column), tag

    tags = over_time(back, _argmax(best[:, -1]), potentials, reverse=True)
    return tags, _log_probabilities(potentials, tags[:, :, None])[:, 0]


def n_best(potentials: Any, n: int) -> tuple[Any, Any]:
    """Return the n most probable paths, best first, and their probabilities.

    Exact (Schwartz & Chow, 1990): every tag keeps its n best prefixes. Where fewer than n legal
    paths exist, the remaining rows repeat the best path with probability 0.

    Args:
        potentials: log-potentials, float32[B, T, K, K].
        n: number of paths, at least 1.

    Returns:
        tags int32[B, n, T] and probabilities float32[B, n].
    """
    size = potentials.shape[-1] * n  # a state is a tag and a rank, numbered tag * n + rank

    def forward(state: Any, t: Any) -> tuple[Any, Any]:
        scores = potentials[:, t][:, :, None, :] + state[0][:, :, :, None]  # [B, i, rank, j]
        scores = ops.transpose(ops.reshape(scores, (-1, size, size // n)), (0, 2, 1))
        scores, pointers = ops.top_k(scores, n)  # [B, j, n]
        state = (scores - ops.max(scores, axis=(1, 2), keepdims=True), pointers)
        return state, state

    one = ops.zeros_like(potentials[:, 0, 0])[:, :, None]
    start = ops.where(ops.arange(n) == 0, one, NEVER)
    pointers = ops.zeros_like(start, dtype="int32")
    scores, pointers = over_time(forward, (start, pointers), potentials)
    scores, last = ops.top_k(ops.reshape(scores[:, -1], (-1, size)), n)

    def back(state: Any, t: Any) -> tuple[Any, Any]:
        table = ops.reshape(pointers[:, t], (-1, size))
        return ops.take_along_axis(table, state, axis=1), state

    tags = over_time(back, last, potentials, reverse=True) // n  # [B, T, n]
    exists = scores > NEVER / 2
    tags = ops.where(exists[:, None, :], tags, tags[:, :, :1])
    probabilities = ops.where(exists, ops.exp(_log_probabilities(potentials, tags)), 0.0)
    return ops.swapaxes(tags, 1, 2), probabilities


def marginals(potentials: Any) -> Any:
    """Return the probability of each tag at each step, float32[B, T, K].

    Args:
        potentials: log-potentials, float32[B, T, K, K].
    """
    sums = prefix_sums(potentials)
    return tag_marginals(ops.exp(log_backward_chain(potentials, sums)), sums)


def path_confidences(potentials: Any, tags: Any) -> tuple[Any, Any]:
    """Return two terms that give the probability of any stretch of a path.

    exp(left[i] + right[j]) is the probability that tags i to j (inclusive) are as in the path,
    whatever surrounds them (Culotta & McCallum, 2004). With S_t the sum of the chain's
    log-probabilities along the path up to step t,

        P(y_i ... y_j) = P(y_j) W_j(y_{j-1}, y_j) ... W_{i+1}(y_i, y_{i+1}):
        left[i] = -S_i,    right[j] = log P(y_j) + S_j.

    Each term of S is the log of a probability, so that S stays small where the model is sure, and
    nothing is a difference of two large scores.

    Args:
        potentials: log-potentials, float32[B, T, K, K].
        tags: a legal path for each sentence, int32[B, T]; a negative tag marks padding.

    Returns:
        left float32[B, T] and right float32[B, T].
    """
    sums = prefix_sums(potentials)
    logs = log_backward_chain(potentials, sums)
    path = repeat_last(tags[:, :, None])
    total = ops.cumsum(along_path(logs, path)[:, :, 0], axis=1)
    sure = ops.take_along_axis(tag_marginals(ops.exp(logs), sums), path, axis=2)[:, :, 0]
    return -total, ops.log(ops.maximum(sure, TINY)) + total


def _log_probabilities(potentials: Any, tags: Any) -> Any:
    """Return log P(path | x) of paths int[B, T, N], float32[B, N]: the last tag's, then back."""
    sums = prefix_sums(potentials)
    steps = along_path(log_backward_chain(potentials, sums), tags)
    last = ops.take_along_axis(ops.log_softmax(sums[:, -1]), tags[:, -1], axis=1)
    return last + ops.sum(steps, axis=1)


def _argmax(scores: Any) -> Any:
    return ops.cast(ops.argmax(scores, axis=-1), "int32")

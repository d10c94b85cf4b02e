"""How alike texts are: what minimum Bayes risk decoding weighs.

The likeliest text is rarely the best one where many are about as likely: it is one voice among
many. Minimum Bayes risk decoding (Kumar & Byrne, 2004, sec. 2) takes the hypothesis y with the
highest expected likeness, sum_v p(v) likeness(y, v), over all texts v that have a say.
`keras.ops` only.
"""

from __future__ import annotations

from typing import Any

from keras import ops

from pipelines.text.vocabulary import RESERVED

ORDERS = 4  # n-grams of 1 to 4 tokens, as CIDEr-D counts
SIGMA = 6.0  # of the penalty on unequal lengths, likewise


def likeness(first: Any, second: Any, rarity: Any) -> Any:
    """Return how alike texts are, float32[B, K, M], from 0 to 1; 1 of a text with itself.

    As CIDEr-D (Vedantam et al., 2015, equations 2 to 4) without its clipping: the cosine of counts
    of n-grams, weighed by rarity, times exp(-(l - l')^2 / 2 sigma^2) for lengths l and l', the mean
    over n = 1 to 4. An n-gram is as rare as its tokens are together. An n for which a text is too
    short counts 0, unless both are too short: then it is left out.

    Args:
        first: int32[B, K, T], padded with 0.
        second: int32[B, M, U], likewise.
        rarity: of each token, float32[V].
    """
    one, other = first[:, :, None], second[:, None]
    own, theirs = _Grams(one, rarity), _Grams(other, rarity)
    shared, kept = _same(one, other), 0.0
    within = [_same(one, one), _same(other, other)]
    total = 0.0
    for order in range(ORDERS):
        if order:
            shared = _longer(shared)
            within = [_longer(same) for same in within]
        weights = own.weights(order), theirs.weights(order)
        norms = [_dot(same, it, it) for same, it in zip(within, weights, strict=True)]
        both = ops.sqrt(norms[0]) * ops.sqrt(norms[1])
        total += _dot(shared, *weights) / ops.maximum(both, 1e-9)
        kept += ops.cast((norms[0] > 0) | (norms[1] > 0), "float32")
    gap = ops.cast(own.lengths() - theirs.lengths(), "float32")
    return total / ops.maximum(kept, 1.0) * ops.exp(-ops.square(gap) / (2 * SIGMA**2))


class _Grams:
    """The n-grams of texts, by where they begin: [..., T]."""

    def __init__(self, tokens: Any, rarity: Any) -> None:
        self._real = ops.cast(tokens >= len(RESERVED), "float32")
        self._rarity = ops.take(ops.cast(rarity, "float32"), tokens, axis=0) * self._real

    def lengths(self) -> Any:
        return ops.sum(self._real, axis=-1)

    def weights(self, order: int) -> Any:
        """Return the weight of the n-gram that begins at each place, n = order + 1; 0: none."""
        real, rarity = self._real, self._rarity
        for ahead in range(1, order + 1):
            real = real * _moved(self._real, ahead)
            rarity = rarity + _moved(self._rarity, ahead)
        return rarity * real


def _moved(values: Any, ahead: int) -> Any:
    """Return values[..., t + ahead] at t, 0 beyond the end."""
    width = values.shape[-1]
    if width is not None and ahead >= width:
        return ops.zeros_like(values)
    rest = ops.zeros_like(values[..., :ahead])
    return ops.concatenate([values[..., ahead:], rest], axis=-1)


def _same(one: Any, other: Any) -> Any:
    """Return 1 where token t of one text is token u of the other, float32[..., T, U]."""
    return ops.cast(one[..., :, None] == other[..., None, :], "float32")


def _longer(same: Any) -> Any:
    """Return 1 where the n-grams at t and u agree, of where those of one token less do."""
    later = ops.swapaxes(_moved(ops.swapaxes(_moved(same, 1), -1, -2), 1), -1, -2)
    return same * later


def _dot(same: Any, one: Any, other: Any) -> Any:
    """Return sum_tu same_tu one_t other_u, [...]."""
    return ops.sum(ops.squeeze(ops.matmul(same, other[..., None]), -1) * one, axis=-1)

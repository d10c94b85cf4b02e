"""Drawing a token where every row has a temperature, a top-k and a nucleus of its own.

What a row draws hangs on its own numbers alone: the same whatever the other rows ask for.
"""

from __future__ import annotations

from typing import Any

from keras import ops

from pipelines.layers.decoding.sampling import SHORT, invert, tempered
from pipelines.layers.decoding.types import RowSettings


def pick_by_row(logits: Any, uniform: Any, rows: RowSettings) -> Any:
    """Draw a token of each hypothesis as its row asks, int32[B, K].

    Args:
        logits: float32[B, K, V]; what may not be drawn is far below the rest.
        uniform: in (0, 1), float32[B, K].
        rows: of sampling.
    """
    size = logits.shape[-1]
    warm = (rows.temperature > 0)[:, None]
    limited = ops.logical_and(rows.top_k > 0, rows.top_k < size)
    cut = ops.logical_or(limited, rows.top_p < 1)[:, None]
    cut = ops.logical_and(cut, warm)
    best = ops.cast(ops.argmax(logits, axis=-1), "int32")

    def draw() -> Any:
        # A row that cuts nothing draws in the order of the vocabulary, as where no row does.
        values = tempered(logits, ops.where(warm, rows.temperature[:, None], 1.0)[:, :, None])
        whole = invert(ops.softmax(values, axis=-1), uniform)
        drawn = ops.cond(
            ops.any(cut),
            lambda: ops.where(cut, _of_cut(values, uniform, rows), whole),
            lambda: whole,
        )
        return ops.where(warm, drawn, best)

    return ops.cond(ops.any(warm), draw, lambda: best)


def _of_cut(logits: Any, uniform: Any, rows: RowSettings) -> Any:
    """Draw among the most probable; nearly always a few tokens hold all that may be drawn."""
    size = logits.shape[-1]
    total = ops.logsumexp(logits, axis=-1, keepdims=True)
    best = ops.top_k(logits, min(SHORT, size))
    if size <= SHORT:
        return _among(best, total, uniform, rows)
    covered = ops.sum(ops.exp(best[0] - total), axis=-1) >= rows.top_p[:, None]
    limited = ops.logical_and(rows.top_k > 0, rows.top_k < size)
    short = ops.where(limited, rows.top_k <= SHORT, rows.top_p >= 1)[:, None]
    covered = ops.logical_and(covered, ops.logical_not(limited)[:, None])
    cold = (rows.temperature <= 0)[:, None]
    enough = ops.logical_or(ops.logical_or(short, covered), cold)
    return ops.cond(
        ops.all(enough),
        lambda: _among(best, total, uniform, rows),
        lambda: _among(ops.top_k(logits, size), total, uniform, rows),
    )


def _among(best: Any, log_total: Any, uniform: Any, rows: RowSettings) -> Any:
    """Draw among the best tokens, cut to the top k and then to the nucleus: int32[B, K].

    Args:
        best: logits, falling, and tokens of C tokens; each [B, K, C].
        log_total: log of the sum over all tokens, float32[B, K, 1].
        uniform: float32[B, K].
        rows: of sampling.
    """
    logits, tokens = best
    ranks = ops.arange(logits.shape[-1], dtype="int32")
    top_k, top_p = rows.top_k[:, None, None], rows.top_p[:, None, None]
    shares = ops.exp(logits - log_total)
    shares = ops.where(ops.logical_or(top_k <= 0, ranks < top_k), shares, 0.0)
    total = ops.where(top_k > 0, ops.sum(shares, axis=-1, keepdims=True), 1.0)
    inside = ops.cumsum(shares, axis=-1) - shares < top_p * total
    inside = ops.logical_or(inside, ops.logical_or(ranks == 0, top_p >= 1))
    here = ranks == invert(ops.where(inside, shares, 0.0), uniform)[:, :, None]
    return ops.sum(ops.where(here, ops.cast(tokens, "int32"), 0), axis=-1)

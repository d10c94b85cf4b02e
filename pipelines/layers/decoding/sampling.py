"""Drawing a token from logits: temperature, top-k and nucleus, by one uniform a hypothesis."""

from __future__ import annotations

from typing import Any

from keras import ops

from pipelines.layers.decoding.hypotheses import NEVER
from pipelines.layers.decoding.settings import SampleSettings

# Keeps uniform * total below the total in float32, so that no token of probability 0 is drawn.
LARGEST = 1.0 - 1e-6
SHORT = 256  # tokens among which a nucleus is looked for before the whole vocabulary is sorted


def pick(logits: Any, uniform: Any, settings: SampleSettings) -> Any:
    """Draw a token of each hypothesis by inverting the distribution function, int32[B, K].

    Args:
        logits: float32[B, K, V]; what may not be drawn is far below the rest.
        uniform: in (0, 1), float32[B, K].
        settings: of sampling; the temperature is above 0.
    """
    size = logits.shape[-1]
    kept = min(settings.top_k or size, size)
    if kept == 1:
        return ops.cast(ops.argmax(logits, axis=-1), "int32")
    logits = tempered(logits, settings.temperature)
    if kept < size:
        best = ops.top_k(logits, kept)
        return _among(best, _log_total(best[0]), uniform, settings)
    if settings.top_p == 1:
        return invert(ops.softmax(logits, axis=-1), uniform)
    return _of_nucleus(logits, uniform, settings)


def tempered(logits: Any, temperature: Any) -> Any:
    """Return logits over a temperature above 0 with their largest at 0, float32[B, K, V].

    However small or large the temperature is, nothing overflows, and what may not be drawn stays
    far below the rest.
    """
    below = logits - ops.max(logits, axis=-1, keepdims=True)
    return ops.where(below > NEVER / 2, below / temperature, NEVER)


def _of_nucleus(logits: Any, uniform: Any, settings: SampleSettings) -> Any:
    """Draw from the nucleus of all tokens; nearly always a few of them hold it."""
    size, total = logits.shape[-1], _log_total(logits)
    best = ops.top_k(logits, min(SHORT, size))
    if size <= SHORT:
        return _among(best, total, uniform, settings)
    covered = ops.sum(ops.exp(best[0] - total), axis=-1)
    return ops.cond(
        ops.all(covered >= settings.top_p),
        lambda: _among(best, total, uniform, settings),
        lambda: _among(ops.top_k(logits, size), total, uniform, settings),
    )


def _log_total(logits: Any) -> Any:
    return ops.logsumexp(logits, axis=-1, keepdims=True)


def _among(best: Any, log_total: Any, uniform: Any, settings: SampleSettings) -> Any:
    """Draw among the best tokens, cut to the nucleus: int32[B, K].

    Args:
        best: logits, falling, and tokens of C tokens; each [B, K, C].
        log_total: log of the sum of what probabilities are shares of, float32[B, K, 1].
        uniform: float32[B, K].
        settings: of sampling.
    """
    logits, tokens = best
    shares = ops.exp(logits - log_total)
    if settings.top_p < 1:
        before = ops.cumsum(shares, axis=-1) - shares
        # The first token has nothing before it, so that one is always kept.
        shares = ops.where(before < settings.top_p, shares, 0.0)
    here = ops.arange(logits.shape[-1], dtype="int32") == invert(shares, uniform)[:, :, None]
    return ops.sum(ops.where(here, ops.cast(tokens, "int32"), 0), axis=-1)


def invert(shares: Any, uniform: Any) -> Any:
    """Return the first index whose cumulated share exceeds uniform * total, int32[B, K]."""
    cumulated = ops.cumsum(shares, axis=-1)
    target = ops.minimum(ops.cast(uniform, "float32"), LARGEST)[:, :, None] * cumulated[:, :, -1:]
    return ops.sum(ops.cast(cumulated <= target, "int32"), axis=-1)

"""Drawing a token from logits: temperature, top-k and nucleus, by one uniform a hypothesis."""

from __future__ import annotations

from typing import Any

from keras import ops

from pipelines.layers.decoding.settings import SampleSettings

# Keeps uniform * total below the total in float32, so that no token of probability 0 is drawn.
LARGEST = 1.0 - 1e-6


def pick(logits: Any, uniform: Any, settings: SampleSettings) -> Any:
    """Draw a token of each hypothesis by inverting the distribution function, int32[B, K].

    Args:
        logits: float32[B, K, V]; what may not be drawn is far below the rest.
        uniform: in (0, 1), float32[B, K].
        settings: of sampling; the temperature is above 0.
    """
    size = logits.shape[-1]
    kept = min(settings.top_k or size, size)
    if kept == size and settings.top_p == 1.0:
        return _invert(ops.softmax(logits / settings.temperature, axis=-1), uniform)
    if kept == 1:
        return ops.cast(ops.argmax(logits, axis=-1), "int32")
    best, tokens = ops.top_k(logits, kept)
    shares = ops.softmax(best / settings.temperature, axis=-1)
    if settings.top_p < 1:
        before = ops.cumsum(shares, axis=-1) - shares
        # The first token has nothing before it, so that one is always kept.
        shares = ops.where(before < settings.top_p, shares, 0.0)
    places = _invert(shares, uniform)[:, :, None]
    return ops.cast(ops.sum(ops.where(_is_place(places, kept), tokens, 0), axis=-1), "int32")


def _is_place(places: Any, size: int) -> Any:
    return ops.arange(size, dtype="int32") == places


def _invert(shares: Any, uniform: Any) -> Any:
    """Return the first index whose cumulated share exceeds uniform * total, int32[B, K]."""
    cumulated = ops.cumsum(shares, axis=-1)
    target = ops.minimum(ops.cast(uniform, "float32"), LARGEST)[:, :, None] * cumulated[:, :, -1:]
    return ops.sum(ops.cast(cumulated <= target, "int32"), axis=-1)

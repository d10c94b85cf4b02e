"""Scores of hypotheses (Wu et al., 2016, sec. 7), and what one can still reach.

score(Y) = log P(Y) / lp(Y) + cp(Y)
lp(Y) = ((5 + |Y|) / 6) ** alpha      or |Y| ** alpha
cp(Y) = beta * sum_i log(min(sum_t attention_ti, 1))
"""

from __future__ import annotations

from typing import Any

from keras import ops

from pipelines.layers.decoding.settings import BeamSettings, DecodingSettings

FLOOR = 1e-6  # the least coverage told from none


def length_divisor(lengths: Any, settings: DecodingSettings) -> Any:
    """Return lp of lengths int32[...], float32[...]; a length of 0 counts as 1."""
    lengths = ops.cast(ops.maximum(lengths, 1), "float32")
    if settings.normalizer == "wu":
        lengths = (5.0 + lengths) / 6.0
    return ops.power(lengths, settings.length_penalty)


def coverage_term(coverage: Any, source_mask: Any, settings: BeamSettings) -> Any:
    """Return cp of hypotheses, float32[B, K].

    Args:
        coverage: attention summed over the tokens, float32[B, K, S].
        source_mask: bool[B, S].
        settings: of the search.
    """
    logs = ops.log(ops.clip(coverage, FLOOR, 1.0))
    return settings.coverage_penalty * ops.sum(ops.where(source_mask[:, None], logs, 0.0), axis=-1)


def best_reachable(sums: Any, length: Any, limits: Any, settings: DecodingSettings) -> Any:
    """Return a bound on the score a hypothesis can end with, float32[B].

    More tokens only lower the log-probability, so that no end is better than today's over the
    most favourable divisor, and divisors rise or fall with the length: it is the next length's or
    the limit's. Coverage only grows and is at best 0 when complete.

    Args:
        sums: log-probability so far, float32[B].
        length: tokens so far, int32[].
        limits: int32[B].
        settings: of the search.
    """
    ends = [sums / length_divisor(end, settings) for end in (length + 1, limits)]
    return ops.maximum(*ends)

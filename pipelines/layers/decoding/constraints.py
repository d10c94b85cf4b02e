"""What may come next: banned tokens, the shortest length, no repetition.

Everything acts on logits float32[B, K, V] that are compared but not normalised anew: the
log-probability of a token stays what the model says.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from pipelines.errors import ConfigError
from pipelines.layers.decoding.hypotheses import NEVER
from pipelines.layers.decoding.settings import DecodingSettings
from pipelines.text.vocabulary import PAD


def constrained(logits: Any, tokens: Any, step: Any, rules: DecodingSettings) -> Any:
    """Return the logits to choose by; forbidden tokens are at `NEVER` or below.

    Args:
        logits: of the model, float32[B, K, V].
        tokens: of the hypotheses, int32[B, K, T], written up to `step`.
        step: number of tokens written, int32[].
        rules: the settings.

    Raises:
        ConfigError: a banned token or the stop token is not in the vocabulary.
    """
    size = logits.shape[-1]
    values = logits
    if rules.repetition_penalty > 1:
        behind = ops.arange(ops.shape(tokens)[-1], dtype="int32") < step
        held = _marked(tokens, behind, size)
        values = ops.where(held, _lowered(logits, rules.repetition_penalty), logits)
    if rules.no_repeat_ngram:
        values = ops.where(_repeats(tokens, step, size, rules.no_repeat_ngram), NEVER, values)
    return values + _bans(size, step, rules)


def discouraged(logits: Any, history: Any, factor: Any) -> Any:
    """Return the logits with those of the tokens of a history lowered, float32[B, K, V].

    Args:
        logits: of the model, float32[B, K, V].
        history: tokens written last, PAD where there are none, int32[B, K, H].
        factor: on the log-probabilities of those tokens, float32[B]; up to 1 does nothing.
    """
    factor = factor[:, None, None]

    def lowered() -> Any:
        held = _marked(history, history != PAD, logits.shape[-1])
        return ops.where(ops.logical_and(held, factor > 1), _lowered(logits, factor), logits)

    return ops.cond(ops.any(factor > 1), lowered, lambda: logits)


def _lowered(logits: Any, factor: Any) -> Any:
    """Multiply log-probabilities."""
    normalizer = ops.logsumexp(logits, axis=-1, keepdims=True)
    return factor * (logits - normalizer) + normalizer


def _bans(size: int, step: Any, rules: DecodingSettings) -> Any:
    """Return 0 or `NEVER` for each token, float32[V]."""
    outside = [token for token in (*rules.banned, rules.stop) if not 0 <= token < size]
    if outside:
        raise ConfigError(
            f"decoding setting 'banned' or 'stop': got the token(s) {outside}, expected numbers "
            f"below the vocabulary's size {size}; pass tokens of the model that is decoded"
        )
    bans = np.zeros(size, "float32")
    bans[list(rules.banned)] = NEVER
    if rules.min_length <= 1:
        return ops.convert_to_tensor(bans)
    stop = np.where(np.arange(size) == rules.stop, np.float32(NEVER), np.float32(0))
    early = ops.cast(step + 1 < rules.min_length, "float32")
    return ops.convert_to_tensor(bans) + early * ops.convert_to_tensor(stop)


def _repeats(tokens: Any, step: Any, size: int, n: int) -> Any:
    """Return which tokens would repeat an n-gram, bool[B, K, V].

    Position i follows an earlier occurrence of the last n - 1 tokens where each of the n - 1
    tokens before it equals the one as far from the end.
    """
    positions = ops.arange(ops.shape(tokens)[-1], dtype="int32")
    follows = ops.logical_and(positions >= n - 1, positions < step)[None, None]
    for back in range(1, n):
        ending = ops.take(tokens, ops.maximum(step - back, 0), axis=2)[:, :, None]  # [B, K, 1]
        follows = ops.logical_and(follows, ops.roll(tokens, back, axis=2) == ending)
    return _marked(tokens, follows, size)


def _marked(tokens: Any, marks: Any, size: int) -> Any:
    """Return which tokens stand at a marked position, bool[B, K, V]."""
    shape = ops.shape(tokens)
    hypotheses = ops.arange(shape[0] * shape[1], dtype="int32") * (size + 1)
    # Unmarked positions go to a token of their own, cut off below.
    slots = ops.where(marks, tokens, size) + ops.reshape(hypotheses, (shape[0], shape[1], 1))
    slots = ops.reshape(slots, (-1, 1))
    zeros = ops.zeros((shape[0] * shape[1] * (size + 1),), "bool")
    marked = ops.scatter_update(zeros, slots, ops.ones_like(slots[:, 0], dtype="bool"))
    return ops.reshape(marked, (shape[0], shape[1], size + 1))[:, :, :size]

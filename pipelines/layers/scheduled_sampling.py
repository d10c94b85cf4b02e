"""Letting a decoder read its own words in training, as it will when it writes."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from pipelines.layers.decoder_settings import Sampling
from pipelines.text.vocabulary import BOS, EOS, PAD

NEVER_READ = (PAD, BOS, EOS)  # nothing is written after these


def replace_by_own(
    tokens: Any, logits: Any, share: Any, *, how: Sampling, seed: keras.random.SeedGenerator
) -> Any:
    """Return inputs with a share of the true tokens replaced by the model's (Bengio et al., 2015).

    The model's tokens are those of a first pass over the true ones, all steps at once (Mihaylova &
    Martins, 2019; Duckworth et al., 2019). No gradient runs through the choice.

    Args:
        tokens: BOS and the true tokens, padded with PAD, int32[B, T].
        logits: of a first pass over `tokens`, [B, T, V]: those at step t are of token t + 1.
        share: of the tokens after BOS that are replaced, a number or a scalar in [0, 1]. Tokens the
            model ends with are left as they were.
        how: the likeliest token, or one drawn from the distribution.
        seed: of the choice.
    """
    own = _own_tokens(logits, how, seed)
    own = ops.concatenate([tokens[:, :1], ops.cast(own[:, :-1], tokens.dtype)], axis=1)
    hit = keras.random.uniform(ops.shape(tokens), seed=seed) < share
    readable = ops.not_equal(tokens, PAD)
    for reserved in NEVER_READ:
        readable = ops.logical_and(readable, ops.not_equal(own, reserved))
    return ops.where(ops.logical_and(hit, readable), own, tokens)


def _own_tokens(logits: Any, how: Sampling, seed: keras.random.SeedGenerator) -> Any:
    """Return a token of every step, int[B, T]."""
    if how == "sample":
        # The largest of logits with Gumbel noise is a draw from their softmax.
        uniform = keras.random.uniform(ops.shape(logits), 1e-7, 1.0 - 1e-7, seed=seed)
        logits -= ops.log(-ops.log(uniform))
    return ops.argmax(logits, axis=-1)

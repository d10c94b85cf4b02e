"""What a model gives the decoding loops, and what it gets back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple


class StepOutput(NamedTuple):
    """What a model says of the token after the one it was given.

    Attributes:
        logits: of every token of the vocabulary, unnormalised, float[B, K, V].
        state: what the next step needs to know, of the same structure as the state given; every
            leaf is [B, K, ...].
        attention: weights over the source, at least 0, float[B, K, S]; None of a model without.
    """

    logits: Any
    state: Any
    attention: Any = None


# step(tokens int32[B, K], state): reads one token of each hypothesis. What does not depend on the
# hypothesis (an encoder's states [B, S, D], masks) belongs in its closure, never K times in state.
Step = Callable[[Any, Any], StepOutput]

# Gives the uniforms of one step, float32[B, K] in (0, 1), from its number int32[]. An export takes
# `tf.random.stateless_uniform((rows, samples), (seed, number))`, so that a seed gives one text.
Draw = Callable[[Any], Any]


class Decoded(NamedTuple):
    """K hypotheses of each of B rows.

    Attributes:
        tokens: int32[B, K, T], stop token included where reached, PAD behind it.
        lengths: number of tokens, stop token included, int32[B, K].
        log_probability: of the tokens under the model, stop token included, float32[B, K].
        score: what a search ranks by: the log-probability over the length penalty, plus the
            coverage penalty; float32[B, K].
        complete: False where a hypothesis was cut before its stop token, bool[B, K].

    A beam search gives the best first: complete ones, then those cut, unless asked to rank all
    alike. Samples stay in the order
    drawn. Where fewer than K hypotheses exist, the rest are empty with scores of -inf.
    """

    tokens: Any
    lengths: Any
    log_probability: Any
    score: Any
    complete: Any


class RowSettings(NamedTuple):
    """How each row is sampled: what `SampleSettings` says of all rows, as tensors.

    Values out of range mean the nearest that is in range.

    Attributes:
        temperature: float32[B]; 0 takes the most probable token.
        top_k: int32[B]; 0 is all tokens.
        top_p: float32[B]; 1 is all tokens.
        repetition_penalty: factor on the log-probability of the tokens of the history, float32[B];
            1 is off.
    """

    temperature: Any
    top_k: Any
    top_p: Any
    repetition_penalty: Any


class Ahead(NamedTuple):
    """All that hypotheses are written on from.

    Attributes:
        state: of the model before it reads `last`; every leaf is [B, K, ...].
        last: token each hypothesis goes on from, int32[B, K].
        history: the last H tokens, `last` included, PAD before the first; int32[B, K, H].
    """

    state: Any
    last: Any
    history: Any

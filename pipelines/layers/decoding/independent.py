"""Decoding in which hypotheses know nothing of one another: greedy and sampling."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from keras import ops

from pipelines.layers.decoding.constraints import constrained
from pipelines.layers.decoding.hypotheses import (
    NEVER,
    first_tokens,
    loop,
    row_limits,
    widen,
    within,
    write,
)
from pipelines.layers.decoding.sampling import pick
from pipelines.layers.decoding.scoring import length_divisor
from pipelines.layers.decoding.settings import DecodingSettings, SampleSettings
from pipelines.layers.decoding.types import Decoded, Draw, Step

GREEDY = DecodingSettings()

# Chooses tokens int32[B, K] by logits float32[B, K, V] at a step int32[].
Choose = Callable[[Any, Any], Any]


def greedy(
    step: Step,
    state: Any,
    limits: Any,
    settings: DecodingSettings = GREEDY,
    *,
    start: Any = None,
) -> Decoded:
    """Take the most probable token at every step.

    Args:
        step: the model; called with K = 1.
        state: at the start of a row, every leaf [B, 1, ...].
        limits: most tokens of each row, stop token included, int32[B].
        settings: what may be chosen, and how scores are normalised.
        start: token each row goes on from, int32[B]; None is `settings.start`.

    Returns:
        one hypothesis a row.
    """
    return _decode(step, state, limits, settings, _most_probable, start=start, count=1)


def sample(
    step: Step,
    state: Any,
    limits: Any,
    settings: SampleSettings,
    draw: Draw,
    *,
    start: Any = None,
) -> Decoded:
    """Draw K hypotheses a row, each token from the model's distribution cut as `settings` says.

    Args:
        step: the model.
        state: at the start of a row, every leaf [B, 1, ...].
        limits: most tokens of each row, stop token included, int32[B].
        settings: of sampling.
        draw: gives each step's uniforms; the same ones give the same samples.
        start: token each row goes on from, int32[B]; None is `settings.start`.

    Returns:
        K hypotheses a row, in the order drawn.
    """

    def choose(logits: Any, number: Any) -> Any:
        return pick(logits, draw(number), settings)

    chooser = choose if settings.temperature else _most_probable
    return _decode(step, state, limits, settings, chooser, start=start, count=settings.samples)


class Walk(NamedTuple):
    """What the loop carries; `done` hypotheses change no more."""

    number: Any  # int32[], tokens written
    state: Any
    tokens: Any  # int32[B, K, T]
    last: Any  # int32[B, K]
    log_probability: Any  # float32[B, K], of the model
    penalized: Any  # float32[B, K], with the repetition penalty
    lengths: Any  # int32[B, K]
    complete: Any  # bool[B, K]
    done: Any  # bool[B, K]


def _decode(
    step: Step,
    state: Any,
    limits: Any,
    settings: DecodingSettings,
    choose: Choose,
    *,
    start: Any,
    count: int,
) -> Decoded:
    limits, longest = row_limits(limits, settings)
    last = first_tokens(start, limits, count, settings)
    none, zero = ops.zeros_like(last), ops.zeros_like(last, dtype="float32")
    tokens = ops.zeros_like(last[:, :, None]) + ops.zeros((longest,), "int32")
    limits = limits[:, None]
    complete, done = none > 0, ops.broadcast_to(limits <= 0, ops.shape(last))
    number = ops.convert_to_tensor(0, "int32")
    walk = Walk(number, widen(state, count), tokens, last, zero, zero, none, complete, done)
    walk = loop(
        walk,
        lambda now: ops.logical_not(ops.all(now.done)),
        lambda now: _advance(now, step, limits, settings, choose),
    )
    score = walk.penalized / length_divisor(walk.lengths, settings)
    tokens = within(walk.tokens, walk.lengths)
    return Decoded(tokens, walk.lengths, walk.log_probability, score, walk.complete)


def _advance(
    now: Walk, step: Step, limits: Any, settings: DecodingSettings, choose: Choose
) -> Walk:
    out = step(now.last, now.state)
    logits = ops.cast(out.logits, "float32")
    normalizer = ops.logsumexp(logits, axis=-1, keepdims=True)
    values = constrained(logits, normalizer, now.tokens, now.number, settings)
    new = choose(values, now.number)
    value = _at(values, new)
    # Where nothing may follow, the hypothesis ends as one that is cut.
    live = ops.logical_not(ops.logical_or(now.done, value <= NEVER / 2))
    penalized = ops.minimum(value - normalizer[:, :, 0], 0.0)
    plain = penalized
    if settings.repetition_penalty > 1:
        plain = ops.minimum(_at(logits, new) - normalizer[:, :, 0], 0.0)
    complete = ops.logical_or(now.complete, ops.logical_and(live, new == settings.stop))
    ended = ops.logical_or(complete, now.number + 1 >= limits)
    return Walk(
        number=now.number + 1,
        state=out.state,
        tokens=write(now.tokens, now.number, new),
        last=new,
        log_probability=now.log_probability + ops.where(live, plain, 0.0),
        penalized=now.penalized + ops.where(live, penalized, 0.0),
        lengths=now.lengths + ops.cast(live, "int32"),
        complete=complete,
        done=ops.logical_or(ended, ops.logical_not(live)),
    )


def _at(values: Any, tokens: Any) -> Any:
    """Return values[b, k, tokens[b, k]], float32[B, K]."""
    size = values.shape[-1]
    places = ops.reshape(tokens, (-1,))
    places += ops.arange(ops.shape(places)[0], dtype="int32") * size
    return ops.reshape(ops.take(ops.reshape(values, (-1,)), places), ops.shape(tokens))


def _most_probable(logits: Any, number: Any) -> Any:  # noqa: ARG001
    return ops.cast(ops.argmax(logits, axis=-1), "int32")

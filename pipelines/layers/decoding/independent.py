"""Decoding in which hypotheses know nothing of one another: greedy and sampling."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from keras import ops, tree

from pipelines.errors import ConfigError
from pipelines.layers.decoding.constraints import constrained, discouraged
from pipelines.layers.decoding.hypotheses import (
    NEVER,
    chosen,
    first_tokens,
    loop,
    row_limits,
    widen,
    within,
    write,
)
from pipelines.layers.decoding.row_sampling import pick_by_row
from pipelines.layers.decoding.sampling import pick
from pipelines.layers.decoding.scoring import length_divisor
from pipelines.layers.decoding.settings import DecodingSettings, SampleSettings
from pipelines.layers.decoding.types import Ahead, Decoded, Draw, RowSettings, Step

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
    ahead = _ahead(state, start, limits, count=1, settings=settings)
    return _decoded(_decode(step, ahead, limits, settings, _most_probable), settings)


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
    ahead = _ahead(state, start, limits, count=settings.samples, settings=settings)
    return _decoded(_decode(step, ahead, limits, settings, chooser), settings)


def sample_on(
    step: Step,
    ahead: Ahead,
    limits: Any,
    settings: DecodingSettings,
    draw: Draw,
    *,
    rows: RowSettings,
    scored: bool = True,
) -> tuple[Decoded, Ahead]:
    """Write hypotheses on, each row drawn as it asks, and give what they are written on from.

    A text written in blocks of any sizes is the text written at once, given the same uniforms.

    Args:
        step: the model.
        ahead: where the hypotheses stand.
        limits: most tokens of each row, stop token included, int32[B].
        settings: what may be chosen.
        draw: gives each step's uniforms.
        rows: how each row is sampled.
        scored: False leaves `log_probability` and `score` 0: a third of the work of a step that is
            not the model's.

    Returns:
        the K hypotheses, without what was before them, and where they stand then.

    Raises:
        ConfigError: `settings` asks for what hangs on all tokens before.
    """
    for name, off in (("min_length", 0), ("no_repeat_ngram", 0), ("repetition_penalty", 1)):
        if getattr(settings, name) > off:
            raise ConfigError(
                f"decoding setting {name!r}: got {getattr(settings, name)} where hypotheses are "
                f"written on, expected {off} (off), since it would begin anew in every block; "
                "set it off; the rows have a repetition penalty of their own"
            )

    def choose(logits: Any, number: Any) -> Any:
        return pick_by_row(logits, draw(number), rows)

    walk = _decode(step, ahead, limits, settings, choose, rows=rows, scored=scored)
    return _decoded(walk, settings), Ahead(walk.state, walk.last, walk.history)


def _ahead(state: Any, start: Any, limits: Any, *, count: int, settings: DecodingSettings) -> Ahead:
    """Return where K hypotheses a row stand before any token; history is kept by nobody."""
    limits, _ = row_limits(limits, settings)
    return Ahead(widen(state, count), first_tokens(start, limits, count, settings), ())


class Walk(NamedTuple):
    """What the loop carries; `done` hypotheses change no more."""

    number: Any  # int32[], tokens written
    state: Any
    tokens: Any  # int32[B, K, T]
    last: Any  # int32[B, K]
    history: Any  # int32[B, K, H], or () where none is kept
    log_probability: Any  # float32[B, K], of the model; () where nobody asks
    penalized: Any  # float32[B, K], with the repetition penalty; likewise
    lengths: Any  # int32[B, K]
    complete: Any  # bool[B, K]
    done: Any  # bool[B, K]


def _decode(
    step: Step,
    ahead: Ahead,
    limits: Any,
    settings: DecodingSettings,
    choose: Choose,
    *,
    rows: RowSettings | None = None,
    scored: bool = True,
) -> Walk:
    limits, longest = row_limits(limits, settings)
    last = ahead.last
    none, zero = ops.zeros_like(last), ops.zeros_like(last, dtype="float32") if scored else ()
    limits = limits[:, None]
    walk = Walk(
        number=ops.convert_to_tensor(0, "int32"),
        state=ahead.state,
        tokens=ops.zeros_like(last[:, :, None]) + ops.zeros((longest,), "int32"),
        last=last,
        history=ahead.history,
        log_probability=zero,
        penalized=zero,
        lengths=none,
        complete=none > 0,
        done=ops.broadcast_to(limits <= 0, ops.shape(last)),
    )
    return loop(
        walk,
        lambda now: ops.logical_not(ops.all(now.done)),
        lambda now: _advance(now, step, limits, settings, choose, rows=rows),
    )


def _decoded(walk: Walk, settings: DecodingSettings) -> Decoded:
    tokens = within(walk.tokens, walk.lengths)
    if isinstance(walk.penalized, tuple):
        zero = ops.zeros_like(walk.lengths, dtype="float32")
        return Decoded(tokens, walk.lengths, zero, zero, walk.complete)
    score = walk.penalized / length_divisor(walk.lengths, settings)
    return Decoded(tokens, walk.lengths, walk.log_probability, score, walk.complete)


def _advance(
    now: Walk,
    step: Step,
    limits: Any,
    settings: DecodingSettings,
    choose: Choose,
    *,
    rows: RowSettings | None,
) -> Walk:
    out = step(now.last, now.state)
    logits = values = ops.cast(out.logits, "float32")
    if rows is not None:
        values = discouraged(logits, now.history, rows.repetition_penalty)
    values = constrained(values, now.tokens, now.number, settings)
    new = choose(values, now.number)
    # Where nothing may follow, the hypothesis ends as one that is cut.
    live = ops.logical_not(ops.logical_or(now.done, ops.max(values, axis=-1) <= NEVER / 2))
    complete = ops.logical_or(now.complete, ops.logical_and(live, new == settings.stop))
    ended = ops.logical_or(complete, now.number + 1 >= limits)
    after = Ahead(out.state, new, ())
    if rows is not None:
        after = _where_live(live, Ahead(*after[:2], _pushed(now.history, new)), now)
    alike = settings.repetition_penalty <= 1 and rows is None
    log_probability, penalized = _scored(now, logits, values, new, live, alike=alike)
    return Walk(
        number=now.number + 1,
        state=after.state,
        tokens=write(now.tokens, now.number, new),
        last=after.last,
        history=after.history,
        log_probability=log_probability,
        penalized=penalized,
        lengths=now.lengths + ops.cast(live, "int32"),
        complete=complete,
        done=ops.logical_or(ended, ops.logical_not(live)),
    )


def _scored(
    now: Walk, logits: Any, values: Any, new: Any, live: Any, *, alike: bool
) -> tuple[Any, Any]:
    """Return both sums with the new tokens, float32[B, K] each; () where nobody asks.

    Args:
        now: the sums so far.
        logits: of the model, float32[B, K, V].
        values: those chosen by, float32[B, K, V].
        new: the tokens chosen, int32[B, K].
        live: which hypotheses go on, bool[B, K].
        alike: whether both give the same to whatever may be chosen.
    """
    if isinstance(now.penalized, tuple):
        return (), ()
    normalizer = ops.logsumexp(logits, axis=-1)

    def gained(scores: Any) -> Any:
        return ops.where(live, ops.minimum(_at(scores, new) - normalizer, 0.0), 0.0)

    penalized = gained(values)
    plain = penalized if alike else gained(logits)
    return now.log_probability + plain, now.penalized + penalized


def _pushed(history: Any, new: Any) -> Any:
    """Return a history with a token more at its end and one less at its beginning."""
    return ops.concatenate([history[:, :, 1:], new[:, :, None]], axis=2)


def _where_live(live: Any, after: Ahead, now: Walk) -> Ahead:
    """Keep where hypotheses that are done stand: they will be written on from there."""

    def kept(new: Any, old: Any) -> Any:
        where = ops.expand_dims(live, tuple(range(2, len(old.shape))))
        return ops.where(where, new, old)

    before = Ahead(now.state, now.last, now.history)
    after = tree.map_structure(lambda new, old: ops.cast(new, old.dtype), after, before)
    # Most steps end no text, and a state may be thousands of numbers.
    return ops.cond(ops.all(live), lambda: after, lambda: tree.map_structure(kept, after, before))


def _at(values: Any, tokens: Any) -> Any:
    """Return values[b, k, tokens[b, k]], float32[B, K]."""
    size = values.shape[-1]
    found = chosen(ops.reshape(values, (-1, size)), ops.reshape(tokens, (-1, 1)))
    return ops.reshape(found, ops.shape(tokens))


def _most_probable(logits: Any, number: Any) -> Any:  # noqa: ARG001
    return ops.cast(ops.argmax(logits, axis=-1), "int32")

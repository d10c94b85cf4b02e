"""Beam search: the K most probable hypotheses of each row, and the best that finish.

At every step the K * V continuations of a row compete. Those among the K best that end with the
stop token have finished and compete by score for N places; the K best others live on, ranked by
log-probability. A row stops at its limit, or once the bound of `best_reachable` shows that no
living hypothesis can overtake the last of the N kept, or by `patience`. What is alive when a row
stops fills the places left, as cut.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from pipelines.errors import ConfigError
from pipelines.layers.decoding.constraints import constrained
from pipelines.layers.decoding.hypotheses import (
    NEVER,
    chosen,
    first_tokens,
    loop,
    reorder,
    row_limits,
    widen,
    within,
    write,
)
from pipelines.layers.decoding.scoring import best_reachable, coverage_term, length_divisor
from pipelines.layers.decoding.settings import BeamSettings
from pipelines.layers.decoding.types import Decoded, Step, StepOutput

BEAM = BeamSettings()


def beam_search(
    step: Step,
    state: Any,
    limits: Any,
    settings: BeamSettings = BEAM,
    *,
    source_mask: Any = None,
    start: Any = None,
) -> Decoded:
    """Follow the K most probable hypotheses of each row, and keep the N best that finish.

    Args:
        step: the model.
        state: at the start of a row, every leaf [B, 1, ...].
        limits: most tokens of each row, stop token included, int32[B].
        settings: of the search.
        source_mask: True on real source tokens, bool[B, S]; needed for the coverage penalty.
        start: token each row goes on from, int32[B]; None is `settings.start`.

    Returns:
        N hypotheses a row, best first; complete ones before those cut.

    Raises:
        ConfigError: a coverage penalty without `source_mask` or without attention.
    """
    limits, longest = row_limits(limits, settings)
    search = _Search(step, limits, settings, source_mask)
    beams = search.first(state, longest, start)
    return search.result(loop(beams, search.going, search.advance))


class Kept(NamedTuple):
    """The N best finished hypotheses of each row, best first; those that are not score `NEVER`."""

    tokens: Any  # int32[B, N, T]
    scores: Any  # float32[B, N]
    log_probability: Any  # float32[B, N]
    lengths: Any  # int32[B, N]


class Beams(NamedTuple):
    """What the loop carries. Rows that are `done` keep what `result` reads of them."""

    number: Any  # int32[], tokens written
    state: Any
    tokens: Any  # int32[B, K, T]
    last: Any  # int32[B, K]
    sums: Any  # float32[B, K], by which hypotheses are ranked, falling; `NEVER` where none is
    log_probability: Any  # float32[B, K], without the repetition penalty
    coverage: Any  # float32[B, K, S], or () without a coverage penalty
    kept: Kept
    finished: Any  # int32[B], hypotheses that have finished
    lengths: Any  # int32[B], of the living
    done: Any  # bool[B]


class Candidates(NamedTuple):
    """The best continuations of each row, best first, M of at most 2 K."""

    parents: Any  # int32[B, M]
    tokens: Any  # int32[B, M]
    sums: Any  # float32[B, M]
    log_probability: Any  # float32[B, M]
    finishing: Any  # bool[B, M]
    exists: Any  # bool[B, M]


class _Search:
    """The parts of one search, which share its model and settings."""

    def __init__(self, step: Step, limits: Any, settings: BeamSettings, source_mask: Any) -> None:
        self.step, self.limits, self.settings = step, limits, settings
        self.width, self.n_best = settings.beams, settings.n_best or settings.beams
        self.source_mask = source_mask
        # A beam of one has nothing to compare what it finished with: it is greedy.
        self.patience = 1.0 if settings.beams == 1 else settings.patience
        if settings.coverage_penalty and source_mask is None:
            raise ConfigError(
                f"decoding setting 'coverage_penalty': got {settings.coverage_penalty} without "
                "source_mask, expected bool[B, S] of the source tokens; pass it to beam_search, "
                "or set coverage_penalty to 0"
            )

    def first(self, state: Any, longest: Any, start: Any) -> Beams:
        """Return the carry before any token: one hypothesis a row, so that no two are equal."""
        last = first_tokens(start, self.limits, self.width, self.settings)
        zero = ops.zeros_like(last, dtype="float32")
        row, empty = ops.zeros_like(self.limits), ops.zeros((longest,), "int32")
        tokens, kept = ops.zeros_like(last[:, :, None]) + empty, zero[:, : self.n_best]
        coverage: Any = ()
        if self.settings.coverage_penalty:
            source = ops.zeros_like(self.source_mask, dtype="float32")[:, None]
            coverage = zero[:, :, None] + source
        return Beams(
            number=ops.convert_to_tensor(0, "int32"),
            state=widen(state, self.width),
            tokens=tokens,
            last=last,
            sums=zero + ops.where(ops.arange(self.width) == 0, 0.0, NEVER),
            log_probability=zero,
            coverage=coverage,
            kept=Kept(tokens[:, : self.n_best], kept + NEVER, kept, ops.cast(kept, "int32")),
            finished=row,
            lengths=row,
            done=self.limits <= 0,
        )

    @staticmethod
    def going(beams: Beams) -> Any:
        """Return whether any row goes on, bool[]."""
        return ops.logical_not(ops.all(beams.done))

    def advance(self, beams: Beams) -> Beams:
        """Take one step of every hypothesis at once."""
        out = self.step(beams.last, beams.state)
        found = self._candidates(beams, out)
        coverage = self._covered(beams, out)
        kept = self._keep(beams, found, coverage)
        # A row in which nothing may follow stops as it is.
        frozen = ops.logical_or(beams.done, ops.logical_not(ops.any(found.exists, axis=1)))
        going_on = ops.where(found.tokens == self.settings.stop, NEVER, found.sums)
        sums, places = ops.top_k(going_on, self.width)
        unmoved = ops.arange(self.width, dtype="int32")
        parents = ops.where(frozen[:, None], unmoved, chosen(found.parents, places))
        log_probability = chosen(found.log_probability, places)
        tokens = chosen(found.tokens, places)
        after = Beams(
            number=beams.number + 1,
            state=reorder(out.state, parents),
            # What is written behind a frozen row's lengths is never read.
            tokens=write(chosen(beams.tokens, parents), beams.number, tokens),
            last=tokens,
            sums=ops.where(frozen[:, None], beams.sums, ops.maximum(sums, NEVER)),
            log_probability=ops.where(frozen[:, None], beams.log_probability, log_probability),
            coverage=self._stopped(frozen, beams.coverage, reorder(coverage, parents)),
            kept=kept,
            finished=beams.finished + ops.sum(ops.cast(found.finishing, "int32"), axis=1),
            lengths=ops.where(frozen, beams.lengths, beams.number + 1),
            done=frozen,
        )
        return after._replace(done=ops.logical_or(frozen, self._over(after)))

    def _candidates(self, beams: Beams, out: StepOutput) -> Candidates:
        """Rank continuations: K + 1 of each hypothesis hold the 2 K best that matter.

        At most one of a hypothesis's continuations finishes, so that K + 1 of each hold its K
        best that go on, and the 2 K best of all hold the row's.
        """
        logits = ops.cast(out.logits, "float32")
        normalizer = ops.logsumexp(logits, axis=-1, keepdims=True)
        values = constrained(logits, beams.tokens, beams.number, self.settings)
        each = min(self.width + 1, logits.shape[-1])
        values, tokens = ops.top_k(values, each)  # [B, K, C]
        gains = ops.minimum(values - normalizer, 0.0)
        plain = gains
        if self.settings.repetition_penalty > 1:
            plain = ops.minimum(ops.take_along_axis(logits, tokens, axis=2) - normalizer, 0.0)
        flat = (-1, self.width * each)
        sums = ops.reshape(beams.sums[:, :, None] + gains, flat)
        sums, places = ops.top_k(sums, min(2 * self.width, self.width * each))
        plain = ops.reshape(beams.log_probability[:, :, None] + plain, flat)
        tokens = chosen(ops.reshape(ops.cast(tokens, "int32"), flat), places)
        exists = ops.logical_and(sums > NEVER / 2, ops.logical_not(beams.done)[:, None])
        first = ops.arange(sums.shape[-1]) < self.width
        stops = ops.logical_and(tokens == self.settings.stop, first)
        finishing = ops.logical_and(exists, stops)
        return Candidates(places // each, tokens, sums, chosen(plain, places), finishing, exists)

    def _covered(self, beams: Beams, out: StepOutput) -> Any:
        """Return the coverage with this step's attention."""
        if not self.settings.coverage_penalty:
            return ()
        if out.attention is None:
            raise ConfigError(
                f"decoding setting 'coverage_penalty': got {self.settings.coverage_penalty} with a "
                "model that has no attention, expected 0; set coverage_penalty to 0"
            )
        return beams.coverage + ops.cast(out.attention, "float32")

    @staticmethod
    def _stopped(frozen: Any, old: Any, new: Any) -> Any:
        return new if isinstance(new, tuple) else ops.where(frozen[:, None, None], old, new)

    def _keep(self, beams: Beams, found: Candidates, coverage: Any) -> Kept:
        """Let the hypotheses that finish at this step compete for the N places."""
        old, width, n = beams.kept, self.width, self.n_best
        length = beams.number + 1
        parents, finishing = found.parents[:, :width], found.finishing[:, :width]
        scores = found.sums[:, :width] / length_divisor(length, self.settings)
        if self.settings.coverage_penalty:
            scores += chosen(coverage_term(coverage, self.source_mask, self.settings), parents)
        scores = ops.concatenate([old.scores, ops.where(finishing, scores, NEVER)], axis=1)
        scores, places = ops.top_k(scores, n)  # of equals the one found first
        new = places >= n
        sources = chosen(ops.concatenate([_places_like(parents, n), parents + n], axis=1), places)
        stop = ops.full_like(places, self.settings.stop)
        tokens = chosen(ops.concatenate([old.tokens, beams.tokens], axis=1), sources)
        sums = ops.concatenate([old.log_probability, found.log_probability[:, :width]], axis=1)
        lengths = ops.where(new, length, chosen(old.lengths, ops.minimum(places, n - 1)))
        return Kept(write(tokens, beams.number, stop, new), scores, chosen(sums, places), lengths)

    def _over(self, beams: Beams) -> Any:
        """Return which rows need no further step, bool[B]."""
        best, worst = beams.sums[:, 0], beams.kept.scores[:, -1]
        reachable = best_reachable(best, beams.number, self.limits, self.settings)
        settled = ops.logical_and(worst > NEVER / 2, worst >= reachable)
        over = ops.logical_or(settled, beams.number >= self.limits)
        over = ops.logical_or(over, best <= NEVER / 2)
        if self.patience is not None:
            enough = math.ceil(self.patience * self.width)
            over = ops.logical_or(over, beams.finished >= enough)
        return over

    def result(self, beams: Beams) -> Decoded:
        """Put the finished first, then the living, of each row, or rank all alike; N of them."""
        kept, n = beams.kept, self.n_best
        scores, order = ops.top_k(self._living_scores(beams), n)
        count = ops.sum(ops.cast(kept.scores > NEVER / 2, "int32"), axis=1)[:, None]
        slots = ops.arange(n, dtype="int32")
        places = ops.where(slots < count, slots, n + slots - count)
        if not self.settings.complete_first:
            _, places = ops.top_k(ops.concatenate([kept.scores, scores], axis=1), n)

        def joined(finished: Any, living: Any) -> Any:
            return chosen(ops.concatenate([finished, chosen(living, order)], axis=1), places)

        lengths = ops.repeat(beams.lengths[:, None], self.width, axis=1)
        score = chosen(ops.concatenate([kept.scores, scores], axis=1), places)
        exists = score > NEVER / 2
        lengths = ops.where(exists, joined(kept.lengths, lengths), 0)
        total = joined(kept.log_probability, beams.log_probability)
        return Decoded(
            tokens=within(joined(kept.tokens, beams.tokens), lengths),
            lengths=lengths,
            log_probability=ops.where(exists, total, -np.inf),
            score=ops.where(exists, score, -np.inf),
            complete=ops.logical_and(places < n, exists),
        )

    def _living_scores(self, beams: Beams) -> Any:
        scores = beams.sums / length_divisor(beams.lengths, self.settings)[:, None]
        if self.settings.coverage_penalty:
            scores += coverage_term(beams.coverage, self.source_mask, self.settings)
        return ops.where(beams.sums > NEVER / 2, scores, NEVER)


def _places_like(parents: Any, count: int) -> Any:
    """Return 0 to count - 1 in every row, int32[B, N]."""
    return ops.zeros_like(parents[:, :1]) + ops.arange(count, dtype="int32")

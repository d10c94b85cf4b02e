"""Decoding a row at a time in plain Python and float64: what the loops in the graph must equal.

A model is `logits(row, tokens) -> list of V numbers` and `attention(row, tokens) -> list of S`,
of the token that follows `tokens`. `Gap` notes the smallest difference any choice hung on, so that
a test can leave out cases that float32 cannot tell apart.
"""

import itertools
import math
from typing import NamedTuple

PAD = 0


class Hypothesis(NamedTuple):
    tokens: tuple
    ranked: float = 0.0
    plain: float = 0.0
    coverage: tuple = ()


class Answer(NamedTuple):
    tokens: tuple
    log_probability: float
    score: float
    complete: bool


class Gap:
    """The smallest difference between two numbers that were compared."""

    def __init__(self):
        self.smallest = math.inf
        self.steps = 0

    def sort(self, items, key):
        """Sort by falling key; equal ones stay in order."""
        ordered = sorted(items, key=lambda item: -key(item))
        for better, worse in itertools.pairwise(ordered):
            self.compare(key(better), key(worse))
        return ordered

    def compare(self, one, other):
        self.smallest = min(self.smallest, abs(one - other))


def log_softmax(logits):
    largest = max(logits)
    total = sum(math.exp(value - largest) for value in logits)
    return [value - largest - math.log(total) for value in logits]


def repeats(tokens, token, n):
    """Does an n-gram that ends with `token` stand in `tokens` already?"""
    if n == 0 or len(tokens) < n - 1:
        return False
    gram = (*tokens[len(tokens) - n + 1 :], token)
    return any(tokens[i : i + n] == gram for i in range(len(tokens) - n + 1))


def continuations(logits, tokens, settings):
    """The tokens that may follow: {token: (by which it is ranked, log-probability)}."""
    allowed = {}
    for token, plain in enumerate(log_softmax(logits)):
        early = token == settings.stop and len(tokens) + 1 < settings.min_length
        if token in settings.banned or early or repeats(tokens, token, settings.no_repeat_ngram):
            continue
        factor = settings.repetition_penalty if token in tokens else 1.0
        allowed[token] = (factor * plain, plain)
    return allowed


def divisor(length, settings):
    length = max(length, 1)
    base = (5 + length) / 6 if settings.normalizer == "wu" else length
    return base**settings.length_penalty


def coverage_term(hypothesis, settings):
    beta = getattr(settings, "coverage_penalty", 0.0)
    if not beta:
        return 0.0
    return beta * sum(math.log(min(max(mass, 1e-6), 1.0)) for mass in hypothesis.coverage)


def answer(hypothesis, settings, complete):
    score = hypothesis.ranked / divisor(len(hypothesis.tokens), settings)
    score += coverage_term(hypothesis, settings)
    return Answer(hypothesis.tokens, hypothesis.plain, score, complete)


def beam_search(logits, limit, settings, *, attention=None, sources=0, gap):
    """The N best of one row."""
    width, n = settings.beams, settings.n_best or settings.beams
    patience = 1 if width == 1 else settings.patience
    alive, kept, finished = [Hypothesis((), coverage=(0.0,) * sources)], [], 0
    for length in range(1, limit + 1):
        every = []
        for parent in alive:
            looked = attention(parent.tokens) if sources else ()
            seen = tuple(old + new for old, new in zip(parent.coverage, looked, strict=True))
            allowed = continuations(logits(parent.tokens), parent.tokens, settings)
            for token, (ranked, plain) in allowed.items():
                every.append(
                    Hypothesis(
                        (*parent.tokens, token), parent.ranked + ranked, parent.plain + plain, seen
                    )
                )
        gap.steps += 1
        if not every:
            break
        every = gap.sort(every, lambda item: item.ranked)
        ends = [item for item in every[:width] if item.tokens[-1] == settings.stop]
        finished += len(ends)
        kept += [answer(item, settings, True) for item in ends]
        kept = gap.sort(kept, lambda item: item.score)[:n]
        alive = [item for item in every if item.tokens[-1] != settings.stop][:width]
        if not alive or (patience and finished >= math.ceil(patience * width)):
            break
        if len(kept) == n and not can_overtake(
            kept[-1].score, alive[0], length, limit, settings, gap
        ):
            break
    cut = gap.sort([answer(item, settings, False) for item in alive], lambda item: item.score)
    return (kept + cut)[:n]


def can_overtake(worst, best, length, limit, settings, gap):
    """Could the most probable of the living end with a better score, at any length left?"""
    ends = [best.ranked / divisor(end, settings) for end in range(length + 1, limit + 1)]
    if ends:
        gap.compare(max(ends), worst)
    return bool(ends) and max(ends) > worst


def sample(logits, limit, settings, uniforms, gap):
    """One sample, or the greedy answer where the temperature is 0 (or is no setting)."""
    tokens, ranked, plain = (), 0.0, 0.0
    for number in range(limit):
        allowed = continuations(logits(tokens), tokens, settings)
        gap.steps += 1
        if not allowed:
            break
        token = draw(logits(tokens), allowed, settings, uniforms[number], gap)
        tokens, ranked = (*tokens, token), ranked + allowed[token][0]
        plain += allowed[token][1]
        if token == settings.stop:
            break
    complete = tokens[-1:] == (settings.stop,)
    return answer(Hypothesis(tokens, ranked, plain), settings, complete)


def draw(logits, allowed, settings, uniform, gap):
    order = gap.sort(allowed, lambda token: allowed[token][0])
    temperature = getattr(settings, "temperature", 0)
    if not temperature:
        return order[0]
    cut = bool(settings.top_k and settings.top_k < len(logits))
    if cut:
        order = order[: settings.top_k]
    largest = allowed[order[0]][0]
    weights = {token: math.exp((allowed[token][0] - largest) / temperature) for token in order}
    nucleus, before, total = [], 0.0, sum(weights.values())
    for token in order:
        gap.compare(before / total, settings.top_p)
        if before / total < settings.top_p:
            nucleus.append(token)
        before += weights[token]
    # Without a cut no order is needed, and the graph draws in that of the vocabulary.
    nucleus = nucleus if cut or settings.top_p < 1 else sorted(nucleus)
    target = uniform * sum(weights[token] for token in nucleus)
    for token in nucleus:
        target -= weights[token]
        gap.compare(target / total, 0.0)
        if target < 0:
            return token
    return nucleus[-1]

"""Which combinations of nouns, colours and places may occur in which split of the scenes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipelines.datasets.scene_grammar import ABOVE, LEFT

TRAIN, VALID, TEST = "train", "valid", "test"
# Of the 23 other nouns, with how many a noun is only seen in a place in valid or test.
_HELD_OUT = {TEST: 4, VALID: 3}

Pair = tuple[str, str]  # colour, noun
Triple = tuple[str, str, str]  # noun, LEFT or ABOVE, noun


@dataclass(frozen=True)
class Combinations:
    """Every coloured noun, and every noun's place beside another, dealt to one split.

    A triple tells a fact once, so "a dog to the right of a cup" counts as (cup, LEFT, dog).

    Args:
        pairs: split -> noun -> its colours there.
        triples: split -> place -> pairs of nouns that stand so.
    """

    pairs: dict[str, dict[str, tuple[str, ...]]]
    triples: dict[str, dict[str, tuple[Pair, ...]]]

    def colours(self, split: str, noun: str) -> tuple[str, ...]:
        """Return the colours that a noun has in a split; in training's if it has none there."""
        return self.pairs[split].get(noun) or self.pairs[TRAIN][noun]


def deal(nouns: Sequence[str], colours: Sequence[str], seed: int) -> Combinations:
    """Deal combinations so that each noun, colour and place lacks equally many in training.

    Of its colours a noun keeps one for the test, and every second noun one for validation. In each
    place, a noun meets four of the others only in the test and three only in validation.

    Args:
        nouns: at least 10.
        colours: at least 4.
        seed: another seed deals others.
    """
    draw = np.random.default_rng([seed, 0])
    pairs = _deal_colours([*draw.permutation(nouns)], [*draw.permutation(colours)])
    triples: dict[str, dict[str, tuple[Pair, ...]]] = {TRAIN: {}, VALID: {}, TEST: {}}
    for place in (LEFT, ABOVE):
        order = [str(noun) for noun in draw.permutation(nouns)]
        steps = draw.permutation(np.arange(1, len(nouns))).tolist()
        for split, count in _HELD_OUT.items():
            triples[split][place] = _at_steps(order, [steps.pop() for _ in range(count)])
        triples[TRAIN][place] = _at_steps(order, steps)
    return Combinations(pairs, triples)


def _deal_colours(
    nouns: Sequence[str], colours: Sequence[str]
) -> dict[str, dict[str, tuple[str, ...]]]:
    dealt: dict[str, dict[str, tuple[str, ...]]] = {TRAIN: {}, VALID: {}, TEST: {}}
    for number, noun in enumerate(map(str, nouns)):
        turn = number % len(colours)
        rest = [str(colour) for colour in [*colours[turn:], *colours[:turn]]]
        dealt[TEST][noun] = (rest.pop(),)
        if number // len(colours) % 2 == 0:
            dealt[VALID][noun] = (rest.pop(),)
        dealt[TRAIN][noun] = tuple(rest)
    return dealt


def _at_steps(order: Sequence[str], steps: Sequence[int]) -> tuple[Pair, ...]:
    """Pair each noun with those so many places further on, in a ring."""
    count = len(order)
    return tuple(
        (noun, order[(number + step) % count])
        for step in steps
        for number, noun in enumerate(order)
    )

"""Earlier places of a text vote for what follows, as a plain search through it says."""

import numpy as np
import pytest

from pipelines.errors import ConfigError
from pipelines.layers.match_memory import MatchMemory

SIZE = 5


def slowly(text, place, memory):
    """Return the shares of votes and the matching places of each level, after `place`."""
    votes, counts = np.zeros(memory.vocabulary_size), np.zeros(len(memory.levels))
    for old in range(max(0, place - memory.span), place):
        matching = [
            rank
            for rank, level in enumerate(memory.levels)
            if old + 1 >= level
            and text[old + 1 - level : old + 1] == text[place + 1 - level : place + 1]
        ]
        counts[matching] += 1
        if matching:
            votes[text[old + 1]] += memory.base ** max(matching)
    return votes / max(votes.sum(), 1e-9), np.log1p(counts)


@pytest.mark.parametrize("levels", [(1,), (1, 2, 4), (2, 3)])
@pytest.mark.parametrize("span", [4, 30])
def test_votes_and_counts_are_those_of_a_plain_search(levels, span):
    memory = MatchMemory(span, SIZE, levels=levels, base=3.0)
    text = np.random.default_rng(1).integers(1, SIZE, 40).tolist()
    before, found = memory.start(1), []
    for start, stop in ((0, 1), (1, 9), (9, 40)):
        tokens = np.array([text[start:stop]], np.int32)
        found.append(memory(tokens, before))
        before = memory.remember(tokens, before)
    probability = np.concatenate([part.probability for part in found], axis=1)[0]
    counts = np.concatenate([part.counts for part in found], axis=1)[0]
    for place in range(len(text)):
        wanted = slowly(text, place, memory)
        np.testing.assert_allclose(probability[place], wanted[0], atol=1e-5)
        np.testing.assert_allclose(counts[place], wanted[1], atol=1e-5)


@pytest.mark.parametrize("levels", [(1,), (2, 3), (2, 3, 4, 6)])
def test_a_step_finds_what_a_window_finds_row_by_row(levels):
    memory = MatchMemory(12, SIZE, levels=levels)
    tokens = np.random.default_rng(2).integers(1, SIZE, (3, 30)).astype("int32")
    tokens[0] = np.tile([1, 2], 15)  # many places match
    tokens[1, 5:9] = 0
    before = memory.start(3)
    for place in range(tokens.shape[1]):
        stepped = memory.step(tokens[:, place], before)
        window = memory(tokens[:, place : place + 1], before)
        for one, other in zip(stepped, window, strict=True):
            np.testing.assert_array_equal(one, np.array(other)[:, 0])
        before = memory.remember(tokens[:, place : place + 1], before)


def test_rows_do_not_vote_for_one_another_and_padding_matches_nothing():
    memory = MatchMemory(10, SIZE, levels=(1, 2))
    tokens = np.array([[1, 2, 1, 2], [1, 3, 0, 0]], np.int32)
    found = memory(tokens, memory.start(2))
    alone = memory(tokens[:1], memory.start(1))
    np.testing.assert_allclose(found.probability[0], alone.probability[0])
    assert not np.asarray(found.probability[1]).any()
    assert not np.asarray(found.counts[1]).any()


def test_levels_must_rise():
    with pytest.raises(ConfigError, match="levels.*rising"):
        MatchMemory(10, SIZE, levels=(3, 2))

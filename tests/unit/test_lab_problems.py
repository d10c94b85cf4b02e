"""Answers follow from inputs by a definition other than the one they were drawn by."""

from collections import Counter
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.lab.problems import PROBLEMS

SEEDS, LENGTHS = st.integers(0, 10**6), st.integers(12, 90)


def drawn(name, seed, length, count=5):
    return PROBLEMS[name].draw(np.random.default_rng(seed), count, length)


@given(SEEDS, LENGTHS)
def test_adding_asks_for_the_two_marked_numbers(seed, length):
    batch = drawn("adding", seed, length)
    for row, answer in zip(batch.inputs, batch.answers, strict=True):
        marked = [step for step, (_, mark) in enumerate(row) if mark == 1]
        assert len(marked) == 2
        assert marked[0] < length // 2 <= marked[1]
        assert set(row[:, 1]) == {0.0, 1.0}
        assert answer.item() == pytest.approx(float(row[marked[0], 0]) + float(row[marked[1], 0]))


@given(SEEDS, LENGTHS)
def test_copy_asks_for_the_first_symbols(seed, length):
    batch = drawn("copy", seed, length)
    for row, answer in zip(batch.inputs, batch.answers, strict=True):
        read = [int(np.argmax(step)) if sorted(step)[-2:] == [0, 1] else None for step in row]
        assert read[:3] == list(answer)
        assert read[3:] == [8] * (length - 6) + [9, 8, 8]


@given(SEEDS, LENGTHS)
def test_parentheses_ask_for_the_depth_at_the_end(seed, length):
    batch = drawn("parentheses", seed, length)
    for row, answer in zip(batch.inputs, batch.answers, strict=True):
        assert np.array_equal(row.sum(axis=1), np.ones(length))
        open_now = {"(": 0, "[": 0}
        for sign in ("()[] "[int(np.argmax(step))] for step in row):
            if sign in open_now:
                open_now[sign] += 1
            elif sign != " ":
                open_now["(" if sign == ")" else "["] -= 1
            assert min(open_now.values()) >= 0  # nothing is closed that was not opened
        assert list(open_now.values()) == list(answer)


def test_opening_and_closing_keep_to_their_halves():
    read = drawn("parentheses", 1, 40, 300).inputs.argmax(axis=2)
    assert set(read[:, :20].ravel()) == {0, 2, 4}
    assert set(read[:, 20:].ravel()) == {1, 3, 4}
    # Every place is used, so that the memory must span the sequence.
    assert ((read != 4).sum(axis=0) > 0).all()


def test_naive_error_of_adding_is_that_of_the_best_constant():
    sums = drawn("adding", 3, 20, 40_000).answers
    errors = {guess: float(np.mean((sums - guess) ** 2)) for guess in (0.8, 0.9, 1.0, 1.1, 1.2)}
    assert min(errors, key=errors.get) == 1.0
    assert PROBLEMS["adding"].naive_error() == pytest.approx(errors[1.0], rel=0.02)


def test_naive_errors_of_classes_are_those_of_the_commonest_answer():
    depths = Counter()
    for opened in range(4):
        for closed in range(opened + 1):
            depths[opened - closed] += Fraction(1, 4) * Fraction(1, opened + 1)
    assert sum(depths.values()) == 1
    assert PROBLEMS["parentheses"].naive_error() == pytest.approx(float(1 - max(depths.values())))
    symbols = Counter(first for first, *_ in product(range(8), repeat=3))
    assert PROBLEMS["copy"].naive_error() == pytest.approx(1 - symbols[0] / 8**3)
    for name in ("copy", "parentheses"):
        counts = np.bincount(drawn(name, 5, 20, 20_000).answers.ravel())
        share = counts.max() / counts.sum()
        assert PROBLEMS[name].naive_error() == pytest.approx(1 - share, abs=0.01)


@pytest.mark.parametrize("name", PROBLEMS)
def test_right_answers_have_skill_1_and_shapes_hold(name):
    problem, batch = PROBLEMS[name], drawn(name, 0, 30, 7)
    assert batch.inputs.shape == (7, 30, problem.channels)
    assert batch.inputs.dtype == np.float32
    perfect = batch.answers if problem.classes == 1 else np.eye(problem.classes)[batch.answers]
    assert perfect.shape == (7, problem.answers, problem.classes)
    assert problem.skill(problem.error(perfect, batch.answers)) == 1
    assert problem.skill(problem.naive_error()) == 0
    again = drawn(name, 0, 30, 7)
    assert np.array_equal(batch.inputs, again.inputs)
    assert not np.array_equal(batch.inputs, drawn(name, 1, 30, 7).inputs)
    shortest = problem.draw(np.random.default_rng(0), 50, problem.shortest)
    assert shortest.inputs.shape[1] == problem.shortest

"""What studies decide without training: sizes, rungs, differences, and what may be asked."""

import json
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pipelines import cli
from pipelines.errors import ConfigError, DataError
from pipelines.registry import find_task
from pipelines.studies.budget import units_for
from pipelines.studies.compare import combinations
from pipelines.studies.ledger import Ledger
from pipelines.studies.options import CompareCellsOptions, GradientsOptions, LadderOptions
from pipelines.studies.reach import curves, reach
from pipelines.studies.seeds import mean_of, welch_p_values
from pipelines.studies.stopping import chosen_rung, has_stopped, noise

values = st.floats(-100, 100).map(lambda x: round(x, 3))
rungs = st.lists(st.lists(values, min_size=1, max_size=4), min_size=1, max_size=7)


@given(rungs, values)
def test_rungs_are_judged_by_differences_alone_and_either_way_up(found, shift):
    moved = [[value + shift for value in rung] for rung in found]
    mirrored = [[-value for value in rung] for rung in found]
    chosen = chosen_rung(found, "higher")
    assert 0 <= chosen < len(found)
    assert chosen_rung(mirrored, "lower") == chosen
    # The sum rounds, so that a gain of exactly the noise may fall on either side.
    if min(abs(_gains(found)), default=1) > 1e-6:
        assert chosen_rung(moved, "higher") == chosen


def _gains(found):
    means, error = [np.mean(rung) for rung in found], noise(found)
    pairs = [(i, j) for j in range(len(found)) for i in range(j)]
    scale = [error * np.sqrt(1 / len(found[i]) + 1 / len(found[j])) for i, j in pairs]
    return np.array([means[j] - means[i] - s for (i, j), s in zip(pairs, scale, strict=True)])


@given(st.integers(1, 6), st.integers(1, 4))
def test_without_noise_every_gain_counts_and_standing_still_ends_the_ladder(rising, seeds):
    climbing = [[float(step)] * seeds for step in range(rising)]
    assert chosen_rung(climbing, "higher") == rising - 1
    assert not has_stopped(climbing, "higher", patience=2)
    still = [*climbing, climbing[-1]]
    assert not has_stopped(still, "higher", patience=2)
    assert has_stopped([*still, climbing[-1]], "higher", patience=2)
    assert chosen_rung([*still, climbing[-1]], "higher") == rising - 1


def test_a_gain_within_a_standard_error_is_none():
    assert noise([[0.0, 2.0], [1.0, 1.0]]) == pytest.approx(1.0)
    # Deviation 1 over two seeds each: the difference of two means has an error of 1.
    assert chosen_rung([[0.0, 2.0], [1.9, 1.9]], "higher") == 0
    assert chosen_rung([[0.0, 2.0], [2.1, 2.1]], "higher") == 1


@given(
    st.integers(1, 5_000), st.floats(0, 50), st.floats(0.01, 40), st.floats(0, 1000)
)  # fmt: skip
def test_units_come_nearest_to_the_budget(units, square, linear, constant):
    asked = []

    def count(size):
        asked.append(size)
        return int(square * size**2 + np.ceil(linear) * size + constant)

    budget = count(units)
    asked.clear()
    found, weights = units_for(budget, count)
    assert weights == count(found)
    others = [count(max(1, found - 1)), count(found + 1)]
    near = abs(weights - budget)
    assert near <= 0.01 * budget or near <= min(abs(other - budget) for other in others)
    assert len(set(asked)) <= 40


def test_a_budget_out_of_reach_names_the_option():
    message = "--study-budget is 1,000; 16,384 units have 7 weights only.*must be lower"
    with pytest.raises(ConfigError, match=message):
        units_for(1000, lambda units: 7)


def test_means_and_differences_are_those_of_scipy():
    one, other = [0.71, 0.74, 0.72], [0.69, 0.6, 0.64]
    low, high = stats.t.interval(0.95, 2, np.mean(one), stats.sem(one))
    assert mean_of(one) == pytest.approx(mean_of(one).__class__(np.mean(one), low, high))
    assert mean_of([0.5]).low is None
    expected = stats.ttest_ind(one, other, equal_var=False).pvalue
    found = welch_p_values(one, {"other": other, "same": one})
    assert found["other"] == pytest.approx(2 * expected)  # Holm: the smaller of two counts twice
    assert found["same"] == 1


def test_seeds_that_agree_and_single_seeds_claim_nothing():
    assert welch_p_values([0.5, 0.5], {"x": [0.6, 0.6]}) == {"x": 1.0}
    assert welch_p_values([0.5], {"x": [0.9]}) == {"x": 1.0}


def test_the_grid_has_other_encoders_where_the_task_has_the_choice():
    options = CompareCellsOptions(study_cells=("gru", "lstm"), study_depths=(1, 2))
    config = find_task("sentiment").config_type(cell="sru", direction="backward")
    names = [entry.name for entry in combinations(options, config)]
    assert names == [
        "gru, 1 layer", "lstm, 1 layer", "gru, 2 layers", "lstm, 2 layers",
        "cnn, 1 layer", "cnn, 2 layers", "dense, 1 layer", "dense, 2 layers",
    ]  # fmt: skip
    for entry in combinations(options, config):
        find_task("sentiment").config_type(**{**vars(config), **entry.changes})
    assert len(combinations(options, find_task("translation").config_type())) == 4
    only = CompareCellsOptions(study_encoders=("cnn",))
    with pytest.raises(ConfigError, match=r"--study-encoders is \('cnn',\); this task has rnn"):
        combinations(only, find_task("translation").config_type())


def test_what_was_found_is_known_again_and_a_line_cut_off_is_found_anew(tmp_path):
    path = tmp_path / "study" / "runs.jsonl"
    ledger = Ledger(path, resume=False)
    ledger.recall({"seed": 1, "sizes": (1, 2)}, lambda: {"valid": 0.5})
    ledger.recall({"seed": 2}, lambda: {"valid": 0.6})
    path.write_text(path.read_text()[:-5])
    again = Ledger(path, resume=True)
    assert again.recall({"sizes": [1, 2], "seed": 1}, dict) == {"valid": 0.5}
    assert not again.holds({"seed": 2})
    again.recall({"seed": 2}, lambda: {"valid": 0.7})
    assert [json.loads(line)["found"]["valid"] for line in path.read_text().splitlines()] == [
        0.5,
        0.7,
    ]
    assert not len(Ledger(path, resume=False))


def test_a_broken_line_within_a_study_is_named(tmp_path):
    path = tmp_path / "runs.jsonl"
    path.write_text('nonsense\n{"key": "a", "found": {}}\n')
    with pytest.raises(DataError, match=r"runs.jsonl:1: cannot read .* without --resume"):
        Ledger(path, resume=True)


def test_curves_are_named_after_cell_and_memory_and_their_reach_is_read_off():
    part = [[1.0, 0.5, 0.01, 0.001]] * 3
    found = {"lstm": {"start": {"states": [part, part]}}, "gru": {"failure": "no"}}
    named = curves(found, "start")
    assert list(named) == ["lstm", "lstm, memory c"]
    assert reach(named["lstm"][0], 0.01) == 2
    assert reach([1.0, 0.9], 0.01) is None


def run(capsys, *arguments):
    try:
        code = cli.main(arguments)
    except SystemExit as stop:
        code = stop.code
    captured = capsys.readouterr()
    return code, " ".join((captured.out + captured.err).replace("│", " ").split())


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("compare-cells", "--study-cells", "gru", "gru"), "--study-cells is ('gru', 'gru'); it"),
        (("compare-cells", "--study-budget", "0"), "--study-budget is 0; it must be at least 1"),
        (("compare-cells", "--study-depths", "0"), "--study-depths is (0,); it must be at least"),
        (("compare-cells", "--encoder", "cnn"), "--encoder is 'cnn'; it must be left out"),
        (("compare-cells", "--layer-units", "4", "8"), "left out of compare-cells, which varies"),
        (("compare-cells", "--study-seeds", "99"), "--study-seeds is 99; it must be fewer"),
        (("ladder", "--study-start", "64", "--study-most-units", "8"), "--study-start, 64"),
        (("ladder", "--layer-units", "4"), "--layer-units is (4,); it must be left out of ladder"),
        (("gradients", "--study-distance", "1"), "--study-distance is 1; it must be at least 2"),
        (("gradients", "--encoder", "dense"), "--encoder is 'dense'; it must be rnn"),
        (("gradients", "--study-cell", "gru"), "--study-cells"),
        (("ladder", "--study-seeds", "0"), "--study-seeds is 0; it must be at least 1"),
    ],
)
def test_misuse_is_answered_at_once(capsys, arguments, expected):
    code, text = run(capsys, arguments[0], "sentiment", *arguments[1:])
    assert code == 2
    assert expected in text


STUDIES = {"compare-cells": "forecasting", "ladder": "translation", "gradients": "pos"}


@pytest.mark.parametrize("study", STUDIES)
def test_studies_stand_in_make_and_teach_their_options(root, capsys, study):
    makefile = (root / "Makefile").read_text()
    assert f"\n{study}-%: " in makefile
    assert re.search(rf'echo "  {study}-TASK', makefile)
    code, text = run(capsys, study, STUDIES[study], "--help")
    assert code == 0
    assert "--study-seeds" in text or "--study-rows" in text
    assert "--learning-rate" in text


def test_studies_leave_out_what_other_methods_fit():
    config = find_task("sentiment").config_type()
    assert LadderOptions().common(config) == {"linear": False}
    assert GradientsOptions(study_linear=True).common(config) == {}
    assert LadderOptions().common(find_task("translation").config_type()) == {}

"""The exponents that `bench_scale.py` prints are those of the costs it is given."""

import importlib
import math
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def scale(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("bench_scale")


@pytest.mark.parametrize("power", [0.5, 1.0, 1.3])
@pytest.mark.parametrize("fixed", [0.0, 40.0])
def test_what_every_run_costs_is_no_growth(scale, power, fixed):
    costs = {size: fixed + 0.002 * size**power for size in (300, 3_000, 30_000)}
    assert scale.beyond_start(costs) == pytest.approx(power)


def test_noise_larger_than_the_growth_gives_no_exponent(scale):
    assert math.isnan(scale.beyond_start({1: 5.0, 10: 4.0, 100: 30.0}))


def test_the_slope_is_that_of_logarithms(scale):
    assert scale.exponent({50: 200.0, 100: 200.0, 1600: 200.0}) == pytest.approx(0.0, abs=1e-9)
    assert scale.exponent({50: 5.0, 100: 20.0, 400: 320.0}) == pytest.approx(2.0)


def test_a_corpus_has_the_rows_asked_for(scale, tmp_path):
    scale.write_rows(tmp_path / "rows.csv", 321)
    lines = (tmp_path / "rows.csv").read_text().splitlines()
    assert lines[0] == "text,label"
    assert len(lines) == 322

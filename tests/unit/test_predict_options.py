import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines import cli
from pipelines.errors import ConfigError
from pipelines.registry import find_task
from pipelines.series.forecaster_config import LEVELS
from pipelines.series.predicting import quantiles_at, wanted_levels


def parsed(*arguments):
    options, _ = cli.parse("predict", "forecasting", find_task("forecasting"), arguments)
    return options


def refused(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        parsed(*arguments)
    captured = capsys.readouterr()
    text = " ".join((captured.out + captured.err).replace("│", " ").split())
    return stop.value.code, text


def test_a_file_is_all_that_is_needed():
    options = parsed("--file", "recent.csv")
    assert (options.file, options.quantiles, options.plot, options.model) == (
        "recent.csv", (), None, None,
    )  # fmt: skip
    assert parsed("--file", "-").file == "-"


def test_quantiles_and_a_plot_may_be_asked_for(tmp_path):
    options = parsed("--file", "x", "--quantiles", "0.1", "0.95", "--plot", str(tmp_path / "a.png"))
    assert (options.quantiles, options.plot) == ((0.1, 0.95), tmp_path / "a.png")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), "--file"),
        (("--file", "x", "--quantiles", "half"), "half"),
        (("--file", "x", "--text", "y"), "--text"),
    ],
)
def test_a_mistake_is_misuse(capsys, arguments, expected):
    code, text = refused(capsys, *arguments)
    assert code == 2
    assert expected in text


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("--horizon", "0", "option --horizon is 0; it must be at least 1"),
        ("--history", "0", "option --history is 0; it must be at least 1"),
        ("--gap", "-1", "option --gap is -1; it must be at least 0"),
        ("--quantiles", "0.9", "option --quantiles is (0.9,); it must be ascending levels"),
        ("--paths", "0", "option --paths is 0; it must be at least 1"),
        ("--architecture", "autoregressive", "option --head is quantiles; it must be gaussian"),
    ],
)
def test_settings_that_cannot_work_are_refused_before_data_is_read(capsys, option, value, expected):
    assert cli.main(["train", "forecasting", "--data", "no.csv", option, value]) == 2
    assert expected in " ".join(capsys.readouterr().err.replace("'", "").split())


def test_levels_are_those_asked_for_in_order_and_once():
    assert wanted_levels((), LEVELS) == LEVELS
    assert wanted_levels((0.9, 0.15, 0.9), LEVELS) == (0.15, 0.9)


def test_levels_beyond_the_model_are_refused():
    message = (
        r"--quantiles asks for \[0\.05, 0\.99\]; this model knows levels from 0\.1 to 0\.9: ask for"
        r" levels between, or train with others \(--quantiles of train\)"
    )
    with pytest.raises(ConfigError, match=message):
        wanted_levels((0.05, 0.5, 0.99), LEVELS)


@given(st.lists(st.floats(0.1, 0.9), min_size=1, max_size=5), st.integers(0, 9))
def test_quantiles_between_levels_lie_on_the_line_between_them(wanted, seed):
    known = np.sort(np.random.default_rng(seed).normal(size=(2, 3, 9)), axis=-1)
    found = quantiles_at(known, LEVELS, wanted)
    for place in np.ndindex(2, 3):
        np.testing.assert_allclose(found[place], np.interp(wanted, LEVELS, known[place]))


def test_a_model_of_one_level_has_that_one_alone():
    assert quantiles_at(np.ones((2, 1)), [0.5], [0.5]).tolist() == [[1.0], [1.0]]
    with pytest.raises(ConfigError, match="from 0.5 to 0.5"):
        wanted_levels((0.4,), (0.5,))

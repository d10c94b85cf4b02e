import re
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from pipelines.datasets.series import Column, SeriesLayout, SeriesStore, WindowRows
from pipelines.datasets.series_frequency import parse_frequency
from pipelines.errors import EvaluationError
from pipelines.evaluation import forecasting_metrics as metrics
from pipelines.evaluation.backtest import LEVELS, Backtest, backtest_of
from pipelines.evaluation.forecast_evidence import evidence_of, middle, series_means, window_means
from pipelines.evaluation.forecast_figures import (
    Fan,
    bands_of,
    compact,
    fan_chart,
    literal,
    percent,
)
from pipelines.evaluation.forecast_figures_error import step_chart, upper_edge
from pipelines.evaluation.forecast_importance import Probe, importance_section, importances
from pipelines.evaluation.forecast_report import forecast_sections
from pipelines.evaluation.forecast_sections_calibration import pit_densities
from pipelines.evaluation.forecast_sections_error import calendar_section, step_section
from pipelines.evaluation.forecast_sections_residuals import residual_section
from pipelines.evaluation.forecast_sections_time import MOST_POINTS, fan_of, timeline_section
from pipelines.evaluation.sections import Figure, Html, Table

NORMAL = norm.ppf(LEVELS)
START = int(np.datetime64("2014-01-01", "s").astype(np.int64))


def noise_case(
    rows=400, horizon=4, targets=("a<b>",), units=("µg",), series=1, frequency="h", stride=1, seed=1
):
    """A back-test of white noise whose calibrated forecast is known: mean 0, deviation 1."""
    random = np.random.default_rng(seed)
    steps = parse_frequency(frequency)
    count, width = len(targets), rows * stride + horizon + 8
    values = random.normal(size=(series, width, count))
    origins = 8 + stride * np.arange(rows)
    ahead = np.arange(1, horizon + 1)
    backtest = Backtest(
        series=np.repeat(np.arange(series), rows),
        names=[f"<s{number}>" for number in range(series)],
        times=np.tile(steps.time(START, origins[:, None] + ahead), (series, 1)),
        actual=np.concatenate([line[origins[:, None] + ahead] for line in values]),
        history=np.concatenate([line[origins[:, None] + np.arange(-7, 1)] for line in values]),
        scale=np.ones((series * rows, count)),
        targets=tuple(targets),
        units=tuple(units),
        levels=LEVELS,
        season=24,
        frequency=steps.name,
        step_name=steps.step_name,
    )
    return backtest, answers(np.zeros(backtest.actual.shape))


def answers(median, spread=1.0):
    return {"mean": median, "quantiles": median[..., None] + spread * NORMAL}


def others(backtest, seed=2):
    random = np.random.default_rng(seed)
    noise = random.normal(size=backtest.actual.shape)
    return {
        "seasonal naive": answers(1.5 * noise),
        "boosted": answers(0.3 * noise),
    }


def evidence(backtest, outputs, baselines=None):
    return evidence_of(backtest, outputs, baselines or {}, seed=3)


def titles(sections):
    return [section.title for section in sections]


def figures(sections):
    return [b for section in sections for b in section.blocks if isinstance(b, Figure)]


def markup(sections):
    blocks = [block for section in sections for block in section.blocks]
    drawn = [block for block in blocks if not isinstance(block, Table)]
    return "".join(str(block.svg if isinstance(block, Figure) else block.markup) for block in drawn)


@pytest.fixture(scope="module")
def hourly():
    backtest, outputs = noise_case()
    return forecast_sections(backtest, outputs, others(backtest))


def test_sections_of_an_hourly_series(hourly):
    assert titles(hourly) == [
        "Best, median and worst forecasts",
        "By hours ahead",
        "By hour of the day and weekday",
        "Calibration",
        "What the errors still hold",
        "The whole test period",
        "All systems",
    ]


def test_foreign_text_is_escaped_and_drawings_are_told_in_words(hourly):
    drawn = markup(hourly)
    assert "a<b>" not in drawn
    assert "a&lt;b&gt;" in drawn
    assert all(figure.alt and figure.caption for figure in figures(hourly))
    assert len(figures(hourly)) == 3 + 1 + 2 + 3 + 1


def test_the_report_stays_small(hourly):
    assert sum(len(part) for part in markup(hourly)) < 300_000
    assert not re.search(r' d="[^"]*\.\d\d', markup(hourly))


def test_systems_table_holds_the_metrics(hourly):
    backtest, outputs = noise_case()
    (table,) = hourly[-1].blocks
    assert list(table.columns) == ["system", "MASE", "CRPS", "80 % coverage", "80 % width"]
    name, mase, crps, coverage, width = table.rows[0]
    assert name == "model"
    low, high = outputs["quantiles"][..., 0], outputs["quantiles"][..., -1]
    assert float(mase) == pytest.approx(np.abs(backtest.actual).mean(), abs=6e-4)
    expected = metrics.crps(backtest.actual, outputs["quantiles"], LEVELS)
    assert float(crps) == pytest.approx(expected, abs=6e-4)
    inside = metrics.coverage(backtest.actual, low, high)
    assert float(coverage) == pytest.approx(inside, abs=6e-4)
    assert float(width) == pytest.approx(2 * NORMAL[-1], abs=6e-3)
    assert [row[0] for row in table.rows] == ["model", "seasonal naive", "boosted"]


def test_the_strongest_baseline_is_the_one_with_the_smallest_error():
    backtest, outputs = noise_case(rows=60)
    assert evidence(backtest, outputs, others(backtest)).drawn == ["model", "boosted"]
    assert evidence(backtest, outputs).drawn == ["model"]


def test_best_middle_and_worst_windows_by_hand():
    backtest, _ = noise_case(rows=5, horizon=2)
    size = np.array([3.0, 1.0, 5.0, 2.0, 4.0])
    backtest = replace(backtest, actual=np.repeat(size[:, None, None], 2, axis=1))
    found = evidence(backtest, answers(np.zeros((5, 2, 1))))
    captions = [block.caption for block in fan_of_all(found)]
    stamps = backtest.times[:, 0] - 3600
    made = [str(np.datetime64(int(stamp), "s"))[11:16] for stamp in stamps]
    assert [re.search(r"MASE ([\d.]+)", text).group(1) for text in captions] == [
        "1.00",
        "3.00",
        "5.00",
    ]
    assert [re.search(r"\d\d:\d\d", text).group(0) for text in captions] == [
        made[1],
        made[0],
        made[2],
    ]
    assert "0 of 2 values came inside the 80 % band" in captions[-1]


def fan_of_all(found):
    from pipelines.evaluation.forecast_sections_time import fan_section

    return [block for block in fan_section(found).blocks if isinstance(block, Figure)]


def test_windows_with_few_observed_values_are_neither_best_nor_worst():
    losses = np.array([[np.nan, np.nan, 9.0], [1.0, 3.0, np.nan], [np.nan] * 3])
    assert window_means(losses).tolist() == pytest.approx([np.nan, 2.0, np.nan], nan_ok=True)
    assert middle(np.array([np.nan, 5.0, 1.0, 3.0, 9.0])) == 3


def test_nothing_observed_in_any_window_is_said():
    from pipelines.evaluation.forecast_sections_time import fan_section

    backtest, outputs = noise_case(rows=4)
    actual = backtest.actual.copy()
    actual[:, 1:] = np.nan
    section = fan_section(evidence(replace(backtest, actual=actual), outputs))
    assert section.blocks == ()
    assert "No window has half of its values observed" in section.prose


@pytest.mark.parametrize(
    ("frequency", "title"),
    [
        ("15min", "By hour of the day and weekday"),
        ("D", "By weekday"),
        ("W-WED", "By month"),
        ("MS", "By month"),
        ("ME", "By month"),
        ("QS", "By month"),
        ("YS", None),
    ],
)
def test_calendar_by_frequency(frequency, title):
    backtest, outputs = noise_case(rows=40, frequency=frequency, stride=7)
    section = calendar_section(evidence(backtest, outputs, others(backtest)))
    assert (section and section.title) == title


def test_history_of_a_fan_is_dated_by_the_calendar():
    backtest, outputs = noise_case(rows=30, frequency="ME")
    fan = fan_of(evidence(backtest, outputs), 0)
    months = fan.before.astype("datetime64[s]").astype("datetime64[D]")
    following = (months + 1).astype("datetime64[M]")
    assert (months + 1 == following.astype("datetime64[D]")).all()
    assert np.diff(following.astype(int)).tolist() == [1] * (len(months) - 1)
    assert fan.before[-1] < fan.times[0]


def test_errors_by_hour_are_those_of_the_forecast_hour():
    backtest, outputs = noise_case(rows=480)
    at_noon = metrics.hours(backtest.times) == 12
    actual = np.where(at_noon[..., None], 10.0, 0.1)
    section = calendar_section(evidence(replace(backtest, actual=actual), outputs))
    figure, *_ = section.blocks
    assert "its largest: 12:00 (10.0)" in figure.caption
    tables = [block for block in section.blocks if isinstance(block, Table)]
    noon = next(row for row in tables[0].rows if row[0] == "12:00")
    assert noon[1:] == [str(int(at_noon.sum())), "10.0"]


def test_step_table_reaches_from_the_first_to_the_last_step():
    backtest, outputs = noise_case(rows=30, horizon=24)
    growing = backtest.actual * 0 + np.arange(1, 25)[None, :, None]
    section = step_section(evidence(replace(backtest, actual=growing), outputs, others(backtest)))
    _, table = section.blocks
    assert table.columns[:2] == ["system", "1"]
    assert table.columns[-1] == "24"
    assert table.rows[0][1] == "1.00"
    assert table.rows[0][-1] == "24.0"
    assert "One hour ahead the model's MASE is 1.00, 24 hours ahead it is 24.0" in section.prose


def test_a_line_far_off_the_scale_does_not_flatten_the_others():
    lines = [np.array([1.0, 2.0]), np.array([1.5, 2.5]), np.array([3.0, 500.0])]
    assert upper_edge(lines) == 2.5
    assert upper_edge([np.array([0.0, np.nan])]) == 1.0
    backtest, outputs = noise_case(rows=60)
    far = {**others(backtest), "drift": answers(np.full(backtest.actual.shape, 1e5))}
    figure = step_section(evidence(backtest, outputs, far)).blocks[0]
    assert "Beyond the drawing: drift (up to 100,000)." in figure.caption


def test_without_a_scale_errors_are_in_units():
    backtest, outputs = noise_case(rows=60)
    backtest = replace(backtest, scale=np.full_like(backtest.scale, np.nan))
    section = step_section(evidence(backtest, outputs, others(backtest)))
    assert "MAE (µg)" in section.blocks[0].svg
    assert "errors are in units" in section.prose


def test_calibrated_forecasts_have_a_flat_pit_and_narrow_ones_high_ends():
    backtest, outputs = noise_case(rows=3000)
    edges = np.array([0.0, *LEVELS, 1.0])
    good = pit_densities(evidence(backtest, outputs), edges)
    assert np.allclose([bar.value for bar in good], 1, atol=0.1)
    narrow = answers(np.zeros(backtest.actual.shape), spread=0.4)
    values = [bar.value for bar in pit_densities(evidence(backtest, narrow), edges)]
    assert min(values[0], values[-1]) > 2 > 1 > max(values[3:7])
    assert np.dot(values, np.diff(edges)) == pytest.approx(1)


def test_ties_with_several_quantiles_are_spread_over_their_bars():
    backtest, _ = noise_case(rows=30)
    backtest = replace(backtest, actual=np.zeros(backtest.actual.shape))
    quantiles = np.zeros((*backtest.actual.shape, 9))
    quantiles[..., 5:] = 1.0  # levels 0.1 to 0.5 are all 0
    found = evidence(backtest, {"mean": quantiles[..., 0], "quantiles": quantiles})
    values = [bar.value for bar in pit_densities(found, np.array([0.0, *LEVELS, 1.0]))]
    assert values == pytest.approx([1 / 0.6] * 6 + [0] * 4)


def test_coverage_interval_holds_the_nominal_share(hourly):
    calibration = next(section for section in hourly if section.title == "Calibration")
    found = re.search(r"80 % interval ([\d.]+) \(([\d.]+)–([\d.]+)\)", calibration.prose)
    value, low, high = map(float, found.groups())
    assert low < value < high
    assert low - 0.02 < 0.8 < high + 0.02


def test_white_noise_errors_stay_in_the_band_and_others_do_not():
    backtest, outputs = noise_case(rows=900)
    prose = residual_section(evidence(backtest, outputs)).prose
    assert int(re.search(r"band at (\d+) of 40 lags", prose).group(1)) <= 6
    line = np.zeros(904)
    for step, shock in enumerate(np.random.default_rng(5).normal(size=903)):
        line[step + 1] = 0.9 * line[step] + shock
    actual = line[np.arange(900)[:, None] + np.arange(1, 5)][..., None]
    section = residual_section(evidence(replace(backtest, actual=actual), outputs))
    table = section.blocks[1]
    assert table.columns == ["hours apart", "1 hour ahead", "4 hours ahead"]
    assert float(table.rows[0][1]) == pytest.approx(0.9, abs=0.06)


def test_errors_are_paired_by_time_even_where_origins_are_missing():
    """Of an alternating error, lag 2 stays +1 even if a third of the origins is gone."""
    backtest, outputs = noise_case(rows=300)
    sign = np.where(np.arange(300) % 2, 1.0, -1.0)
    backtest = replace(backtest, actual=np.repeat(sign[:, None, None], 4, axis=1))
    kept = np.random.default_rng(1).random(300) < 0.67
    parts = {
        name: getattr(backtest, name)[kept]
        for name in ("series", "times", "actual", "history", "scale")
    }
    answer = {name: values[kept] for name, values in outputs.items()}
    rows = residual_section(evidence(replace(backtest, **parts), answer)).blocks[1].rows
    assert [row[1] for row in rows[:4]] == ["−1.00", "+1.00", "−1.00", "+1.00"]


def test_few_origins_make_no_autocorrelation():
    backtest, outputs = noise_case(rows=9)
    section = residual_section(evidence(backtest, outputs))
    assert section.blocks == ()
    assert "Too few origins" in section.prose
    assert "too few to draw" in timeline_section(evidence(*noise_case(rows=3))).prose


def test_timeline_draws_a_bounded_number_of_points_and_keeps_gaps():
    backtest, outputs = noise_case(rows=4 * MOST_POINTS, horizon=2)
    (block,) = timeline_section(evidence(backtest, outputs)).blocks
    assert isinstance(block, Html)
    assert len(block.markup) < 400_000
    drawn = int(re.search(r"Above: ([\d,]+) of 7,200 forecasts", block.markup)[1].replace(",", ""))
    assert MOST_POINTS / 2 < drawn <= MOST_POINTS
    assert 'role="img" aria-label="Forecasts from ' in block.markup


def test_many_series_are_summed_up():
    backtest, outputs = noise_case(rows=30, series=20, targets=("a", "b"), units=("", ""))
    baselines = others(backtest)
    better = np.array(baselines["seasonal naive"]["quantiles"])
    first = backtest.series == 0
    better[first, :, 0] = backtest.actual[first, :, 0, None]  # one series that the model loses
    baselines["seasonal naive"] = {"mean": better[..., 4], "quantiles": better}
    sections = forecast_sections(backtest, outputs, baselines)
    section = next(section for section in sections if section.title == "Series")
    assert "MASE of a is below that of seasonal naive in 0.950 (" in section.prose
    assert "MASE of b is below that of seasonal naive in 1.000 (" in section.prose
    (table,) = section.blocks
    assert [row[1] for row in table.rows] == [
        *map(str, range(1, 6)),
        *map(str, range(8, 13)),
        *map(str, range(16, 21)),
    ]
    values = [float(row[3]) for row in table.rows]
    assert values == sorted(values)
    targets = [row[1] for row in sections[-1].blocks[0].rows]
    assert targets == ["a"] * 3 + ["b"] * 3


def test_means_by_series_by_hand():
    losses = np.array([[1.0, 3.0], [np.nan, 5.0], [np.nan, np.nan]])
    assert series_means(losses, np.array([0, 2, 1]), 3).tolist() == pytest.approx(
        [2.0, np.nan, 5.0], nan_ok=True
    )


def test_one_step_and_one_level_are_drawn():
    backtest, outputs = noise_case(rows=60, horizon=1)
    outputs = {"mean": outputs["mean"], "quantiles": outputs["quantiles"][..., 4:5]}
    backtest = replace(backtest, levels=(0.5,))
    sections = forecast_sections(backtest, outputs, {})
    assert sections[-1].blocks[0].columns == ["system", "MASE", "CRPS"]
    assert bands_of((0.5,)) == []


def test_bands_are_those_the_levels_can_show():
    assert [share for share, _, _ in bands_of(LEVELS)] == [0.8, 0.5]
    assert bands_of((0.25, 0.5, 0.75)) == [(0.5, 0.25, 0.75)]
    assert bands_of((0.4, 0.5, 0.6))[0][0] == pytest.approx(0.2)


def test_nothing_is_drawn_of_a_target_that_never_came():
    backtest, outputs = noise_case(rows=30, targets=("a", "b"), units=("", ""))
    actual = backtest.actual.copy()
    actual[..., 0] = np.nan
    sections = forecast_sections(replace(backtest, actual=actual), outputs, {})
    assert titles(sections) == ["Forecasts", "All systems"]
    assert "No value of a came in the test period" in sections[0].prose
    assert sections[1].blocks[0].rows[0][1:4] == ["a", "–", "–"]


def test_a_step_beyond_the_horizon_is_refused():
    with pytest.raises(EvaluationError, match="step 9 ahead .* from 1 to 4: choose one of these"):
        timeline_section(evidence(*noise_case(rows=30)), step=9)


def test_outputs_that_do_not_fit_are_named():
    backtest, outputs = noise_case(rows=10)
    with pytest.raises(EvaluationError, match="boosted: 'quantiles' has the shape"):
        forecast_sections(
            backtest, outputs, {"boosted": {**outputs, "quantiles": outputs["quantiles"][:-1]}}
        )
    parts = ("series", "times", "actual", "history", "scale")
    nothing = replace(backtest, **{name: getattr(backtest, name)[:0] for name in parts})
    with pytest.raises(EvaluationError, match="0 forecasts; at least 1 is needed: check that the"):
        forecast_sections(nothing, {}, {})


def test_foreign_text_is_no_formula():
    fan = Fan(
        name="price $x_1$ in $",
        unit="$",
        before=START + 3600 * np.arange(4),
        history=np.ones(4),
        times=START + 3600 * np.arange(4, 6),
        quantiles=np.tile(np.arange(9.0), (2, 1)),
        levels=LEVELS,
    )
    assert "price $x_1$ in $ ($)" in fan_chart(fan)
    assert literal("x" * 50, 10) == "x" * 9 + "…"
    assert percent(0.8) == "80 %"


def test_paths_lose_digits_and_text_does_not():
    svg = '<text>12.3456</text><path d="M 1.26 -0.04 \nL 2.0 3.449 \nz"/>'
    assert compact(svg) == '<text>12.3456</text><path d="M1.3 -0L2 3.4z"/>'


def test_every_baseline_has_a_line_of_its_own():
    from pipelines.evaluation.bootstrap import Interval

    model = [Interval(1.0, 0.9, 1.1), Interval(1.2, 1.0, 1.4)]
    names = [f"system {number}" for number in range(9)]
    svg = step_chart(
        model, {name: np.array([1.0, 2.0]) for name in names}, step_name="hour", ylabel="MASE"
    )
    assert all(name in svg for name in names)
    styles = set(re.findall(r"stroke-dasharray: ([\d., ]+).*?stroke: (var\(--series-\d\))", svg))
    assert len(styles) == 9


@pytest.fixture(scope="module")
def probed():
    """A model that repeats the last value, adds the price ahead, and ignores the noise column."""
    random = np.random.default_rng(4)
    values = random.normal(size=(400, 3)).astype(np.float32)
    for step in range(1, 400):  # columns: target, noise, price
        values[step, 0] = 0.8 * values[step - 1, 0] + values[step, 2]
    layout = SeriesLayout(
        (Column("y", "target"), Column("noise", "past"), Column("price", "known")),
        (Column("region", "static", ("north", "south")),),
        parse_frequency("h"),
    )
    store = SeriesStore.of(layout, {"only": (START, values)}, static=[[1.0]])
    rows = WindowRows(store, np.zeros(380), np.arange(10, 390), history=6, horizon=2)
    backtest = backtest_of(rows, {"only": np.array([1.0])}, LEVELS)
    asked = []

    def predict(inputs):
        asked.append({name: np.shape(values) for name, values in inputs.items()})
        last, price = np.array(inputs["history"])[:, -1, 0], np.array(inputs["known"])[..., 0]
        first = 0.8 * last + price[:, 0]
        median = np.stack([first, 0.8 * first + price[:, 1]], axis=1)[..., None]
        return {"mean": median, "quantiles": median[..., None] + 0.1 * NORMAL}

    return rows, backtest, predict, asked


def test_importance_finds_what_the_model_uses(probed):
    rows, backtest, predict, asked = probed
    outputs = predict(rows.gather(np.arange(len(rows))))
    sections = forecast_sections(backtest, outputs, {}, rows=rows, predict=predict)
    assert "What the model uses" in titles(sections)
    found = evidence(backtest, outputs)
    entries = {
        entry.name: entry.increase
        for entry in importances(found, Probe(predict, rows, rows.store.layout), np.arange(200))
    }
    assert list(entries) == ["y", "noise", "price, so far", "price, ahead", "region"]
    assert entries["price, ahead"].low > 0.3
    assert entries["y"].low > 0.3
    for name in ("noise", "price, so far", "region"):
        assert (entries[name].value, entries[name].low, entries[name].high) == (0, 0, 0)
    shapes = {"history": (200, 6, 3), "time": (200,), "known": (200, 2, 1), "static": (200, 1)}
    assert asked[-1] == shapes


def test_importance_asks_about_a_bounded_number_of_windows_and_repeats_itself(probed):
    rows, backtest, predict, asked = probed
    found = evidence(backtest, predict(rows.gather(np.arange(len(rows)))))
    probe = Probe(predict, rows, rows.store.layout)
    asked.clear()
    first = importance_section(found, probe)
    assert {shapes["time"] for shapes in asked} == {(300,)}
    assert len(asked) == 1 + 5 * 3
    second = importance_section(found, probe)
    assert first.blocks[1].rows == second.blocks[1].rows
    assert first.blocks[1].rows[-1][1:] == ["0", "0 to 0"]

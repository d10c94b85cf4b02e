import json
import re
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from markupsafe import Markup
from rich.console import Console

from pipelines.errors import EvaluationError
from pipelines.evaluation import overview, plots, wording
from pipelines.evaluation.index import write_index
from pipelines.evaluation.plain import plain
from pipelines.evaluation.predictions import write_predictions
from pipelines.evaluation.report import Figure, Html, Section, Table, write_report
from pipelines.evaluation.scores import Comparison, Score
from pipelines.evaluation.summary import terminal_summary

STRONG = "TF-IDF + logistic regression"


def make_report(value=0.812, baseline=0.798, p=0.03, **changes):
    gap = value - baseline
    comparison = Comparison(
        value=baseline, difference=gap, low=gap - 0.012, high=gap + 0.012, p_value=p
    )
    score = Score(
        name="accuracy",
        value=value,
        unit="fraction",
        better="higher",
        count=1057,
        low=value - 0.02,
        high=value + 0.02,
        baselines={STRONG: comparison},
    )
    history = [
        {"epoch": n, "loss": 1 / n, "valid_loss": 0.9 / n, "valid_accuracy": 0.7 + n / 100}
        for n in (1, 2, 3)
    ]
    return {
        "task": "sentiment",
        "headline": "accuracy",
        "scores": [score.as_json()],
        "data": {
            "source": "film-reviews", "licence": "MIT", "citation": "Someone (2014)",
            "counts": {"train": 8453, "test": 1057}, "dropped": {"duplicate text": 2},
            "label_counts": {"train": {"good": 4000}, "test": {"good": 500}}, "notes": ["Rated."],
            "files": {"a.txt": "0123abcd"},
        },
        "training": {
            "seconds": 93.2, "epochs": 3, "best_epoch": 2, "tokens_per_second": 41234,
            "history": history,
        },
        "model": {"parameters": 1234567, "bytes": 5_100_000},
        "serving": {"latency_ms_p50": 1.43, "latency_ms_p99": 2.9, "rows_per_second": 8123.4},
        "parity": {"rows": 1057, "mismatches": 0, "largest_difference": 2.4e-7},
        "manifest": {"created": "2026-11-21T04:33:00+00:00", "seed": 17, "wall_seconds": 152.3},
        **changes,
    }  # fmt: skip


def page_of(folder, report, sections=()):
    write_report(folder, report, sections)
    return (folder / "report.html").read_text(encoding="utf-8")


def words_of(page):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


def test_headline_against_baseline_in_words(tmp_path):
    words = words_of(page_of(tmp_path, make_report()))
    assert "0.812 accuracy" in words
    assert "95 % interval 0.792–0.832, on 1,057 test rows" in words
    assert f"The model is better than {STRONG}." in words
    assert f"1.4 points above {STRONG} (0.798), p = 0.03" in words
    assert "95 % interval of the difference +0.2 to +2.6 points" in words


def test_a_loss_is_said_as_plainly(tmp_path):
    words = words_of(page_of(tmp_path, make_report(value=0.77, p=0.004)))
    assert f"The model is worse than {STRONG}." in words
    assert f"2.8 points below {STRONG} (0.798), p = 0.004" in words


def test_an_open_outcome_is_not_dressed_up(tmp_path):
    words = words_of(page_of(tmp_path, make_report(p=0.2)))
    assert f"These rows do not show the model to be better or worse than {STRONG}." in words


def test_page_holds_every_fact(tmp_path):
    words = words_of(page_of(tmp_path, make_report()))
    for fact in [
        "1,234,567", "5.1 MB", "1 min 33 s", "41,234 tokens/s", "1.43 ms", "2.90 ms",
        "8,123 rows/s", "1,057 rows compared, none differ", "film-reviews", "MIT", "Someone (2014)",
        "duplicate text", "0123abcd", "the weights of epoch 2 were kept", "kept: epoch 2", "Rated.",
        "2 min 32 s",
    ]:  # fmt: skip
        assert fact in words, fact


def test_page_needs_nothing_from_outside(tmp_path):
    page = page_of(tmp_path, make_report())
    assert "<script" not in page
    assert not re.findall(r"""(?:src|href)=["'](?!#)""", page)
    assert "@import" not in page
    assert not re.findall(r"url\((?!#)", page)
    assert "http" not in page.replace("http-equiv", "")


def test_parity_failure_is_named(tmp_path):
    report = make_report(parity={"rows": 10, "mismatches": 2, "largest_difference": 0.4})
    assert "differs from the trained one on 2 of 10 rows" in words_of(page_of(tmp_path, report))


def test_report_of_an_evaluation_without_training(tmp_path):
    report = make_report(training=None, parity=None, serving=None, manifest={}, data={})
    words = words_of(page_of(tmp_path, report))
    assert "Training time" not in words
    assert "0.812" in words


def test_score_without_interval_or_comparison(tmp_path):
    report = make_report()
    bare = {"name": "bleu", "value": 23.4, "unit": "BLEU", "better": "higher", "count": 10,
            "low": None, "high": None, "baselines": {"copy": 0.2}}  # fmt: skip
    report |= {"scores": [bare], "headline": "bleu"}
    words = words_of(page_of(tmp_path, report))
    assert "23.2 BLEU above copy" in words
    assert "is better than" not in words


def test_foreign_text_is_escaped_and_markup_is_kept(tmp_path):
    section = Section(
        "A <b> & c",
        "One <i>.\n\nTwo.",
        [Table(["<u>"], [["<s>"]], caption="<q>"), Html(Markup("<hr class='mine'>"))],
    )
    page = page_of(tmp_path, make_report(task="x<y"), [section])
    for raw in ["<u>", "<s>", "<q>", "<i>", "<b>", "x<y"]:
        assert raw not in page
    assert "<hr class='mine'>" in page
    assert "<p>One &lt;i&gt;.</p>\n<p>Two.</p>" in page


def test_json_is_strict_and_numpy_is_plain(tmp_path):
    report = make_report(extra={"a": np.float32(0.5), "b": np.array([1.0, np.nan]), "c": np.inf,
                                "d": Path("x/y"), "e": b"z", "f": date(2026, 1, 2)})  # fmt: skip
    write_report(tmp_path, report, [])

    def refuse(constant):
        raise AssertionError(constant)

    text = (tmp_path / "report.json").read_text()
    found = json.loads(text, parse_constant=refuse)
    assert found["extra"] == {"a": 0.5, "b": [1.0, None], "c": None, "d": "x/y", "e": "z",
                              "f": "2026-01-02"}  # fmt: skip
    assert found["scores"][0]["baselines"] == {STRONG: 0.798}


def test_bad_reports_say_what_to_add(tmp_path):
    report = make_report()
    del report["parity"]
    with pytest.raises(EvaluationError, match=r"\['parity'\] are missing.*as None where"):
        write_report(tmp_path, report, [])
    with pytest.raises(
        EvaluationError, match=r"headline is 'f1' but the scores are \['accuracy'\]"
    ):
        write_report(tmp_path, make_report(headline="f1"), [])
    with pytest.raises(
        EvaluationError, match=r"score 'accuracy' is nan; expected a finite.*NaN in"
    ):
        write_report(tmp_path, make_report(value=float("nan")), [])
    broken = make_report()
    del broken["scores"][0]["unit"]
    with pytest.raises(
        EvaluationError, match=r"scores\[0\] \('accuracy'\) lacks \['unit'\].*as_json"
    ):
        write_report(tmp_path, broken, [])
    assert list(tmp_path.iterdir()) == []


def test_diverged_training_still_gets_its_report(tmp_path):
    report = make_report()
    report["training"]["history"][2]["loss"] = float("inf")
    assert "training loss" in words_of(page_of(tmp_path, report))


def test_averaged_weights_are_no_epochs_weights(tmp_path):
    report = make_report()
    report["training"]["averaged_epochs"] = 2
    page = page_of(tmp_path, report)
    assert "the mean of the weights of the last 2 was kept" in words_of(page)
    assert "kept: epoch" not in page


def test_one_epoch_is_a_sentence_and_no_curve(tmp_path):
    report = make_report()
    report["training"] |= {"epochs": 1, "best_epoch": 1, "history": [{"epoch": 1, "loss": 0.5}]}
    page = page_of(tmp_path, report)
    assert "1 epoch in 1 min 33 s" in page
    assert "<svg" not in page


def test_same_report_same_bytes(tmp_path):
    first = page_of(tmp_path / "a", make_report())
    assert page_of(tmp_path / "b", make_report()) == first


def curve():
    return plots.learning_curve([1, 2], {"loss": [1.0, 0.5]}, best_epoch=2, label="loss")


def test_drawings_follow_the_page():
    svg = curve()
    assert svg.startswith("<svg")
    assert "var(--series-1)" in svg
    assert "var(--plot-ink)" in svg
    assert "<text" in svg and "kept: epoch 2" in svg
    assert not re.findall(r"#(?:0[1-6]){3}|#000000|#ffffff|width=\"[\d.]+pt", svg)
    assert len(svg) < 20_000


def test_names_inside_drawings_do_not_clash():
    other = plots.learning_curve([1, 2], {"loss": [1.0, 0.4]}, best_epoch=None, label="loss")
    names = [set(re.findall(r'id="([^"]+)"', svg)) for svg in (curve(), other)]
    assert names[0] and not names[0] & names[1]
    for svg, own in zip((curve(), other), names, strict=True):
        assert set(re.findall(r'(?:href="#|url\(#)([^")]+)', svg)) <= own


def test_a_label_with_markup_does_not_break_a_drawing(tmp_path):
    svg = plots.grouped_intervals(["<a>", "$x$"], {"m & n": ([1, 2], [0, 1], [2, 3])},
                                  xlabel="x", ylabel="y")  # fmt: skip
    assert "<a>" not in svg
    page = page_of(tmp_path, make_report(), [Section("s", "", [Figure(svg, "c", 'say "so"')])])
    assert 'aria-label="say &#34;so&#34;"' in page


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(0.8123, "fraction", "0.812"), (-0.5, "fraction", "−0.500"), (23.456, "", "23.5"),
     (1234567, "", "1,234,567"), (2.4e-7, "", "2.4e-07"), (0, "", "0"), (None, "", "–"),
     (float("nan"), "", "–"), (0.0512, "", "0.0512"), (5.123, "", "5.12")],
)  # fmt: skip
def test_numbers(value, unit, text):
    assert wording.number(value, unit) == text


@pytest.mark.parametrize(
    ("p", "text"),
    [(0.0004, "p < 0.001"), (0.004, "p = 0.004"), (0.031, "p = 0.03"), (1.0, "p = 1.00")],
)
def test_p_values(p, text):
    assert wording.p_value(p) == text


@pytest.mark.parametrize(
    ("better", "gap", "p", "outcome"),
    [("higher", 0.1, 0.01, "better"), ("higher", -0.1, 0.01, "worse"),
     ("lower", -0.1, 0.01, "better"), ("lower", 0.1, 0.01, "worse"),
     ("higher", 0.1, 0.06, "undecided"), ("higher", 0.0, 0.01, "undecided")],
)  # fmt: skip
def test_verdicts(better, gap, p, outcome):
    score = {"better": better, "comparisons": {"x": {"difference": gap, "p_value": p}}}
    assert wording.verdict(score, "x") == outcome


def test_durations():
    assert [wording.duration(s) for s in (4.25, 48.2, 125, 11520)] == [
        "4.2 s", "48 s", "2 min 5 s", "3 h 12 min",
    ]  # fmt: skip


def test_summary_fits_eighty_plain_columns(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    version = tmp_path / "saved_models" / "sentiment" / "3"
    paths = {"SavedModel": version, "report": version / "report" / "report.html"}
    with Path("out.txt").open("w", encoding="ascii") as file:
        Console(file=file, width=80).print(terminal_summary(make_report(value=0.77), paths))
    lines = Path("out.txt").read_text().splitlines()
    assert lines == [
        "accuracy 0.770 (95 % interval 0.750 to 0.790) on 1,057 test rows",
        f"  {STRONG} 0.798: model -2.8 points, p = 0.03 (worse)",
        "wall time  2 min 32 s",
        "SavedModel  saved_models/sentiment/3",
        "report      saved_models/sentiment/3/report/report.html",
    ]


def test_index_lists_runs_newest_first_and_unreadable_ones(tmp_path):
    for number in (1, 2, 10):
        write_report(tmp_path / "sentiment" / str(number) / "report", make_report(), [])
    (tmp_path / "sentiment" / "11").mkdir()
    (tmp_path / "sentiment" / ".3.partial").mkdir()
    (tmp_path / "sentiment" / "latest").symlink_to("10")
    page = write_index(tmp_path).read_text()
    links = re.findall(r'href="(sentiment/\d+)/report/report.html"', page)
    assert links == ["sentiment/10", "sentiment/2", "sentiment/1"]
    words = words_of(page)
    assert "10 (latest) 2026-11-21 04:33 film-reviews 0.812 accuracy" in words
    assert f"1.4 points above {STRONG} (0.798), p = 0.03: better" in words
    assert "no readable report (FileNotFoundError)" in words


def test_index_without_runs(tmp_path):
    assert "No run yet" in write_index(tmp_path).read_text()
    with pytest.raises(EvaluationError, match=r"nowhere: no such folder.*train a task first"):
        write_index(tmp_path / "nowhere")


def test_predictions_stream_one_line_a_row(tmp_path):
    taken = []

    def rows():
        for number in range(3):
            taken.append(number)
            yield {"text": "a\nb é", "output": {"label": "x", "p": np.float32(0.5)}, "n": number}

    assert write_predictions(tmp_path / "predictions.jsonl", rows()) == 3
    lines = (tmp_path / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(lines[1]) == {"text": "a\nb é", "output": {"label": "x", "p": 0.5}, "n": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["predictions.jsonl"]


def test_plain_converts_what_reports_hold():
    score = Score(name="a", value=1.0, unit="", better="higher", count=np.int64(3))
    assert plain(score)["count"] == 3
    assert plain({1: {"b", "a"}, "t": (True, None)}) == {"1": ["a", "b"], "t": [True, None]}


def test_of_many_baselines_the_strongest_come_first():
    baselines = {f"rule {number}": 0.5 + number / 10 for number in (3, 1, 5, 2, 4)}
    score = {"name": "mase", "value": 0.4, "better": "lower", "baselines": baselines}
    assert overview.strongest(score) == ["rule 1", "rule 2", "rule 3"]
    assert overview.strongest(score | {"better": "higher"})[0] == "rule 5"
    near = overview.strongest(score | {"better": "target", "target": 0.8})
    assert near[0] == "rule 3"
    few = {"b": 1.0, "a": 0.2}
    assert overview.strongest(score | {"baselines": few}) == ["b", "a"]


def test_the_report_says_which_way_recurrent_layers_were_trained():
    from pipelines.evaluation.facts import model_facts

    def line(paths):
        facts = dict(model_facts({}, {"recurrence": paths}, {}))
        return facts.get("Recurrent layers trained by")

    assert line({}) is None
    assert line({"encoder 1": "the fast path", "encoder 2": "the fast path"}) == "the fast path"
    mixed = line({"encoder 1": "the fast path", "decoder 1": "dropout is 0.1, not 0.0"})
    assert mixed == (
        "encoder 1: the fast path; decoder 1: Keras' own layer, since dropout is 0.1, not 0.0"
    )

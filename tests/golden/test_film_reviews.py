"""A small real run pinned to a band: it moves when the model, the data or the metric moves."""

import json

import pytest
from rich.console import Console

from pipelines import pipeline
from pipelines.evaluate import evaluate_version
from pipelines.registry import find_task
from pipelines.stages import Stages

pytestmark = pytest.mark.network


@pytest.fixture(scope="module")
def version(folders):
    task_type = find_task("sentiment")
    task = task_type(task_type.config_type(epochs=2, units=32))
    stages = Stages(Console(quiet=True))
    return pipeline.train(task, "film-reviews", folders=folders, stages=stages)


@pytest.fixture(scope="module")
def report(version):
    return json.loads((version / "report" / "report.json").read_text())


def headline(report):
    return next(score for score in report["scores"] if score["name"] == report["headline"])


def test_the_data_is_what_was_measured(report):
    assert report["data"]["counts"] == {"train": 8454, "valid": 1056, "test": 1056}
    assert report["data"]["dropped"] == {"duplicate text": 2, "rating 0": 37}


def test_the_baselines_are_strong(report):
    baselines = headline(report)["baselines"]
    assert baselines["TF-IDF + logistic regression"] == pytest.approx(0.795, abs=0.005)
    assert baselines["majority class"] == pytest.approx(0.504, abs=0.001)


def test_two_epochs_reach_the_baseline(report):
    score = headline(report)
    assert score["count"] == 1056
    assert 0.785 <= score["value"] <= 0.83
    assert score["value"] >= score["baselines"]["TF-IDF + logistic regression"] - 0.01


def test_probabilities_are_calibrated(report):
    error = next(score for score in report["scores"] if score["name"] == "ece")
    assert error["value"] < 0.06


def test_evaluating_the_same_data_again_gives_the_same_score(version, folders, report):
    task_type = find_task("sentiment")
    folder = evaluate_version(
        task_type(task_type.config_type()),
        version,
        "film-reviews",
        folders=folders,
        stages=Stages(Console(quiet=True)),
    )
    again = json.loads((folder / "report.json").read_text())
    assert headline(again)["value"] == headline(report)["value"]
    assert headline(again)["baselines"] == headline(report)["baselines"]

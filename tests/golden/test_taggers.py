"""Small real runs of the taggers, pinned to bands."""

import json

import pytest
from rich.console import Console

from pipelines import pipeline
from pipelines.registry import find_task
from pipelines.stages import Stages
from pipelines.workspace import Folders

pytestmark = pytest.mark.network


def small_run(folders, name, source, **settings):
    task_type = find_task(name)
    task = task_type(task_type.config_type(**settings))
    version = pipeline.train(task, source, folders=folders, stages=Stages(Console(quiet=True)))
    return json.loads((version / "report" / "report.json").read_text())


def scores(report):
    return {score["name"]: score for score in report["scores"]}


@pytest.fixture(scope="module")
def pos(folders):
    return small_run(
        folders, "pos", "porttinari",
        limit=1000, epochs=3, units=64, unlabelled="", batch_tokens=512, learning_rate=5e-3,
    )  # fmt: skip


def test_porttinari_is_what_was_measured(pos):
    assert pos["data"]["counts"] == {"train": 6698, "valid": 836, "test": 846}
    assert pos["data"]["dropped"]["duplicate sentence"] == 38


def test_a_thousand_sentences_teach_most_parts_of_speech(pos):
    found = scores(pos)
    assert 0.93 <= found["accuracy"]["value"] <= 0.97
    assert found["accuracy"]["baselines"]["feature CRF"] == pytest.approx(0.951, abs=0.01)
    assert found["unknown_word_accuracy"]["value"] >= 0.8
    assert found["word_f1"]["value"] >= 0.98  # contractions and hyphens as in the treebank


def test_tweets_are_what_was_measured():
    task_type = find_task("ner")
    task = task_type(task_type.config_type(unlabelled=""))
    splits = task.load_data("tweet-entities", Folders.default())
    assert splits.card.counts == {"train": 1835, "valid": 230, "test": 230}
    assert sum(splits.card.label_counts["test"].values()) == 136

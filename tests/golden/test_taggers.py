"""Small real runs of the taggers, pinned to bands."""

import numpy as np
import pytest
import tensorflow as tf
from rich.console import Console

from pipelines import pipeline
from pipelines.evaluation.raw_text import raw_text_scores
from pipelines.evaluation.tagging import score_tagging
from pipelines.registry import find_task
from pipelines.stages import Stages
from pipelines.text.tagger_fitting import KnownWords
from pipelines.workspace import Folders

pytestmark = pytest.mark.network

SETTINGS = {
    "limit": 600, "epochs": 4, "units": 64, "unlabelled": "", "batch_tokens": 256,
    "learning_rate": 5e-3,
}  # fmt: skip


@pytest.fixture(scope="module")
def pos(folders):
    """Train without export and report: the contract tests have those of a tagger."""
    task_type = find_task("pos")
    task = task_type(task_type.config_type(**SETTINGS))
    stages = Stages(Console(quiet=True))
    ready = pipeline.prepare(task, "porttinari", folders=folders, stages=stages)
    model, trainer, _ = pipeline.fit(task, ready, folders=folders, stages=stages)
    trainer.discard()
    test = ready.splits.test
    scores = score_tagging(
        [row.tokens for row in test], [row.tags for row in test],
        task.trained_outputs(model, ready), task.baselines(ready.splits, None),
        spans=False, known_words=KnownWords(ready.artifacts), seed=0,
    )  # fmt: skip
    serve = tf.function(task.endpoints(model, ready.artifacts)["serve"].function, autograph=False)

    def answers(inputs):
        found = serve(tf.constant(inputs["text"]))
        return {name: as_texts(value.numpy()) for name, value in found.items()}

    scores += raw_text_scores(list(test)[:256], answers, spans=False, seed=0)
    return ready.splits.card, {score.name: score for score in scores}


def as_texts(values):
    return np.vectorize(bytes.decode, otypes=[object])(values) if values.dtype == object else values


def test_porttinari_is_what_was_measured(pos):
    card, _ = pos
    assert card.counts == {"train": 6698, "valid": 836, "test": 846}
    assert card.dropped["duplicate sentence"] == 38


def test_some_sentences_teach_most_parts_of_speech(pos):
    _, found = pos
    assert 0.92 <= found["accuracy"].value <= 0.96
    assert found["accuracy"].baselines["feature CRF"].value == pytest.approx(0.942, abs=0.01)
    assert found["unknown_word_accuracy"].value >= 0.8
    assert found["word_f1"].value >= 0.98  # contractions and hyphens as in the treebank


def test_tweets_are_what_was_measured():
    task_type = find_task("ner")
    task = task_type(task_type.config_type(unlabelled=""))
    splits = task.load_data("tweet-entities", Folders.default())
    assert splits.card.counts == {"train": 1835, "valid": 230, "test": 230}
    assert sum(splits.card.label_counts["test"].values()) == 136

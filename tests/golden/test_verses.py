"""A small real run of the translator, pinned to bands."""

import numpy as np
import pytest
import tensorflow as tf
from rich.console import Console

from pipelines import pipeline
from pipelines.evaluation.translation import score_translation
from pipelines.evaluation.translation_baselines import COPY, MEMORY
from pipelines.registry import find_task
from pipelines.stages import Stages

pytestmark = pytest.mark.network

SETTINGS = {
    "limit": 1500, "epochs": 2, "units": 48, "decoder_units": 64, "embedding_size": 64,
    "vocabulary_size": 1000, "batch_tokens": 1024, "learning_rate": 8e-3,
}  # fmt: skip
SCORED = 40


@pytest.fixture(scope="module")
def run(folders):
    """Train without a report, and translate some of the test sources greedily."""
    task_type = find_task("translation")
    task = task_type(task_type.config_type(**SETTINGS))
    stages = Stages(Console(quiet=True))
    ready = pipeline.prepare(task, "verses", folders=folders, stages=stages)
    model, trainer, result = pipeline.fit(task, ready, folders=folders, stages=stages)
    trainer.discard()
    greedy = tf.function(task.endpoints(model, ready.artifacts)["greedy"].function, autograph=False)
    pairs = list(ready.splits.test)[:: len(ready.splits.test) // SCORED][:SCORED]
    answer = greedy(tf.constant([pair.source for pair in pairs]))
    outputs = {
        "translation": np.array([text.decode() for text in answer["translation"].numpy()], object),
        "complete": answer["complete"].numpy(),
    }
    baselines = {
        name: {"translation": found["translation"][:: len(ready.splits.test) // SCORED][:SCORED]}
        for name, found in task.baselines(ready.splits, None).items()
    }
    scores = score_translation(pairs, outputs, baselines)
    return ready.splits.card, result, {score.name: score for score in scores}


def test_the_verses_are_what_was_measured(run):
    card, _, _ = run
    assert card.counts == {"train": 27547, "valid": 1366, "test": 1785}


def test_some_verses_teach_to_translate(run):
    _, result, scores = run
    assert 60 <= min(row["valid_perplexity"] for row in result.history) <= 160
    bleu = scores["bleu"]
    assert bleu.value > bleu.baselines[COPY].value
    assert scores["chrf"].value > scores["chrf"].baselines[COPY].value
    assert 3 < bleu.baselines[MEMORY].value < 15

"""A small real run of the captioner, pinned to bands."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from rich.console import Console

from pipelines import pipeline
from pipelines.evaluation.caption_baselines import MOST_COMMON, most_common
from pipelines.evaluation.captioning import score_captions
from pipelines.registry import find_task
from pipelines.stages import Stages
from pipelines.workspace import Folders

pytestmark = pytest.mark.network

SETTINGS = {
    "limit": 300, "test_share": 0.1, "epochs": 12, "image_size": 32, "units": 48,
    "embedding_size": 32, "widths": (16, 24, 32), "blocks": (0, 1, 1), "batch_tokens": 256,
    "learning_rate": 8e-3,
    "weight_average": 0.0, "consensus": False, "monitored": 60,
    "augmentation": False,
}  # fmt: skip
SCORED = 100


@pytest.fixture(scope="module")
def run(folders):
    """Train without a report, and caption some of the test drawings greedily."""
    folders = replace(folders, cache=Folders.default().cache)  # drawn once: it takes a while
    task_type = find_task("captioning")
    task = task_type(task_type.config_type(**SETTINGS))
    stages = Stages(Console(quiet=True))
    ready = pipeline.prepare(task, "openmoji", folders=folders, stages=stages)
    model, trainer, result = pipeline.fit(task, ready, folders=folders, stages=stages)
    trainer.discard()
    greedy = tf.function(task.endpoints(model, ready.artifacts)["greedy"].function, autograph=False)
    test = list(ready.splits.test)[:: len(ready.splits.test) // SCORED][:SCORED]
    answer = greedy(**{name: tf.constant(it) for name, it in task.serve_inputs(test).items()})
    outputs = {
        "caption": np.array([text.decode() for text in answer["caption"].numpy()], object),
        "score": answer["score"].numpy(),
        "complete": answer["complete"].numpy(),
    }
    baselines = {MOST_COMMON: most_common(ready.splits.train, test)}
    train_captions = ready.artifacts.captions
    scores = score_captions(test, outputs, baselines, train_captions=train_captions, seed=17)
    return ready.splits, result, {score.name: score for score in scores}


def test_the_drawings_are_what_was_measured(run):
    splits, _, _ = run
    assert splits.card.counts == {"train": 2955, "valid": 368, "test": 373}
    assert len(splits.train) == 300


def test_some_drawings_teach_to_name(run):
    _, result, scores = run
    losses = [row["loss"] for row in result.history]
    assert np.all(np.diff(losses[:8]) < 0)
    assert losses[-1] < 4.4 < 5.6 < losses[0]
    assert 0.25 <= max(row["valid_cider_d"] for row in result.history) <= 0.9
    cider = scores["cider_d"]
    assert 0.3 <= cider.value <= 0.75
    assert cider.low > 0.1 > cider.baselines[MOST_COMMON].value

"""A small real run of the language model, pinned to bands."""

import numpy as np
import pytest
from rich.console import Console

from pipelines import pipeline
from pipelines.evaluation.language_baselines import character_counts, unigram
from pipelines.registry import find_task
from pipelines.stages import Stages

pytestmark = pytest.mark.network

SETTINGS = {
    "limit": 120, "epochs": 2, "units": 64, "embedding_size": 32, "batch_tokens": 512,
    "window": 32, "match_span": 256, "learning_rate": 1e-2,
}  # fmt: skip


@pytest.fixture(scope="module")
def run(folders):
    """Train on the beginnings of the works, without a report."""
    task_type = find_task("language_model")
    task = task_type(task_type.config_type(**SETTINGS))
    stages = Stages(Console(quiet=True))
    ready = pipeline.prepare(task, "shakespeare", folders=folders, stages=stages)
    _, trainer, result = pipeline.fit(task, ready, folders=folders, stages=stages)
    trainer.discard()
    return ready.splits, result


def test_the_works_are_what_was_measured(run):
    splits, _ = run
    assert splits.card.counts == {"train": 36, "valid": 2, "test": 4}
    assert {document.name for document in splits.test} == {
        "As You Like It", "The Comedy of Errors", "The Tragedy of Coriolanus", "The Tempest",
    }  # fmt: skip


def test_some_pages_teach_to_spell(run):
    splits, result = run
    bits = [row["valid_bits_per_token"] for row in result.history]
    texts = [document.text for document in splits.valid]
    known = unigram(character_counts(splits.train), texts)
    alone = known["bits"].sum() / known["characters"].sum()
    assert 4.6 <= alone <= 5.0
    assert 2.5 <= min(bits) <= 3.1
    assert np.all(np.diff(bits) < 0)

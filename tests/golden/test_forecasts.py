"""A small real run of the forecaster, pinned to bands."""

import numpy as np
import pytest
from rich.console import Console

from pipelines import pipeline
from pipelines.evaluation.backtest import backtest_of
from pipelines.evaluation.forecasting import score_forecasts
from pipelines.evaluation.series_naive import LAST, SEASONAL, naive_outputs
from pipelines.feeding import predict_model
from pipelines.registry import find_task
from pipelines.stages import Stages

pytestmark = pytest.mark.network

SETTINGS = {"limit": 600, "epochs": 2, "units": 32, "decoder_units": 64, "batch_tokens": 8192}


@pytest.fixture(scope="module")
def splits_and_scores(folders):
    """Train without a report, whose baselines and figures take longer than the model."""
    task_type = find_task("forecasting")
    task = task_type(task_type.config_type(**SETTINGS))
    stages = Stages(Console(quiet=True))
    ready = pipeline.prepare(task, "beijing-air", folders=folders, stages=stages)
    model, trainer, _ = pipeline.fit(task, ready, folders=folders, stages=stages)
    trainer.discard()
    trained = predict_model(model, task.batches(ready.corpora["test"], model))
    outputs = task.read_outputs(trained, ready.artifacts)
    train, test, levels = ready.splits.train, ready.splits.test, ready.artifacts.levels
    baselines = naive_outputs(train, test, levels, 24)
    scales = {name: np.array(it) for name, it in ready.artifacts.scales.items()}
    backtest = backtest_of(test, scales, levels, season=24)
    scores = score_forecasts(backtest, outputs, baselines, seed=0)
    return ready.splits, {score.name: score for score in scores}


def test_beijing_is_what_was_measured(splits_and_scores):
    splits, scores = splits_and_scores
    assert splits.card.counts == {"train": 30050, "valid": 3882, "test": 1027}
    assert scores["mase"].baselines[LAST].value == pytest.approx(0.632, abs=0.01)
    assert scores["mase"].baselines[SEASONAL].value == pytest.approx(0.847, abs=0.01)


def test_some_windows_teach_more_than_the_last_value(splits_and_scores):
    _, scores = splits_and_scores
    for name in ("mase", "crps"):
        score = scores[name]
        assert score.value < min(it.value for it in score.baselines.values())
    assert 0.53 <= scores["mase"].value <= 0.615
    assert 0.74 <= scores["coverage_80"].value <= 0.9

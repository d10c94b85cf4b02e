"""The lab's compiled training step, and a lab of seconds."""

import json

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from pipelines.lab import command, working
from pipelines.lab.options import MemoryLabOptions
from pipelines.lab.problems import PROBLEMS
from pipelines.lab.records import Job
from pipelines.lab.training import segments_of
from pipelines.workspace import Folders


@given(st.integers(1, 300), st.integers(1, 5), st.integers(5, 60))
def test_segments_add_up(length, least, most):
    least = min(least, length)
    before, steps, last = segments_of(length, least=least, most=most)
    assert before * steps + last == length
    assert least <= last
    assert (before, last) == (0, length) or last <= steps <= most


def options(**changes):
    given = {"problems": ("copy",), "cells": ("lstm",), "units": 4, "batch": 4, "workers": 1}
    return MemoryLabOptions(**given | changes)


@pytest.mark.parametrize("cell", ["sru"])
def test_gradients_of_segments_are_those_of_the_whole(cell):
    length = 117
    learner = working.make_learner(Job(length, "copy", cell, 1), options())
    batch = PROBLEMS["copy"].draw(np.random.default_rng(0), 4, length)
    assert learner.before == 2

    @tf.function
    def whole(inputs):
        with tf.GradientTape() as tape:
            states = learner.stack.run(inputs, None, learner.stack.zero_state(4), False)[0]
            outputs = learner.head(states[:, -3:])
            chance = tf.nn.log_softmax(outputs)
            loss = -tf.reduce_mean(tf.reduce_sum(chance * tf.one_hot(batch.answers, 8), axis=-1))
        return loss, tape.gradient(loss, [weight.value for weight in learner.weights])

    loss, wanted = whole(batch.inputs)
    given = learner.gradients(batch)
    assert given[0].numpy() == pytest.approx(loss.numpy(), rel=1e-5)
    for one, other in zip(given[1], wanted, strict=True):
        scale = np.abs(other).max()
        assert scale > 0
        np.testing.assert_allclose(one, other, atol=1e-4 * scale, rtol=1e-3)


def test_a_lab_of_seconds(tmp_path):
    folders = Folders(
        raw=tmp_path / "raw", cache=tmp_path / "cache", saved_models=tmp_path / "models"
    )
    tiny = options(
        problems=("adding",), cells=("gru", "mingru"), lengths=(5, 10), sequences=40, solved=1e-9,
        seed=3,
    )  # fmt: skip
    assert command.memory_lab(tiny, folders) == 0
    folder = folders.saved_models / "studies/memory-lab/latest"
    data = json.loads((folder / "study.json").read_text())
    tried = {(run["cell"], run["length"]) for run in data["runs"]}
    assert {("gru", 5), ("mingru", 5)} <= tried
    assert len(tried) + len(data["not_tried"]) == 4
    for run in data["runs"]:
        assert run["seconds"] > 0
        assert run["parameters"] > 20
        assert 0 < run["sequences"] <= 40
        assert run["skill"] == pytest.approx(1 - 6 * run["error"])
    page = (folder / "study.html").read_text()
    assert "mingru" in page
    assert "Adding" in page

import keras
import numpy as np
import pytest

from pipelines.text import span_calibration
from pipelines.text.span_calibration import STEPS, favour_spans


class Planted:
    """Stands for validation: F1 by how much the score of being outside was lowered."""

    tags = ("B-unknown", "B-x", "O")

    def __init__(self, dense, values):
        self.dense, self.values = dense, dict(zip(STEPS, values, strict=True))

    def decoded(self, batches):
        del batches
        taken = -float(self.dense.get_weights()[1][1])
        return {"f1": self.values[min(STEPS, key=lambda step: abs(step - taken))]}


def model(mix=None):
    inputs = keras.Input((2,))
    dense = keras.layers.Dense(2, name="emissions")
    outputs = dense(inputs)
    if mix is not None:
        from pipelines.layers.weighted_sum import WeightedSum

        joint = WeightedSum(name="joint")
        outputs = joint([outputs, outputs])
        joint.mix.assign([mix, 1.0])
    return keras.Model(inputs, outputs), dense


def test_the_step_of_best_f1_is_taken_from_the_tokens_outside():
    tagger, dense = model()
    weights = dense.get_weights()[0]
    found = favour_spans(tagger, Planted(dense, [0.3, 0.4, 0.5, 0.4, 0.3, 0.2]), None)
    assert found == 0.5
    np.testing.assert_allclose(dense.get_weights()[1], [0.0, -0.5])
    np.testing.assert_array_equal(dense.get_weights()[0], weights)


def test_a_lucky_step_does_not_win_over_a_good_region():
    tagger, dense = model()
    assert favour_spans(tagger, Planted(dense, [0.4, 0.5, 0.5, 0.1, 0.52, 0.1]), None) == 0.25


def test_nothing_is_taken_where_it_does_not_help():
    tagger, dense = model()
    assert favour_spans(tagger, Planted(dense, [0.5, 0.4, 0.3, 0.2, 0.1, 0.0]), None) == 0.0
    np.testing.assert_array_equal(dense.get_weights()[1], [0.0, 0.0])


def test_a_part_that_counts_half_gives_twice_as_much(monkeypatch):
    tagger, dense = model(mix=0.5)
    monkeypatch.setattr(span_calibration, "STEPS", (0.0, 0.5))

    class Half(Planted):
        def decoded(self, batches):
            return {"f1": 0.0 if float(self.dense.get_weights()[1][1]) == 0 else 1.0}

    assert favour_spans(tagger, Half(dense, [0.0] * len(STEPS)), None) == 0.5
    assert dense.get_weights()[1][1] == pytest.approx(-1.0)


def test_tags_without_outside_are_left_alone():
    tagger, dense = model()
    planted = Planted(dense, [0.1] * len(STEPS))
    planted.tags = ("B-unknown", "B-x", "I-x")
    assert favour_spans(tagger, planted, None) == 0.0

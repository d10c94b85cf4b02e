"""Warnings, names, gates and the report's section: no TensorFlow."""

from dataclasses import replace

import numpy as np
import pytest

from pipelines.errors import TrainingError
from pipelines.evaluation.gradient_sections import gradient_sections
from pipelines.gradients.culprit import report_bad_batch
from pipelines.gradients.gates import gate_values, saturated_shares
from pipelines.gradients.judging import remarks
from pipelines.gradients.naming import layer_path, readable_names
from pipelines.gradients.records import EpochGradients, LayerCurve
from pipelines.training_result import TrainingResult


def epoch(number=1, **changes):
    calm = EpochGradients(
        epoch=number, steps=30, at=[1 / 3, 1.0], norms=[1.0, 0.5], largest=[2.0, 0.7],
        clipped=[0.3, 0.0], sampled=[0.0, 0.5],
        layers={"low": LayerCurve([0.5, 0.4], [1e-3, 2e-3]),
                "top": LayerCurve([0.9, 0.7], [1e-3, 1e-3])},
    )  # fmt: skip
    return replace(calm, **changes)


def layer(norms, updates=(1e-3, 1e-3)):
    return {**epoch().layers, "low": LayerCurve(list(norms), list(updates))}


def test_points_weigh_by_their_steps():
    assert epoch().clipped_share == pytest.approx(0.1)
    assert epoch().mean_norm == pytest.approx(2 / 3)
    assert epoch().row() == pytest.approx(
        {"gradient_norm": 2 / 3, "gradient_norm_largest": 2.0, "clipped_share": 0.1}
    )
    assert EpochGradients.from_json(epoch(at=[0.25, 1.0]).as_json()) == epoch(at=[0.25, 1.0])


def test_calm_training_is_not_remarked_upon():
    assert remarks([epoch(1), epoch(2)]) == []
    assert remarks([]) == []
    assert remarks([epoch(norms=[], largest=[], clipped=[], at=[])]) == []


@pytest.mark.parametrize(
    ("changes", "kind", "says"),
    [
        ({"norms": [1e-7, 1e-8]}, "vanishing", "their norm is 4e-08 in epoch 2.*--cell lstm"),
        ({"layers": layer([1e-6, 1e-6])}, "vanishing", "way down to low.*1e-06.*0.8; try --resid"),
        ({"norms": [900.0, 300.0]}, "exploding", "6e.02 in epoch 2, 600 times.*--learning-rate"),
        ({"clipped": [1.0, 0.6]}, "clipped", "73% of the steps of epoch 2 were clipped"),
        ({"layers": layer([0.0, 0.0])}, "dead", "low is dead.*exactly 0 all through epoch 2"),
        ({"layers": layer([0.5, 0.4], [0.2, 0.3])}, "large updates", "low moves too fast.*0.2 of"),
        ({"gates": {"LSTM": {"input shut": 0.9}}}, "saturated input shut", "90% .* input gate"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_once(changes, kind, says):
    found = remarks([epoch(1), epoch(2, **changes), epoch(3, **changes)])
    assert [remark.kind for remark in found] == [kind]
    import re

    assert re.search(says, found[0].text), found[0].text


def test_a_small_update_is_one_that_was_never_larger():
    small = layer([0.5, 0.4], [1e-7, 1e-6])
    assert [one.kind for one in remarks([epoch(1, layers=small)])] == ["small updates"]
    assert remarks([epoch(1), epoch(2, layers=small)]) == []  # the rate fell to the end


def test_frozen_layers_are_not_dead_and_open_forget_gates_are_fine():
    assert remarks([epoch(frozen=True, layers=layer([0.0, 0.0]))]) == []
    assert remarks([epoch(gates={"LSTM": {"forget open": 0.99}})]) == []


def test_layers_are_named_in_words():
    stack = "recurrent_stack_3/bidirectional{}/{}_lstm{}/lstm_cell/kernel"
    paths = [stack.format("", "forward", ""), stack.format("", "backward", ""),
             stack.format("_1", "forward", "_1"), "embedding/embeddings", "loose"]  # fmt: skip
    layers = [layer_path(path) for path in paths]
    assert layers[0] == "recurrent_stack_3/bidirectional/forward_lstm"
    assert readable_names(layers) == [
        "recurrent stack / forward LSTM 1", "recurrent stack / backward LSTM",
        "recurrent stack / forward LSTM 2", "embedding", "loose",
    ]  # fmt: skip


def test_gates_by_hand():
    # One unit: gates read the input alone, so what they are is the sigmoid of it.
    kernel = np.array([[1.0, -1.0, 0.0, 2.0]], "f")
    inputs = np.array([[[4.0], [0.0], [9.0]]], "f")
    values, real, _ = gate_values(
        "lstm", [kernel, np.zeros((1, 4), "f"), np.zeros(4, "f")], inputs=inputs,
        mask=np.array([[True, True, False]]),
    )  # fmt: skip
    np.testing.assert_allclose(values["input"][:2, 0, 0], [0.98201, 0.5], atol=1e-5)
    assert saturated_shares(values, real) == {
        "input shut": 0.0, "input open": 0.5, "forget shut": 0.5, "forget open": 0.0,
        "output shut": 0.0, "output open": 0.5,
    }  # fmt: skip


def test_the_bad_batch_is_saved_and_blamed(tmp_path):
    tokens, weights = np.ones((2, 3), np.int32), np.ones(2, np.float32)
    history = np.array([[1.0, np.nan], [np.inf, 3.0]], np.float32)
    with pytest.raises(TrainingError, match="epoch 2, batch 7: .* not finite, expected finite.*"
                       r"the batch is in .*batch-not-finite-2-7\.npz; it is not finite itself "
                       r"\('history' in 2 values\): mend or leave out"):  # fmt: skip
        report_bad_batch(
            ({"tokens": tokens, "history": history}, weights, weights), tmp_path / "x" / "s.npz",
            epoch=2, number=7,
        )  # fmt: skip
    with np.load(tmp_path / "x" / "batch-not-finite-2-7.npz") as saved:
        np.testing.assert_array_equal(saved["history"], history)
        assert set(saved.files) == {"tokens", "history", "target", "weights"}
    with pytest.raises(TrainingError, match="all its values are finite.*lower --learning-rate or"):
        report_bad_batch(({"tokens": tokens}, weights, weights), tmp_path / "s.npz", epoch=1,
                         number=1)  # fmt: skip
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainingError, match="the batch could not be saved to .*file"):
        report_bad_batch(({"tokens": tokens}, weights, weights), tmp_path / "file" / "s.npz",
                         epoch=1, number=1)  # fmt: skip


def test_the_section_says_warnings_first_and_draws_curves():
    gates = {"LSTM": {"input shut": 0.25}}
    epochs = [epoch(1, gates=gates), epoch(2, clipped=[1.0, 1.0], gates=gates)]
    (section,) = gradient_sections([one.as_json() for one in epochs], clip_norm=0.8)
    assert section.paragraphs[0].startswith("100% of the steps of epoch 2 were clipped")
    figures = [block for block in section.blocks if block.kind == "figure"]
    assert len(figures) == 4
    assert "clip norm" in figures[0].svg
    table = section.blocks[-1]
    assert table.rows == [["LSTM: input shut", "25%", "25%"]]
    assert gradient_sections([]) == []


def test_a_run_in_phases_counts_epochs_on():
    def result(count):
        rows = [{"epoch": number + 1, "loss": 1.0} for number in range(count)]
        seen = [epoch(number + 1).as_json() for number in range(count)]
        return TrainingResult(rows, 1, 1.0, 1.0, None, 0.5, gradients=seen)

    both = result(2).then(result(1), improved=True)
    assert [one["epoch"] for one in both.gradients] == [1, 2, 3]
    assert both.as_json()["gradients"]["warnings"] == []

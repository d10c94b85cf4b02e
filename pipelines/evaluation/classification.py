"""Scores of a classifier beside its baselines, each with its interval, all on the same rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import EvaluationError
from pipelines.evaluation import bootstrap, metrics
from pipelines.evaluation.calibration import CALIBRATION_BINS
from pipelines.evaluation.scores import Comparison, Score
from pipelines.evaluation.scoring import comparison, share_score

Array = NDArray[Any]
Outputs = Mapping[str, Array]


@dataclass(frozen=True)
class Answers:
    """One system's outputs as codes int64[N] and probabilities float[N, C]."""

    codes: Array
    probabilities: Array

    @property
    def confidence(self) -> Array:
        """Probability of the answered class, float[N]."""
        return np.asarray(self.probabilities[np.arange(len(self.codes)), self.codes])


def read_outputs(outputs: Outputs, labels: Sequence[str], rows: int, system: str) -> Answers:
    """Check a system's outputs against the labels and the number of rows.

    Raises:
        EvaluationError: a key is missing, a length is wrong, or a label is not one of `labels`.
    """
    for key in ("label", "probabilities"):
        if key not in outputs:
            raise EvaluationError(
                f"{system}: outputs hold {sorted(outputs)} but not {key!r}; a classifier returns "
                "'label', 'probability' and 'probabilities': check the serve signature"
            )
    probabilities = np.asarray(outputs["probabilities"])
    if probabilities.shape != (rows, len(labels)) or len(outputs["label"]) != rows:
        raise EvaluationError(
            f"{system}: {len(outputs['label'])} labels and probabilities of shape "
            f"{probabilities.shape}; expected {rows} labels and ({rows}, {len(labels)}): predict "
            "every test row once, with the labels the model was trained on"
        )
    return Answers(label_codes(outputs["label"], labels, system), probabilities)


def label_codes(values: Array, labels: Sequence[str], system: str) -> Array:
    """Turn labels (str or UTF-8 bytes) into codes int64[N].

    Raises:
        EvaluationError: a value is not one of `labels`.
    """
    known: dict[Any, int] = {label: code for code, label in enumerate(labels)}
    known |= {label.encode(): code for code, label in enumerate(labels)}
    codes = np.array([known.get(value, -1) for value in np.asarray(values).tolist()], np.int64)
    if (codes < 0).any():
        row = int(np.argmax(codes < 0))
        raise EvaluationError(
            f"{system}: row {row + 1} has the label {values[row]!r}; expected one of "
            f"{list(labels)}: score with the labels the model was trained on"
        )
    return codes


def score_classification(
    gold: Array,
    predictions: Outputs,
    labels: Sequence[str],
    baselines: Mapping[str, Outputs],
    *,
    seed: int = 17,
) -> list[Score]:
    """Score a classifier: accuracy, macro F1, log loss and calibration error.

    Accuracy has Wilson's interval and exact McNemar p-values; the others are bootstrapped.

    Args:
        gold: codes int[N] into `labels`.
        predictions: the exported model's outputs.
        labels: all labels, in the order of the probabilities.
        baselines: outputs of other systems on the same rows.
        seed: of the resampling.

    Raises:
        EvaluationError: no rows, or outputs that do not fit them.
    """
    gold = np.asarray(gold, np.int64)
    model = read_outputs(predictions, labels, len(gold), "model")
    others = {
        name: read_outputs(outputs, labels, len(gold), name) for name, outputs in baselines.items()
    }
    return [
        share_score(
            "accuracy",
            model.codes == gold,
            {name: other.codes == gold for name, other in others.items()},
            seed=seed,
        ),
        _macro_f1(gold, model, others, len(labels), seed),
        _log_loss(gold, model, others, seed),
        _calibration(gold, model, seed),
    ]


def _macro_f1(
    gold: Array, model: Answers, others: Mapping[str, Answers], classes: int, seed: int
) -> Score:
    cells, counts = _cells(classes, gold, model.codes)
    interval = bootstrap.bootstrap_weighted(
        _macro_f1_of_cells(cells[0], cells[1], classes), counts, seed=seed
    )
    return Score(
        name="macro_f1",
        value=interval.value,
        unit="fraction",
        better="higher",
        count=len(gold),
        low=interval.low,
        high=interval.high,
        baselines={
            name: _compare_macro_f1(gold, model, other, classes, seed)
            for name, other in others.items()
        },
    )


def _compare_macro_f1(
    gold: Array, model: Answers, other: Answers, classes: int, seed: int
) -> Comparison:
    cells, counts = _cells(classes, gold, model.codes, other.codes)
    difference = bootstrap.compare_weighted(
        _macro_f1_of_cells(cells[0], cells[1], classes),
        _macro_f1_of_cells(cells[0], cells[2], classes),
        counts,
        seed=seed,
    )
    return comparison(metrics.macro_f1(gold, other.codes), difference)


def _cells(classes: int, *codes: Array) -> tuple[list[Array], Array]:
    """Return the occupied cells of a joint table: codes per axis int64[K] and counts int64[K]."""
    flat = codes[0]
    for axis in codes[1:]:
        flat = flat * classes + axis
    occupied, counts = np.unique(flat, return_counts=True)
    axes = []
    for _ in codes:
        occupied, code = np.divmod(occupied, classes)
        axes.append(code)
    return axes[::-1], counts


def _macro_f1_of_cells(gold: Array, predicted: Array, classes: int) -> bootstrap.Statistic:
    """Macro F1 as a function of cell weights; classes absent from a resample do not count in it."""
    is_gold = np.eye(classes)[gold]
    is_predicted = np.eye(classes)[predicted]
    is_both = is_gold * is_predicted

    def statistic(weights: Array) -> Array:
        present = weights @ is_gold + weights @ is_predicted  # [R, C]
        f1 = 2 * (weights @ is_both) / np.maximum(present, 1)
        return np.asarray(f1.sum(axis=1) / (present > 0).sum(axis=1))

    return statistic


def _log_loss(gold: Array, model: Answers, others: Mapping[str, Answers], seed: int) -> Score:
    losses = metrics.row_log_losses(gold, model.probabilities)
    interval = bootstrap.bootstrap_mean(losses, seed=seed)
    comparisons = {}
    for name, other in others.items():
        other_losses = metrics.row_log_losses(gold, other.probabilities)
        difference = bootstrap.compare_means(losses, other_losses, seed=seed)
        comparisons[name] = comparison(float(other_losses.mean()), difference)
    return Score(
        name="log_loss",
        value=interval.value,
        unit="nats",
        better="lower",
        count=len(gold),
        low=interval.low,
        high=interval.high,
        baselines=comparisons,
    )


def _calibration(gold: Array, model: Answers, seed: int) -> Score:
    """Calibration error with the bins of the whole test set, resampling the gaps within them."""
    confidence = model.confidence.astype(float)
    bins = metrics.equal_mass_bins(confidence, CALIBRATION_BINS)
    gaps = np.zeros((len(gold), bins.max() + 2))
    gaps[np.arange(len(gold)), bins] = confidence - (model.codes == gold)
    gaps[:, -1] = 1
    interval = bootstrap.bootstrap_sums(
        gaps,
        lambda totals: np.abs(totals[:, :-1]).sum(axis=1) / totals[:, -1],
        seed=seed,
        centred=True,
    )
    return Score(
        name="ece",
        value=interval.value,
        unit="fraction",
        better="lower",
        count=len(gold),
        low=max(0.0, interval.low),
        high=interval.high,
    )

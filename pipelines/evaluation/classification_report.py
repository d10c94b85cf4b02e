"""The report's pages about a classifier: what it confuses, how sure it is, where it fails."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.evaluation import metrics
from pipelines.evaluation.attribution import Predict, occlusion
from pipelines.evaluation.calibration import calibration_section
from pipelines.evaluation.classification import Answers, Outputs, read_outputs
from pipelines.evaluation.confusion import confusion_block
from pipelines.evaluation.examples import coloured_text, example
from pipelines.evaluation.sections import Html, Section, Table
from pipelines.evaluation.slices import Slice, accuracy_blocks, quantile_slices, share_slices

Array = NDArray[Any]
WORST_ERRORS = 12


_WORDS = "words in the text"
_UNKNOWN = (
    "By share of unknown words",
    "An unknown word is one that the vocabulary, learned on the training rows, lacks.",
)


@dataclass(frozen=True)
class _Evidence:
    """What every section draws on: gold codes int[N], the model and the strongest baseline."""

    gold: Array
    model: Answers
    strongest: Mapping[str, Answers]
    labels: Sequence[str]

    @property
    def right(self) -> Array:
        return np.asarray(self.model.codes == self.gold)


def classification_sections(
    gold: Array,
    predictions: Outputs,
    labels: Sequence[str],
    baselines: Mapping[str, Outputs],
    texts: Iterable[str],
    *,
    predict: Predict | None = None,
    unknown_share: Array | None = None,
    seed: int = 17,
) -> list[Section]:
    """Describe a classifier of texts beyond its scores.

    Args:
        gold: codes int[N] into `labels`.
        predictions: the exported model's outputs.
        labels: all labels, in the order of the probabilities.
        baselines: outputs of other systems on the same rows; the last is drawn beside the model.
        texts: the N raw texts, read once and in order; they are not kept.
        predict: the exported model, texts to probabilities float[B, C]; explains the worst errors.
        unknown_share: share of each text's words that the vocabulary lacks, float[N].
        seed: of the simulation behind the calibration text.

    Raises:
        EvaluationError: outputs that do not fit the rows.
    """
    gold = np.asarray(gold, np.int64)
    evidence = _Evidence(
        gold,
        read_outputs(predictions, labels, len(gold), "model"),
        # Given weakest first, the last baseline is the one worth a second look.
        {
            name: read_outputs(outputs, labels, len(gold), name)
            for name, outputs in list(baselines.items())[-1:]
        },
        labels,
    )
    worst = worst_errors(gold, evidence.model)
    lengths, shown = _read_texts(texts, worst, len(gold))
    sections = [
        _confusion_section(evidence),
        _calibration_section(evidence, seed),
        _slices_section("By length of the text", "", quantile_slices(lengths), evidence, _WORDS),
    ]
    if unknown_share is not None:
        slices = share_slices(np.asarray(unknown_share))
        sections.append(_slices_section(*_UNKNOWN, slices, evidence, "share of unknown words"))
    return [*sections, _errors_section(evidence, worst, shown, predict)]


def worst_errors(gold: Array, model: Answers, most: int = WORST_ERRORS) -> Array:
    """Row numbers of the wrong answers given with most confidence, the most confident first."""
    wrong = np.flatnonzero(model.codes != gold)
    order = np.argsort(-model.confidence[wrong], kind="stable")
    return np.asarray(wrong[order[:most]])


def _read_texts(texts: Iterable[str], wanted: Array, rows: int) -> tuple[Array, dict[int, str]]:
    """Count the words of every text, int64[N], and keep the wanted few."""
    keep = set(wanted.tolist())
    kept: dict[int, str] = {}
    lengths = np.zeros(rows, np.int64)
    count = 0
    for count, text in enumerate(texts, start=1):
        if count <= rows:
            lengths[count - 1] = len(text.split())
        if count - 1 in keep:
            kept[count - 1] = text
    metrics.check_lengths(lengths, np.empty(count), "texts of the report")
    return lengths, kept


def _confusion_section(evidence: _Evidence) -> Section:
    gold, model, labels = evidence.gold, evidence.model, evidence.labels
    matrix = metrics.confusion_matrix(gold, model.codes, len(labels))
    per_class = Table(
        columns=["label", "precision", "recall", "F1", "test rows"],
        rows=[
            [
                entry.label,
                *(f"{value:.3f}" for value in (entry.precision, entry.recall, entry.f1)),
                f"{entry.support:,}",
            ]
            for entry in metrics.class_scores(gold, model.codes, labels)
        ],
        caption="Precision: share of the answers with this label that are right. "
        "Recall: share of this label's rows that were found.",
    )
    return Section("Confusion and labels", blocks=[confusion_block(matrix, labels), per_class])


def _calibration_section(evidence: _Evidence, seed: int) -> Section:
    return calibration_section(
        evidence.model.confidence.astype(float),
        evidence.right,
        smallest=1 / len(evidence.labels),
        facts=_probability_facts(evidence.gold, evidence.model),
        seed=seed,
    )


def _probability_facts(gold: Array, model: Answers) -> list[list[str]]:
    facts = [
        ["log loss, nats", f"{metrics.log_loss(gold, model.probabilities):.3f}"],
        ["Brier score, 0 to 2", f"{metrics.brier(gold, model.probabilities):.3f}"],
    ]
    if len(np.unique(gold)) > 1:
        facts.append(
            ["area under the ROC curve", f"{metrics.roc_auc(gold, model.probabilities):.3f}"]
        )
    return facts


def _slices_section(
    title: str, prose: str, slices: Sequence[Slice], evidence: _Evidence, property_name: str
) -> Section:
    right = {"model": evidence.right}
    right |= {name: other.codes == evidence.gold for name, other in evidence.strongest.items()}
    return Section(title, prose, accuracy_blocks(slices, right, property_name=property_name))


def _errors_section(
    evidence: _Evidence, worst: Array, texts: Mapping[int, str], predict: Predict | None
) -> Section:
    if not len(worst):
        return Section("Worst errors", "Every test row was answered rightly.")
    prose = "The wrong answers that the model was most sure of. Some labels may be wrong too."
    if predict is not None:
        prose += (
            "\n\nEach word was left out in turn and the exported model asked again. Solid line, "
            "blue: the word speaks for the wrong answer. Dotted line, orange: it speaks against it."
        )
    blocks = [_error_block(evidence, row, texts[row], predict) for row in worst.tolist()]
    return Section("Worst errors", prose, blocks)


def _error_block(evidence: _Evidence, row: int, text: str, predict: Predict | None) -> Html:
    labels, model = evidence.labels, evidence.model
    said = [f"model: {labels[model.codes[row]]} ({model.confidence[row]:.3f})"]
    said += [f"{name}: {labels[other.codes[row]]}" for name, other in evidence.strongest.items()]
    meta = f"Row {row + 1}, labelled {labels[evidence.gold[row]]}; {'; '.join(said)}"
    attributions = occlusion(text, predict) if predict is not None else []
    return Html(example(meta, coloured_text(text, attributions)))

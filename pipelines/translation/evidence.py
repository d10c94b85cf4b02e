"""What a report on a translator needs beside its translations, asked of the exported model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipelines.datasets.parallel import TextPair
from pipelines.datasets.rows import Rows
from pipelines.evaluation.translation import Alignment, ReferenceScores
from pipelines.task import Outputs, Predict
from pipelines.text.vocabulary import EOS, RESERVED

DRAWN = 6  # sentences whose attention is drawn
LONGEST_DRAWN = 24  # words of a source: more are hard to read


@dataclass(frozen=True)
class Evidence:
    """Answers of other endpoints on the test rows.

    Attributes:
        greedy: as `serve`'s, without search.
        reference: how probable the references are.
        alignments: where the model looked, of a few sentences; empty without attention.
    """

    greedy: Outputs
    reference: ReferenceScores
    alignments: Sequence[Alignment]


def gather_evidence(
    predict: Predict,
    rows: Rows[TextPair],
    outputs: Outputs,
    *,
    request_rows: int,
    attention: bool,
    seed: int,
) -> Evidence:
    """Ask the exported model for greedy translations, probabilities and attention.

    Args:
        predict: the exported model.
        rows: the test rows.
        outputs: of `serve` on them.
        request_rows: most rows in one request.
        attention: whether the model has an endpoint of that name.
        seed: draws the sentences whose attention is shown.
    """
    greedy, scored = [], []
    for chunk in rows.chunks(request_rows):
        text = [pair.source for pair in chunk]
        greedy.append(predict({"text": text}, "greedy"))
        scored.append(
            predict({"text": text, "translation": [pair.target for pair in chunk]}, "score")
        )
    chosen = _readable(rows, seed) if attention else []
    reference = _joined(scored)
    return Evidence(
        _joined(greedy),
        ReferenceScores(reference["log_probability"], reference["tokens"]),
        [align(predict, rows[row].source, str(outputs["translation"][row])) for row in chosen],
    )


def align(predict: Predict, text: str, translation: str) -> Alignment:
    """Return where the model looks as it writes a translation of a text."""
    found = predict({"text": [text], "translation": [translation]}, "attention")
    end = RESERVED[EOS]
    source, target = (
        tuple(str(token) for token in found[name][0]) for name in ("source_tokens", "target_tokens")
    )
    # The step that writes the end is no word of the translation, but all there is of an empty one.
    written = max(1, len(target) - (target[-1:] == (end,)))
    return Alignment(source, target[:written], np.asarray(found["weights"][0][:written]))


def _joined(parts: Sequence[Outputs]) -> dict[str, Any]:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _readable(rows: Rows[TextPair], seed: int) -> list[int]:
    """Draw rows short enough to be drawn; the shortest where there are none."""
    lengths = np.array([len(pair.source.split()) for pair in rows])
    short = np.flatnonzero((lengths >= min(8, lengths.max())) & (lengths <= LONGEST_DRAWN))
    if not len(short):
        return list(np.argsort(lengths)[:DRAWN].tolist())
    count = min(DRAWN, len(short))
    return sorted(np.random.default_rng(seed).choice(short, count, replace=False).tolist())

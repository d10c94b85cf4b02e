"""What a classifier learns from labelled, perhaps rated, rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from pipelines.datasets.labelled_text import LabelledText
from pipelines.datasets.rows import Rows
from pipelines.datasets.splits import Splits
from pipelines.text.artifacts import TextArtifacts


def learning_chunks(splits: Splits[LabelledText]) -> Iterator[list[LabelledText]]:
    """Yield what may be learned from: training rows, then extra rows."""
    yield from splits.train.chunks()
    if splits.extra is not None:
        yield from splits.extra.chunks()


def higher_label(train: Rows[LabelledText]) -> str | None:
    """Return which of two labels has the higher ratings, if every row is rated; else None."""
    totals: dict[str, float] = {}
    counts: dict[str, int] = {}
    for row in train:
        if row.rating is None:
            return None
        totals[row.label] = totals.get(row.label, 0.0) + row.rating
        counts[row.label] = counts.get(row.label, 0) + 1
    return (
        max(totals, key=lambda label: totals[label] / counts[label]) if len(totals) == 2 else None
    )


def classification_targets(
    chunk: Sequence[LabelledText], artifacts: TextArtifacts
) -> dict[str, np.ndarray]:
    """Return label int32[B] and, for rated rows, target float32[B, 2]: how sure the raters were."""
    codes = {label: code for code, label in enumerate(artifacts.labels.tokens)}
    labels = np.array([codes[row.label] for row in chunk], np.int32)
    higher = artifacts.notes["higher"]
    if higher is None:
        return {"label": labels}
    # A sentence rated +0.2 of 4 says little of what makes a sentence positive; one rated +3 much.
    share = 1 / (1 + np.exp(-np.array([row.rating for row in chunk], np.float32)))
    target = np.stack([1 - share, share] if codes[higher] == 1 else [share, 1 - share], axis=1)
    return {"label": labels, "target": target}

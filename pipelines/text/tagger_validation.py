"""Measure a tagger on held-out sentences while it is trained, as it will be used: by decoding."""

from __future__ import annotations

from dataclasses import replace

import keras
import numpy as np

from pipelines.batching import Batches, EpochPlan
from pipelines.datasets.tag_schemes import spans_of
from pipelines.evaluation import spans as counting
from pipelines.feeding import evaluate_plan, predict_model
from pipelines.text.tagger_artifacts import TaggerArtifacts


class TaggerValidation:
    """Returns the loss, and the accuracy of words or the strict F1 of spans.

    Args:
        model: the whole model, which shares its layers with what is trained.
        artifacts: what it was made with.
        spans: whether tags mark spans.
    """

    def __init__(self, model: keras.Model, artifacts: TaggerArtifacts, *, spans: bool) -> None:
        self.model, self.spans = model, spans
        # Code 0 is a tag the model lacks: where tags mark spans, a span nobody can find.
        self.tags = ("B-unknown", *artifacts.labels.tokens)

    def __call__(self, learner: keras.Model, batches: Batches) -> dict[str, float]:
        """Evaluate what is trained, and decode."""
        values = evaluate_plan(learner, with_known_tags(batches.epoch(0)))
        return values | self.decoded(batches)

    def decoded(self, batches: Batches) -> dict[str, float]:
        """Return the accuracy or F1 of the whole model's answers."""
        whole = batches.with_inputs(tensor.name for tensor in self.model.inputs)
        codes = predict_model(self.model, whole)[0]
        gold = batches.corpus.ragged("tags")
        real = np.arange(codes.shape[1]) < gold.lengths[:, None]
        if not self.spans:
            return {"accuracy": float((codes[real] == gold.values).mean())}
        edges = np.cumsum(gold.lengths)[:-1]
        wanted, found = (
            [spans_of([self.tags[code] for code in row]) for row in np.split(flat, edges)]
            for flat in (gold.values, codes[real])
        )
        sums = counting.match_counts(wanted, found).sum(axis=0, keepdims=True)
        return {"f1": float(counting.f1(sums)[0])}


def with_known_tags(plan: EpochPlan) -> EpochPlan:
    """Leave out sentences with a tag that the model lacks: they have no likelihood.

    If all have one, all stay.
    """
    tags = plan.batches.corpus.ragged("tags")
    known = np.ones(len(tags.lengths), bool)
    known[np.repeat(np.arange(len(known)), tags.lengths)[tags.values == 0]] = False
    kept = [rows[known[rows]] for rows in plan.rows]
    return replace(plan, rows=[rows for rows in kept if len(rows)] or plan.rows)

"""Scores of a tagger beside its baselines: of tags (parts of speech), or of spans (entities).

Everything is counted by sentence, and sentences are what the intervals resample: the words of one
sentence share its topic and its mistakes.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass

import numpy as np

from pipelines.evaluation import spans as counting
from pipelines.evaluation.scores import Score
from pipelines.evaluation.scoring import share_score, sums_score
from pipelines.evaluation.tagged_rows import (
    Array,
    Outputs,
    Sentences,
    TaggedRows,
    Tagging,
    known_flags,
    read_tags,
    recall_sums,
    right_flags,
    share,
    tag_names,
    tag_sums,
    with_unknown,
    word_sums,
)


@dataclass(frozen=True)
class _Systems:
    """The model and its baselines on the same rows."""

    rows: TaggedRows
    model: Tagging
    others: Mapping[str, Tagging]
    known: Array
    seed: int

    def score(
        self,
        name: str,
        counts: Callable[[Tagging], Array],
        statistic: Callable[[Array], Array],
        *,
        count: int,
        counted: str,
    ) -> Score:
        """Score a statistic of the totals of what `counts` finds in every sentence."""
        others = {system: counts(other) for system, other in self.others.items()}
        return sums_score(
            name,
            counts(self.model),
            others,
            statistic,
            count=count,
            counted=counted,
            seed=self.seed,
        )


def score_tagging(
    tokens: Sentences,
    gold: Sentences,
    outputs: Outputs,
    baselines: Mapping[str, Outputs],
    *,
    spans: bool,
    known_words: Container[str],
    seed: int = 17,
) -> list[Score]:
    """Score a tagger; each score with its interval by sentence and every baseline beside it.

    Tags: `accuracy` (of words), `unknown_word_accuracy`, `known_word_accuracy`,
    `sentence_accuracy`, `macro_f1` (over tags). Spans: strict micro `f1`, `precision` and `recall`
    as conlleval defines them, `macro_f1` (over types), `partial_f1` (half a point for an overlap,
    whatever the type), `unknown_word_recall` (of entities with an unknown word), `accuracy`.
    What no test word or entity can show is left out.

    Args:
        tokens: the words of N test sentences.
        gold: their tags, BIO where `spans`.
        outputs: the exported model's `tags` [N, T] and `confidences`.
        baselines: outputs of other systems on the same rows.
        spans: whether the tags mark spans.
        known_words: the words of the training rows.
        seed: of the resampling.

    Raises:
        EvaluationError: no words, or outputs that do not fit them.
    """
    rows = TaggedRows(tokens, gold)
    model = read_tags(outputs, rows, "model", spans=spans)
    others = {name: read_tags(entry, rows, name, spans=spans) for name, entry in baselines.items()}
    systems = _Systems(rows, model, others, known_flags(rows, known_words), seed)
    return _span_scores(systems) if spans else _tag_scores(systems)


def _tag_scores(systems: _Systems) -> list[Score]:
    rows, known = systems.rows, systems.known
    scores = [
        score
        for name, among in (
            ("accuracy", np.ones_like(known)),
            ("unknown_word_accuracy", ~known),
            ("known_word_accuracy", known),
        )
        for score in _word_scores(systems, name, among)
    ]
    whole = {name: _whole_sentences(rows, system) for name, system in systems.others.items()}
    scores.append(
        share_score(
            "sentence_accuracy",
            _whole_sentences(rows, systems.model),
            whole,
            counted="sentences",
            seed=systems.seed,
        )
    )
    tags = tag_names(rows, systems.model, *systems.others.values())

    def by_tag(system: Tagging) -> Array:
        return tag_sums(rows, system, tags).reshape(len(rows.tokens), -1)

    words = len(rows.words)
    return [
        *scores,
        systems.score("macro_f1", by_tag, counting.macro_f1, count=words, counted="words"),
    ]


def _word_scores(systems: _Systems, name: str, among: Array) -> list[Score]:
    """Score the words flagged; none where no word is."""
    if not among.any():
        return []

    def counts(system: Tagging) -> Array:
        return word_sums(systems.rows, system, among)

    return [systems.score(name, counts, share, count=int(among.sum()), counted="words")]


def _whole_sentences(rows: TaggedRows, system: Tagging) -> Array:
    return np.asarray(rows.by_sentence(~right_flags(rows, system)) == 0)


def _span_scores(systems: _Systems) -> list[Score]:
    rows, gold = systems.rows, systems.rows.truth.spans
    wanted, found = sum(map(len, gold)), sum(map(len, systems.model.spans))
    types = counting.span_types(
        gold, systems.model.spans, *(other.spans for other in systems.others.values())
    )
    unknown = with_unknown(rows, systems.known)

    def strict(system: Tagging) -> Array:
        return counting.match_counts(gold, system.spans)

    def by_type(system: Tagging) -> Array:
        return counting.match_counts_by(gold, system.spans, types).reshape(len(gold), -1)

    def partial(system: Tagging) -> Array:
        outcomes = counting.outcome_counts(gold, system.spans, "partial")
        return counting.outcome_sums(outcomes)

    def unknown_recall(system: Tagging) -> Array:
        return recall_sums(rows, system, unknown)

    plan = {
        "f1": (strict, counting.f1, wanted),
        "precision": (strict, counting.precision, found),
        "recall": (strict, counting.recall, wanted),
        "macro_f1": (by_type, counting.macro_f1, wanted),
        "partial_f1": (partial, counting.f1, wanted),
        "unknown_word_recall": (
            unknown_recall,
            share,
            int(unknown_recall(systems.model)[:, 1].sum()),
        ),
    }
    if not plan["unknown_word_recall"][-1]:
        del plan["unknown_word_recall"]
    scores = [
        systems.score(name, counts, statistic, count=count, counted="entities")
        for name, (counts, statistic, count) in plan.items()
    ]
    return [*scores, *_word_scores(systems, "accuracy", np.ones_like(systems.known))]

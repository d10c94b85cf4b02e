"""The report's pages about a tagger: what it confuses, on which words and lengths, how sure."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pipelines.evaluation import spans as counting
from pipelines.evaluation.bootstrap import Interval, bootstrap_sums
from pipelines.evaluation.calibration import calibration_section
from pipelines.evaluation.sections import Block, Section, Table
from pipelines.evaluation.slices import with_interval
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
from pipelines.evaluation.tagging_confusions import span_confusion_blocks, tag_confusion_blocks
from pipelines.evaluation.tagging_figures import (
    Transitions,
    sentence_length_blocks,
    span_length_blocks,
    transition_blocks,
)
from pipelines.evaluation.tagging_worst import worst_sentences
from pipelines.evaluation.wording import number

_UNKNOWN = "Unknown words do not stand in the training rows."
_MATCHES = (
    "Strict counts an entity with its very words and its type, exact with its words whatever the "
    "type, type with its type and some of its words; partial gives half a point for some of the "
    "words, whatever the type. Missed: nothing was marked there; spurious: nothing is there. "
    "Counted by nervaluate."
)
_STATISTICS = (counting.precision, counting.recall, counting.f1)


@dataclass(frozen=True)
class _Evidence:
    """What every section draws on."""

    rows: TaggedRows
    model: Tagging
    baselines: Mapping[str, Tagging]
    known: Array
    seed: int

    @cached_property
    def all_systems(self) -> dict[str, Tagging]:
        """The model first, then every baseline."""
        return {"model": self.model, **self.baselines}

    @cached_property
    def drawn(self) -> dict[str, Tagging]:
        """The model and, as baselines come weakest first, the last of them."""
        return {"model": self.model, **dict(list(self.baselines.items())[-1:])}

    def interval(self, sums: Array, statistic: Callable[[Array], Array]) -> Interval:
        """Resample sentences."""
        return bootstrap_sums(sums, statistic, seed=self.seed)


def tagging_sections(
    tokens: Sentences,
    gold: Sentences,
    outputs: Outputs,
    baselines: Mapping[str, Outputs],
    *,
    spans: bool,
    known_words: Container[str],
    train_counts: Mapping[str, int] | None = None,
    transitions: Transitions | None = None,
    seed: int = 17,
) -> list[Section]:
    """Describe a tagger beyond its scores.

    Args:
        tokens: the words of N test sentences.
        gold: their tags, BIO where `spans`.
        outputs: the exported model's `tags` [N, T] and, if it says so, `confidences` [N, T].
        baselines: outputs of other systems on the same rows; the last is drawn beside the model.
        spans: whether the tags mark spans.
        known_words: the words of the training rows.
        train_counts: training words of each tag, or training entities of each type.
        transitions: what a CRF learned of steps between tags.
        seed: of the resampling.

    Raises:
        EvaluationError: outputs that do not fit the rows.
    """
    rows = TaggedRows(tokens, gold)
    evidence = _Evidence(
        rows,
        read_tags(outputs, rows, "model", spans=spans),
        {name: read_tags(entry, rows, name, spans=spans) for name, entry in baselines.items()},
        known_flags(rows, known_words),
        seed,
    )
    specific = _span_sections if spans else _tag_sections
    sections = [*specific(evidence, train_counts), _length_section(evidence, spans)]
    if transitions is not None:
        frequencies = dict(zip(*np.unique(rows.truth.flat, return_counts=True), strict=True))
        blocks = transition_blocks(Transitions(*transitions), frequencies)
        sections.append(Section("Learned transitions", blocks=blocks))
    if evidence.model.confidences is not None:
        sections.append(_calibration(evidence, spans))
    return [*sections, worst_sentences(rows, evidence.model, spans=spans)]


def _tag_sections(evidence: _Evidence, train: Mapping[str, int] | None) -> list[Section]:
    rows, model = evidence.rows, evidence.model
    tags = tag_names(rows, model)
    totals = tag_sums(rows, model, tags).sum(axis=0)
    table = _class_table(tags, totals, train, ("tag", "words"))
    confusion, frequent = tag_confusion_blocks(rows, model, tags)
    return [
        Section("Tags", blocks=[table]),
        Section("What is confused", blocks=[confusion, *frequent]),
        Section("Known and unknown words", _UNKNOWN, [_known_words_table(evidence)]),
    ]


def _span_sections(evidence: _Evidence, train: Mapping[str, int] | None) -> list[Section]:
    rows, model = evidence.rows, evidence.model
    gold = rows.truth.spans
    types = counting.span_types(gold, model.spans)
    totals = counting.match_counts_by(gold, model.spans, types).sum(axis=0)
    table = _class_table(types, totals, train, ("type", "entities"))
    confusion, frequent = span_confusion_blocks(rows, model, types)
    return [
        Section("Entity types", blocks=[table]),
        Section(
            "Strict and partial matches",
            _MATCHES,
            [_matches_table(evidence)],
        ),
        Section("What is confused", blocks=[confusion, *frequent]),
        Section("Known and unknown words", _UNKNOWN, [_known_spans_table(evidence)]),
    ]


def _class_table(
    names: Sequence[str], totals: Array, train: Mapping[str, int] | None, words: tuple[str, str]
) -> Table:
    """Precision, recall and F1 per class from totals int[3, C], the frequent ones first."""
    values = [statistic(totals[None])[0] for statistic in _STATISTICS]
    order = np.lexsort((np.arange(len(names)), -totals[2]))
    learned = [] if train is None else [f"training {words[1]}"]
    rows = [
        [
            names[code],
            *(number(float(value[code]), "fraction") for value in values),
            f"{totals[2, code]:,}",
            f"{totals[1, code]:,}",
            *([] if train is None else [f"{train.get(names[code], 0):,}"]),
        ]
        for code in order.tolist()
    ]
    return Table(
        columns=[
            words[0],
            "precision",
            "recall",
            "F1",
            f"test {words[1]}",
            f"answered {words[1]}",
            *learned,
        ],
        rows=rows,
        caption="Precision: share of what was answered that is right. Recall: share of what is in "
        "the test rows that was found.",
    )


def _known_words_table(evidence: _Evidence) -> Table:
    rows = evidence.rows
    parts = {"known words": evidence.known, "unknown words": ~evidence.known}
    return Table(
        columns=["accuracy on", "words", *evidence.all_systems],
        rows=[
            [
                name,
                f"{among.sum():,}",
                *(
                    with_interval(evidence.interval(word_sums(rows, system, among), share))
                    for system in evidence.all_systems.values()
                ),
            ]
            for name, among in parts.items()
            if among.any()
        ],
    )


def _known_spans_table(evidence: _Evidence) -> Table:
    rows = evidence.rows
    unknown = with_unknown(rows, evidence.known)
    parts = {
        "of known words only": lambda row, span: not unknown(row, span),
        "with an unknown word": unknown,
    }
    found = []
    for name, among in parts.items():
        sums = [recall_sums(rows, system, among) for system in evidence.all_systems.values()]
        count = int(sums[0][:, 1].sum())
        if count:
            values = [with_interval(evidence.interval(entry, share)) for entry in sums]
            found.append([name, f"{count:,}", *values])
    return Table(
        columns=["recall of entities", "entities", *evidence.all_systems],
        rows=found,
    )


def _matches_table(evidence: _Evidence) -> Table:
    rows = [_matches_row(evidence, strategy) for strategy in counting.STRATEGIES]
    others = [f"F1 of {name}" for name in evidence.baselines]
    return Table(
        columns=["match", *counting.OUTCOMES, "precision", "recall", "F1", *others],
        rows=rows,
    )


def _matches_row(evidence: _Evidence, strategy: str) -> list[str]:
    gold = evidence.rows.truth.spans
    outcomes = {
        name: counting.outcome_counts(gold, system.spans, strategy).sum(axis=0)
        for name, system in evidence.all_systems.items()
    }
    totals = {name: counting.outcome_sums(counts[None]) for name, counts in outcomes.items()}
    values = [float(statistic(totals["model"])[0]) for statistic in _STATISTICS]
    values += [float(counting.f1(totals[name])[0]) for name in evidence.baselines]
    counts = (f"{count:,}" for count in outcomes["model"])
    return [strategy, *counts, *(number(value, "fraction") for value in values)]


def _length_section(evidence: _Evidence, spans: bool) -> Section:
    rows, drawn, seed = evidence.rows, evidence.drawn, evidence.seed
    blocks: list[Block] = []
    if spans:
        blocks += span_length_blocks(rows, drawn, seed=seed)
    blocks += sentence_length_blocks(rows, drawn, spans=spans, seed=seed)
    return Section("By length", blocks=blocks)


def _calibration(evidence: _Evidence, spans: bool) -> Section:
    """Of spans, only words in answered entities: the many words outside would hide them."""
    rows, model = evidence.rows, evidence.model
    among = np.ones(len(rows.words), bool)
    note = ""
    if spans and (model.flat != "O").any():
        among = np.asarray(model.flat != "O", bool)
        note = (
            f"Only the {among.sum():,} words that the model took for part of an entity are counted "
            f"here; the other {len(among) - among.sum():,} would hide them."
        )
    confidences = model.confidences
    sure = np.ones(len(among)) if confidences is None else confidences
    return calibration_section(
        sure[among],
        right_flags(rows, model)[among],
        smallest=1 / max(2, len(tag_names(rows, model))),
        units="words",
        note=note,
        seed=evidence.seed,
    )

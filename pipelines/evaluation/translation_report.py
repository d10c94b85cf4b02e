"""The report's pages about a translator: how good it is, where it errs, how far to believe it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from markupsafe import Markup

from pipelines.evaluation import translation_evidence as counting
from pipelines.evaluation.measures import (
    Measure,
    ratio_measure,
    score_of,
    with_p_values,
)
from pipelines.evaluation.overview import score_table
from pipelines.evaluation.scores import Score
from pipelines.evaluation.sections import Html, Section, Table
from pipelines.evaluation.translation import Alignment, Outputs, Pair, ReferenceScores
from pipelines.evaluation.translation_compared import (
    GREEDY,
    MODEL,
    NAMES,
    Array,
    Compared,
    compared,
    count_and_share,
    with_interval,
)
from pipelines.evaluation.translation_figures import attention_block, slice_blocks
from pipelines.evaluation.translation_metrics import signatures
from pipelines.evaluation.translation_sections_belief import (
    confidence_section,
    overlap_section,
    probability_section,
)
from pipelines.evaluation.translation_sections_texts import errors_section, samples_section
from pipelines.evaluation.translation_significance import p_values
from pipelines.evaluation.wording import duration, number

MOST_ALIGNMENTS = 6
_BANDS = (
    (10, "At this level little of the meaning comes across."),
    (20, "At this level the subject is usually recognised, and many sentences are wrong."),
    (30, "At this level the sense of most sentences comes across, with many errors."),
    (
        40,
        "At this level most sentences are understood, with errors in grammar and in words.",
    ),
    (
        101,
        "At this level translations are good, for text of the kind that was tested.",
    ),
)
_BLEU = (
    "BLEU counts runs of one to four words that a translation shares with one human reference: 100 "
    "is the reference itself, and another good translator would reach far less. chrF++ counts "
    "shared runs of characters and words, and forgives endings. TER counts the words to change, as "
    "a share of the reference in per cent. Such bounds are rules of thumb: a score is comparable "
    "only on the same test pairs with the same signature."
)
_ATTENTION = (
    "Each row is a word of the translation, each column a word of the source; the darker, the more "
    "the model looked there when it wrote the word (weights of subword pieces are added up for the "
    "source and averaged for the translation). Attention tells where information was taken from, "
    "not why a word was chosen; recurrent states carry information past it."
)


def translation_sections(
    rows: Sequence[Pair],
    outputs: Outputs,
    baselines: Mapping[str, Outputs],
    *,
    greedy: Outputs | None = None,
    reference: ReferenceScores | None = None,
    alignments: Sequence[Alignment] = (),
    train_counts: Mapping[str, int] | None = None,
    seconds: Mapping[str, float] | None = None,
    notes: Sequence[str] = (),
    language: str = "",
    seed: int = 17,
) -> list[Section]:
    """Describe a translator beyond its scores.

    Args:
        rows: the test pairs.
        outputs: the exported model's "translation", "score" and "complete", one a row.
        baselines: outputs of other systems on the same rows; one with "similarity", float[N], tells
            how near the nearest training source is.
        greedy: the model's outputs with greedy decoding.
        reference: how probable the model finds the references.
        alignments: attention while translating some of the sentences.
        train_counts: occurrences of the words of the training sources (`word_counts`).
        seconds: "model" and "greedy" -> time to translate all rows.
        notes: what is to be known of the data, one sentence each or more.
        language: code of the target language, which decides how BLEU cuts words.
        seed: of resampling and of the random sample.

    Raises:
        EvaluationError: there is no row, or outputs do not fit the rows.
    """
    found = compared(rows, outputs, baselines, greedy, language=language, seed=seed)
    sections = [
        _quality_section(found, notes),
        _search_section(found, seconds or {}) if greedy is not None else None,
        _length_section(found),
        _rarity_section(found, train_counts) if train_counts is not None else None,
        errors_section(found),
        attention_section(alignments) if alignments else None,
        samples_section(found),
        confidence_section(found),
        overlap_section(found),
        probability_section(found, reference) if reference is not None else None,
    ]
    return [section for section in sections if section is not None]


def _quality_section(found: Compared, notes: Sequence[str]) -> Section:
    """Every system's scores with intervals, in words, and the signatures they depend on."""
    bleu = found.value(MODEL, "bleu")
    reading = next(words for bound, words in _BANDS if bleu < bound)
    prose = [f"The model's BLEU is {number(bleu)}. {reading}", _BLEU, " ".join(notes)]
    everything = np.ones(len(found.sources), bool)
    systems = Table(
        ["system", *NAMES.values(), "length ratio"],
        [
            [
                system,
                *(with_interval(found.interval(system, metric)) for metric in NAMES),
                number(found.length_ratio(system, everything), "fraction"),
            ]
            for system in found.outputs
        ],
        f"{found.units.sentence()} TER and the differences stand in the table of scores above.",
    )
    signed = _signatures(list(signatures(found.language).values()))
    return Section("How good the translations are", "\n\n".join(prose), [systems, Html(signed)])


def _signatures(lines: Sequence[str]) -> Markup:
    """What sacrebleu needs to give the same figures again."""
    rows = Markup("<br>").join(Markup("<code>{}</code>").format(line) for line in lines)
    return Markup(
        '<p class="caption" style="max-width:none">Signatures of sacrebleu:<br>{}</p>'
    ).format(rows)


def _search_section(found: Compared, seconds: Mapping[str, float]) -> Section:
    """Hold beam search against greedy decoding of the same model."""
    scores = [score.as_json() for score in _search_scores(found)]
    table = score_table(scores, scores[0])
    same = np.array(found.texts[MODEL], object) == np.array(found.texts[GREEDY], object)
    gain = found.sentence_scores[MODEL] - found.sentence_scores[GREEDY]
    other = int((~same).sum())
    prose = (
        "The model above translates by beam search; greedy takes the most probable token at every "
        f"step. They differ in {count_and_share(other, len(same))} of the translations"
    )
    if other:
        prose += (
            f"; of these, beam search is nearer to the reference in "
            f"{count_and_share(int((gain > 0).sum()), other)} and greedy in "
            f"{count_and_share(int((gain < 0).sum()), other)}, by sentence chrF++"
        )
    prose += "."
    if {MODEL, GREEDY} <= set(seconds):
        rates = {name: len(same) / max(seconds[name], 1e-9) for name in (MODEL, GREEDY)}
        prose += (
            f" All rows took {duration(seconds[MODEL])} with beam search "
            f"({number(rates[MODEL])} sentences/s) and {duration(seconds[GREEDY])} greedily "
            f"({number(rates[GREEDY])} sentences/s)."
        )
    caption = "Beam search and greedy decoding; below greedy's, the difference of beam search."
    columns = ["score", "beam search", "95 % interval", GREEDY]
    return Section(
        "Beam search and greedy decoding",
        prose,
        [dataclasses.replace(table, columns=columns, caption=caption)],
    )


def _search_scores(found: Compared) -> list[Score]:
    """Score beam search, with greedy decoding as its only baseline."""
    metrics = list(found.metrics.values())
    counted = {
        system: {metric.name: found.statistics(system, metric.name) for metric in metrics}
        for system in (MODEL, GREEDY)
    }
    measures = [
        Measure(
            name=metric.name,
            model=counted[MODEL][metric.name],
            others={GREEDY: counted[GREEDY][metric.name]},
            statistic=metric.of_totals,
            better=metric.better,
            count=len(found.sources),
        )
        for metric in metrics
    ]
    lengths = {system: sums["bleu"][:, :2] for system, sums in counted.items()}
    loops = {system: _loops(found, system) for system in counted}
    measures += [
        ratio_measure("length_ratio", lengths, counted="words", better="target", target=1.0),
        ratio_measure("repetition_rate", loops, counted="pairs", unit="fraction"),
    ]
    scores = [score_of(measure, found.units, seed=found.seed) for measure in measures]
    tested = p_values(
        metrics, counted[MODEL], {GREEDY: counted[GREEDY]}, found.units, seed=found.seed
    )
    return [with_p_values(score, tested.get(score.name, {})) for score in scores]


def _loops(found: Compared, system: str) -> Array:
    pairs = zip(found.texts[system], found.references, strict=True)
    return np.array([(counting.repeats(text, target), 1) for text, target in pairs], float)


def _length_section(found: Compared) -> Section:
    name = "words in the source"
    slices = counting.length_slices(found.sources)
    blocks = slice_blocks(found, slices, property_name=name, column="words")
    return Section("By length of the source", "", blocks)


def _rarity_section(found: Compared, counts: Mapping[str, int]) -> Section:
    prose = (
        "Each pair stands under the rarest word of its source, by how often the training sources "
        "hold it. Subword pieces spell unseen words; that does not tell the model what they mean. "
        "Longer sentences hold rare words more often, so length plays a part here too."
    )
    slices = counting.rarity_slices(found.sources, counts)
    blocks = slice_blocks(found, slices, property_name="rarest word of the source", column="with")
    return Section("By rare words", prose, blocks)


def attention_section(alignments: Sequence[Alignment]) -> Section:
    """Draw where the model looked, for the first few alignments."""
    shown = list(alignments)[:MOST_ALIGNMENTS]
    order = sorted(shown, key=lambda entry: len(entry.source_tokens))
    blocks = [attention_block(one, f"Sentence {n}") for n, one in enumerate(order, start=1)]
    return Section("Attention", _ATTENTION, blocks)

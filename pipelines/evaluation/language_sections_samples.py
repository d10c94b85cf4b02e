"""The report's page of texts a language model wrote, beside what people wrote."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Protocol

from markupsafe import Markup

from pipelines.evaluation.examples import example
from pipelines.evaluation.language_balance import language_of
from pipelines.evaluation.language_evidence import Written
from pipelines.evaluation.language_samples import (
    MAX_TRAINING,
    SHORTEST_COPY,
    Sample,
    SampleReport,
    Trait,
    examine_samples,
)
from pipelines.evaluation.sections import Block, Html, Section, Table
from pipelines.evaluation.translation_examples import heading
from pipelines.evaluation.wording import number, with_unit

SHOWN_CHARACTERS = 900  # of a sample
SHOWN_SAMPLES = 1  # of each temperature; the others are folded away
MOST_LISTED = 10  # copied runs
_RUN_CHARACTERS = 160
_KNOWN_BY_TRAINING = ("longest copied run", "copied text", "real words")
_READING = (
    "All were written from nothing, character after character, each drawn by the model's own "
    "probabilities; the temperature divides their logarithms first: below 1 the likely becomes "
    "likelier and texts repeat themselves, above 1 texts vary and fall apart. Only 1 is the model "
    "as it is."
)
_CONCLUDE = (
    "Nobody can say how right such a text is, so the same was measured of held-out text by people, "
    "cut to the same lengths: the nearer, the better. What one may conclude: fewer real words than "
    "people's means that spelling is not learned; fewer different pairs and triples of words means "
    "loops; longer copied runs than people's means that the model knows parts of the training text "
    "by heart. Real words and right forms say nothing about sense."
)


class Text(Protocol):
    """What is needed of a document."""

    @property
    def text(self) -> str:
        """All of it."""

    @property
    def name(self) -> str:
        """What it is called; "" if unknown."""


def samples_section(
    samples: Sequence[Written], train: Sequence[Text] | None, held_out: Sequence[Text]
) -> Section | None:
    """Show texts the model wrote, what of them is copied, and how they compare with people's.

    Args:
        samples: the texts.
        train: the training documents; None where they are gone, so that nothing is said of copies.
        held_out: the test documents.
    """
    if not any(sample.text for sample in samples):
        return None
    names = [document.name for document in held_out]
    report = examine_samples(
        [sample.text for sample in samples], train or [], held_out, language=language_of(names)
    )
    temperatures = sorted({sample.temperature for sample in samples})
    by_temperature = {t: _at(report, samples, t) for t in temperatures}
    table = _traits_table(by_temperature, report, known=train is not None)
    blocks: list[Block] = [table]
    for temperature, part in by_temperature.items():
        blocks += _texts(temperature, part.samples, known=train is not None)
    prose = [_READING, _CONCLUDE]
    if train is None:
        prose.append("The training text is gone, so copies of it could not be looked for.")
    else:
        prose.append(memorisation(report))
        runs = _runs_table(report, train)
        if runs is not None:
            blocks.insert(1, runs)
    return Section("Samples", "\n\n".join([*prose, *report.notes]), blocks)


def _at(report: SampleReport, samples: Sequence[Written], temperature: float) -> SampleReport:
    """Keep the samples of one temperature; the yardstick is all held-out text."""
    pairs = zip(report.samples, samples, strict=True)
    own = tuple(found for found, sample in pairs if sample.temperature == temperature)
    return replace(report, samples=own)


def _traits_table(parts: dict[float, SampleReport], report: SampleReport, *, known: bool) -> Table:
    traits = {temperature: _traits(part, known=known) for temperature, part in parts.items()}
    people = _traits(report, known=known)
    rows = [
        [
            trait.name + (", characters" if trait.unit == "characters" else ""),
            *(_cell(found[place].generated, trait) for found in traits.values()),
            _cell(trait.real, trait),
        ]
        for place, trait in enumerate(people)
        if trait.real is not None or trait.generated is not None
    ]
    lengths = [len(sample.text) for sample in report.samples]
    caption = (
        f"Means over {len(next(iter(parts.values())).samples)} texts of each temperature "
        f"({min(lengths):,} to {max(lengths):,} characters). Copied text: share in runs of "
        f"{SHORTEST_COPY} characters or more that stand in the training text. Different words and "
        "the like: share of distinct ones, which falls with length."
    )
    if known and report.training_line_length is not None:
        caption += f" A training line has {number(report.training_line_length)} characters."
    return Table(["measure", *(f"at {t:g}" for t in traits), "people"], rows, caption)


def _traits(report: SampleReport, *, known: bool) -> list[Trait]:
    return [trait for trait in report.traits() if known or trait.name not in _KNOWN_BY_TRAINING]


def _cell(value: float | None, trait: Trait) -> str:
    return number(value, trait.unit if trait.unit == "fraction" else "")


def memorisation(report: SampleReport) -> str:
    """Say how long the longest copied run is, beside that of people's text."""
    own = max((sample.copies.longest for sample in report.samples), default=0)
    people = max((sample.copies.longest for sample in report.real), default=0)
    text = f"The longest run copied from the training text has {own:,} characters"
    if not report.real:
        return f"{text}; there is no held-out text to compare it with."
    text += f"; held-out text of people has one of {people:,}"
    if own > 2 * max(people, SHORTEST_COPY):
        return (
            f"{text}. That is far longer than chance or shared phrases: the model knows parts of "
            "its training text by heart."
        )
    if own > people:
        return f"{text}. That is longer, yet within what set phrases may explain: see below."
    return f"{text}: the model copies no more than people share."


def _runs_table(report: SampleReport, train: Sequence[Text]) -> Table | None:
    """List the longest copied runs with the documents that hold them."""
    runs = {
        sample.text[start:end] for sample in report.samples for start, end in sample.copies.runs
    }
    longest = sorted(runs, key=lambda run: (-len(run), run))[:MOST_LISTED]
    if not longest:
        return None
    holders = _holders(longest, train)
    rows = [[_visible(run), f"{len(run):,}", _from(holders[run])] for run in longest]
    caption = f"The longest copied runs, of {len(runs):,} of {SHORTEST_COPY} characters or more."
    return Table(["run", "characters", "stands in"], rows, caption, ["left", "right", "left"])


def _holders(runs: Sequence[str], train: Iterable[Text]) -> dict[str, list[str]]:
    """Names of the training documents that hold each run; of a large set, the first part."""
    found: dict[str, list[str]] = {run: [] for run in runs}
    room = MAX_TRAINING
    for number_, document in enumerate(train, start=1):
        if room <= 0:
            break
        text = document.text
        room -= len(text)
        for run in runs:
            if run in text:
                found[run].append(document.name or f"document {number_:,}")
    return found


def _from(names: Sequence[str]) -> str:
    if len(names) < 2:
        return names[0] if names else "–"
    return f"{names[0]} and {len(names) - 1:,} more"


def _visible(run: str) -> Markup:
    shown = run[:_RUN_CHARACTERS].replace("\n", "\u00b6 ").replace("\t", "\u2192")
    return Markup("<code>{}</code>{}").format(shown, " …" if len(run) > _RUN_CHARACTERS else "")


def _texts(temperature: float, samples: Sequence[Sample], *, known: bool) -> list[Block]:
    """Show the first samples of a temperature, and fold the others away."""
    blocks: list[Block] = [Html(heading(f"Temperature {temperature:g}"))]
    shown = [_sample_block(sample, known=known) for sample in samples]
    blocks += [Html(block) for block in shown[:SHOWN_SAMPLES]]
    rest = shown[SHOWN_SAMPLES:]
    if rest:
        folded = Markup("<details><summary>{} more at this temperature</summary>{}</details>")
        blocks.append(Html(folded.format(len(rest), Markup("").join(rest))))
    return blocks


def _sample_block(sample: Sample, *, known: bool) -> Markup:
    told = [f"{len(sample.text):,} characters"]
    if known:
        told.append(f"longest copied run {sample.copies.longest:,}")
        if sample.real_words is not None:
            told.append(f"real words {with_unit(100 * sample.real_words, '%')}")
    return example("; ".join(told), marked_copies(sample, known=known)).replace(
        Markup('class="text"'), Markup('class="text written"'), 1
    )


def marked_copies(sample: Sample, *, known: bool = True) -> Markup:
    """Return the beginning of a sample; what stands in the training text is marked, with length."""
    text, place = sample.text[:SHOWN_CHARACTERS], 0
    if not text:
        return Markup("<em>{}</em>").format("nothing: the model ended the text at once")
    parts: list[Markup] = []
    for start, end in sample.copies.marked() if known else []:
        if start >= len(text):
            break
        parts.append(Markup("{}").format(text[place:start]))
        parts.append(
            Markup('<span class="mark wrong-mark">{}<small>{}</small></span>').format(
                text[start:end], f"{end - start:,}"
            )
        )
        place = end
    rest = len(sample.text) - len(text)
    more = Markup(" … ({:,} more characters)").format(rest) if rest > 0 else ""
    return Markup("{}{}{}").format(Markup("").join(parts), text[place:], more)

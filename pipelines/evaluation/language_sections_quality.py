"""The report's pages on how good a language model is, and where it earns its keep."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from pipelines.evaluation.language_figures import passage_chart
from pipelines.evaluation.language_judged import (
    ADAPTED,
    COMPRESSORS,
    MODEL,
    Judged,
    compared_cells,
    difference_cell,
    documents_of,
    outcome,
    own_cell,
    with_interval,
)
from pipelines.evaluation.language_measures import perplexity
from pipelines.evaluation.language_significance import by_document
from pipelines.evaluation.scores import Score
from pipelines.evaluation.sections import Block, Figure, Section, Table
from pipelines.evaluation.translation_compared import count_and_share
from pipelines.evaluation.wording import difference, number, p_value, size

MOST_DOCUMENTS = 12  # in a table; of more, those where the model gains and loses most
FEWEST_CHARACTERS = 300  # of which a mean can be drawn; PPMd's bits are whole bytes
_BITS = (
    "Bits per character: every character is given a probability before it is seen, from all that "
    "was read of its document; the bits are −log2 of it, averaged over all characters. 0 would be "
    "certainty, 1 the toss of a coin, 8 one of 256. Probabilities can be turned into a file of as "
    "many bits, so a language model is a compressor, and a compressor a language model: those here "
    "had read the training text too. An opponent that knows no context shows what context is "
    "worth."
)


def quality_section(found: Judged, sizes: int) -> Section:
    """Tell how good the model is beside every opponent, losses first.

    Args:
        found: the systems.
        sizes: bytes of the test documents as UTF-8.
    """
    prose = [_verdict(found), _worth(found, sizes), _BITS]
    if ADAPTED in found.table.bits:
        prose.insert(2, _adapted(found))
    columns = ["system", "bits per character", "perplexity", "times smaller"]
    columns += ["the model's difference", "passages where the model is better"]
    rows = [_system_row(found, name, sizes) for name in found.by_rank]
    caption = (
        f"{found.units.sentence()} Perplexity: so many equally likely characters would be as hard "
        "to guess. Times smaller: than UTF-8."
    )
    blocks: list[Block] = [Table(columns, rows, caption)]
    return Section("How good the model is", "\n\n".join(prose), blocks)


def _verdict(found: Judged) -> str:
    """Say first whether the model beats the strongest opponent."""
    own = f"The model needs {number(found.interval(MODEL).value)} bits per character"
    if not found.rival:
        return f"{own}; no other system was asked, so the value stands alone."
    entry = found.against(found.rival)
    own += f", {found.rival} {number(entry.value)}"
    kind = "the best compressor here" if found.rival in COMPRESSORS else "the best opponent"
    gap = f"{number(abs(entry.difference))} bits per character"
    match outcome(entry):
        case "better":
            saved = 100 * abs(entry.difference) / entry.value
            return (
                f"The model beats {kind}. {own}: it saves {gap}, {saved:.1f} % "
                f"({p_value(entry.p_value)})."
            )
        case "worse":
            return (
                f"The model loses to {kind}. {own}: {gap} more ({p_value(entry.p_value)}). On "
                f"this text it does not earn its keep; {found.rival} predicts better, without a "
                "network."
            )
    return (
        f"The model is not shown to be better or worse than {kind}. {own} "
        f"({difference_cell(entry)})."
    )


def _worth(found: Judged, sizes: int) -> str:
    """Say what the bits come to."""
    value = found.interval(MODEL).value
    needed = float(found.table.bits[MODEL].sum()) / 8
    count = len(np.unique(found.table.document))
    text = (
        f"So the model would store {count:,} document{'s' * (count != 1)} of {size(sizes)}, none "
        f"of which it had seen, in {size(needed)}. On average the next character was as hard to "
        f"guess as one of {number(float(perplexity(np.array(value))))} equally likely ones."
    )
    if found.rival:
        own, other = found.table.bits[MODEL], found.table.bits[found.rival]
        text += (
            f" It needs fewer bits than {found.rival} on "
            f"{count_and_share(int((own < other).sum()), len(own))} of the passages"
        )
        if count > 1:
            sums = [np.bincount(found.table.document, bits) for bits in (own, other)]
            better = int((sums[0] < sums[1]).sum())
            text += f", and on {count_and_share(better, count)} of the documents"
        text += "."
    return text


def _adapted(found: Judged) -> str:
    """Say what learning while reading gains, against the model and its rival."""
    gain = found.against(MODEL, ADAPTED)
    text = (
        "A compressor goes on learning as it reads. The model may do so too, each window being "
        "scored before anything is learned from it: then it needs "
        f"{number(found.interval(ADAPTED).value)} bits per character, not {number(gain.value)}: "
        f"{difference_cell(gain)}."
    )
    if not found.rival:
        return text
    entry = found.against(found.rival, ADAPTED)
    words = {"better": "better than", "worse": "worse than"}.get(
        outcome(entry), "not shown to be better or worse than"
    )
    return f"{text} So it is {words} {found.rival}: {difference_cell(entry)}."


def _system_row(found: Judged, name: str, sizes: int) -> list[str]:
    value = found.interval(name)
    bits = found.table.bits
    row = [
        name,
        with_interval(value),
        number(float(perplexity(np.array(value.value)))),
        number(8 * sizes / max(float(bits[name].sum()), 1e-9)),
    ]
    if name == MODEL:
        return [*row, "", ""]
    better = count_and_share(int((bits[MODEL] < bits[name]).sum()), len(bits[name]))
    return [*row, difference_cell(found.against(name)), better]


def document_section(found: Judged) -> Section | None:
    """Compare the model with the strongest opponent document by document, passage by passage."""
    if not found.rival:
        return None
    others = [found.rival, *(name for name in COMPRESSORS[:2] if name != found.rival)]
    others = [name for name in others if name in found.table.bits]
    table = found.only(MODEL, *others)
    numbers = _extreme_documents(found)
    scores = by_document(documents_of(table, numbers), found.rows, seed=found.seed)
    rows = [
        [_document_cell(score), own_cell(score), *compared_cells(score, others)] for score in scores
    ]
    caption = (
        "Bits per character, with 95 % intervals; below an opponent's, the model's difference from "
        "it. Within a document its passages are resampled; few passages decide little."
    )
    if len(numbers) < len(np.unique(found.table.document)):
        caption += (
            f" Of all documents, the {len(numbers)} with the largest gains and losses by character."
        )
    columns = ["document", MODEL, *others]
    blocks: list[Block] = [_passage_figure(found), Table(columns, rows, caption)]
    return Section("By document and passage", _document_prose(scores, found.rival), blocks)


def _document_cell(score: Score) -> Markup:
    return Markup("{}<br><small>{:,} characters</small>").format(score.name, score.count)


def _document_prose(scores: Sequence[Score], rival: str) -> str:
    """Name the documents where the model does best and worst against its rival."""
    if len(scores) < 2:
        return ""
    order = sorted(scores, key=lambda score: score.baselines[rival].difference)
    best, worst = (
        f"{score.name} ({difference(score.baselines[rival].difference, '', signed=True)} bits per "
        "character)"
        for score in (order[0], order[-1])
    )
    return f"Against {rival}, the model does best on {best} and worst on {worst}."


def _extreme_documents(found: Judged) -> list[int]:
    numbers = np.unique(found.table.document)
    if len(numbers) <= MOST_DOCUMENTS:
        return [int(n) for n in numbers]
    gap = found.table.bits[MODEL] - found.table.bits[found.rival]
    sums = np.bincount(found.table.document, gap)[numbers]
    counts = np.bincount(found.table.document, found.table.characters)[numbers]
    order = numbers[np.argsort(sums / counts, kind="stable")]
    half = MOST_DOCUMENTS // 2
    return [int(n) for n in (*order[:half], *order[-half:])]


def _passage_figure(found: Judged) -> Figure:
    counts = found.table.characters
    own, other = (found.table.bits[name] / counts for name in (MODEL, found.rival))
    whole = counts >= FEWEST_CHARACTERS
    if not whole.any():
        whole = np.ones(len(counts), bool)
    own, other = own[whole], other[whole]
    svg = passage_chart(own, other, found.rival)
    better = count_and_share(int((own < other).sum()), len(own))
    caption = f"Passages of 1,000 characters; below the line the model beats {found.rival}."
    alt = f"Bits per character of {len(own):,} passages: the model needs fewer on {better}."
    return Figure(svg, caption, alt)

"""The report's pages that show single translations: what goes wrong, and samples side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipelines.evaluation import translation_evidence as counting
from pipelines.evaluation.sections import Block, Html, Section, Table
from pipelines.evaluation.translation_baselines import COPY, MEMORY
from pipelines.evaluation.translation_compared import (
    GREEDY,
    MODEL,
    Array,
    Compared,
    count_and_share,
)
from pipelines.evaluation.translation_examples import heading, translation_block
from pipelines.evaluation.wording import number

_SHOWN_ERRORS = 2  # of each kind
_SHOWN_SAMPLES = 3  # of each: best, median, worst
_RANDOM_SAMPLES = 5
_FEWEST_WORDS = 6  # shorter texts are the best and the worst by luck
_COPIED_WORDS = 3
_SPAN = (0.5, 2.0)  # words for one of the reference, outside of which length is an error


def errors_section(found: Compared) -> Section:
    """Count faults that need no judge, in every system, and show some of the model's."""
    systems = [name for name in (MODEL, GREEDY, found.strongest) if name in found.texts]
    flags = {name: _faults(found, name) for name in systems}
    table = Table(
        ["translations that", *systems],
        [[fault, *(_count(flags[name].get(fault)) for name in systems)] for fault in flags[MODEL]],
        f"Of {len(found.sources):,} test pairs. A loop counts if the reference has no such one, "
        f"a copied word if it has {counting.COPY_LETTERS} letters or more and the reference does "
        "not hold it.",
    )
    blocks: list[Block] = [table]
    for fault, rows in flags[MODEL].items():
        worst = _worst_of(found, rows)
        if len(worst):
            blocks.append(Html(heading(f"Translations that {fault}")))
            blocks += [_block(found, row, MODEL) for row in worst]
    none = "" if len(blocks) > 1 else "The model's translations show none of these faults."
    return Section("Faults", none, blocks)


def _faults(found: Compared, system: str) -> dict[str, Array]:
    """What went wrong -> in which rows, bool[N]; the end is known of the model alone."""
    texts, references = found.texts[system], found.references
    triples = list(zip(found.sources, texts, references, strict=True))
    own, other = found.statistics(system, "bleu")[:, :2].T
    ratio = own / np.maximum(other, 1)
    faults = {
        "repeat themselves": [counting.repeats(text, target) for _, text, target in triples],
        f"copy {_COPIED_WORDS} words or more": [
            counting.copied(*triple)[0] >= _COPIED_WORDS for triple in triples
        ],
        "hold an unknown word": [counting.unknown(text)[0] > 0 for text in texts],
        "are empty": [not text.strip() for text in texts],
        f"have under {_SPAN[0]:g} times the words": (ratio < _SPAN[0]) & (own > 0),
        f"have over {_SPAN[1]:g} times the words": ratio > _SPAN[1],
    }
    outputs = found.greedy if system == GREEDY else found.outputs[system]
    if system in (MODEL, GREEDY) and outputs is not None and "complete" in outputs:
        faults["were cut off at the limit"] = ~np.asarray(outputs["complete"], bool)
    return {fault: np.asarray(rows, bool) for fault, rows in faults.items()}


def _count(rows: Array | None) -> str:
    return "–" if rows is None else count_and_share(int(rows.sum()), len(rows))


def _worst_of(found: Compared, rows: Array) -> list[int]:
    places = np.flatnonzero(rows)
    order = np.argsort(found.sentence_scores[MODEL][places], kind="stable")
    return [int(row) for row in places[order[:_SHOWN_ERRORS]]]


def samples_section(found: Compared) -> Section:
    """Show the best, middle and worst translations by sentence chrF++, and some at random."""
    scores = found.sentence_scores[MODEL]
    words = np.array([len(counting.words_of(text)) for text in found.sources])
    enough = np.flatnonzero(words >= _FEWEST_WORDS)
    few = len(enough) < 3 * _SHOWN_SAMPLES
    places = np.arange(len(scores)) if few else enough
    order = places[np.argsort(-scores[places], kind="stable")]
    random = np.random.default_rng(found.seed).permutation(len(scores))[:_RANDOM_SAMPLES]
    middle = max(0, (len(order) - _SHOWN_SAMPLES) // 2)
    groups: list[tuple[str, Sequence[int]]] = [
        ("At random", random.tolist()),
        ("Best", order[:_SHOWN_SAMPLES].tolist()),
        ("Median", order[middle : middle + _SHOWN_SAMPLES].tolist()),
        ("Worst", order[::-1][:_SHOWN_SAMPLES].tolist()),
    ]
    systems = (MODEL, found.strongest) if found.strongest else (MODEL,)
    blocks: list[Block] = []
    for title, rows in groups:
        blocks.append(Html(heading(title)))
        blocks += [_block(found, row, *systems) for row in rows]
    return Section("Samples", _samples_prose(found, few), blocks)


def _samples_prose(found: Compared, few: bool) -> str:
    prose = (
        "Target is the human translation. A dotted line marks words that the target does not have "
        "in that place: often an error, sometimes another good way to say it. "
    )
    if found.strongest:
        prose += f"{short_name(found.strongest)} is what {found.strongest} answers. "
    prose += "Best, median and worst are by chrF++ of the sentence"
    if not few:
        prose += f", among sources of {_FEWEST_WORDS} words or more"
    return f"{prose}."


def _block(found: Compared, row: int, *systems: str) -> Html:
    meta = f"Pair {row + 1:,}"
    if found.documents[row]:
        meta += f", {found.documents[row]}"
    scores = {name: number(float(found.sentence_scores[name][row])) for name in systems}
    told = ", ".join(f"{short_name(name)} {score}" for name, score in scores.items())
    meta += f"; chrF++ {told}"
    texts = [(short_name(name), found.texts[name][row]) for name in systems]
    return translation_block(meta, found.sources[row], found.references[row], texts)


def short_name(system: str) -> str:
    """Name a system in six letters at most, beside its translation."""
    return {MEMORY: "TM", COPY: "copy"}.get(system, system[:6])

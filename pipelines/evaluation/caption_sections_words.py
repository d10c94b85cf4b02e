"""The report's page about words: which are missed, and what is said instead."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

import numpy as np

from pipelines.evaluation.bootstrap import Interval
from pipelines.evaluation.caption_judged import MODEL, Array, Judged, percent
from pipelines.evaluation.caption_metrics import Tokens
from pipelines.evaluation.sections import Block, Section, Table
from pipelines.evaluation.slices import interval_blocks

_EDGES = ((0, "unseen"), (2, "1–2"), (9, "3–9"), (99, "10–99"), (999, "100–999"))
_OFTEN = "≥ 1,000"
_RARE = 10  # training captions; a word in fewer is rare
_LISTED = 12


@dataclass(frozen=True)
class Wanted:
    """Words that references use of images, one an entry, M in all.

    Attributes:
        rows: the image of each, int[M].
        words: the words.
        seen: in how many different training captions each stands, int[M].
    """

    rows: Array
    words: Sequence[str]
    seen: Array


def wanted_words(found: Judged) -> Wanted:
    """Collect the words that more than half of the references of an image hold, and count them."""
    counts = Counter(word for caption in found.known for word in set(caption))
    entries = [
        (row, word)
        for row, references in enumerate(found.references)
        for word, times in Counter(w for each in references for w in set(each)).items()
        if 2 * times > len(references)
    ]
    words = [word for _, word in entries]
    rows = np.array([row for row, _ in entries], np.int64)
    return Wanted(rows, words, np.array([counts[word] for word in words], np.int64))


def words_section(found: Judged) -> Section | None:
    """Say how often words are named, by how often training has them, and what is said instead."""
    wanted = wanted_words(found)
    if not wanted.words:
        return None
    named = {
        system: np.array(
            [
                word in held[row]
                for row, word in zip(wanted.rows.tolist(), wanted.words, strict=True)
            ],
            bool,
        )
        for system, held in ((name, _held(found, name)) for name in found.drawn)
    }
    names, bins = _bins(wanted.seen)
    measured = {
        system: [_named(found, wanted, hits, part) for part in bins]
        for system, hits in named.items()
    }
    blocks = interval_blocks(
        names,
        [int(part.sum()) for part in bins],
        measured,
        property_name="training captions with the word",
        units="words",
        measure="share of words named",
        column="in training",
    )
    if len(bins) == 1:
        blocks = blocks[1:]
    missed = _missed_table(wanted, named[MODEL])
    said = _instead_table(found)
    more: list[Block] = [table for table in (missed, said) if table is not None]
    return Section("Words that fail", _prose(found, wanted, named[MODEL]), [*blocks, *more])


def _held(found: Judged, system: str) -> list[frozenset[str]]:
    return [frozenset(words) for words in found.tokens[system]]


def _bins(seen: Array) -> tuple[list[str], list[Array]]:
    numbers = np.searchsorted([edge for edge, _ in _EDGES], seen)
    names = [*(name for _, name in _EDGES), _OFTEN]
    bins = [(name, numbers == place) for place, name in enumerate(names)]
    kept = [(name, part) for name, part in bins if part.any()]
    return [name for name, _ in kept], [part for _, part in kept]


def _named(found: Judged, wanted: Wanted, hits: Array, part: Array) -> Interval:
    """Share of some words that are named; images are resampled, as their words are one caption."""
    rows, images = wanted.rows[part], len(found.rows)
    right = np.bincount(rows, hits[part], images)
    return found.ratio(np.column_stack([right, np.bincount(rows, minlength=images)]))


def _prose(found: Judged, wanted: Wanted, hits: Array) -> str:
    everything = np.ones(len(hits), bool)
    share = _named(found, wanted, hits, everything)
    rare = (wanted.seen > 0) & (wanted.seen < _RARE)
    unseen = wanted.seen == 0
    missed = max(1, int((~hits).sum()))
    of_unseen, of_rare = (int((~hits & part).sum()) / missed for part in (unseen, rare))
    text = (
        f"The model names {percent(share)} of the words of the references. Of the words it misses, "
        f"{_percent(of_unseen)} are in no training caption, {_percent(of_rare)} in fewer than "
        f"{_RARE}, and {_percent(1 - of_unseen - of_rare)} in {_RARE} or more. "
    )
    return f"{text}{_advice(of_unseen, of_rare)}\n\n{_COUNTED}"


_COUNTED = (
    "Words are those that more than half of an image's references hold, each counted once an "
    "image; training captions are counted once, however often they occur."
)


def _advice(unseen: float, rare: float) -> str:
    """Say what would help, by what most misses are."""
    if unseen + rare < 0.5:
        return (
            "Most misses are words that training holds often: the model knows them and does not "
            "see them. Larger images, a stronger encoder or longer training help here; more "
            "captions of the same kind do not."
        )
    if unseen > rare:
        return (
            "Most misses are words that training never held, so no training longer or larger can "
            "teach them: it takes captions that hold them."
        )
    return (
        "Most misses are words that training hardly held: more images of these things help most, "
        "and pretrained encoders tell rare things apart better."
    )


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _missed_table(wanted: Wanted, hits: Array) -> Table | None:
    """List the words that are missed most often."""
    of = Counter(wanted.words)
    missed = Counter(word for word, hit in zip(wanted.words, hits, strict=True) if not hit)
    seen = dict(zip(wanted.words, wanted.seen.tolist(), strict=True))
    if not missed:
        return None
    top = sorted(missed, key=lambda word: (-missed[word], of[word], word))[:_LISTED]
    rows = [[word, f"{missed[word]:,} of {of[word]:,}", f"{seen[word]:,}"] for word in top]
    return Table(
        ["word", "missed, of images", "training captions"], rows, "The words most often missed."
    )


def _instead_table(found: Judged) -> Table | None:
    """List what is said instead of a word, where the caption else goes on in step."""
    pairs: Counter[tuple[str, str]] = Counter()
    for own, references, place in zip(
        found.tokens[MODEL], found.references, found.closest, strict=True
    ):
        pairs.update(set(replaced(references[place], own)))
    if not pairs:
        return None
    said = Counter(word for references in found.references for word in _all_words(references))
    top = sorted(pairs, key=lambda pair: (-pairs[pair], pair))[:_LISTED]
    rows = [
        [wanted, model, f"{pairs[wanted, model]:,} of {said[wanted]:,}"] for wanted, model in top
    ]
    caption = (
        "What the model says instead, word for word, where its caption and the closest reference "
        f"otherwise go in step; {len(pairs):,} different pairs in all."
    )
    return Table(["reference", "the model says", "images"], rows, caption, ["left", "left"])


def replaced(reference: Tokens, own: Tokens) -> list[tuple[str, str]]:
    """Pair the words of a reference with those said in their place, runs of one length alone."""
    runs = SequenceMatcher(None, reference, own, autojunk=False).get_opcodes()
    return [
        pair
        for kind, a, b, c, d in runs
        if kind == "replace" and b - a == d - c
        for pair in zip(reference[a:b], own[c:d], strict=True)
    ]


def _all_words(references: Sequence[Tokens]) -> set[str]:
    return {word for each in references for word in each}

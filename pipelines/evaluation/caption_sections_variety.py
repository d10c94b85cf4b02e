"""The report's page about variety: captions that repeat, and captions that are new."""

from __future__ import annotations

from collections import Counter

import numpy as np

from pipelines.evaluation.caption_judged import MODEL, Array, Judged, percent
from pipelines.evaluation.caption_metrics import Tokens
from pipelines.evaluation.sections import Block, Section, Table

Counts = Counter[tuple[str, ...]]
_OTHERS = "references"


def diversity_section(found: Judged) -> Section:
    """Hold the variety of captions against that of references, and show what is new."""
    own = Counter(map(tuple, found.tokens[MODEL]))
    theirs = Counter(tuple(references[0]) for references in found.references)
    said = {tuple(words): text for words, text in _spelt(found)}
    new = np.array([tuple(words) not in found.known for words in found.tokens[MODEL]], bool)
    blocks: list[Block] = [_frequent((MODEL, _OTHERS), own, theirs, said)]
    if max(theirs.values()) > 1:
        blocks.append(_frequent((_OTHERS, MODEL), theirs, own, said))
    for right, title in ((True, "New captions that are right"), (False, "New captions, wrong")):
        table = _new_table(found, new & (found.right == right), title)
        blocks += [table] if table else []
    return Section("Variety", _variety_prose(found, own, theirs, new), blocks)


def _spelt(found: Judged) -> list[tuple[Tokens, str]]:
    pairs = [
        (refs[0], row.captions[0]) for refs, row in zip(found.references, found.rows, strict=True)
    ]
    return [*pairs, *zip(found.tokens[MODEL], found.captions[MODEL], strict=True)]


def _frequent(
    names: tuple[str, str], counts: Counts, others: Counts, said: dict[tuple[str, ...], str]
) -> Table:
    """List the most frequent captions of the first name, beside how often the other has them."""
    top = sorted(counts, key=lambda words: (-counts[words], words))[:8]
    rows = [
        [said[words] or "(nothing)", f"{counts[words]:,}", f"{others[words]:,}"] for words in top
    ]
    caption = (
        f"The most frequent captions of {names[0]}: images with each, of {counts.total():,}; "
        f"{len(counts):,} captions are different."
    )
    return Table(["caption", *names], rows, caption)


def _variety_prose(found: Judged, own: Counts, theirs: Counts, new: Array) -> str:
    share, right = found.mean(new), found.right
    text = (
        f"On {len(found.rows):,} images the model gives {len(own):,} different captions, "
        f"references {len(theirs):,} (the first reference of each image). {percent(share)} "
        "of the model's are in no training caption"
    )
    if new.any() and not new.all():
        told = [percent(found.mean(right, part)) for part in (new, ~new)]
        text += f"; of these {told[0]} are a reference to the word, of the known ones {told[1]}"
    elif new.any():
        text += f"; {percent(found.mean(right))} are a reference to the word"
    return f"{text}. {_variety_advice(found, own, theirs, new)}"


def _variety_advice(found: Judged, own: Counts, theirs: Counts, new: Array) -> str:
    if len(own) < 0.5 * len(theirs):
        return (
            "The model falls back on few captions: it has not learned to tell these images apart. "
            "Train longer, on larger images or with more of them, before decoding is changed."
        )
    if new.mean() < 0.1:
        return "It mostly repeats training captions: a search for the nearest image would do too."
    if found.right[new].mean() < 0.05 and len(new) >= 100:
        return "It does compose, and what it composes is seldom right: new captions need checking."
    return "Captions vary about as references do."


def _new_table(found: Judged, rows: Array, title: str) -> Table | None:
    """Show some captions that are in no training caption."""
    places = np.flatnonzero(rows)
    if not len(places):
        return None
    chosen = np.sort(np.random.default_rng(found.seed).permutation(places)[:6]).tolist()
    cells = [
        [found.captions[MODEL][row] or "(nothing)", found.rows[row].captions[found.closest[row]]]
        for row in chosen
    ]
    caption = f"{title}: {len(cells)} of {len(places):,}, drawn at random."
    return Table(["the model", "reference"], cells, caption, ["left", "left"])

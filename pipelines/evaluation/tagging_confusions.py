"""What a tagger takes for what: a matrix, and the frequent mistakes in their sentences."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from pipelines.datasets.tag_schemes import Span
from pipelines.evaluation import metrics
from pipelines.evaluation.confusion import confusion_block
from pipelines.evaluation.sections import Block, Table
from pipelines.evaluation.tagged_rows import TaggedRows, Tagging
from pipelines.evaluation.tagging_examples import in_context

Array = NDArray[Any]
MOST_CLASSES = 20
NONE = "(none)"
_PAIRS = 10
_EXAMPLES = 2


class Mistake(NamedTuple):
    """Words `start` to `limit` of a sentence, what they are and what they were taken for."""

    row: int
    start: int
    limit: int
    gold: str
    said: str


def tag_confusion_blocks(
    rows: TaggedRows, model: Tagging, tags: Sequence[str]
) -> tuple[Block, list[Block]]:
    """Return the matrix of tags, and the frequent confusions with examples."""
    codes = {tag: code for code, tag in enumerate(tags)}
    gold = np.array([codes[tag] for tag in rows.truth.flat], np.int64)
    said = np.array([codes[tag] for tag in model.flat], np.int64)
    matrix = metrics.confusion_matrix(gold, said, len(tags))
    mistakes = (
        Mistake(row, place, place + 1, wanted, found)
        for row, (one, other) in enumerate(zip(rows.gold, model.tags, strict=True))
        for place, (wanted, found) in enumerate(zip(one, other, strict=True))
        if wanted != found
    )
    block = confusion_block(matrix, tags, most_classes=MOST_CLASSES)
    return block, _frequent(rows, mistakes, "words")


def span_confusion_blocks(
    rows: TaggedRows, model: Tagging, types: Sequence[str]
) -> tuple[Block, list[Block]]:
    """Return the matrix of types, matched by their very words, and the frequent mistakes."""
    names = [*types, NONE]
    codes = {name: code for code, name in enumerate(names)}
    matrix = np.zeros((len(names), len(names)), np.int64)
    mistakes = []
    for row, (wanted, found) in enumerate(zip(rows.truth.spans, model.spans, strict=True)):
        for gold, said, start, limit in match_by_words(wanted, found):
            matrix[codes[gold], codes[said]] += 1
            if gold != said:
                mistakes.append(Mistake(row, start, limit, gold, said))
    caption = (
        f"Rows: the right type. Entities are matched by their very words; {NONE} on the left: no "
        "entity has these words; on top: the model marked none."
    )
    block = confusion_block(matrix, names, most_classes=MOST_CLASSES, caption=caption)
    return block, _frequent(rows, mistakes, "entities")


def match_by_words(
    gold: Iterable[Span], predicted: Iterable[Span]
) -> list[tuple[str, str, int, int]]:
    """Pair spans of the same words: gold type, predicted type, start and limit, in order."""
    wanted = {(span.start, span.limit): span.type for span in gold}
    found = {(span.start, span.limit): span.type for span in predicted}
    return [
        (wanted.get(place, NONE), found.get(place, NONE), *place)
        for place in sorted(wanted | found)
    ]


def _frequent(rows: TaggedRows, mistakes: Iterable[Mistake], units: str) -> list[Block]:
    counts: Counter[tuple[str, str]] = Counter()
    words: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    shown: defaultdict[tuple[str, str], dict[str, Mistake]] = defaultdict(dict)
    for mistake in mistakes:
        pair = (mistake.gold, mistake.said)
        counts[pair] += 1
        form = " ".join(rows.tokens[mistake.row][mistake.start : mistake.limit])
        words[pair][form] += 1
        shown[pair].setdefault(form, mistake)
    if not counts:
        return []
    lines = []
    for pair, count in counts.most_common(_PAIRS):
        common = [form for form, _ in words[pair].most_common(_EXAMPLES)]
        examples = [_example(rows, shown[pair][form]) for form in common]
        lines.append([pair[0], pair[1], f"{count:,}", Markup("<br>").join(examples)])
    return [
        Table(
            columns=["right", "the model says", units, "for instance"],
            rows=lines,
            caption="The most frequent mistakes, each with the words it happens to most often.",
            align=("left", "left", "right", "left"),
        )
    ]


def _example(rows: TaggedRows, mistake: Mistake) -> Markup:
    return in_context(rows.tokens[mistake.row], mistake.start, mistake.limit)

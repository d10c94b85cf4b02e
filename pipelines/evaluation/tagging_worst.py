"""The sentences a tagger did worst on, shown with what they should have and were given."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.datasets.tag_schemes import Span
from pipelines.evaluation.examples import example
from pipelines.evaluation.sections import Html, Section
from pipelines.evaluation.tagged_rows import TaggedRows, Tagging, right_flags
from pipelines.evaluation.tagging_examples import first_shown, lines, marked_spans, tagged_words

Array = NDArray[Any]
SHOWN = 12


def worst_sentences(rows: TaggedRows, model: Tagging, *, spans: bool) -> Section:
    """Show the sentences with most mistakes; of equals, the ones the model was surer of."""
    mistakes = _span_mistakes(rows, model) if spans else _word_mistakes(rows, model)
    weight = ~right_flags(rows, model)
    sure = weight if model.confidences is None else weight * model.confidences
    order = np.lexsort((-rows.by_sentence(sure), -mistakes))[:SHOWN]
    worst = [row for row in order.tolist() if mistakes[row]]
    title = "Worst sentences"
    if not worst:
        return Section(title, "Every test sentence was answered rightly.")
    if spans:
        prose = (
            "The sentences with most missed and spurious entities. Solid line: the other side has "
            "the same entity. Dotted line: it has not. Some labels may be wrong too."
        )
        blocks = [_span_block(rows, model, row, int(mistakes[row])) for row in worst]
    else:
        prose = (
            "The sentences with most wrong words, each marked with the tag it was given and the "
            "right one. Some labels may be wrong too."
        )
        blocks = [_word_block(rows, model, row, int(mistakes[row])) for row in worst]
    return Section(title, prose, blocks)


def _word_mistakes(rows: TaggedRows, model: Tagging) -> Array:
    return rows.by_sentence(~right_flags(rows, model))


def _span_mistakes(rows: TaggedRows, model: Tagging) -> Array:
    pairs = zip(rows.truth.spans, model.spans, strict=True)
    return np.array([len(set(one) ^ set(other)) for one, other in pairs], float)


def _word_block(rows: TaggedRows, model: Tagging, row: int, wrong: int) -> Html:
    tokens, gold, said = rows.tokens[row], rows.gold[row], model.tags[row]
    places = [place for place in range(len(tokens)) if gold[place] != said[place]]
    first = first_shown(len(tokens), places)
    meta = f"Sentence {row + 1}: {wrong} of {len(tokens)} words wrong"
    return Html(example(meta, tagged_words(tokens, gold, said, first)))


def _span_block(rows: TaggedRows, model: Tagging, row: int, wrong: int) -> Html:
    tokens = rows.tokens[row]
    gold, said = Tagging([rows.gold[row]]).spans[0], model.spans[row]
    places = [span.start for span in sorted(set(gold) ^ set(said))]
    first = first_shown(len(tokens), places)
    text = lines(
        ("right", marked_spans(tokens, gold, said, first)),
        ("model", marked_spans(tokens, said, gold, first)),
    )
    return Html(example(_meta(row, wrong, gold, said), text))


def _meta(row: int, wrong: int, gold: list[Span], said: list[Span]) -> str:
    missed, spurious = len(set(gold) - set(said)), len(set(said) - set(gold))
    return f"Sentence {row + 1}: {wrong} mistakes, {missed} missed and {spurious} spurious entities"

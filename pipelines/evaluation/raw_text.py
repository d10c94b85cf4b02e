"""Scores of a tagger on raw text, where it has to find the words itself.

Gold words are placed in the sentence as written; a word counts as found if the model has it at just
that place, and as right if its tag is right too. This is the UPOS F1 of the CoNLL 2018 shared task
(Zeman et al., 2018, sec. 4), except that the words of a contraction must agree one by one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.datasets.tag_schemes import spans_of
from pipelines.datasets.tagged_options import TaggedSentence
from pipelines.evaluation import spans as counting
from pipelines.evaluation.scores import Score
from pipelines.evaluation.scoring import sums_score
from pipelines.task import Predict

CHUNK = 256
Place = tuple[int, int, int]  # first and last code point of the written form, place within it


def raw_text_scores(
    rows: Iterable[TaggedSentence], predict: Predict, *, spans: bool, seed: int
) -> list[Score]:
    """Score the sentences whose text is known, sent to `serve` as text.

    Args:
        rows: test sentences; those without text, or whose words are not in it, are passed over.
        predict: the exported model.
        spans: whether tags mark spans.
        seed: of the resampling.

    Returns:
        `raw_text_f1`, of tagged words or of spans, and `word_f1`, of words found; nothing where no
        text is known.
    """
    placed = [(row, places) for row in rows if (places := gold_places(row)) is not None]
    if not placed:
        return []
    answers = _answers([row.text for row, _ in placed], predict)
    pairs = list(zip(placed, answers, strict=True))
    words = _counts(((set(gold), set(_places(found))) for (_, gold), found in pairs))
    units = _spans if spans else _tagged
    tagged = _counts(
        (units(gold, row.tags), units(_places(found), _tags(found))) for (row, gold), found in pairs
    )
    return [
        sums_score(name, sums, {}, counting.f1, count=int(sums[:, 2].sum()), seed=seed)
        for name, sums in (("raw_text_f1", tagged), ("word_f1", words))
    ]


def gold_places(row: TaggedSentence) -> list[Place] | None:
    """Return where each word of a sentence stands in its text; None if that cannot be told."""
    surfaces, parts = row.surfaces or row.tokens, row.parts or (1,) * len(row.tokens)
    places: list[Place] = []
    limit = 0
    for surface, count in zip(surfaces, parts, strict=True):
        start = row.text.find(surface, limit)
        if start < 0 or row.text[limit:start].strip():
            return None
        limit = start + len(surface)
        places += [(start, limit, part) for part in range(count)]
    return places


def _answers(texts: Sequence[str], predict: Predict) -> Iterable[Mapping[str, Any]]:
    for start in range(0, len(texts), CHUNK):
        chunk = texts[start : start + CHUNK]
        outputs = predict({"text": list(chunk)})
        for row in range(len(chunk)):
            yield {name: values[row] for name, values in outputs.items()}


def _tags(found: Mapping[str, Any]) -> list[str]:
    return [tag for tag in found["tags"] if tag]


def _places(found: Mapping[str, Any]) -> list[Place]:
    places: list[Place] = []
    ends = zip(found["char_starts"], found["char_limits"], strict=True)
    for start, limit in list(ends)[: len(_tags(found))]:
        again = bool(places) and places[-1][:2] == (start, limit)
        places.append((int(start), int(limit), places[-1][2] + 1 if again else 0))
    return places


def _tagged(places: Sequence[Place], tags: Sequence[str]) -> set[Any]:
    return set(zip(places, tags, strict=True))


def _spans(places: Sequence[Place], tags: Sequence[str]) -> set[Any]:
    return {
        (places[span.start][0], places[span.limit - 1][1], span.type) for span in spans_of(tags)
    }


def _counts(pairs: Iterable[tuple[set[Any], set[Any]]]) -> NDArray[Any]:
    """Count units that are right, said and gold in every sentence, int64[N, 3]."""
    return np.array([(len(gold & said), len(said), len(gold)) for gold, said in pairs], np.int64)

"""BLEU, ROUGE-L, CIDEr-D and METEOR of captions: what every image adds, and what totals make of it.

All are on the scale of the COCO evaluation (Chen et al., 2015): BLEU, ROUGE-L and METEOR from 0 to
1, CIDEr-D from 0 to 10. The first three of its code and NLTK's METEOR are what the tests hold these
against, on the same tokens; how a caption is cut into tokens is our own (`tokens_of`), since COCO's
cutter needs Java.

Sources: Papineni et al. (2002), BLEU; Lin (2004), ROUGE-L; the others in their own modules.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import EvaluationError
from pipelines.evaluation.caption_cider import CiderD, DocumentFrequencies, ngrams
from pipelines.evaluation.caption_meteor import meteor
from pipelines.evaluation.measures import share
from pipelines.evaluation.words import WORD

Array = NDArray[Any]
Tokens = Sequence[str]
References = Sequence[Tokens]  # of one image
ORDERS = 4  # of n-grams in BLEU and CIDEr-D
HEADLINE = "cider_d"
_RECALL = 1.2  # weight of recall in ROUGE-L
# COCO's stand-ins for nothing, which keep BLEU defined.
_TINY, _SMALL = 1e-15, 1e-9
_WORD = re.compile(WORD)


def tokens_of(caption: str) -> list[str]:
    """Cut a caption into words: lower case, composed accents, no punctuation.

    A word is a run of letters, digits and marks, or one sign of a script without spaces
    (`words.WORD`): "A dog's T-shirt." gives a, dog, s, t, shirt. The mark of an unknown word is the
    word "unk", which no reference holds.
    """
    return _WORD.findall(unicodedata.normalize("NFC", caption).lower())


@dataclass(frozen=True)
class CaptionMetric:
    """A score of captions that depends on totals over images.

    Attributes:
        name: of the score.
        unit: "fraction" where the score runs from 0 to 1, else "".
        statistics: maps one caption's tokens an image to what each adds, float64[N, K]; scores of
            the same statistics have the same function.
        of_totals: maps totals float64[R, K] to scores float64[R].
    """

    name: str
    unit: str
    statistics: Callable[[Sequence[Tokens]], Array]
    of_totals: Callable[[Array], Array]

    def corpus(self, captions: Sequence[Tokens]) -> float:
        """Score one caption an image as a whole."""
        return float(self.of_totals(self.statistics(captions).sum(axis=0, keepdims=True))[0])

    def of_images(self, captions: Sequence[Tokens]) -> Array:
        """Score every image's caption by itself, float64[N]."""
        return self.of_totals(self.statistics(captions))


def caption_metrics(
    references: Sequence[References], frequencies: DocumentFrequencies | None = None
) -> list[CaptionMetric]:
    """Return CIDEr-D, BLEU-1 to BLEU-4, ROUGE-L and METEOR on some images.

    Args:
        references: tokens of the references of each image, at least one an image.
        frequencies: in how many images n-grams occur, for CIDEr-D; those of `references` if None.

    Raises:
        EvaluationError: an image has no reference, or an other number of captions is scored.
    """
    require_references(references)
    cider = CiderD(references, frequencies)

    def counted(count: Callable[[Tokens, References], Sequence[float]]) -> Callable[..., Array]:
        return lambda captions: _each(count, captions, references)

    bleu = counted(bleu_counts)

    def mean_of(score: Callable[[Tokens, References], float]) -> Callable[..., Array]:
        return counted(lambda caption, known: (score(caption, known), 1.0))

    return [
        CaptionMetric(HEADLINE, "", lambda captions: _with_ones(cider.score(captions)), share),
        *(
            CaptionMetric(f"bleu_{order}", "fraction", bleu, partial(bleu_of, order=order))
            for order in range(1, ORDERS + 1)
        ),
        CaptionMetric("rouge_l", "fraction", mean_of(rouge_l), share),
        CaptionMetric("meteor", "fraction", mean_of(meteor), share),
    ]


def bleu_counts(caption: Tokens, references: References) -> list[float]:
    """Count what BLEU is made of: 2 lengths, matches and n-grams of orders 1 to 4.

    The reference's length is that of the one nearest in length, the shorter of two; an n-gram
    matches as often as the reference that holds it most often does.
    """
    counted = [ngrams(reference) for reference in references]
    nearest = min((abs(len(each) - len(caption)), len(each)) for each in references)[1]
    right = [0.0] * ORDERS
    for gram, count in ngrams(caption).items():
        right[len(gram) - 1] += min(count, max(known.get(gram, 0) for known in counted))
    shown = [float(max(0, len(caption) - order)) for order in range(ORDERS)]
    return [float(len(caption)), float(nearest), *right, *shown]


def bleu_of(totals: Array, order: int = ORDERS) -> Array:
    """Turn totals [R, 10] of `bleu_counts` into BLEU up to an order, as COCO's code does."""
    right, shown = totals[:, 2 : 2 + ORDERS][:, :order], totals[:, 2 + ORDERS :][:, :order]
    precision = np.prod((right + _TINY) / (shown + _SMALL), axis=1) ** (1 / order)
    ratio = (totals[:, 0] + _TINY) / (totals[:, 1] + _SMALL)
    return np.asarray(precision * np.exp(np.minimum(0.0, 1 - 1 / ratio)))


def rouge_l(caption: Tokens, references: References) -> float:
    """Return the F-score of the longest common subsequence, recall weighing 1.2.

    As in COCO's code, precision is the best over the references and so is recall, even where two
    references have them.
    """
    if not caption:
        return 0.0
    known = [reference for reference in references if reference]
    common = [longest_common(tuple(caption), tuple(reference)) for reference in known]
    precision = max(common, default=0) / len(caption)
    recall = max((n / len(each) for n, each in zip(common, known, strict=True)), default=0.0)
    if not precision:
        return 0.0
    weight = _RECALL**2
    return (1 + weight) * precision * recall / (recall + weight * precision)


@lru_cache(maxsize=1 << 14)
def longest_common(first: tuple[str, ...], second: tuple[str, ...]) -> int:
    """Return the length of the longest common subsequence."""
    row = [0] * (len(second) + 1)
    for word in first:
        corner = 0
        for place, other in enumerate(second, start=1):
            above = row[place]
            row[place] = corner + 1 if word == other else max(above, row[place - 1])
            corner = above
    return row[-1]


def require_references(references: Sequence[References]) -> None:
    """Raise EvaluationError where an image has no reference."""
    for row, known in enumerate(references):
        if not known:
            raise EvaluationError(
                f"references: test row {row} has none; every image needs a caption to be compared "
                "with: leave images without captions out"
            )


def _each(
    count: Callable[[Tokens, References], Sequence[float]],
    captions: Sequence[Tokens],
    references: Sequence[References],
) -> Array:
    # Captions repeat in many systems, references in variants: count what is the same once.
    known: Mapping[Any, Sequence[float]]
    known, rows = {}, []
    for caption, own in zip(captions, references, strict=True):
        key = (tuple(caption), tuple(map(tuple, own)))
        if key not in known:
            known[key] = count(caption, own)
        rows.append(known[key])
    return np.array(rows, float)


def _with_ones(values: Array) -> Array:
    return np.column_stack([values, np.ones(len(values))])

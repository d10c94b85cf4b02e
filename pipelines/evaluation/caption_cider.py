"""CIDEr-D: how much of what people agree to say of an image a caption says (Vedantam et al., 2015).

N-grams of 1 to 4 words are weighed by how few images' references hold them; the score is the mean
cosine over orders and references, with clipped counts and a penalty for other lengths, times 10.
As in the authors' code the length is the number of word pairs, which differs from the number of
words in captions without a word only.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import EvaluationError

Array = NDArray[Any]
Gram = tuple[str, ...]
ORDERS = 4
_SIZES = range(1, ORDERS + 1)
SIGMA = 6.0  # words by which lengths may differ
SCALE = 10.0


def ngrams(tokens: Sequence[str]) -> Mapping[Gram, int]:
    """Count runs of 1 to 4 neighbouring words."""
    return _ngrams(tuple(tokens))


# Several scores count the same captions.
@lru_cache(maxsize=1 << 14)
def _ngrams(tokens: tuple[str, ...]) -> Mapping[Gram, int]:
    runs = (zip(*(tokens[n:] for n in range(order)), strict=False) for order in _SIZES)
    return Counter(chain.from_iterable(runs))


@dataclass(frozen=True)
class DocumentFrequencies:
    """In how many images' references n-grams occur.

    Attributes:
        images: number of images counted.
        counts: n-gram -> number of images with a reference that holds it.
    """

    images: int
    counts: Mapping[Gram, int]

    @classmethod
    def of(cls, references: Sequence[Sequence[Sequence[str]]]) -> DocumentFrequencies:
        """Count over images, each with the tokens of its references."""
        counts: Counter[Gram] = Counter()
        for captions in references:
            counts.update({gram for caption in captions for gram in ngrams(caption)})
        return cls(len(references), counts)

    def rarity(self, gram: Gram) -> float:
        """Return log(images / images with the n-gram); an unseen one counts as seen once."""
        return math.log(self.images) - math.log(max(1, self.counts.get(gram, 0)))


@dataclass(frozen=True)
class _Vector:
    """One caption's n-grams: their weights, the norm of each order, the number of word pairs."""

    weights: Mapping[Gram, float]
    norms: tuple[float, ...]
    pairs: int


class CiderD:
    """Scores captions of images whose references are known.

    Attributes:
        frequencies: those of the references themselves where none were given.
    """

    def __init__(
        self,
        references: Sequence[Sequence[Sequence[str]]],
        frequencies: DocumentFrequencies | None = None,
    ) -> None:
        self.frequencies = frequencies or DocumentFrequencies.of(references)
        self._references = [[self._vector(each) for each in captions] for captions in references]

    def score(self, captions: Sequence[Sequence[str]]) -> Array:
        """Score one caption an image, float64[N] in 0 to 10.

        Raises:
            EvaluationError: there is not one caption an image.
        """
        if len(captions) != len(self._references):
            raise EvaluationError(
                f"captions: {len(captions)} for {len(self._references)} images; each image needs "
                "one: caption every test image, in order"
            )
        pairs = zip(captions, self._references, strict=True)
        return np.array([_agreement(self._vector(own), known) for own, known in pairs], float)

    def _vector(self, tokens: Sequence[str]) -> _Vector:
        weights = {
            gram: count * self.frequencies.rarity(gram) for gram, count in ngrams(tokens).items()
        }
        squares = [0.0] * ORDERS
        for gram, weight in weights.items():
            squares[len(gram) - 1] += weight * weight
        return _Vector(weights, tuple(map(math.sqrt, squares)), max(0, len(tokens) - 1))


def _agreement(own: _Vector, references: Sequence[_Vector]) -> float:
    return SCALE * sum(_likeness(own, each) for each in references) / len(references)


def _likeness(own: _Vector, reference: _Vector) -> float:
    """Mean over orders of the clipped cosine, lowered where lengths differ."""
    sums = [0.0] * ORDERS
    for gram, weight in own.weights.items():
        other = reference.weights.get(gram, 0.0)
        sums[len(gram) - 1] += min(weight, other) * other
    scales = (mine * theirs for mine, theirs in zip(own.norms, reference.norms, strict=True))
    cosines = [total / scale for total, scale in zip(sums, scales, strict=True) if scale]
    gap = own.pairs - reference.pairs
    return math.exp(-(gap**2) / (2 * SIGMA**2)) * sum(cosines) / ORDERS

"""The vectors a network's words start from: read from a file, or learned from texts."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from pipelines.corpus import Ragged, merge_ragged
from pipelines.text.cooccurrence import cooccurrence_vectors
from pipelines.text.vectors import load_vectors
from pipelines.text.vocabulary import Vocabulary

MOST_TOKENS = 5_000_000  # co-occurrence counts of more fill memory and change little
_log = logging.getLogger(__name__)


def set_word_vectors(
    embedding: keras.layers.Embedding,
    vocabulary: Vocabulary,
    *,
    given: str | None,
    texts: Sequence[Ragged],
    seed: int,
    **counting: Any,
) -> None:
    """Set an embedding, before gradient descent; words without a vector keep their random one.

    Args:
        embedding: of the vocabulary, built.
        vocabulary: the words.
        given: a file of pretrained vectors, if there is one; it wins.
        texts: word ids to count co-occurrences in, else; none leave the embedding as it is.
        seed: of what is drawn.
        counting: further arguments of `cooccurrence_vectors`.
    """
    if given is not None:
        vectors = load_vectors(Path(given), vocabulary, seed=seed)
        _log.info("%s: %d words found, %.1f %%", given, vectors.found, 100 * vectors.coverage)
        embedding.set_weights([vectors.matrix])
    elif texts:
        (current,) = embedding.get_weights()
        size, dimensions = current.shape
        head = merge_ragged([_head(part) for part in texts])
        learned = cooccurrence_vectors(
            head.values,
            head.lengths,
            vocabulary_size=size,
            dimensions=dimensions,
            seed=seed,
            **counting,
        )
        embedding.set_weights([np.where(learned.any(axis=1, keepdims=True), learned, current)])


def _head(texts: Ragged) -> Ragged:
    """Return the first texts, up to the most tokens worth counting."""
    rows = max(1, int(np.searchsorted(np.cumsum(texts.lengths), MOST_TOKENS, side="right")))
    lengths = texts.lengths[:rows]
    return Ragged(texts.values[: int(lengths.sum())], lengths)

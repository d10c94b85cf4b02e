"""Encode tagged sentences into corpus chunks, through the features that are exported."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import numpy as np

from pipelines.corpus import Chunk, Ragged, merge_ragged
from pipelines.datasets.rows import Rows
from pipelines.datasets.tagged import TaggedSentence
from pipelines.text.tagger_artifacts import TaggerArtifacts
from pipelines.text.tagger_fitting import model_tags
from pipelines.text.token_features import TokenFeatures, ragged_tokens

_log = logging.getLogger(__name__)


def encode_sentences(
    rows: Rows[TaggedSentence], artifacts: TaggerArtifacts, split: str
) -> Iterator[Chunk]:
    """Yield features and "tags" (code + 1; 0 where the model lacks the tag) of sentences.

    Training sentences are cut at `max_tokens` and the cut ones counted: the memory of a training
    step grows with the longest. Other splits are encoded whole, as the model is used.
    """
    features = TokenFeatures(artifacts)
    codes = {tag: code for code, tag in enumerate(artifacts.labels.tokens, start=1)}
    most = artifacts.settings["max_tokens"] if split == "train" else None
    cut = 0
    for chunk in rows.chunks():
        cut += sum(most is not None and len(row.tokens) > most for row in chunk)
        tokens = [row.tokens[:most] for row in chunk]
        tags = [model_tags(row.tags[:most], artifacts.settings["scheme"]) for row in chunk]
        values = np.array([codes.get(tag, 0) for row in tags for tag in row], np.uint16)
        lengths = np.array([len(row) for row in tokens])
        yield {**features.encode(tokens), "tags": Ragged(values, lengths)}
    if cut:
        _log.warning(
            "%s: %d of %d sentences have more than %d words and were cut; --max-tokens raises it",
            *(split, cut, len(rows), most),
        )


def word_ids(rows: Rows[TaggedSentence], artifacts: TaggerArtifacts) -> Ragged:
    """Return the word ids of sentences without tags."""
    words = TokenFeatures(artifacts).words
    parts = [Ragged(np.zeros(0, np.int32), np.zeros(0, np.int64))]  # there may be no sentence
    for chunk in rows.chunks():
        tokens = [row.tokens for row in chunk]
        ids = words.encode_tokens(ragged_tokens(tokens)).flat_values.numpy()
        parts.append(Ragged(ids, np.array([len(row) for row in tokens])))
    return merge_ragged(parts)

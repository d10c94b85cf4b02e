"""Fill a captioner's bank once it is trained, and set how much it has to say."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from pipelines.captioning.artifacts import CaptionArtifacts
from pipelines.captioning.captioner import read_of
from pipelines.captioning.captioner_config import CaptionerConfig
from pipelines.captioning.validation import (
    ROWS,
    column_of,
    evenly_spaced,
    references_of,
    shares_of,
    words_of,
    writer_of,
    written,
)
from pipelines.corpus import EncodedCorpus
from pipelines.evaluation.caption_cider import CiderD
from pipelines.layers.caption_bank import CaptionBank, Likenesses

WEIGHED = 2_000  # most validation images the votes are set on
SHARES = (0.0, 0.25, 0.5, 0.75, 0.9, 1.0)
SHARPNESSES = (0.05, 0.15, 0.5, 1.5)
TEMPERATURES = (0.0, 0.3, 1.0, 3.0)
Vote = tuple[float, float, float]  # share, sharpness and temperature, as the bank takes them
_log = logging.getLogger(__name__)


def fill_bank(model: keras.Model, corpus: EncodedCorpus) -> None:
    """Put captions of the training split, evenly drawn, and what their images look like in."""
    bank, column = model.get_layer("bank"), column_of(corpus.names)
    entries = bank.settings["entries"]
    rows = np.linspace(0, len(corpus) - 1, entries).astype(np.int64)
    shared = corpus.shared(column)
    images, back = np.unique(np.asarray(shared.places)[rows], return_inverse=True)
    known = corpus.gather(rows, ["caption_out"])["caption_out"]
    captions = np.zeros((entries, bank.settings["longest"]), np.int32)
    captions[:, : known.shape[1]] = known
    bank.fill(_summaries(model, corpus, images, column)[back], captions)


def weigh_votes(
    model: keras.Model, config: CaptionerConfig, corpus: EncodedCorpus, artifacts: CaptionArtifacts
) -> None:
    """Choose who has how much say by CIDEr-D on the validation split, each group counting once.

    A search by probability alone is among the choices, and stays where nothing is better.
    """
    if config.beam == 1:  # one hypothesis leaves nothing to choose
        return
    bank, column = model.get_layer("bank"), column_of(corpus.names)
    images = evenly_spaced(len(corpus.shared(column).values), WEIGHED)
    writer = writer_of(model, config, column=column, beams=config.beam)
    found = list(written(writer, corpus, column, images))
    judge = CiderD(references_of(corpus, column, images, artifacts))
    shares = shares_of(corpus, column, images)
    quality = _qualities(found, judge, artifacts) * (shares / shares.mean())[:, None]
    score, vote = _best_vote(bank, found, quality)
    bank.set_vote(*vote)
    _log.info(
        "neighbours have %.2f of the say (sharpness %.2f, temperature %.1f): CIDEr-D %.3f on the "
        "validation split", *vote, score,
    )  # fmt: skip


def _best_vote(
    bank: CaptionBank, found: Sequence[Sequence[np.ndarray]], quality: np.ndarray
) -> tuple[float, Vote]:
    """Return the mean quality, float64[N, K], of what the best vote chooses, and that vote.

    `found` are summaries, tokens and scores of N images, a block after the other.
    """
    alike = [bank.likenesses(summary, tokens) for summary, tokens, _ in found]
    joined = Likenesses(*(ops.concatenate(parts) for parts in zip(*alike, strict=True)))
    scores = np.concatenate([scores for _, _, scores in found])
    results: list[tuple[float, Vote]] = []
    for vote in _choices():
        bank.set_vote(*vote)
        chosen = np.asarray(ops.convert_to_numpy(ops.argmax(bank.weighed(joined, scores), axis=1)))
        # Equal qualities differ by rounding, and the first choice shall then stay.
        results.append((round(float(quality[np.arange(len(chosen)), chosen].mean()), 9), vote))
    return max(results, key=lambda result: result[0])


def _choices() -> list[Vote]:
    """Return shares, sharpnesses and temperatures to try: the search's own order first."""
    return [(0.0, 1.0, 0.0), *itertools.product(SHARES, SHARPNESSES, TEMPERATURES[1:])]


def _summaries(
    model: keras.Model, corpus: EncodedCorpus, images: np.ndarray, column: str
) -> np.ndarray:
    """Return what the encoder sees in some images, float32[N, C]."""
    encoder, parts = model.get_layer("encoder"), []
    for start in range(0, len(images), ROWS):
        block = corpus.shared_values(column, images[start : start + ROWS])
        memory = encoder(block, training=False)[0] if column == "image" else block
        summary = read_of(ops.convert_to_tensor(memory))[2]
        parts.append(np.asarray(ops.convert_to_numpy(summary), np.float32))
    return np.concatenate(parts)


def _qualities(found: Any, judge: CiderD, artifacts: CaptionArtifacts) -> np.ndarray:
    """Return CIDEr-D of every hypothesis, float64[N, K]."""
    texts = [
        [words_of(text, artifacts) for text in row] for _, tokens, _ in found for row in tokens
    ]
    return np.stack([judge.score(list(column)) for column in zip(*texts, strict=True)], axis=1)

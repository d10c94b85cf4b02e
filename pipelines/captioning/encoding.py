"""Images and captions as numbers, through the reader and the tokenizer that are exported."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import tensorflow as tf

from pipelines.captioning.artifacts import CaptionArtifacts
from pipelines.captioning.captioner_config import CaptionerConfig, Fit
from pipelines.captioning.flips import may_flip
from pipelines.captioning.image_side import encoder_fingerprint, frozen_features
from pipelines.corpus import Chunk, Ragged, Shared
from pipelines.datasets.captions_options import CaptionedImage
from pipelines.datasets.rows import Rows
from pipelines.images.reading import ImageReader
from pipelines.images.streaming import read_images
from pipelines.text.encoding import flat_ids
from pipelines.text.fitting import fit_vocabulary
from pipelines.text.tokenizer import Tokenizer

CHUNK_ROWS = 512  # images in memory at once: 14 MB of pixels at a side of 96
_log = logging.getLogger(__name__)


def fit_caption_artifacts(rows: Rows[CaptionedImage], config: CaptionerConfig) -> CaptionArtifacts:
    """Learn the vocabulary of the captions of the training split."""

    def texts() -> Iterator[list[str]]:
        for chunk in rows.chunks():
            yield [caption for row in chunk for caption in row.captions]

    vocabulary = fit_vocabulary(
        texts(),
        level=config.level,
        lowercase=config.lowercase,
        min_count=config.min_count,
        max_size=config.vocabulary_size,
    )
    settings: dict[str, Any] = {
        "level": config.level,
        "lowercase": config.lowercase,
        "max_tokens": config.max_tokens,
        "size": config.image_size,
        "fit": config.fit,
        "encoder": encoder_fingerprint(config),
        "tuned": config.fine_tune_epochs > 0,
    }
    seen = CaptionArtifacts(vocabulary, settings, frozenset(), count=0, longest=0)
    tokenizer, captions, count, longest = caption_tokenizer(seen), set(), 0, 0
    for chunk in texts():
        captions.update(chunk)
        count += len(chunk)
        longest = max(longest, int(tf.reduce_max(tokenizer.encode(chunk).row_lengths())))
    # The first token, BOS, is not written.
    return replace(seen, captions=frozenset(captions), count=count, longest=longest - 1)


def caption_tokenizer(artifacts: CaptionArtifacts) -> Tokenizer:
    """Make the tokenizer of captions: BOS + tokens + EOS a row."""
    settings = artifacts.settings
    return Tokenizer(
        artifacts.vocabulary,
        level=settings["level"],
        lowercase=settings["lowercase"],
        max_tokens=settings["max_tokens"],
        add_bos=True,
        add_eos=True,
    )


def image_reader(artifacts: CaptionArtifacts) -> ImageReader:
    """Make the function from the bytes of images to pixels."""
    return _reader(artifacts.settings["size"], artifacts.settings["fit"])


@lru_cache(maxsize=1)  # its graph takes seconds to trace, and every split would trace it anew
def _reader(size: int, fit: Fit) -> ImageReader:
    return ImageReader(size, fit)


def encode_images(
    rows: Rows[CaptionedImage], artifacts: CaptionArtifacts, config: CaptionerConfig, split: str
) -> Iterator[Chunk]:
    """Yield the chunks of a split: a row for each caption; its image is stored once.

    The columns are "image" uint8[N, S, S, 3], or "features" float32[N, P, C] above a frozen encoder
    (both if it is fine-tuned later), "caption_in" (BOS first), "caption_out" (EOS last) and
    "flippable", 1 where a mirror image keeps its captions true, and "share", 1 over the number of
    images of the split in an image's group.
    """
    reader, tokenizer = image_reader(artifacts), caption_tokenizer(artifacts)
    features = frozen_features(config) if config.frozen else None
    cut, sizes = 0, Counter(row.group for row in rows)
    for chunk in rows.chunks(CHUNK_ROWS):
        pixels = np.concatenate(list(read_images([row.path for row in chunk], reader)))
        counts = np.array([len(row.captions) for row in chunk])
        places = np.repeat(np.arange(len(chunk)), counts)
        columns, cut_here = _encode_captions(tokenizer, chunk)
        cut += cut_here
        if features is not None:
            columns["features"] = Shared(features(pixels), places)
        if features is None or config.fine_tune_epochs:
            columns["image"] = Shared(pixels, places)
        flippable = [may_flip(row.captions) for row in chunk]
        columns["flippable"] = np.repeat(np.array(flippable, np.float32), counts)
        shares = [1 / sizes[row.group] if row.group else 1.0 for row in chunk]
        columns["share"] = np.repeat(np.array(shares, np.float32), counts)
        yield columns
    if cut:
        _log.warning(
            "%s: %d captions have more than %d tokens and were cut; --max-tokens raises it",
            split, cut, artifacts.settings["max_tokens"],
        )  # fmt: skip


def _encode_captions(
    tokenizer: Tokenizer, rows: Sequence[CaptionedImage]
) -> tuple[dict[str, Ragged | Shared | np.ndarray], int]:
    """Return the columns of captions, and how many captions were cut."""
    captions = [caption for row in rows for caption in row.captions]
    found = tokenizer.encode_counted(tf.constant(captions, tf.string, shape=[len(captions)]))
    largest = len(tokenizer.vocabulary or ())
    columns: dict[str, Ragged | Shared | np.ndarray] = {
        "caption_in": flat_ids(found.ids[:, :-1], largest),
        "caption_out": flat_ids(found.ids[:, 1:], largest),
    }
    most = tokenizer.max_tokens or found.lengths.dtype.max
    return columns, int((found.lengths.numpy() > most).sum())

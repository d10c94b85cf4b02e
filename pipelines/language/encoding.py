"""Documents as numbers, through the tokenizer that is exported."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator

import numpy as np
import tensorflow as tf

from pipelines.corpus import Chunk, Ragged
from pipelines.datasets.documents import Document
from pipelines.datasets.rows import Rows
from pipelines.errors import DataError
from pipelines.language.artifacts import LanguageArtifacts
from pipelines.language.language_config import LanguageModelConfig
from pipelines.text.fitting import fit_vocabulary
from pipelines.text.tokenizer import Tokenizer
from pipelines.text.vocabulary import BOS, EOS, UNK

CHARACTERS = 1_000_000  # of texts tokenized at once

_log = logging.getLogger(__name__)


def tokenizer_of(artifacts: LanguageArtifacts, *, ends: bool = False) -> Tokenizer:
    """Make the layer the artifacts describe; with `ends` it adds BOS and EOS to a text."""
    level = artifacts.settings["level"]
    return Tokenizer(
        artifacts.vocabulary,
        level=level,
        lowercase=False,
        keep_whitespace=level == "subword",
        add_bos=ends,
        add_eos=ends,
    )


def fit_language_artifacts(rows: Rows[Document], config: LanguageModelConfig) -> LanguageArtifacts:
    """Learn the vocabulary from documents of the training split alone."""
    chunks = ([piece for text in texts for piece in _pieces(text)] for texts in _batches(rows))
    vocabulary = fit_vocabulary(
        chunks,
        level=config.level,
        lowercase=False,
        min_count=config.min_count,
        max_size=config.vocabulary_size,
        keep_whitespace=config.level == "subword",
    )
    return LanguageArtifacts(vocabulary, {"level": config.level})


def encode_documents(
    rows: Rows[Document], artifacts: LanguageArtifacts, split: str
) -> Iterator[Chunk]:
    """Yield the chunks of a split; say in the log how many tokens the vocabulary lacks.

    The columns are "tokens", BOS and the tokens of a document, and "target", the tokens and EOS.
    """
    tokenizer, largest = tokenizer_of(artifacts), len(artifacts.vocabulary)
    encode = tf.function(
        lambda texts: _numbers(tokenizer, texts),
        input_signature=[tf.TensorSpec([None], tf.string)],
        autograph=False,
    )
    tokens = unknown = 0
    for texts in _batches(rows):
        pieces = [_pieces(text) for text in texts]
        ids, lengths = encode([piece for parts in pieces for piece in parts])
        firsts = np.cumsum([0, *(len(parts) for parts in pieces)])[:-1]
        sizes = np.add.reduceat(lengths.numpy(), firsts)
        ends = np.cumsum(sizes)
        tokens, unknown = tokens + len(ids), unknown + int((ids.numpy() == UNK).sum())
        yield {
            "tokens": Ragged.of_ids(np.insert(ids, ends - sizes, BOS), sizes + 1, largest),
            "target": Ragged.of_ids(np.insert(ids, ends, EOS), sizes + 1, largest),
        }
    if unknown:
        _log.warning("%s: %d of %d tokens are unknown to training", split, unknown, tokens)


def _numbers(tokenizer: Tokenizer, texts: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    ids = tokenizer.encode(texts)
    return ids.flat_values, ids.row_lengths()


def _batches(rows: Rows[Document]) -> Iterator[list[str]]:
    """Yield the texts of some documents: of about `CHARACTERS`, or of one longer document."""
    texts: list[str] = []
    size = 0
    for document in rows:
        if texts and size + len(document.text) > CHARACTERS:
            yield texts
            texts, size = [], 0
        texts.append(document.text)
        size += len(document.text)
    if texts:
        yield texts


def _pieces(text: str) -> list[str]:
    """Cut a text behind line ends into pieces of at least `CHARACTERS`, at least one piece."""
    pieces, start = [], 0
    while len(text) - start > CHARACTERS:
        stop = text.find("\n", start + CHARACTERS) + 1
        if not stop:
            break
        pieces.append(text[start:stop])
        start = stop
    rest = text[start:]
    return [*pieces, rest] if rest or not pieces else pieces


def require_window(rows: Iterable[Document], window: int) -> None:
    """Refuse a training split that is shorter than a window.

    Raises:
        DataError: it is.
    """
    size = sum(len(document.text) for document in rows)
    if size <= window:
        raise DataError(
            f"the training split has {size:,} characters, fewer than --window {window} needs; give "
            "more text, or a smaller --window"
        )

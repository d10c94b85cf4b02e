"""Start a translator from a lexicon, so that it knows words before it learns sentences."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipelines.errors import ConfigError
from pipelines.text.vocabulary import BOS, PAD
from pipelines.translation.word_alignment import Lexicon


def set_lexical_start(
    encoder_embedding: Any,
    decoder_embedding: Any,
    output_bias: Any,
    lexicon: Lexicon,
    target_counts: np.ndarray,
    *,
    scale: float = 0.1,
    seed: int,
) -> None:
    """Set the vectors of both sides and the output bias, before gradient descent.

    A target token's vector is random; a source token's is the mean of its translations', set to
    their usual length. In high dimensions random vectors are nearly orthogonal, so that the product
    of a source and a target token's vector grows with p(target | source). The bias is ln of the
    target tokens' shares. PAD and BOS, never written, count as unseen; PAD's vectors are 0.

    Args:
        encoder_embedding: `keras.layers.Embedding` of Vs source tokens, built.
        decoder_embedding: `keras.layers.ReversibleEmbedding` of Vt target tokens, built; an output
            matrix of its own is set to the same vectors.
        output_bias: Keras variable [Vt].
        lexicon: of shape [Vs, Vt].
        target_counts: occurrences of each target token, int[Vt].
        scale: standard deviation of a vector's values.
        seed: of what is drawn.

    Raises:
        ConfigError: the two embeddings differ in width, or the other arguments do not fit them.
    """
    source_size, dimensions = encoder_embedding.embeddings.shape
    target_size, width = decoder_embedding.embeddings.shape
    if encoder_embedding is decoder_embedding:
        raise ConfigError(
            "lexical start: encoder and decoder share one embedding; expected one for each side, "
            "as a token cannot start both at random and from its translations"
        )
    if dimensions != width:
        raise ConfigError(
            f"lexical start: the encoder's vectors have {dimensions} values and the decoder's "
            f"{width}; expected as many, as they are compared; give both one embedding size"
        )
    _check_sizes((source_size, target_size), lexicon, output_bias, target_counts)
    sources, targets = _draw_vectors(lexicon, int(dimensions), scale, seed)
    encoder_embedding.embeddings.assign(sources)
    decoder_embedding.embeddings.assign(targets)
    output_matrix = getattr(decoder_embedding, "reverse_embeddings", None)
    if output_matrix is not None:
        output_matrix.assign(targets.T)
    output_bias.assign(_log_shares(target_counts))


def _check_sizes(
    sizes: tuple[int, int], lexicon: Lexicon, output_bias: Any, target_counts: np.ndarray
) -> None:
    found = {
        "lexicon": (tuple(lexicon.probabilities.shape), sizes),
        "output bias": (tuple(output_bias.shape), sizes[1:]),
        "target counts": (np.shape(target_counts), sizes[1:]),
    }
    for name, (got, expected) in found.items():
        if got != expected:
            raise ConfigError(
                f"lexical start: the {name} has shape {got}; expected {expected}, the sizes of the "
                "embeddings; make it from the vocabularies of the model"
            )


def _draw_vectors(
    lexicon: Lexicon, dimensions: int, scale: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return float32[Vs, D] and float32[Vt, D]."""
    draws, sizes = np.random.default_rng(seed), lexicon.probabilities.shape
    targets = draws.normal(0.0, scale, (sizes[1], dimensions))
    unknown = draws.normal(0.0, scale, (sizes[0], dimensions))
    targets[PAD] = unknown[PAD] = 0
    means = lexicon.probabilities @ targets
    norms = np.linalg.norm(means, axis=1, keepdims=True)
    usual = scale * np.sqrt(dimensions)
    sources = np.where(norms > 0, means * (usual / np.where(norms > 0, norms, 1)), unknown)
    return sources.astype(np.float32), targets.astype(np.float32)


def _log_shares(counts: np.ndarray) -> np.ndarray:
    """Return ln of each token's share, one added to every count, float32[Vt]."""
    counts = np.array(counts, np.float64)
    counts[[PAD, BOS]] = 0
    return np.log((counts + 1) / (counts + 1).sum()).astype(np.float32)

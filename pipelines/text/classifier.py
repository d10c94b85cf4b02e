"""A text classifier of two parts that err differently, joined by held-out evidence.

    tokens -> embedding -> encoder -> pooling -> scores ----------+
                                                                  +-> blend -> probabilities
    word 1-2-grams, character 2-5-grams -> linear scores ---------+

The encoder is a recurrent stack, or by setting one without recurrence; or a pair of them reads
sentences and then their vectors. With a language model, what it remembers at the end of each token
is part of the token's vector. Gradient descent trains the network; the linear part is fitted by
convex optimisation, the blend on the validation split, and word vectors start from co-occurrence
counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from pipelines.batching import Batches
from pipelines.corpus import EncodedCorpus, merge_ragged
from pipelines.feeding import predict_model
from pipelines.layers.encoders import make_encoder
from pipelines.layers.linear import Blend, NgramLinear, fit_blend, fit_linear
from pipelines.layers.noise import WordDropout
from pipelines.layers.one_hot import OneHot
from pipelines.layers.recurrent import SequencePooling
from pipelines.layers.row_embedding import RowEmbedding
from pipelines.layers.sentence_reader import SentenceReader
from pipelines.text.artifacts import TextArtifacts
from pipelines.text.classifier_config import BUCKETS, GRAMS, ClassifierConfig
from pipelines.text.contextual_model import contextual_vectors, set_language_model
from pipelines.text.token_inputs import require_small, sentence_endings
from pipelines.text.vectors import vector_width
from pipelines.text.word_vectors import set_word_vectors

Encoded = Mapping[str, Any]


def build(
    config: ClassifierConfig, artifacts: TextArtifacts, *, portable: bool = False
) -> keras.Model:
    """Build the whole model.

    Inputs: "tokens" int32[B, T] and, with a linear part, "words" and "chars" int32[B, N], each
    padded with 0, and those of a language model (see `ContextualVectors`). Output: probabilities
    float32[B, C]. `portable` leaves out cuDNN kernels.
    """
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    reading, context = contextual_vectors(config, artifacts.context, portable=portable)
    scores = [_network(tokens, context, config, artifacts, portable)]
    grams = {name: keras.Input((None,), dtype="int32", name=name) for name in GRAMS}
    if config.linear:
        classes = len(artifacts.labels)
        parts = [
            NgramLinear(BUCKETS, classes, name=f"linear_{name}")(ids) for name, ids in grams.items()
        ]
        scores.append(keras.layers.Add(name="linear")(parts))
    joint = Blend(len(scores), name="blend")(scores)
    inputs = [tokens, *reading, *(grams.values() if config.linear else ())]
    return keras.Model(inputs, keras.layers.Softmax(dtype="float32")(joint))


def _network(
    tokens: Any,
    context: list[Any],
    config: ClassifierConfig,
    artifacts: TextArtifacts,
    portable: bool,
) -> Any:
    """Scores of the network, float32[B, C]; `context` holds further vectors of tokens."""
    mask = ops.not_equal(tokens, 0)
    vectors = _token_vectors(tokens, config, artifacts)
    if context:
        vectors = keras.layers.Concatenate(name="in_context")([vectors, *context])
    if config.hierarchical:
        reader = _sentence_reader(config, artifacts, portable)
        pooled = reader(vectors, tokens, mask)
    else:
        encoder = make_encoder(config, portable=portable)
        pooled = _pooling(encoder, config)(encoder(vectors, mask=mask), mask)
    pooled = keras.layers.Dropout(config.output_dropout, seed=config.seed)(pooled)
    return keras.layers.Dense(len(artifacts.labels), dtype="float32", name="network")(pooled)


def _token_vectors(tokens: Any, config: ClassifierConfig, artifacts: TextArtifacts) -> Any:
    """Give every token a vector, float32[B, T, D]."""
    ids = WordDropout(config.word_dropout, seed=config.seed)(tokens)
    if config.inputs == "one-hot":
        require_small(artifacts.vocabulary, config)
        return OneHot(len(artifacts.vocabulary), name="one_hot")(ids)
    size = vector_width(Path(config.embeddings)) if config.embeddings else config.embedding_size
    return RowEmbedding(len(artifacts.vocabulary), size, name="embedding")(ids)


def _pooling(encoder: Any, config: ClassifierConfig) -> SequencePooling:
    return SequencePooling(config.pooling, backward=encoder.backward)


def _sentence_reader(
    config: ClassifierConfig, artifacts: TextArtifacts, portable: bool
) -> SentenceReader:
    """Make what reads sentences, and then their vectors, with an encoder for each."""
    words, sentences = (
        make_encoder(config, portable=portable, name=name) for name in ("words", "sentences")
    )
    return SentenceReader(
        words,
        _pooling(words, config),
        sentences,
        _pooling(sentences, config),
        endings=sentence_endings(artifacts.vocabulary),
        most=config.max_sentences,
        longest=config.max_sentence_tokens,
        name="sentence_reader",
    )


def network_alone(model: keras.Model) -> keras.Model:
    """Return the network alone, tokens to probabilities, sharing its layers."""
    scores = model.get_layer("network").output
    inputs = [tensor for tensor in model.inputs if tensor.name not in GRAMS]
    return keras.Model(inputs, keras.layers.Softmax(dtype="float32")(scores))


def warm_start(
    model: keras.Model,
    config: ClassifierConfig,
    artifacts: TextArtifacts,
    *,
    corpus: EncodedCorpus,
    sample: Encoded | None,
    extra: Encoded | None,
) -> None:
    """Set word vectors and the language model, and fit the linear part, before gradient descent.

    Args:
        model: what `build` returned.
        config: the settings it was built with.
        artifacts: likewise.
        corpus: the training split.
        sample: training rows with n-grams, in memory, for the linear part if there is one.
        extra: rows of other sources, likewise; None if there are none.
    """
    texts = [corpus.ragged("tokens"), *([extra["tokens"]] if extra else [])]
    if config.inputs == "embedding":
        set_word_vectors(
            model.get_layer("embedding"),
            artifacts.vocabulary,
            given=config.embeddings,
            texts=texts if config.pretrain else (),
            seed=config.seed,
        )
    set_language_model(model, config, artifacts.context)
    if config.linear and sample:
        _fit_linear_part(model, config, sample, extra, len(artifacts.labels))


def _fit_linear_part(
    model: keras.Model,
    config: ClassifierConfig,
    sample: Encoded,
    extra: Encoded | None,
    classes: int,
) -> None:
    parts = [sample, *([extra] if extra else [])]
    weights = [1.0, config.extra_weight][: len(parts)]
    fit_linear(
        [model.get_layer(f"linear_{name}") for name in GRAMS],
        [merge_ragged([part[name] for part in parts]) for name in GRAMS],
        np.concatenate([_distribution(part, classes) for part in parts]),
        np.repeat(weights, [len(part["label"]) for part in parts]),
        penalty=config.linear_penalty,
        seed=config.seed,
    )


def _distribution(part: Encoded, classes: int) -> np.ndarray:
    """Return the target as a probability of each class, float[N, C]."""
    return np.asarray(part["target"] if "target" in part else np.eye(classes)[part["label"]])


def calibrate(model: keras.Model, batches: Batches, labels: np.ndarray) -> None:
    """Weigh the two parts by log loss on held-out rows, which also calibrates the probabilities.

    Args:
        model: what `build` returned, its parts trained.
        batches: held-out rows with all inputs of the model.
        labels: their classes, int[N].
    """
    parts = [layer.output for layer in model.layers if layer.name in ("network", "linear")]
    scores = predict_model(keras.Model(model.inputs, parts), batches)
    # A model with one output predicts an array, not a list of them.
    fit_blend(model.get_layer("blend"), scores if len(parts) > 1 else [scores], labels)

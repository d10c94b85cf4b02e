"""A tagger: words, their spelling and their casing in, the best tag sequence out.

    word, characters, casing, affixes -> encoder -> scores of tags -> CRF -> best path

(Huang et al., 2015; Ma & Hovy, 2016.) The encoder is a recurrent stack, or by setting one without
recurrence. All outputs are of the decoder: the path and what its
confidences are computed from. What `fit` trains ends before it. With a language model, what it
remembers at the end of each word is part of the word's vector (Akbik et al., 2018).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
from keras import ops

from pipelines.corpus import Ragged
from pipelines.layers.crf import CRF
from pipelines.layers.encoders import make_encoder
from pipelines.layers.noise import WordDropout
from pipelines.layers.one_hot import OneHot
from pipelines.layers.path_decoder import PathDecoder
from pipelines.layers.row_embedding import RowEmbedding
from pipelines.layers.tag_constraints import allowed_transitions
from pipelines.layers.tokens import SpellingEncoder, SummedEmbedding
from pipelines.layers.weighted_sum import WeightedSum
from pipelines.text.capital_habits import HABITS
from pipelines.text.contextual_model import contextual_vectors, set_language_model
from pipelines.text.feature_sizes import (
    AFFIX_BUCKETS,
    AFFIXES,
    CASINGS,
    CLUE_BUCKETS,
    CLUES,
)
from pipelines.text.tagger_artifacts import TaggerArtifacts
from pipelines.text.tagger_config import TaggerConfig
from pipelines.text.token_inputs import require_small
from pipelines.text.vectors import vector_width
from pipelines.text.word_vectors import set_word_vectors


def build(
    config: TaggerConfig, artifacts: TaggerArtifacts, *, portable: bool = False
) -> keras.Model:
    """Build the whole model.

    Inputs, each padded with 0: "words" int32[B, T] and, by setting, "characters" int32[B, T, C],
    "casing" and "habits" int32[B, T], "affixes" int32[B, T, A]; of a language model those of
    `ContextualVectors`. Outputs: see `PathDecoder`. `portable` leaves out cuDNN kernels.
    """
    words = keras.Input((None,), dtype="int32", name="words")
    mask = ops.not_equal(words, 0)
    inputs, vectors = [words], [_word_vectors(words, config, artifacts)]
    for read in (_characters, _casing, _habits, _affixes):
        found = read(config, artifacts)
        if found is not None:
            inputs.append(found[0])
            vectors.append(found[1])
    reading, context = contextual_vectors(config, artifacts.context, portable=portable)
    inputs, vectors = [*inputs, *reading], [*vectors, *context]
    states = keras.layers.Concatenate(name="tokens")(vectors)
    states = make_encoder(config, portable=portable)(states, mask=mask)
    states = keras.layers.Dropout(config.output_dropout, seed=config.seed)(states)
    emissions = keras.layers.Dense(len(artifacts.labels), dtype="float32", name="emissions")(states)
    learned = config.decoder == "crf"
    potentials = CRF(constraints(artifacts), learned=learned, name="crf")(emissions, mask)
    if config.linear:
        clues = keras.Input((None, CLUES), dtype="int32", name="clues")
        inputs.append(clues)
        scores = SummedEmbedding(
            CLUE_BUCKETS,
            len(artifacts.labels),
            initializer="zeros",
            trainable=False,
            name="linear_emissions",
        )(clues)
        chain = CRF(constraints(artifacts), trainable=False, name="linear_crf")(scores, mask)
        potentials = WeightedSum(name="joint")([potentials, chain])
    return keras.Model(inputs, PathDecoder(name="decoder")(potentials, mask))


def constraints(artifacts: TaggerArtifacts) -> Any:
    """Return which tags may follow one another in the scheme the labels are written in."""
    return allowed_transitions(artifacts.labels.tokens, artifacts.settings["scheme"])


def _word_vectors(words: Any, config: TaggerConfig, artifacts: TaggerArtifacts) -> Any:
    noise = WordDropout(
        config.word_dropout,
        rare=config.rare_dropout,
        first_of_count=artifacts.settings["first_of_count"],
        seed=config.seed,
    )
    if config.inputs == "one-hot":
        require_small(artifacts.words, config)
        return OneHot(len(artifacts.words), name="one_hot")(noise(words))
    size = vector_width(Path(config.embeddings)) if config.embeddings else config.embedding_size
    if not config.freeze_vectors:
        return RowEmbedding(len(artifacts.words), size, name="embedding")(noise(words))
    # Tuned vectors leave those of words that training lacks behind; frozen ones stay comparable.
    # What training alone tells of a word has a table of its own, where all others are unknown.
    frozen = keras.layers.Embedding(len(artifacts.words), size, trainable=False, name="embedding")
    thinned = WordDropout(config.word_dropout / 2, seed=config.seed + 1)(words)
    shared = keras.layers.Dense(size // 2, use_bias=False, name="projection")(frozen(thinned))
    known = artifacts.settings["known_words"]
    own = RowEmbedding(known, size // 2, _initial(), name="own_vectors")
    kept = noise(words)
    return ops.concatenate([shared, own(ops.where(kept < known, kept, 1))], axis=-1)


def _initial() -> Any:
    """Start as wide as word vectors: Keras' own ±0.05 takes epochs to grow, which small sets lack.

    An initializer draws its seed when it is made, and then the same values for every table.
    """
    return keras.initializers.RandomNormal(stddev=0.3)


def _characters(config: TaggerConfig, artifacts: TaggerArtifacts) -> tuple[Any, Any] | None:
    """Read the spelling of every word into a vector, float32[B, T, D]."""
    if config.character_encoder == "none":
        return None
    ids = keras.Input((None, config.max_characters), dtype="int32", name="characters")
    spelling = SpellingEncoder(
        config.character_encoder,
        characters=len(artifacts.characters),
        size=config.character_size,
        units=config.character_units,
        name="spelling",
    )
    return ids, spelling(ids)


def _casing(config: TaggerConfig, artifacts: TaggerArtifacts) -> tuple[Any, Any] | None:
    del artifacts
    return _classes("casing", CASINGS, config.casing_size)


def _habits(config: TaggerConfig, artifacts: TaggerArtifacts) -> tuple[Any, Any] | None:
    del artifacts
    return _classes("habits", HABITS, config.casing_size)


def _classes(name: str, count: int, size: int) -> tuple[Any, Any] | None:
    """Give every class of tokens a vector, float32[B, T, size]."""
    if not size:
        return None
    ids = keras.Input((None,), dtype="int32", name=name)
    return ids, keras.layers.Embedding(count, size, _initial(), name=f"{name}_vectors")(ids)


def _affixes(config: TaggerConfig, artifacts: TaggerArtifacts) -> tuple[Any, Any] | None:
    """Sum the vectors of a word's prefixes and suffixes, float32[B, T, D]."""
    del artifacts
    if not config.affix_size:
        return None
    ids = keras.Input((None, AFFIXES), dtype="int32", name="affixes")
    size = config.affix_size
    vectors = SummedEmbedding(AFFIX_BUCKETS, size, initializer=_initial(), name="affix_vectors")
    return ids, vectors(ids)


def learner(model: keras.Model, config: TaggerConfig) -> keras.Model:
    """Return what `fit` trains: inputs -> log-potentials float32[B, T, K, K], sharing layers.

    Without a CRF these are of tags that do not depend on one another, so that the loss is the
    cross-entropy of every tag; the constraints then apply to answers alone.
    """
    inputs = [tensor for tensor in model.inputs if tensor.name != "clues"]
    if config.decoder == "crf":
        return keras.Model(inputs, model.get_layer("crf").output)
    mask = ops.not_equal(model.get_layer("words").output, 0)
    free = CRF(None, learned=False, name="independent_tags")
    return keras.Model(inputs, free(model.get_layer("emissions").output, mask))


def warm_start(
    model: keras.Model,
    config: TaggerConfig,
    artifacts: TaggerArtifacts,
    texts: Sequence[Ragged],
) -> None:
    """Set word vectors, given or learned from `texts`, and the language model, before training.

    Args:
        model: what `build` returned.
        config: the settings it was built with.
        artifacts: likewise.
        texts: word ids to count co-occurrences in; of the training split and unlabelled sources.
    """
    if config.inputs == "embedding":
        set_word_vectors(
            model.get_layer("embedding"),
            artifacts.words,
            given=config.embeddings,
            texts=texts if config.pretrain else (),
            seed=config.seed,
            window=2,
            positional=True,
            unit_length=True,
        )
    set_language_model(model, config, artifacts.context)

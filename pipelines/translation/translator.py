"""The model of a translator: source and words so far -> scores of the next word."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from pipelines.corpus import EncodedCorpus
from pipelines.layers.attention_decoder import AttentionDecoder
from pipelines.layers.recurrent_settings import stack_settings
from pipelines.layers.text_encoder import TextEncoder
from pipelines.text.decoder_objective import writing_objective
from pipelines.training import Objective
from pipelines.translation.artifacts import TranslationArtifacts
from pipelines.translation.lexical_start import set_lexical_start
from pipelines.translation.translator_config import TranslatorConfig
from pipelines.translation.word_alignment import learn_lexicon


def build(
    config: TranslatorConfig, artifacts: TranslationArtifacts, *, portable: bool = False
) -> keras.Model:
    """Build the whole model.

    Inputs: "source" int32[B, S] and "target_in" int32[B, T], each padded with 0. Output: scores of
    the token after each of the target's, float32[B, T, V], 0 at padding. `portable` leaves out
    cuDNN kernels.
    """
    source = keras.Input((None,), dtype="int32", name="source")
    target = keras.Input((None,), dtype="int32", name="target_in")
    kernels = {"use_cudnn": False} if portable else {}
    lexical = config.lexical and config.attention != "none"
    shared = stack_settings(config, **kernels)
    read = TextEncoder(
        len(artifacts.source),
        embedding_size=config.embedding_size,
        stack=shared,
        word_dropout=config.word_dropout,
        output_dropout=config.output_dropout,
        return_vectors=lexical,
        seed=config.seed,
        name="encoder",
    )(source)
    sizes = {"units": config.decoder_units, "depth": config.decoder_depth, "layer_units": []}
    decoder = AttentionDecoder(
        len(artifacts.target),
        embedding_size=config.embedding_size,
        stack=shared | sizes,
        attention=config.attention,
        history=config.history,
        lexical=lexical,
        input_feeding=config.input_feeding,
        order=config.order,
        tied=config.tied,
        word_dropout=config.word_dropout,
        attention_dropout=config.attention_dropout,
        output_dropout=config.output_dropout,
        scheduled_sampling=config.scheduled_sampling,
        seed=config.seed,
        name="decoder",
    )
    logits = decoder(target, *read)["logits"]
    real = ops.cast(ops.not_equal(target, 0), logits.dtype)
    return keras.Model([source, target], logits * real[..., None])


def warm_start(
    model: keras.Model, config: TranslatorConfig, corpus: EncodedCorpus, sizes: tuple[int, int]
) -> None:
    """Start the vectors of both sides from a lexicon, before gradient descent.

    Args:
        model: what `build` returned.
        config: the settings it was built with.
        corpus: the training split.
        sizes: of the source and the target vocabulary.
    """
    target = corpus.ragged("target_out")
    lexicon = learn_lexicon(
        corpus.ragged("source"),
        target,
        source_size=sizes[0],
        target_size=sizes[1],
        seed=config.seed,
    )
    decoder = model.get_layer("decoder")
    set_lexical_start(
        model.get_layer("encoder").embedding,
        decoder.embedding,
        decoder.output_layer.bias,
        lexicon,
        np.bincount(target.values, minlength=sizes[1]),
        seed=config.seed,
    )


def learner(model: keras.Model) -> keras.Model:
    """Return the model that `fit` trains: scores at padding are whatever they are."""
    source, target = model.inputs
    encoder, decoder = model.get_layer("encoder"), model.get_layer("decoder")
    return keras.Model([source, target], decoder(target, *encoder(source))["logits"])


def objective(config: TranslatorConfig, model: keras.Model) -> Objective:
    """Return smoothed cross-entropy, judged by the perplexity of held-out pairs."""
    return writing_objective(config, learner(model))

"""The Keras models of a language model: what is exported, and what `fit` trains."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from pipelines.batching import Batches
from pipelines.feeding import evaluate_model
from pipelines.language.artifacts import LanguageArtifacts
from pipelines.language.language_config import LanguageModelConfig
from pipelines.layers.carried_reader import CarriedReader, SampledReader
from pipelines.layers.language_model import LanguageModel
from pipelines.layers.recurrent_settings import stack_settings
from pipelines.layers.sequence_losses import SmoothedCrossEntropy, TokenAccuracy, TokenPerplexity
from pipelines.training import Objective

LAYER = "language_model"


def build(
    config: LanguageModelConfig, artifacts: LanguageArtifacts, *, portable: bool = False
) -> keras.Model:
    """Build the model that is exported.

    Input: "tokens" int32[B, T], padded with 0. Output: scores of the token after each,
    float32[B, T, V], 0 at padding. `portable` leaves out cuDNN kernels.
    """
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    kernels = {"use_cudnn": False} if portable else {}
    layer = LanguageModel(
        len(artifacts.vocabulary),
        embedding_size=config.embedding_size,
        stack=stack_settings(config, **kernels),
        tied=config.tied,
        word_dropout=config.word_dropout,
        locked_dropout=config.locked_dropout,
        output_dropout=config.output_dropout,
        ngram_orders=config.ngram_orders,
        ngram_buckets=config.ngram_buckets,
        match_span=config.match_span,
        seed=config.seed,
        name=LAYER,
    )
    real = ops.cast(ops.not_equal(tokens, 0), "float32")
    return keras.Model([tokens], layer(tokens) * real[..., None])


def learner(model: keras.Model, config: LanguageModelConfig) -> keras.Model:
    """Return what `fit` trains: windows of parallel streams, the state carried between them."""
    streams = config.streams
    tokens = keras.Input(batch_shape=(streams, None), dtype="int32", name="tokens")
    keep = keras.Input(batch_shape=(streams,), dtype="float32", name="keep")
    inner, negatives = model.get_layer(LAYER), config.negative_samples
    if not negatives:
        reader = CarriedReader(inner, streams, name="carried")
        return keras.Model([tokens, keep], reader(tokens, keep))
    target = keras.Input(batch_shape=(streams, None), dtype="int32", name="target")
    sampled = SampledReader(inner, streams, negatives=negatives, seed=config.seed, name="carried")
    return keras.Model([tokens, keep, target], sampled(tokens, keep, target))


def objective(config: LanguageModelConfig, model: keras.Model) -> Objective:
    """Return cross-entropy; bits per token of the validation streams choose the best epoch."""
    del model
    if config.negative_samples:
        return Objective(MeanNats(), [], "bits_per_token", "lower", _validate_nats)
    metrics = [TokenPerplexity(), TokenAccuracy("accuracy")]

    def validate(trained: keras.Model, batches: Batches) -> dict[str, float]:
        found = evaluate_model(trained, batches)
        bits = float(np.log2(found["perplexity"]))
        return {"bits_per_token": bits, "accuracy": found["accuracy"]}

    return Objective(
        SmoothedCrossEntropy(), metrics, "bits_per_token", better="lower", validate=validate
    )


@keras.saving.register_keras_serializable(package="pipelines")
class MeanNats(keras.losses.Loss):
    """The mean of losses that the model itself returns, float32[S, T]; padding counts nowhere."""

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of each row, float32[S], over the mean length of rows."""
        real = ops.cast(ops.not_equal(y_true, 0), y_pred.dtype)
        return ops.sum(y_pred * real, axis=1) / ops.maximum(ops.mean(ops.sum(real, axis=1)), 1.0)


def _validate_nats(trained: keras.Model, batches: Batches) -> dict[str, float]:
    """Return the exact bits per token; windows count by their tokens."""
    nats = tokens = 0.0
    for inputs, targets, _ in batches.epoch(0):
        count = float((targets != 0).sum())
        found = trained.predict_on_batch(inputs)
        nats += float((found * (targets != 0)).sum())
        tokens += count
    return {"bits_per_token": nats / tokens / np.log(2)}

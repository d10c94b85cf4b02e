"""What a decoder is trained for."""

from __future__ import annotations

import keras

from pipelines.batching import Batches
from pipelines.feeding import evaluate_model
from pipelines.layers.sequence_losses import SmoothedCrossEntropy, TokenAccuracy, TokenPerplexity
from pipelines.text.decoder_config import DecoderConfig
from pipelines.training import Objective


def writing_objective(config: DecoderConfig, judge: keras.Model) -> Objective:
    """Return smoothed cross-entropy; the plain perplexity of held-out texts chooses the epoch.

    Args:
        config: says how much is smoothed.
        judge: has the layers that are trained, and gives scores of the next token.
    """
    likelihood_judge(judge)

    def validate(trained: keras.Model, batches: Batches) -> dict[str, float]:
        del trained  # the judge has its layers
        return evaluate_model(judge, batches)

    loss = SmoothedCrossEntropy(config.label_smoothing)
    return Objective(loss, [], "perplexity", better="lower", validate=validate)


def likelihood_judge(judge: keras.Model) -> keras.Model:
    """Compile a model that tells how probable given texts are: perplexity and accuracy."""
    judge.compile(
        loss=SmoothedCrossEntropy(),
        weighted_metrics=[TokenPerplexity(), TokenAccuracy("accuracy")],
        jit_compile=keras.backend.backend() == "jax",
    )
    return judge

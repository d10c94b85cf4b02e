"""Training of a language model on parallel streams, also against a sample of the vocabulary."""

import keras
import numpy as np
import pytest

from pipelines.errors import ConfigError
from pipelines.language import model as models
from pipelines.language.artifacts import LanguageArtifacts
from pipelines.language.language_config import LanguageModelConfig
from pipelines.text.vocabulary import RESERVED, Vocabulary

ARTIFACTS = LanguageArtifacts(Vocabulary((*RESERVED, *map(chr, range(97, 123)))), {"level": "char"})
SMALL = {"units": 8, "embedding_size": 8, "batch_tokens": 64, "window": 16}
TIED = {"tied": True, "ngram_orders": (), "match_span": 0}


def batch(config, seed=0):
    tokens = np.random.default_rng(seed).integers(4, 30, (config.streams, config.window + 1))
    keep = np.zeros(config.streams, np.float32)
    return tokens.astype(np.int32)[:, :-1], keep, tokens.astype(np.int32)[:, 1:]


def test_sampling_all_of_the_vocabulary_often_comes_near_the_exact_loss():
    config = LanguageModelConfig(**SMALL, **TIED, negative_samples=4000)
    keras.utils.set_random_seed(1)
    model = models.build(config, ARTIFACTS)
    sampled = models.learner(model, config)
    tokens, keep, target = batch(config)
    exact = sampled({"tokens": tokens, "keep": keep, "target": target}, training=False)
    drawn = sampled({"tokens": tokens, "keep": keep, "target": target}, training=True)
    np.testing.assert_allclose(np.mean(drawn), np.mean(exact), rtol=0.05)
    logits = np.asarray(model(tokens))
    logs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    wanted = -np.take_along_axis(logs, target[..., None], -1)[..., 0]
    np.testing.assert_allclose(exact, wanted, atol=1e-4)


def test_the_loss_of_given_losses_is_their_mean_over_real_tokens():
    nats = np.array([[1.0, 3.0, 100.0], [5.0, 100.0, 100.0]], np.float32)
    target = np.array([[7, 7, 0], [7, 0, 0]])
    assert float(models.MeanNats()(target, nats)) == pytest.approx(3.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"negative_samples": 5}, "negative-samples.*--tied and --match-span 0"),
        ({"window": 1}, "window.*at least 2"),
        ({"direction": "both"}, "direction.*reads forward only"),
        ({"tied": True, "embedding_size": 0}, "tied.*one-hot"),
        ({"ngram_orders": (2, 2)}, "ngram-orders.*different numbers"),
        ({"cache_share": 1.0}, "cache-share.*in"),
        ({"batch_tokens": 50}, "batch-tokens.*at least the window"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        LanguageModelConfig(**changes)

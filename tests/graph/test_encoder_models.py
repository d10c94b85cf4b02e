"""Models of every task that has a choice of encoders, built and trained a step with each."""

import dataclasses

import keras
import numpy as np
import pytest
from keras import ops

from pipelines.corpus import write_corpus
from pipelines.errors import ConfigError
from pipelines.layers.crf import CRFLoss
from pipelines.text import classifier, tagger
from pipelines.text.artifacts import TextArtifacts
from pipelines.text.classifier_config import ClassifierConfig
from pipelines.text.encoding import TextFeatures
from pipelines.text.token_features import TokenFeatures, ragged_tokens
from pipelines.text.vocabulary import RESERVED, Vocabulary
from tasks.forecasting import Forecasting
from tests.graph.test_forecaster import ONE, table
from tests.graph.tiny_forecasters import eagerly, made, taught
from tests.graph.tiny_taggers import artifacts as tagger_artifacts

numpy = ops.convert_to_numpy
WORDS = Vocabulary((*RESERVED, "good", "bad", "film", "."))
QUIET = {"input_dropout": 0.0, "variational_dropout": 0.0, "word_dropout": 0.0,
         "output_dropout": 0.0}  # fmt: skip
ENCODERS = {
    "cnn": {"encoder": "cnn", "depth": 2},
    "dense": {"encoder": "dense", "layer_units": (5, 4), "residual": True},
    "one-hot": {"inputs": "one-hot", "encoder": "cnn"},
}
READERS = {
    **ENCODERS,
    "sentences": {"hierarchical": True, "pooling": ("attention", "last")},
    "sentences, cnn": {"hierarchical": True, "encoder": "cnn", "direction": "forward"},
}
TEXTS = ["good film. bad, bad film? good", "bad", "film! good film."]


def unmoved(learner, given, target, loss):
    """Train a step; return the paths of trainable weights that it left as they were."""
    learner.compile(keras.optimizers.SGD(0.5), loss, run_eagerly=True)
    before = [np.array(weight) for weight in learner.trainable_weights]
    learner.train_on_batch(given, target)
    pairs = zip(learner.trainable_weights, before, strict=True)
    return [weight.path for weight, old in pairs if np.array_equal(weight, old)]


@pytest.mark.parametrize("name", READERS)
def test_every_classifier_learns_and_is_blind_to_padding(name, tmp_path):
    config = ClassifierConfig(linear=False, units=4, embedding_size=100, **QUIET | READERS[name])
    kept = TextArtifacts.of(WORDS, Vocabulary(("n", "p"), ()), config)
    keras.utils.set_random_seed(1)
    model = classifier.build(config, kept, portable=True)
    features = TextFeatures.of(kept)
    corpus = write_corpus(tmp_path / "c", [features.encode(TEXTS, with_grams=False)])
    classifier.warm_start(model, config, kept, corpus=corpus, sample=None, extra=None)
    tokens = numpy(features.dense(ops.convert_to_tensor(TEXTS, dtype="string"))["tokens"])
    together = numpy(model([np.pad(tokens, ((0, 0), (0, 3)))]))
    alone = numpy(model([tokens[1:2, :1]]))[0]
    np.testing.assert_allclose(together[1], alone, atol=1e-5)
    learner = classifier.network_alone(model)
    target = np.array([0, 1, 1])
    assert unmoved(learner, [tokens], target, "sparse_categorical_crossentropy") == []


@pytest.mark.parametrize("name", ENCODERS)
def test_every_tagger_learns_and_is_blind_to_padding(name):
    sentences = ["Anna/B-n saw/O Rome/B-p ./O", "Bo/B-n left/O"]
    config, kept = tagger_artifacts(
        sentences, spans=True, rare_dropout=0.0, **({"embedding_size": 100} | QUIET_TAGGER)
        | ENCODERS[name],
    )  # fmt: skip
    keras.utils.set_random_seed(1)
    model = tagger.build(config, kept, portable=True)
    tagger.warm_start(model, config, kept, [])
    dense = TokenFeatures(kept).dense(ragged_tokens([["Anna", "saw", "Rome"], ["Bo"]]))
    learner = tagger.learner(model, config)
    given = [numpy(dense[tensor.name]) for tensor in learner.inputs]
    together = numpy(learner(given))
    alone = numpy(learner([value[1:, :1] for value in given]))
    np.testing.assert_allclose(together[1, :1], alone[0], atol=1e-4)
    tags = np.array([[1, 2, 1], [1, 0, 0]], "int32")
    assert unmoved(learner, given, tags, CRFLoss()) == []


QUIET_TAGGER = {name: 0.0 for name in QUIET if name != "variational_dropout"}


def test_every_forecaster_learns(tmp_path):
    chosen = {"learning_rate": 0.01, "schedule": "constant", "patch": 2}
    first = made(table(tmp_path), tmp_path, **ONE, series_column="series", **chosen)
    for name in ("cnn", "dense"):
        config = dataclasses.replace(first.task.config, **ENCODERS[name])
        task = Forecasting(config)
        model = task.build_model(first.artifacts)
        encoder = model.get_layer("encoder")
        before = encoder.get_weights()
        with eagerly():
            assert np.isfinite(taught(task, first.ready, model, 1)).all()
        for weight, old in zip(encoder.trainable_weights, before, strict=True):
            assert not np.array_equal(weight, old), weight.path


def test_a_vocabulary_too_large_for_one_hot_inputs_is_refused_when_the_model_is_built():
    large = Vocabulary((*RESERVED, *(f"w{number}" for number in range(2_000))))
    config = ClassifierConfig(inputs="one-hot", linear=False)
    kept = TextArtifacts.of(large, Vocabulary(("n", "p"), ()), config)
    with pytest.raises(ConfigError, match="the vocabulary has 2,004 entries"):
        classifier.build(config, kept)

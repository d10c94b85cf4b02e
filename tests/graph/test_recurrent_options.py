"""Models that write or forecast, with cells and depths out of the ordinary."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from pipelines.errors import ConfigError
from pipelines.language import model as language
from pipelines.language.language_config import LanguageModelConfig
from pipelines.layers.attention_decoder import AttentionDecoder
from pipelines.translation import translator
from pipelines.translation.translator_config import TranslatorConfig
from tests.graph import tiny_forecasters
from tests.graph.tiny_captioners import artifacts_of, captioner, config_of
from tests.graph.tiny_decoders import drawn, make, source, stepped, tokens_of

SRU = {"cell": "sru", "layer_units": (4, 3), "skips": True}
PEEPHOLE = {"cell": "lstm", "peephole": True, "deep_transition": 1, "skips": True, "depth": 2}
DEEP = {"cell": "gru", "layer_units": (3, 4), "deep_input": 1, "deep_output": 1}
STACKS = [SRU, PEEPHOLE, DEEP]
each_stack = pytest.mark.parametrize("stack", STACKS, ids=["sru", "peephole", "deep"])
TOKENS = np.array([[2, 5, 6, 7], [2, 8, 4, 5]], np.int32)
SIZES = {"units": 4, "embedding_size": 5, "output_dropout": 0.1, "seed": 3}


def untaught(model, *inputs):
    """Return the weights that a training step would leave as they are."""
    with tf.GradientTape() as tape:
        outputs = keras.tree.flatten(model(inputs, training=True))
        loss = sum(ops.sum(it * drawn(*it.shape)) for it in outputs)
    variables = model.trainable_variables
    found = tape.gradient(loss, [variable.value for variable in variables])
    gradients = [None if it is None else tf.convert_to_tensor(it) for it in found]
    return [
        variable.path
        for variable, gradient in zip(variables, gradients, strict=True)
        if gradient is None or not float(ops.max(ops.abs(gradient))) > 0
    ]


@each_stack
@pytest.mark.parametrize("mode", ["plain", "bahdanau"])
def test_a_translator_learns(stack, mode):
    more = {"direction": "alternating"} if mode == "plain" else {"order": "bahdanau"}
    words = SimpleNamespace(source=range(9), target=range(9))
    config = TranslatorConfig(**SIZES, **stack, **more, decoder_units=5, decoder_depth=2)
    model = translator.learner(translator.build(config, words))
    decoder = model.get_layer("decoder")._stack
    assert set(decoder.state_sizes) == {5}  # --layer-units are the encoder's
    assert untaught(model, TOKENS, TOKENS[:, :3]) == []


@each_stack
def test_a_captioner_learns(stack):
    config = config_of(**stack, consensus=False, memory_dropout=0.0)
    model = captioner.build(config, artifacts_of(config))
    images = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), np.uint8)
    assert untaught(model, images, TOKENS) == []


@each_stack
def test_a_language_model_learns(stack):
    config = LanguageModelConfig(**SIZES, **stack, batch_tokens=8, window=4, match_span=0)
    artifacts = SimpleNamespace(vocabulary=range(9))
    model = language.learner(language.build(config, artifacts), config)
    assert untaught(model, TOKENS, np.ones(2, "float32")) == []


FORECASTS = [
    SRU | {"architecture": "encoder-decoder", "direction": "alternating"},
    DEEP | {"architecture": "autoregressive", "head": "gaussian"},
    PEEPHOLE | {"architecture": "direct", "direction": "both"},
]


@pytest.mark.parametrize("settings", FORECASTS, ids=lambda it: it["architecture"])
def test_a_forecaster_learns_and_forecasts(settings, tmp_path):
    path = tiny_forecasters.one_series(tmp_path / "y.csv", tiny_forecasters.wave(120))
    small = {"history": 12, "horizon": 3, "season": 6, "paths": 5, "direction": "forward"}
    forecaster = tiny_forecasters.made(path, tmp_path, **small | settings)
    before = [np.array(it) for it in forecaster.model.trainable_weights]
    with tiny_forecasters.eagerly():
        losses = tiny_forecasters.taught(forecaster.task, forecaster.ready, forecaster.model, 2)
    after = [np.array(it) for it in forecaster.model.trainable_weights]
    assert np.isfinite(losses).all()
    names = [it.path for it in forecaster.model.trainable_weights]
    same = [name for name, old, new in zip(names, before, after, strict=True) if (old == new).all()]
    assert [name for name in same if "encoder" in name or "writer" in name] == []
    if settings["architecture"] == "autoregressive":  # which then steps
        served = forecaster.serve_rows(forecaster.ready.splits.test.select(np.arange(2)))
        assert all(np.isfinite(served[name]).all() for name in ("mean", "quantiles"))


WRITERS = [
    (SRU, {"attention": "dot"}),
    (SRU, {"attention": "additive", "order": "bahdanau"}),
    (PEEPHOLE, {"attention": "dot", "input_feeding": True}),
    (PEEPHOLE | {"residual": True}, {"attention": "none"}),
    (DEEP | {"skips": True}, {"attention": "dot", "order": "bahdanau"}),
]


@pytest.mark.parametrize(("stack", "mode"), WRITERS)
def test_a_decoder_writes_as_it_was_taught(stack, mode):
    decoder, given = make(mode, stack), source()
    tokens = tokens_of(3, 4)
    logits, _ = stepped(decoder, tokens[:, None], given)
    np.testing.assert_allclose(logits[:, 0], decoder(tokens, *given)["logits"], atol=1e-4)


def test_a_decoder_may_start_from_an_image_alone():
    decoder = AttentionDecoder(
        9, embedding_size=4, stack=DEEP | {"input_dropout": 0.2, "skips": True}, attention="none",
        start="input", seed=1,
    )  # fmt: skip
    found = decoder(TOKENS, summary=drawn(2, 6), training=True)["logits"]
    assert found.shape == (2, 4, 9)
    assert np.isfinite(found).all()


@pytest.mark.parametrize("mode", [{"input_feeding": True}, {"order": "bahdanau"}])
def test_a_regulariser_that_cannot_act_is_refused(mode):
    stack = {"cell": "simple", "norm_preserving": 0.5}
    with pytest.raises(ConfigError, match="got norm_preserving=0.5.*set norm_preserving=0.0, or"):
        AttentionDecoder(9, embedding_size=4, stack=stack, **mode)

import itertools

import keras
import numpy as np
import pytest

from pipelines.errors import ConfigError
from pipelines.layers.attention_decoder import AttentionDecoder
from pipelines.layers.text_encoder import TextEncoder
from tests.graph.tiny_decoders import (
    SIZE,
    drawn,
    each_mode,
    make,
    numpy,
    source,
    stepped,
    tokens_of,
)

CELLS = ("simple", "gru", "lstm")


@each_mode
@pytest.mark.parametrize("stack", [*itertools.product(CELLS, (1, 2))], ids=str)
def test_steps_equal_teacher_forcing(mode, stack):
    decoder = make(mode, {"cell": stack[0], "depth": stack[1], "residual": True})
    given, tokens = source(), np.stack([tokens_of(3, 5, seed=k) for k in range(3)], axis=1)
    for count in (1, 3):
        logits, weights = stepped(decoder, tokens[:, :count], given)
        for k in range(count):
            whole = decoder(tokens[:, k], *given)
            np.testing.assert_allclose(logits[:, k], whole["logits"], atol=1e-4)
            if weights is not None:
                np.testing.assert_allclose(weights[:, k], whole["attention"], atol=1e-5)
                assert np.ptp(weights, axis=-1).max() > 0.1
    assert weights is not None or "attention" not in whole
    changed = decoder(np.where(np.arange(5) == 2, 4 + tokens[:, 0] % 5, tokens[:, 0]), *given)
    gap = np.abs(numpy(changed["logits"]) - numpy(decoder(tokens[:, 0], *given)["logits"]))
    assert (gap.max(axis=(0, 2)) > 1e-3).tolist() == [False, False, True, True, True]


@each_mode
def test_padding_on_neither_side_changes_anything(mode):
    decoder, tokens = make(mode), tokens_of(3, 5)
    memory, mask, summary = source()
    logits = numpy(decoder(tokens, memory, mask, summary)["logits"])
    filled = np.where(mask[..., None], memory, 50.0).astype("float32")
    wider = np.pad(filled, ((0, 0), (0, 3), (0, 0)), constant_values=-9)
    longer = np.pad(tokens, ((0, 0), (0, 4)))
    found = decoder(longer, wider, np.pad(mask, ((0, 0), (0, 3))), summary)
    np.testing.assert_allclose(numpy(found["logits"])[:, :5], logits, atol=1e-5)
    if "attention" in found:
        assert (numpy(found["attention"])[~np.pad(mask, ((0, 0), (0, 3)))[:, None]
                .repeat(9, 1)] == 0).all()  # fmt: skip
    alone = decoder(tokens[1:2], memory[1:2, :2], mask[1:2, :2], summary[1:2])["logits"]
    np.testing.assert_allclose(alone, logits[1:2], atol=1e-4)


def test_a_step_is_its_equations():
    decoder = make({"attention": "dot", "input_feeding": True}, {"cell": "simple", "depth": 1})
    memory, mask, summary = source()
    w = {v.path.removeprefix(f"{decoder.name}/"): numpy(v) for v in decoder.weights}
    w = {"/".join(path.split("/")[-2:]): value for path, value in w.items()}
    table = w["embedding/embeddings"]
    hidden = np.tanh(summary @ w["state_0/kernel"] + w["state_0/bias"])
    fed = np.zeros((3, table.shape[1]), "float32")
    tokens, keys = tokens_of(3, 4), memory @ w["key/kernel"]
    found = numpy(decoder(tokens, memory, mask, summary)["logits"])
    for step in range(4):
        read = np.concatenate([table[tokens[:, step]], fed], axis=-1)
        hidden = np.tanh(
            read @ w["simple_rnn_cell/kernel"]
            + hidden @ w["simple_rnn_cell/recurrent_kernel"]
            + w["simple_rnn_cell/bias"]
        )
        scores = np.einsum("bu,bsu->bs", hidden @ w["query/kernel"], keys) / np.sqrt(6)
        shares = np.exp(scores) * mask
        shares /= shares.sum(-1, keepdims=True)
        context = np.einsum("bs,bsd->bd", shares, memory)
        fed = np.tanh(np.concatenate([context, hidden], axis=-1) @ w["combine/kernel"])
        expected = fed @ table.T + numpy(decoder.output_layer.bias)
        np.testing.assert_allclose(found[:, step], expected, atol=1e-4)


@each_mode
def test_decoders_survive_saving_and_are_fixed_by_their_seed(mode, tmp_path):
    def model():
        ids, written = (keras.Input((None,), dtype="int32") for _ in range(2))
        encoder = TextEncoder(9, embedding_size=3, stack={"units": 4, "seed": 2}, seed=1)
        stack = {"units": 6, "seed": 3}
        decoder = AttentionDecoder(SIZE, embedding_size=4, stack=stack, seed=4, **mode)
        return keras.Model([ids, written], decoder(written, *encoder(ids)))

    first, twin = model(), model()
    inputs = [np.array([[5, 6, 3], [4, 3, 0]], "int32"), tokens_of(2, 4)]
    first.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    for other in (twin, again):
        for name, value in first(inputs).items():
            np.testing.assert_array_equal(other(inputs)[name], value)
            assert tuple(first.output[name].shape)[2:] == (SIZE,)[: name == "logits"] or (None,)
    assert len(again.weights) == len(first.weights)


def test_a_language_model_needs_neither_memory_nor_summary():
    decoder = AttentionDecoder(SIZE, embedding_size=4, stack={"units": 6}, attention="none")
    tokens = tokens_of(2, 5)
    whole = decoder(tokens)
    assert set(whole) == {"logits"}
    logits, _ = stepped(decoder, tokens[:, None], (None, None, None))
    np.testing.assert_allclose(logits[:, 0], whole["logits"], atol=1e-5)


def test_captioning_needs_no_summary_and_no_mask():
    decoder = AttentionDecoder(SIZE, embedding_size=4, stack={"units": 6}, input_feeding=True)
    tokens, memory = tokens_of(2, 5), drawn(2, 4, 3)
    whole = decoder(tokens, memory)["logits"]
    logits, _ = stepped(decoder, tokens[:, None], (memory, None, None))
    np.testing.assert_allclose(logits[:, 0], whole, atol=1e-5)


@each_mode
def test_half_precision_decoders_run(mode):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        decoder = make(mode)
    finally:
        keras.config.set_dtype_policy("float32")
    given, tokens = source(), tokens_of(3, 5)
    whole = decoder(tokens, *given, training=True)["logits"]
    memory, mask, summary = (np.float16(given[0]), given[1], np.float16(given[2]))
    logits, _ = stepped(decoder, tokens[:, None], (memory, mask, summary))
    assert keras.backend.standardize_dtype(whole.dtype) == "float32" == logits.dtype.name
    np.testing.assert_allclose(logits[:, 0], whole, atol=0.05)


def test_an_encoder_is_blind_to_padding():
    encoder = TextEncoder(
        9, embedding_size=3, stack={"cell": "lstm", "units": 4, "seed": 2}, seed=1
    )
    ids = np.array([[5, 6, 7, 3], [4, 3, 0, 0]], "int32")
    memory, mask, summary = (numpy(part) for part in encoder(ids))
    assert mask.tolist() == [[True] * 4, [True, True, False, False]]
    assert (memory[1, 2:] == 0).all()
    alone = [numpy(part) for part in encoder(ids[1:, :2])]
    np.testing.assert_allclose(alone[0], memory[1:, :2], atol=1e-6)
    np.testing.assert_allclose(alone[2], summary[1:], atol=1e-6)
    np.testing.assert_allclose(summary[1], np.r_[memory[1, 1, :4], memory[1, 0, 4:]], atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"attention": "both"}, "option --attention is .*both.*dot, additive, none"),
        ({"scheduled_sampling": 2.0}, r"option --scheduled-sampling is 2.0.*\[0, 1\]"),
        ({"sampling": "greedy"}, "option --sampling is .*greedy.*argmax, sample"),
        (
            {"attention": "none", "input_feeding": True},
            "got input_feeding=True with attention='none'.*set attention='dot' or",
        ),
    ],
)
def test_settings_that_cannot_work_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        AttentionDecoder(SIZE, embedding_size=4, stack={"units": 6}, **options)

import itertools
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import ops

from pipelines.errors import ConfigError
from pipelines.layers.attention_decoder import AttentionDecoder
from pipelines.layers.scheduled_sampling import replace_by_own
from pipelines.layers.sequence_losses import SmoothedCrossEntropy
from pipelines.layers.text_encoder import TextEncoder
from pipelines.text.vocabulary import BOS, EOS, PAD

SIZE = 13
MODES = [
    {"attention": "dot"},
    {"attention": "additive"},
    {"attention": "none"},
    {"attention": "dot", "input_feeding": True},
    {"attention": "additive", "input_feeding": True, "tied": False},
]
NAMES = ["dot", "additive", "none", "fed", "fed-additive"]
CELLS = ("simple", "gru", "lstm")
each_mode = pytest.mark.parametrize("mode", MODES, ids=NAMES)


def numpy(value):
    return ops.convert_to_numpy(value)


def drawn(*size, seed=0):
    return np.random.default_rng(seed).normal(size=size).astype("float32")


def tokens_of(rows, steps, seed=0):
    ids = np.random.default_rng(seed).integers(4, SIZE, (rows, steps)).astype("int32")
    ids[:, 0] = BOS
    return ids


def source(rows=3, width=6, size=5):
    """Return memory, mask and summary."""
    lengths = np.resize([width, 2, 4], rows)[:, None]
    return drawn(rows, width, size), np.arange(width) < lengths, drawn(rows, 7, seed=1)


def make(mode, stack=(), **options):
    """A decoder whose weights are large: with fresh ones attention hardly differs by step."""
    settings = {"cell": "lstm", "units": 6, "depth": 2, "seed": 1} | dict(stack)
    decoder = AttentionDecoder(SIZE, embedding_size=4, stack=settings, seed=1, **mode | options)
    decoder(tokens_of(1, 2), *source(1))
    for number, weight in enumerate(decoder.trainable_variables):
        weight.assign(0.7 * drawn(*weight.shape, seed=20 + number))
    return decoder


def stepped(decoder, tokens, given):
    """Return logits [B, K, T, V] and attention of calls of `step`, for tokens [B, K, T]."""
    memory, mask, summary = given
    prepared = decoder.prepare(memory, mask, summary)
    count = tokens.shape[1]
    state = keras.tree.map_structure(
        lambda part: ops.repeat(part, count, axis=1),
        decoder.start(summary, rows=len(tokens), memory=memory),
    )
    logits, weights = [], []
    for step in range(tokens.shape[2]):
        output = decoder.step(tokens[:, :, step], state, prepared)
        state = output.state
        logits.append(numpy(output.logits))
        weights.append(None if output.attention is None else numpy(output.attention))
    whole = None if weights[0] is None else np.stack(weights, axis=2)
    return np.stack(logits, axis=2), whole


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
@pytest.mark.parametrize("compiled", [False, True])
def test_gradients_reach_every_variable(mode, compiled):
    import tensorflow as tf

    noise = dict.fromkeys(("input_dropout", "variational_dropout", "recurrent_dropout"), 0.3)
    decoder = make(mode, noise, attention_dropout=0.2, output_dropout=0.2, word_dropout=0.1)
    given, tokens = source(), tokens_of(3, 5)

    def gradients():
        with tf.GradientTape() as tape:
            logits = decoder(tokens, *given, training=True)["logits"]
            loss = SmoothedCrossEntropy(0.1)(tokens, logits)
        return tape.gradient(loss, [v.value for v in decoder.trainable_variables])

    found = (tf.function(gradients) if compiled else gradients)()
    for variable, gradient in zip(decoder.trainable_variables, found, strict=True):
        assert gradient is not None, variable.path
        assert np.abs(numpy(tf.convert_to_tensor(gradient))).max() > 0, variable.path


def test_the_loop_has_the_gradients_of_finite_differences():
    import tensorflow as tf

    decoder = make({"attention": "dot", "input_feeding": True}, {"depth": 1})
    given, tokens = source(), tokens_of(3, 5)
    loss_of = SmoothedCrossEntropy(0.1)
    for variable in decoder.trainable_variables:
        with tf.GradientTape() as tape:
            loss = loss_of(tokens, decoder(tokens, *given)["logits"])
        slope = numpy(tf.convert_to_tensor(tape.gradient(loss, variable.value)))
        way, before = slope / max(np.linalg.norm(slope), 1e-12), numpy(variable)
        ends = []
        for sign in (1, -1):
            variable.assign(before + sign * 1e-2 * way)
            ends.append(float(loss_of(tokens, decoder(tokens, *given)["logits"])))
        variable.assign(before)
        measured = (ends[0] - ends[1]) / 2e-2
        assert measured == pytest.approx(np.linalg.norm(slope), rel=0.03, abs=2e-4), variable.path


def test_dropout_of_the_loop_is_that_of_a_run():
    noise = {"variational_dropout": 0.4, "recurrent_dropout": 0.4, "units": 50, "cell": "gru"}
    stack = make({"attention": "dot", "input_feeding": True}, noise)._stack
    drawn_noise = stack.draw_noise(40, 3)
    for part in drawn_noise.inputs:
        assert numpy(part).shape[:2] == (3, 40)
        np.testing.assert_array_equal(numpy(part)[0], numpy(part)[2])
        assert (numpy(part)[0] == 0).mean() == pytest.approx(0.4, abs=0.1)
    for part in drawn_noise.state:
        assert sorted(set(np.unique(numpy(part)).round(4))) == [0, np.float32(1 / 0.6).round(4)]
    assert make(MODES[3])._stack.draw_noise(2, 3).inputs == [None, None]


@each_mode
def test_fast_training_is_the_same_training(mode):
    import tensorflow as tf

    given, tokens = source(), tokens_of(3, 5)
    slow, fast = make(mode), make(mode, {"fast": True})
    run = [
        tf.function(lambda d=d: d(tokens, *given, training=True)["logits"]) for d in (slow, fast)
    ]
    np.testing.assert_allclose(run[0](), run[1](), atol=1e-4)


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


def test_scheduled_sampling_replaces_what_may_be_replaced():
    tokens = np.array([[BOS, 5, 6, 7, 8], [BOS, 5, PAD, PAD, PAD]], "int32")
    logits = np.full((2, 5, SIZE), -50.0, "float32")
    for step, token in enumerate((9, EOS, 10, BOS, 11)):
        logits[:, step, token] = 50
    seed = keras.random.SeedGenerator(1)
    for how in ("argmax", "sample"):
        own = numpy(replace_by_own(tokens, logits, 1.0, how=how, seed=seed))
        assert own.tolist() == [[BOS, 9, 6, 10, 8], [BOS, 9, PAD, PAD, PAD]]
        kept = numpy(replace_by_own(tokens, logits, 0.0, how=how, seed=seed))
        np.testing.assert_array_equal(kept, tokens)
    many = np.full((400, 5), 5, "int32")
    own = numpy(
        replace_by_own(many, np.resize(logits[:1], (400, 5, SIZE)), 0.3, how="argmax", seed=seed)
    )
    assert (own[:, 1] == 9).mean() == pytest.approx(0.3, abs=0.08)


def test_samples_follow_the_distribution():
    logits = np.log(np.tile([0.0001, 0.0001, 0.0001, 0.0001, 0.7, 0.2996], (4000, 2, 1)))
    tokens = np.full((4000, 2), 4, "int32")
    seed = keras.random.SeedGenerator(1)
    own = numpy(replace_by_own(tokens, logits.astype("float32"), 1.0, how="sample", seed=seed))
    assert (own[:, 1] == 5).mean() == pytest.approx(0.3, abs=0.03)


@each_mode
def test_scheduled_sampling_is_for_training_and_can_be_switched(mode):
    decoder, given, tokens = make(mode, scheduled_sampling=1.0), source(), tokens_of(3, 5)
    plain = numpy(decoder(tokens, *given)["logits"])
    own = numpy(decoder(tokens, *given, training=True)["logits"])
    assert np.abs(own - plain)[:, 1:].max() > 1e-3
    np.testing.assert_allclose(own[:, 0], plain[:, 0], atol=1e-5)
    decoder.sampling_share.assign(0.0)
    np.testing.assert_allclose(decoder(tokens, *given, training=True)["logits"], plain, atol=1e-5)


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


JAX = """
import sys, keras, numpy as np
from pipelines.layers.attention_decoder import AttentionDecoder
from pipelines.layers.sequence_losses import SmoothedCrossEntropy, TokenPerplexity
from pipelines.layers.text_encoder import TextEncoder

def build(mode):
    ids, written = (keras.Input((None,), dtype="int32") for _ in range(2))
    noise = {"input_dropout": 0.1, "recurrent_dropout": 0.1, "variational_dropout": 0.1}
    encoder = TextEncoder(9, embedding_size=3, stack={"cell": "gru", "units": 4, "seed": 2})
    decoder = AttentionDecoder(13, embedding_size=4, stack={"units": 6, "seed": 3} | noise, seed=4,
        attention_dropout=0.1, scheduled_sampling=0.3, word_dropout=0.1, **mode)
    return keras.Model([ids, written], decoder(written, *encoder(ids))["logits"])
"""
JAX_RUN = """
modes = eval(sys.argv[2])
given = np.load(sys.argv[1] + "/in.npz")
inputs, answers = [given["ids"], given["written"]], {}
for number, mode in enumerate(modes):
    model = build(mode)
    model.load_weights(f"{sys.argv[1]}/{number}.weights.h5")
    answers[str(number)] = np.asarray(model(inputs))
model.compile("adam", SmoothedCrossEntropy(0.1), weighted_metrics=[TokenPerplexity()])
losses = [model.train_on_batch(inputs, given["written"], np.ones(2))[0] for _ in range(3)]
assert np.isfinite(losses).all(), losses
np.savez(sys.argv[1] + "/out.npz", **answers)
"""


def test_jax_trains_and_answers_the_same(tmp_path):
    pytest.importorskip("jax")
    names = {}
    exec(JAX, names)
    ids, written = np.array([[5, 6, 3], [4, 3, 0]], "int32"), tokens_of(2, 10)
    np.savez(tmp_path / "in.npz", ids=ids, written=written)
    modes, expected = [MODES[1], MODES[3]], []
    for number, mode in enumerate(modes):
        model = names["build"](mode)
        model.save_weights(tmp_path / f"{number}.weights.h5")
        expected.append(model([ids, written]))
    done = subprocess.run(
        [sys.executable, "-c", JAX + JAX_RUN, str(tmp_path), repr(modes)],
        env={**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    found = np.load(tmp_path / "out.npz")
    for number, ours in enumerate(expected):
        np.testing.assert_allclose(found[str(number)], ours, atol=1e-4)

"""The CRF in a model: configuration, saving, export, training, and the same under JAX."""

import keras
import numpy as np
import pytest
from keras import ops

from pipelines.errors import ConfigError
from pipelines.layers.crf import CRF, CRFLoss, negative_log_likelihood
from pipelines.layers.crf_decoding import marginals, n_best, path_confidences, viterbi
from pipelines.layers.tag_constraints import allowed_transitions

RULES = allowed_transitions(("O", "B-a", "I-a"), "bio")
RANDOM = np.random.default_rng(0)


def tagger(tags=3, constraints=None, words=6):
    """A tagger that sees one word at a time: only the chain can learn what follows what."""
    ids = keras.Input((None,), dtype="int32")
    emissions = keras.layers.Dense(tags)(keras.layers.Embedding(words, 8)(ids))
    return keras.Model(ids, CRF(constraints, name="crf")(emissions, mask=ops.not_equal(ids, 0)))


def test_a_saved_model_file_holds_the_layer(tmp_path):
    model = tagger(constraints=RULES)
    model.get_layer("crf").set_weights([RANDOM.normal(size=s) for s in ((3, 3), (3,), (3,))])
    model.compile("sgd", loss=CRFLoss())
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    ids = np.array([[1, 2, 3], [4, 0, 0]])
    np.testing.assert_array_equal(again(ids), model(ids))
    assert again.get_layer("crf").constraints == RULES
    assert isinstance(again.loss, CRFLoss)


def test_constraints_of_another_tag_set_are_refused():
    with pytest.raises(ConfigError) as caught:
        CRF(RULES, name="crf")(np.zeros((1, 2, 5), "float32"))
    assert str(caught.value) == (
        "constraints of CRF layer 'crf' do not fit its input: got 3 tags, expected 5 (the size of "
        "the emissions' last axis); derive them from the same tag list as the layer below"
    )


def test_a_saved_model_decodes_any_shape(tmp_path):
    import tensorflow as tf

    layer = CRF(RULES)
    layer.build((None, None, 3))

    class Module(tf.Module):
        def __init__(self):
            super().__init__()
            self.kept = [weight.value for weight in layer.weights]

        @tf.function(
            input_signature=[
                tf.TensorSpec([None, None, 3], tf.float32), tf.TensorSpec([None, None], tf.bool)
            ],
            autograph=False,
        )  # fmt: skip
        def decode(self, emissions, mask):
            potentials = layer(emissions, mask=mask)
            tags, log_probability = viterbi(potentials)
            left, right = path_confidences(potentials, tags)
            ranked, probabilities = n_best(potentials, 2)
            return {
                "tags": tags, "log_probability": log_probability, "left": left, "right": right,
                "ranked": ranked, "probabilities": probabilities,
                "loss": negative_log_likelihood(tags, potentials),
            }  # fmt: skip

    module = Module()
    tf.saved_model.save(module, str(tmp_path))
    again = tf.saved_model.load(str(tmp_path))
    for rows, steps in ((1, 1), (4, 7)):
        emissions = RANDOM.normal(size=(rows, steps, 3)).astype("float32")
        mask = np.arange(steps) < RANDOM.integers(1, steps + 1, rows)[:, None]
        for name, value in again.decode(emissions, mask).items():
            np.testing.assert_array_equal(value, module.decode(emissions, mask)[name], name)


def test_the_loss_is_the_surprise_per_token_and_heeds_sentence_weights():
    potentials = CRF()(RANDOM.normal(size=(2, 4, 3)).astype("float32"), mask=np.array(
        [[True] * 4, [True] * 2 + [False] * 2]))  # fmt: skip
    codes = np.array([[1, 2, 3, 1], [3, 3, 0, 0]])
    each = ops.convert_to_numpy(negative_log_likelihood(codes - 1, potentials))
    assert float(CRFLoss()(codes, potentials)) == pytest.approx(each.sum() / 6, rel=1e-6)
    weighted = CRFLoss()(codes, potentials, sample_weight=np.array([2.0, 0.0]))
    assert float(weighted) == pytest.approx(2 * each[0] / 6, rel=1e-6)


def test_fit_learns_what_follows_what():
    """All words look alike; tags alternate from 0, so that only transitions can tell them."""
    lengths = RANDOM.integers(1, 9, 64)
    mask = np.arange(8) < lengths[:, None]
    codes = np.where(mask, np.arange(8) % 2 + 1, 0)
    model = tagger(tags=2)
    model.compile("adam", loss=CRFLoss(), jit_compile=False)
    model.optimizer.learning_rate = 0.1
    before = [np.array(weight) for weight in model.trainable_weights]

    def batches():
        for start in range(0, 64, 16):  # batches of unequal length, in one graph
            longest = lengths[start : start + 16].max()
            rows = slice(start, start + 16)
            yield mask[rows, :longest].astype("int32"), codes[rows, :longest]

    import tensorflow as tf

    signature = (tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([None, None], tf.int64))
    data = tf.data.Dataset.from_generator(batches, output_signature=signature)
    data = data.apply(tf.data.experimental.assert_cardinality(4))
    history = model.fit(data, epochs=15, verbose=0, shuffle=False)
    assert history.history["loss"][-1] < 0.1
    tags, _ = viterbi(model(mask.astype("int32")))
    np.testing.assert_array_equal(np.where(mask, tags, -1), codes - 1)
    changed = [not np.allclose(a, b) for a, b in zip(before, model.trainable_weights, strict=True)]
    assert all(changed)


def test_emissions_of_half_precision_are_scored_in_full():
    potentials = CRF()(RANDOM.normal(size=(1, 3, 2)).astype("float16"))
    assert keras.backend.standardize_dtype(potentials.dtype) == "float32"


UNDER_JAX = """
import sys
from pathlib import Path
import jax, keras, numpy as np
from keras import ops
from pipelines.layers.crf import CRF, CRFLoss
from pipelines.layers.crf_decoding import marginals, n_best, path_confidences, viterbi
from pipelines.layers.tag_constraints import allowed_transitions
assert keras.backend.backend() == "jax"
home = Path(sys.argv[1])
given = np.load(home / "in.npz")
layer = CRF(allowed_transitions(("O", "B-a", "I-a"), "bio"))
layer.build(given["emissions"].shape)
layer.set_weights([given[name] for name in ("transitions", "start", "end")])

@jax.jit
def answers(emissions):
    potentials = layer(emissions, mask=given["mask"])
    tags, log_probability = viterbi(potentials)
    loss = lambda e: CRFLoss()(given["codes"], layer(e, mask=given["mask"]))
    slope = jax.grad(loss)(emissions)
    return [tags, log_probability, *n_best(potentials, 3), marginals(potentials),
            *path_confidences(potentials, tags), loss(emissions), slope]

np.savez(home / "out.npz", *answers(given["emissions"]))
"""


def test_the_values_under_jax_are_those_under_tensorflow(jax_process, tmp_path):
    import tensorflow as tf

    mask = np.arange(6) < np.array([6, 1, 4])[:, None]
    codes = np.where(mask, [1, 2, 3, 3, 1, 2], 0)
    names = {"transitions": (3, 3), "start": (3,), "end": (3,), "emissions": (3, 6, 3)}
    values = {key: RANDOM.normal(size=size).astype("float32") for key, size in names.items()}
    np.savez(tmp_path / "in.npz", mask=mask, codes=codes, **values)
    jax_process.run(UNDER_JAX, tmp_path)
    layer = CRF(RULES)
    layer.build((None, None, 3))
    layer.set_weights([values[name] for name in ("transitions", "start", "end")])
    emissions = tf.constant(values["emissions"])
    with tf.GradientTape() as tape:
        tape.watch(emissions)
        potentials = layer(emissions, mask=mask)
        loss = CRFLoss()(codes, potentials)
    tags, log_probability = viterbi(potentials)
    expected = [
        tags, log_probability, *n_best(potentials, 3), marginals(potentials),
        *path_confidences(potentials, tags), loss, tape.gradient(loss, emissions),
    ]  # fmt: skip
    for value, under_jax in zip(expected, np.load(tmp_path / "out.npz").values(), strict=True):
        np.testing.assert_allclose(value, under_jax, atol=1e-5)

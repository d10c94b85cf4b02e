"""Decoding in a SavedModel and under JAX."""

import keras
import numpy as np
from keras import ops

from pipelines.export.saved_model import Endpoint, write_saved_model
from pipelines.layers.decoding import BeamSettings, SampleSettings, StepOutput, beam_search, sample
from pipelines.layers.decoding.types import Decoded

VOCABULARY, UNITS = 11, 8
BEAM = BeamSettings(beams=3, coverage_penalty=0.2, no_repeat_ngram=2, repetition_penalty=1.1)
SAMPLE = SampleSettings(samples=2, top_k=6, top_p=0.9, no_repeat_ngram=3, min_length=3)


class TinyDecoder(keras.Model):
    """One GRU cell that looks back at memory; its weights do not depend on the backend."""

    def __init__(self):
        super().__init__()
        self.embedding = keras.layers.Embedding(VOCABULARY, UNITS)
        self.cell = keras.layers.GRUCell(UNITS)
        self.output_layer = keras.layers.Dense(VOCABULARY)
        self.embedding.build((None, None))
        self.cell.build((None, UNITS))
        self.output_layer.build((None, None, 2 * UNITS))
        random = np.random.default_rng(3)
        self.set_weights([random.normal(size=w.shape) for w in self.get_weights()])
        self.built = True

    def stepper(self, memory, mask):
        def step(tokens, state):
            rows = ops.reshape(self.embedding(tokens), (-1, UNITS))
            hidden, _ = self.cell(rows, [ops.reshape(state["h"], (-1, UNITS))])
            hidden = ops.reshape(hidden, (-1, ops.shape(tokens)[1], UNITS))
            raw = ops.where(mask[:, None], ops.einsum("bkd,bsd->bks", hidden, memory), -1e9)
            attention = ops.softmax(raw)
            context = ops.einsum("bks,bsd->bkd", attention, memory)
            logits = self.output_layer(ops.concatenate([hidden, context], -1))
            return StepOutput(logits, {"h": hidden}, attention)

        return step

    def search(self, memory, mask, limits):
        state = {"h": ops.mean(memory, axis=1)[:, None]}
        return beam_search(
            self.stepper(memory, mask), state, limits, BEAM, source_mask=mask
        )._asdict()

    def draw(self, memory, mask, limits, uniforms):
        state = {"h": ops.mean(memory, axis=1)[:, None]}
        draws = ops.convert_to_tensor(uniforms)
        return sample(
            self.stepper(memory, mask), state, limits, SAMPLE, lambda step: draws[step]
        )._asdict()


def request(rows, sources, seed=0):
    random = np.random.default_rng(seed)
    memory = random.normal(size=(rows, sources, UNITS)).astype("float32")
    mask = np.arange(sources) < random.integers(1, sources + 1, (rows, 1))
    return memory, mask, random.integers(1, 10, rows).astype("int32")


def numpy(outputs):
    return {name: ops.convert_to_numpy(value) for name, value in outputs.items()}


def assert_equal(ours, theirs):
    for name, value in ours.items():
        if value.dtype == np.float32:
            np.testing.assert_allclose(value, theirs[name], rtol=1e-5, atol=1e-5)
        else:
            np.testing.assert_array_equal(value, theirs[name])


def test_an_export_decodes_any_shape_as_the_model_does_and_traces_once(tmp_path):
    import tensorflow as tf

    model, traced = TinyDecoder(), []

    def search(memory, mask, limits):
        traced.append("search")
        return model.search(memory, mask, limits)

    def draw(memory, mask, limits, seed):
        traced.append("draw")

        def uniforms(step):
            shape = (tf.shape(memory)[0], SAMPLE.samples)
            return tf.random.stateless_uniform(shape, tf.stack([seed, step]))

        state = {"h": ops.mean(memory, axis=1)[:, None]}
        stepper = model.stepper(memory, mask)
        return sample(stepper, state, limits, SAMPLE, uniforms)._asdict()

    inputs = {
        "memory": tf.TensorSpec([None, None, UNITS]),
        "mask": tf.TensorSpec([None, None], tf.bool),
        "limits": tf.TensorSpec([None], tf.int32),
    }
    meaning = dict.fromkeys(Decoded._fields, "")
    seeded = {**inputs, "seed": tf.TensorSpec([], tf.int32)}
    # It refuses a graph that holds an XLA operation.
    write_saved_model(
        tmp_path / "1",
        {
            "serve": Endpoint(search, inputs, meaning, (model,)),
            "draw": Endpoint(draw, seeded, meaning, (model,)),
        },
    )
    before = list(traced)
    loaded = tf.saved_model.load(str(tmp_path / "1"))
    for rows, sources in ((1, 3), (4, 7), (9, 2)):
        memory, mask, limits = (tf.constant(part) for part in request(rows, sources))
        expected = numpy(model.search(memory, mask, limits))
        assert_equal(expected, numpy(loaded.serve(memory, mask, limits)))
        seed = tf.constant(5)
        once, again = (numpy(loaded.draw(memory, mask, limits, seed)) for _ in range(2))
        assert_equal(once, again)
        assert once["tokens"].shape == (rows, SAMPLE.samples, limits.numpy().max())
    assert traced == before

    traced.clear()
    compiled = tf.function(search, list(inputs.values()), autograph=False)
    for rows, sources in ((2, 3), (3, 5)):
        compiled(*request(rows, sources))
    assert traced == ["search"]


JAX = """
import sys
from dataclasses import replace

import jax
import numpy as np
import tests.graph.test_decoding_export as here
from tests.graph.test_decoding_export import TinyDecoder, numpy, request

from pipelines.errors import ConfigError

assert sys.modules.get("tensorflow") is None
memory, mask, limits = request(5, 4)
model = TinyDecoder()
uniforms = np.load(sys.argv[1] + "/uniforms.npy")
np.savez(sys.argv[1] + "/draw.npz", **numpy(model.draw(memory, mask, limits, uniforms)))
try:
    jax.jit(model.search)(memory, mask, limits)
except ConfigError as error:
    print(error)
here.BEAM = replace(here.BEAM, max_length=9)
np.savez(sys.argv[1] + "/jit.npz", **numpy(jax.jit(model.search)(memory, mask, limits)))
"""


def test_jax_decodes_the_same(jax_process, tmp_path):
    uniforms = np.random.default_rng(0).uniform(size=(10, 5, SAMPLE.samples)).astype("float32")
    np.save(tmp_path / "uniforms.npy", uniforms)
    printed = jax_process.run(JAX, tmp_path)
    assert "'max_length': got None with limits traced by JAX, expected a number" in printed
    assert "set max_length to the largest limit" in printed
    model, (memory, mask, limits) = TinyDecoder(), request(5, 4)
    searched = numpy(model.search(memory, mask, limits))
    drawn = numpy(model.draw(memory, mask, limits, uniforms))
    widths = searched["tokens"].shape[2]
    with np.load(tmp_path / "draw.npz") as theirs:
        assert_equal(drawn, theirs)
    with np.load(tmp_path / "jit.npz") as theirs:
        assert_equal(searched, {**theirs, "tokens": theirs["tokens"][:, :, :widths]})

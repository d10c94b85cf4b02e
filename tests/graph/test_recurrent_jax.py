import numpy as np

MODEL = """
import sys

import keras
import numpy as np
from keras import ops

from pipelines.layers.recurrent import RecurrentStack
from pipelines.layers.sampled_softmax import SampledSoftmaxLoss
from pipelines.layers.token_input import TokenInput


@keras.saving.register_keras_serializable()
class Reader(keras.layers.Layer):
    def __init__(self):
        super().__init__()
        self.vectors = TokenInput(9, 6, word_dropout=0.2, locked_dropout=0.2, seed=1)
        self.stack = RecurrentStack(
            cell="lstm", layer_units=[5, 6], direction="forward", seed=1, weight_dropout=0.3,
            peephole=True, deep_input=1, deep_output=1,
            locked_output_dropout=0.2, activation_penalty=2.0, temporal_activation_penalty=1.0,
        )
        self.sampled = SampledSoftmaxLoss(50, seed=1)

    def build(self, tokens_shape, targets_shape=None):
        self.vectors.build(tokens_shape)
        self.stack.build((None, None, 6))
        self.bias = self.add_weight((9,), "zeros", name="bias")
        self.built = True

    def call(self, tokens, targets, training=False):
        read = self.vectors(tokens, training=training)
        states, _ = self.stack.run(read, None, self.stack.zero_state(tokens.shape[0]), training)
        matrix, bias = (ops.convert_to_tensor(v) for v in (self.vectors.matrix, self.bias))
        return self.sampled(states, targets, matrix, bias, training=training)


def build():
    tokens, targets = (keras.Input((5,), batch_size=4, dtype="int32") for _ in range(2))
    return keras.Model([tokens, targets], Reader()(tokens, targets))
"""
TRAINED = """
model = build()
tokens = np.random.default_rng(0).integers(0, 9, (4, 6)).astype("int32")
given = [tokens[:, :-1], tokens[:, 1:]]
model.compile(keras.optimizers.Adam(0.03), lambda _, loss: ops.mean(loss), jit_compile=True)
start = model.predict(given, verbose=0)
before = [w.numpy() for w in model.trainable_weights]
losses = [float(model.train_on_batch(given, given[1])) for _ in range(60)]
assert all((w.numpy() != b).any() for w, b in zip(model.trainable_weights, before))
assert np.isfinite(losses).all()
after = model.predict(given, verbose=0)
assert after.mean() < 0.9 * start.mean(), (after.mean(), start.mean())
cell = model.layers[-1].stack._recurrences[0].cell
assert isinstance(cell.recurrent_kernel, keras.Variable)
model.save_weights(sys.argv[1] + "/model.weights.h5")
np.savez(sys.argv[1] + "/out.npz", tokens=tokens, losses=after)
"""


def test_jax_trains_with_every_regulariser_and_tensorflow_agrees(jax_process, tmp_path):
    jax_process.run(MODEL + TRAINED, tmp_path)
    names = {"__name__": "reader"}
    exec(MODEL, names)
    model, theirs = names["build"](), np.load(tmp_path / "out.npz")
    model.load_weights(tmp_path / "model.weights.h5")
    tokens = theirs["tokens"]
    ours = model.predict([tokens[:, :-1], tokens[:, 1:]], verbose=0)
    np.testing.assert_allclose(ours, theirs["losses"], rtol=1e-4, atol=1e-4)

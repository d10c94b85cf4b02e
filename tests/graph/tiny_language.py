"""A tiny language model with random weights, and what it would write in plain NumPy."""

import numpy as np
import tensorflow as tf

from pipelines.text.tokenizer import Tokenizer
from pipelines.text.vocabulary import BOS, RESERVED, Vocabulary

LETTERS = "abcdefgh ."
SIZE = len(LETTERS) + 4
NAMES = ("length", "temperature", "top_k", "top_p", "repetition_penalty", "seed")
KINDS = ("int32", "float32", "int32", "float32", "float32", "int32")


def letters(level="char"):
    return Tokenizer(Vocabulary((*RESERVED, *LETTERS)), level=level, lowercase=False)


class TinyLanguage:
    """h = tanh(E[token] + h U), logits = h W + b; the state also counts the tokens, as int32."""

    def __init__(self, size, units=6, seed=0, spread=1.5, bias=None):
        random = np.random.default_rng(seed)
        self.size, self.units = size, units
        self.input = random.normal(size=(size, units)).astype("float32")
        self.inner = (random.normal(size=(units, units)) * 0.7).astype("float32")
        self.output = (random.normal(size=(units, size)) * spread).astype("float32")
        self.bias = np.zeros(size, "float32") if bias is None else bias.astype("float32")

    def start(self, rows):
        return [tf.zeros([rows, self.units]), tf.zeros([rows, 2], tf.int32)]

    def step(self, tokens, state):
        hidden, counts = state
        hidden = tf.tanh(tf.gather(self.input, tokens) + hidden @ self.inner)
        return hidden @ self.output + self.bias, [hidden, counts + 1]

    def states(self, tokens, state, training=False, mask=None):
        mask = tf.ones_like(tokens, tf.bool) if mask is None else mask

        def one(state, read):
            token, real = read
            _, after = self.step(token, state)
            pairs = zip(after, state, strict=True)
            return [tf.where(real[:, None], new, old) for new, old in pairs]

        states = tf.scan(one, (tf.transpose(tokens), tf.transpose(mask)), state)
        return tf.transpose(states[0], [1, 0, 2]), [leaf[-1] for leaf in states]

    def logits(self, ids):
        """Logits of what follows each of ids, BOS before them, float64."""
        hidden, found = np.zeros(self.units), []
        for token in (BOS, *ids):
            hidden = np.tanh(self.input[token] + hidden @ self.inner)
            found.append(hidden @ self.output + self.bias)
        return np.array(found)


def choices(rows=1, **given):
    defaults = {
        "length": 40, "temperature": 0.8, "top_k": 0, "top_p": 1.0, "repetition_penalty": 1.0,
        "seed": np.arange(rows),
    } | given  # fmt: skip
    pairs = zip(NAMES, KINDS, strict=True)
    return {name: np.broadcast_to(defaults[name], rows).astype(kind) for name, kind in pairs}


def compiled(writer):
    """The endpoints as an export has them; NumPy in and out."""
    functions = {}
    for name, endpoint in writer.endpoints(()).items():
        signature = [tf.TensorSpec(spec.shape, spec.dtype) for spec in endpoint.inputs.values()]
        function = tf.function(endpoint.function, signature, autograph=False)
        functions[name] = _caller(function, list(endpoint.inputs))
    return functions


def _caller(function, order):
    def call(**inputs):
        if "prompt" in inputs:
            inputs["prompt"] = tf.constant(inputs["prompt"], tf.string)
        outputs = function(*(tf.constant(inputs[name]) for name in order))
        return {name: value.numpy() for name, value in outputs.items()}

    return call

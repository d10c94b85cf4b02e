"""Models that look logits up in a table by position and the last two tokens."""

from typing import NamedTuple

import numpy as np
from keras import ops

from pipelines.layers.decoding import StepOutput


class TableModel(NamedTuple):
    """B rows of logits float32[B, T, V, V, V], and attention float32[B, T, V, S] or None."""

    logits: np.ndarray
    attention: np.ndarray | None = None

    def state(self, start):
        rows = len(self.logits)
        nothing = np.zeros((rows, 1), "int32")
        return {"position": nothing, "before": [np.full((rows, 1, 1), start, "int32")]}

    def step(self, tokens, state):
        """The state holds the token before the last: wrong parents give wrong logits."""
        position, before = state["position"], state["before"][0][:, :, 0]
        rows = ops.arange(ops.shape(tokens)[0], dtype="int32")[:, None]
        size, longest = self.logits.shape[-1], self.logits.shape[1]
        place = rows * longest + ops.minimum(position, longest - 1)
        looked = None
        if self.attention is not None:
            table = self.attention.reshape(-1, self.attention.shape[-1])
            looked = ops.take(ops.convert_to_tensor(table), place * size + tokens, axis=0)
        place = (place * size + before) * size + tokens
        logits = ops.take(ops.convert_to_tensor(self.logits.reshape(-1, size)), place, axis=0)
        after = {"position": position + 1, "before": [tokens[:, :, None]]}
        return StepOutput(logits, after, looked)

    def row(self, row, start):
        """The same of one row for the reference: functions of the tokens so far."""

        def logits(tokens):
            before, last = (start, start, *tokens)[-2:]
            return [float(value) for value in self.logits[row, len(tokens), before, last]]

        def attention(tokens):
            last = (start, *tokens)[-1]
            return [float(value) for value in self.attention[row, len(tokens), last]]

        return logits, attention

    def pick(self, rows):
        looked = None if self.attention is None else self.attention[rows]
        return TableModel(self.logits[rows], looked)


def random_model(random, *, rows, longest, size, sources=0, spread=2.0):
    logits = random.normal(size=(rows, longest, size, size, size)) * spread
    attention = None
    if sources:
        raw = np.exp(random.normal(size=(rows, longest, size, sources)) * 2)
        attention = (raw / raw.sum(-1, keepdims=True)).astype("float32")
    return TableModel(logits.astype("float32"), attention)

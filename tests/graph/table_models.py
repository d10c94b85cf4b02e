"""Models that look logits up in a table by position and the last two tokens; their answers."""

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import strategies as st
from keras import ops

from pipelines.layers.decoding import StepOutput
from tests import reference_decoding as reference

CLOSE = 1e-5  # two numbers nearer than this float32 may not tell apart
RULES = {
    "min_length": st.integers(0, 5),
    "no_repeat_ngram": st.integers(0, 3),
    "repetition_penalty": st.sampled_from([1.0, 1.3]),
    "length_penalty": st.sampled_from([0.0, 0.6, 1.0, 2.0, -0.5]),
    "normalizer": st.sampled_from(["wu", "power"]),
    "banned": st.sampled_from([(0, 2), (0, 1, 2)]),
}


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


def answers(decoded, row):
    """Hypotheses of a row as the reference gives them; those that do not exist are left out."""
    tokens, lengths, totals, scores, complete = (ops.convert_to_numpy(part) for part in decoded)
    found = []
    for k in range(tokens.shape[1]):
        if scores[row, k] == -np.inf:
            assert lengths[row, k] == 0 and not complete[row, k] and totals[row, k] == -np.inf
            continue
        length = lengths[row, k]
        assert not tokens[row, k, length:].any()
        found.append(
            reference.Answer(
                tuple(tokens[row, k, :length].tolist()),
                float(totals[row, k]), float(scores[row, k]), bool(complete[row, k]),
            )
        )  # fmt: skip
    return found


def assert_same(found, expected):
    assert [(a.tokens, a.complete) for a in found] == [(a.tokens, a.complete) for a in expected]
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.log_probability == pytest.approx(theirs.log_probability, rel=1e-5, abs=1e-5)
        assert ours.score == pytest.approx(theirs.score, rel=1e-5, abs=1e-5)


def always(*probabilities, longest=30):
    """A model that gives tokens the same probabilities at every step."""
    logits = np.log(np.array(probabilities, "float32"))
    size = len(probabilities)
    return TableModel(np.broadcast_to(logits, (1, longest, size, size, size)).copy())

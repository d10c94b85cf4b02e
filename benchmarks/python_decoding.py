"""Ways to translate step by step from Python, for `bench_translation.py` to measure beside ours.

They take the same tokenizers, blocks of rows and limits as the exported graph. The beam search here
is written from the same rules in plain Python, so that equal translations check both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pipelines.layers.decoding.hypotheses import reorder, widen
from pipelines.text.vocabulary import BOS, EOS, PAD, UNK
from pipelines.translation.encoding import PairTokenizers
from pipelines.translation.serving import BLOCK_ROWS, SPARE_TOKENS

# Source int32[B, S] and the most tokens of each row, int[B] -> tokens of each row.
DecodeBlock = Callable[[Any, np.ndarray], list[list[int]]]


class BlockTranslator:
    """Texts to texts around a way to decode a block of numbered sources."""

    def __init__(self, artifacts: Any, config: Any) -> None:
        self.config, self.tokenizers = config, PairTokenizers.of(artifacts)

    def translate(self, texts: list[str], decode: DecodeBlock) -> list[str]:
        """Translate in blocks of texts alike in length."""
        ids = self.tokenizers.source.encode(tf.constant(texts))
        lengths = ids.row_lengths().numpy()
        most = (lengths * self.config.length_factor).astype(int) + SPARE_TOKENS
        limits, order = np.minimum(most, self.config.max_tokens), np.argsort(lengths, kind="stable")
        found = [""] * len(texts)
        for start in range(0, len(texts), BLOCK_ROWS):
            rows = order[start : start + BLOCK_ROWS]
            tokens = decode(tf.gather(ids, rows).to_tensor(PAD), limits[rows])
            padded = keras.utils.pad_sequences(tokens, padding="post")
            written = self.tokenizers.target.detokenize(tf.constant(padded)).numpy()
            for row, text in zip(rows, written, strict=True):
                found[row] = text.decode()
        return found


class WholePrefix(BlockTranslator):
    """The stock way: a Keras model asked at every step, with the source and all words so far.

    Args:
        model: source and words so far -> scores of the next word.
        ask: `model.predict_on_batch` or `model.predict`, or what behaves alike.
    """

    def __init__(self, artifacts: Any, config: Any, ask: Callable[[Any], Any]) -> None:
        super().__init__(artifacts, config)
        self.ask = ask

    def greedy(self, texts: list[str]) -> list[str]:
        """Take the likeliest token at every step."""
        return self.translate(texts, self._decode)

    def _decode(self, source: Any, limits: np.ndarray) -> list[list[int]]:
        source, prefix = source.numpy(), np.full((len(limits), 1), BOS, np.int32)
        rows = _Written(limits)
        while not rows.done.all():
            scores = self.ask({"source": source, "target_in": prefix})[:, -1]
            scores[:, [PAD, UNK, BOS]] = -np.inf
            # Rows that have ended read their end again: PAD has no scores.
            last = np.where(rows.done, EOS, scores.argmax(axis=1)).astype(np.int32)
            rows.add(last)
            prefix = np.concatenate([prefix, last[:, None]], axis=1)
        return rows.tokens

    def beam(self, texts: list[str]) -> list[str]:
        """Follow the likeliest hypotheses, each read anew from its start at every step."""
        return self.translate(texts, self._beam)

    def _beam(self, source: Any, limits: np.ndarray) -> list[list[int]]:
        width = self.config.beam
        rows = [_Row(int(limit), width, self.config.length_penalty) for limit in limits]
        source, number = np.repeat(source.numpy(), width, axis=0), 0
        while not all(row.done for row in rows):
            prefix = np.full((len(source), number + 1), EOS, np.int32)  # PAD has no scores
            prefix[:, 0] = BOS
            for place, living in enumerate(one for row in rows for one in row.living):
                prefix[place, 1 : len(living) + 1] = living
            scores = np.array(self.ask({"source": source, "target_in": prefix})[:, -1])
            values = scores - np.logaddexp.reduce(scores, axis=1, keepdims=True)
            values[:, [PAD, UNK, BOS]] = -np.inf
            tokens = np.argsort(-values, axis=1, kind="stable")[:, : width + 1]
            values = np.take_along_axis(values, tokens, axis=1)
            for row, own, best in zip(
                rows, np.split(values, len(rows)), np.split(tokens, len(rows)), strict=True
            ):
                if not row.done:
                    row.advance(own, best)
            number += 1
        return [row.answer() for row in rows]


class _Written:
    """The tokens of each row until its end or its limit."""

    def __init__(self, limits: np.ndarray) -> None:
        self.limits, self.done = limits, limits <= 0
        self.tokens: list[list[int]] = [[] for _ in limits]

    def add(self, last: np.ndarray) -> None:
        for row in np.flatnonzero(~self.done):
            self.tokens[row].append(int(last[row]))
            self.done[row] = last[row] == EOS or len(self.tokens[row]) == self.limits[row]


class StepByStep(BlockTranslator):
    """The better way: one step of the decoder at a time, its state carried by a Python loop.

    Args:
        model: as of `WholePrefix`, of a task with neither coverage penalty nor n-gram rule.
        compiled: whether encoder and step are `tf.function`s, or called eagerly.
    """

    def __init__(self, model: Any, artifacts: Any, config: Any, *, compiled: bool) -> None:
        super().__init__(artifacts, config)
        self.encoder, self.decoder = model.get_layer("encoder"), model.get_layer("decoder")
        bans = np.zeros(len(artifacts.target), np.float32)
        bans[[PAD, UNK, BOS]] = -np.inf
        self.bans = tf.constant(bans)

        def maybe(function: Any) -> Any:
            return tf.function(function, reduce_retracing=True) if compiled else function

        self._read, self._likeliest = maybe(self._read), maybe(self._likeliest)
        self._best_few = maybe(self._best_few)

    def _read(self, source: Any) -> Any:
        memory, mask, summary, *vectors = self.encoder(source, training=False)
        prepared = self.decoder.prepare(memory, mask, summary, *vectors)
        return prepared, self.decoder.start(summary, memory=memory)

    def _likeliest(self, last: Any, state: Any, prepared: Any) -> Any:
        """Return each hypothesis's next token, int32[B, 1], and the state."""
        out = self.decoder.step(last, state, prepared)
        return tf.argmax(out.logits + self.bans, axis=-1, output_type=tf.int32), out.state

    def _best_few(self, last: Any, parents: Any, state: Any, prepared: Any) -> Any:
        """Return log-probabilities and tokens, [B, K, K + 1], and the state."""
        out = self.decoder.step(last, reorder(state, parents), prepared)
        values = tf.nn.log_softmax(out.logits) + self.bans
        return *tf.math.top_k(values, self.config.beam + 1), out.state

    def greedy(self, texts: list[str]) -> list[str]:
        """Take the likeliest token at every step."""
        return self.translate(texts, self._greedy)

    def beam(self, texts: list[str]) -> list[str]:
        """Follow the likeliest hypotheses; the loop and its bookkeeping are Python's."""
        return self.translate(texts, self._beam)

    def _greedy(self, source: Any, limits: np.ndarray) -> list[list[int]]:
        prepared, state = self._read(source)
        last, rows = tf.fill([len(limits), 1], BOS), _Written(limits)
        while not rows.done.all():
            last, state = self._likeliest(last, state, prepared)
            rows.add(last.numpy()[:, 0])
        return rows.tokens

    def _beam(self, source: Any, limits: np.ndarray) -> list[list[int]]:
        width = self.config.beam
        prepared, state = self._read(source)
        state = widen(state, width)
        rows = [_Row(int(limit), width, self.config.length_penalty) for limit in limits]
        last = np.full((len(rows), width), BOS, np.int32)
        parents = np.tile(np.arange(width, dtype=np.int32), (len(rows), 1))
        while not all(row.done for row in rows):
            values, tokens, state = self._best_few(
                tf.constant(last), tf.constant(parents), state, prepared
            )
            values, tokens = values.numpy(), tokens.numpy()
            for number, row in enumerate(rows):
                if not row.done:
                    last[number], parents[number] = row.advance(values[number], tokens[number])
        return [row.answer() for row in rows]


@dataclass
class _Row:
    """The beam search of one sentence."""

    limit: int
    width: int
    penalty: float
    living: list[list[int]] = field(init=False)
    sums: np.ndarray = field(init=False)
    best: tuple[float, list[int]] = (-np.inf, [])
    number: int = 0
    done: bool = False

    def __post_init__(self) -> None:
        self.living = [[] for _ in range(self.width)]
        self.sums = np.array([0.0] + [-np.inf] * (self.width - 1), np.float32)

    def advance(self, values: np.ndarray, tokens: np.ndarray) -> tuple[list[int], list[int]]:
        """Take a step of given continuations [K, C]; return the last tokens and the parents."""
        sums = (self.sums[:, None] + values).ravel()
        self.number += 1
        kept: list[tuple[float, int, int]] = []
        for rank, place in enumerate(np.argsort(-sums, kind="stable")[: 2 * self.width]):
            parent, token = place // values.shape[1], int(tokens.flat[place])
            if token != EOS:
                kept.append((sums[place], int(parent), token))
            elif rank < self.width and self._score(sums[place], self.number) > self.best[0]:
                score = self._score(sums[place], self.number)
                self.best = (score, [*self.living[parent], EOS])
        kept = kept[: self.width]
        self.sums = np.array([total for total, _, _ in kept], np.float32)
        self.living = [[*self.living[parent], token] for _, parent, token in kept]
        ends = (self.number + 1, self.limit)
        reachable = max(self._score(self.sums[0], end) for end in ends)
        self.done = self.number >= self.limit or self.best[0] >= reachable
        return [token for _, _, token in kept], [parent for _, parent, _ in kept]

    def answer(self) -> list[int]:
        """Return the best that finished, or else the likeliest that is alive."""
        return self.best[1] or self.living[0]

    def _score(self, total: float, length: int) -> float:
        return float(total) / ((5 + length) / 6) ** self.penalty

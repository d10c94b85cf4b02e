"""Attention of many queries to one memory: a decoder's steps or hypotheses to an encoder's states.

Backend-neutral: `keras.layers` and `keras.ops` only.
"""

from __future__ import annotations

from typing import Any, Literal

import keras
from keras import ops

from pipelines.errors import ConfigError
from pipelines.layers.attention_history import AttentionHistory, History, masked_softmax
from pipelines.layers.dense_layers import by_rows

AttentionKind = Literal["dot", "additive"]
KINDS = ("dot", "additive")
QUERY_BLOCK = 8  # queries scored at once by additive attention


@keras.saving.register_keras_serializable(package="pipelines")
class Attention(keras.layers.Layer):
    """Weighs memory by its relevance to each query.

        keys = attention.prepare(memory)                       once for all queries
        context, weights = attention(queries, keys, memory, mask)

    For use within another layer's `call`. With q = W_q query and k = W_k memory, the score is

    - "dot": q · k / sqrt(U). A bilinear form of rank U (Luong et al., 2015, "general"), scaled
      (Vaswani et al., 2017). Costs [B, N, S].
    - "additive": v · tanh(q + k + b) (Bahdanau et al., 2015, A.1.2). It computes B N S U
      hyperbolic tangents. More than 8 queries are scored 8 at a time, and again on the way back, so
      that no more than [B, 8, S, U] is ever held.

    Args:
        kind: "dot" or "additive".
        units: U, the width of projected queries and keys.
        dropout: share of weights dropped in training.
        history: correct the scores by what earlier steps looked at (see `AttentionHistory`); the
            queries of a call are then the steps of a text, the first of them its first.
        seed: of weights and dropout.
    """

    def __init__(
        self,
        kind: AttentionKind = "dot",
        *,
        units: int,
        dropout: float = 0.0,
        history: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if kind not in KINDS:
            raise ConfigError(
                f"attention layer {self.name!r}: got kind {kind!r}, expected one of "
                f"{', '.join(KINDS)}; leave attention out of the decoder by attention='none'"
            )
        self.settings: dict[str, Any] = {
            "kind": kind, "units": units, "dropout": dropout, "history": history, "seed": seed,
        }  # fmt: skip
        self._history = AttentionHistory(dtype="float32", name="history") if history else None
        self._query = self._dense("query", 0, use_bias=kind == "additive")
        self._key = self._dense("key", 1, use_bias=False)
        self._dropout = keras.layers.Dropout(dropout, seed=seed)

    def _dense(self, name: str, number: int, *, use_bias: bool) -> keras.layers.Dense:
        initial = keras.initializers.GlorotUniform(self._seed(number))
        return keras.layers.Dense(
            self.settings["units"],
            use_bias=use_bias,
            kernel_initializer=initial,
            dtype=self.dtype_policy,
            name=name,
        )

    def _seed(self, number: int) -> int | None:
        seed = self.settings["seed"]
        return None if seed is None else seed * 1000 + number

    def build(
        self,
        queries_shape: tuple[Any, ...],
        keys_shape: Any = None,
        memory_shape: Any = None,
        mask_shape: Any = None,
        noise_shape: Any = None,
    ) -> None:
        """Create the weights for queries [B, N, Q] and memory [B, S, D]."""
        del keys_shape, mask_shape, noise_shape
        self._query.build(queries_shape)
        if not self._key.built:
            self._key.build(memory_shape)
        if self.settings["kind"] == "additive":
            initial = keras.initializers.GlorotUniform(self._seed(2))
            self._scorer = self.add_weight((self.settings["units"], 1), initial, name="scorer")
        if self._history is not None:
            self._history.build()
        self.built = True

    def prepare(self, memory: Any) -> Any:
        """Return the keys, float[B, S, U], of memory float[B, S, D]."""
        return self._key(memory)

    def call(
        self,
        queries: Any,
        keys: Any,
        memory: Any,
        mask: Any = None,
        *,
        noise: Any = None,
        training: bool = False,
    ) -> tuple[Any, Any]:
        """Return the context of every query, float[B, N, D], and its weights, float32[B, N, S].

        Weights sum to 1 and are exactly 0 on padding; on a row that is all padding they are all 0.
        What is returned is free of dropout.

        Args:
            queries: float[B, N, Q].
            keys: what `prepare` returned for the memory.
            memory: float[B, S, D]; padding may hold any finite number.
            mask: bool[B, S], True on what is real; None is all of it.
            noise: drawn by `draw_noise`, for calls within a loop; None draws it here in training.
            training: whether dropout acts.
        """
        scores = ops.cast(self._scores(by_rows(self._query, queries), keys), "float32")
        if self._history is None:
            weights = masked_softmax(scores, mask)
        else:
            weights = self._history(scores, mask)
        noisy = weights * noise if noise is not None else self._dropout(weights, training=training)
        return ops.matmul(ops.cast(noisy, memory.dtype), memory), weights

    def start(self, memory: Any) -> History:
        """Return what was looked at before the first step: nothing; for `step`."""
        if self._history is None:
            return {}
        rows, width, _ = ops.shape(memory)
        return self._history.start(rows, width)

    def step(
        self, queries: Any, keys: Any, memory: Any, mask: Any, history: History
    ) -> tuple[Any, Any, History]:
        """Return what `call` does for the next step of K hypotheses, and the history after it.

        Args:
            queries: float[B, K, Q].
            keys: what `prepare` returned for the memory.
            memory: float[B, S, D].
            mask: bool[B, S] or None.
            history: what `start` or the step before returned, of leaves [B, K, ...].
        """
        if self._history is None:
            return *self(queries, keys, memory, mask), history
        scores = ops.cast(self._scores(by_rows(self._query, queries), keys), "float32")
        weights, after = self._history.step(scores, mask, history)
        return ops.matmul(ops.cast(weights, memory.dtype), memory), weights, after

    def draw_noise(self, rows: Any, queries: Any, width: Any) -> Any:
        """Return factors of the weights of a training step, float32[B, N, S]; None for no dropout.

        Random numbers must not be drawn within a loop: JAX could not carry the generator out of it.
        """
        if not self.settings["dropout"]:
            return None
        return self._dropout(ops.ones((rows, queries, width), "float32"), training=True)

    def _scores(self, queries: Any, keys: Any) -> Any:
        """Return scores [B, N, S] of projected queries [B, N, U]."""
        if self.settings["kind"] == "dot":
            scale = self.settings["units"] ** -0.5
            return ops.matmul(queries * scale, ops.transpose(keys, (0, 2, 1)))
        scorer = ops.cast(self._scorer, keys.dtype)
        count = queries.shape[1]
        if count is not None and count <= QUERY_BLOCK:
            return _additive_scores(queries, keys, scorer)
        return _scores_in_blocks(queries, keys, scorer)

    def compute_output_spec(
        self, queries: Any, keys: Any, memory: Any, *_: Any, **__: Any
    ) -> tuple[Any, Any]:
        """Return [B, N, D] and [B, N, S]."""
        shape = tuple(queries.shape[:2])
        context = keras.KerasTensor((*shape, memory.shape[-1]), dtype=self.compute_dtype)
        return context, keras.KerasTensor((*shape, keys.shape[1]), dtype="float32")

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return super().get_config() | self.settings


def _additive_scores(queries: Any, keys: Any, scorer: Any) -> Any:
    sums = ops.tanh(queries[:, :, None] + keys[:, None])
    return ops.squeeze(ops.matmul(sums, scorer), -1)


def _scores_in_blocks(queries: Any, keys: Any, scorer: Any) -> Any:
    """Return `_additive_scores` without holding more than a block of queries needs."""
    rows, count, _ = ops.shape(queries)
    units, width = queries.shape[-1], ops.shape(keys)[1]
    blocks = (count + QUERY_BLOCK - 1) // QUERY_BLOCK
    rest = ops.zeros((rows, blocks * QUERY_BLOCK - count, units), queries.dtype)
    shape = (rows, blocks, QUERY_BLOCK, units)
    cut = ops.reshape(ops.concatenate([queries, rest], axis=1), shape)
    score = keras.remat(_additive_scores)
    scores = ops.map(lambda part: score(part, keys, scorer), ops.transpose(cut, (1, 0, 2, 3)))
    joined = ops.reshape(ops.transpose(scores, (1, 0, 2, 3)), (rows, -1, width))
    return joined[:, :count]

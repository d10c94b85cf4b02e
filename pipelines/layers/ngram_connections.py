"""Direct connections from the last few tokens to the scores of the next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from pipelines.errors import require
from pipelines.lazy_tables import read_rows
from pipelines.row_updates import updated_by_rows

LARGEST = 2**31 - 1
MOST_BUCKETS = 2**20


@keras.saving.register_keras_serializable(package="pipelines")
class NgramConnections(keras.layers.Layer):
    """Scores of the next token by the n-grams that end here, to be added to a network's.

    Maximum-entropy features trained together with a recurrent network (Mikolov et al., 2011,
    RNNME): every n-gram has a row of V scores, found by a hash, so that a short training learns at
    once what a count of n-grams knows and the network learns the rest. Where all n-grams of an
    order fit into the buckets each has its own row; otherwise some share one. Rows start at 0.

    Maps tokens int32[B, T] and the N - 1 tokens before them, int32[B, N - 1], to float32[B, T, V];
    N is the highest order.

    Args:
        orders: numbers of tokens looked at, such as (2, 3, 4, 5, 6).
        buckets: most rows of an order.
        vocabulary_size: V.

    Raises:
        ConfigError: an order is below 1, or there are too many buckets for hashing in int32.
    """

    def __init__(
        self, orders: Sequence[int], buckets: int, vocabulary_size: int, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs | {"dtype": "float32"})
        self.orders, self.buckets = [int(order) for order in orders], int(buckets)
        self.vocabulary_size = int(vocabulary_size)
        require(bool(self.orders) and min(self.orders) >= 1, "orders", orders, "1 or more each")
        require(2 <= self.buckets <= MOST_BUCKETS, "buckets", buckets, f"2 to {MOST_BUCKETS:,}")

    @property
    def memory(self) -> int:
        """N - 1, how many tokens before the first have to be known."""
        return max(self.orders) - 1

    def rows(self, order: int) -> int:
        """Return how many rows an order has."""
        size = self.vocabulary_size**order
        return size if size <= self.buckets else _prime_up_to(self.buckets)

    def build(self, tokens_shape: Any = None, before_shape: Any = None) -> None:
        """Create a table float32[rows, V] for each order."""
        del tokens_shape, before_shape
        self.tables = [
            updated_by_rows(
                self.add_weight(
                    (self.rows(order), self.vocabulary_size), "zeros", name=f"order_{order}"
                )
            )
            for order in self.orders
        ]
        self.built = True

    def call(self, tokens: Any, before: Any) -> Any:
        """Return the scores of the token after each, float32[B, T, V]."""
        hashes = zip(self.tables, self.hashes(tokens, before), strict=True)
        return sum(read_rows(table, ids, training=False) for table, ids in hashes)

    def step(self, tokens: Any, before: Any) -> tuple[Any, Any]:
        """Read one token a row, int32[B]: scores float32[B, V], and the tokens before the next."""
        now = tokens[:, None]
        return self(now, before)[:, 0], self.remember(now, before)

    def start(self, rows: Any) -> Any:
        """Return the tokens before a text, int32[B, N - 1]: padding."""
        return ops.zeros((rows, self.memory), dtype="int32")

    def remember(self, tokens: Any, before: Any) -> Any:
        """Return the last N - 1 tokens of what was read, int32[B, N - 1]."""
        joined = ops.concatenate([before, ops.cast(tokens, before.dtype)], axis=1)
        return joined[:, ops.shape(tokens)[1] :]

    def hashes(self, tokens: Any, before: Any) -> list[Any]:
        """Return the row of the n-gram that ends at each token, int32[B, T] for each order.

        A polynomial in a fixed number modulo the number of rows, a prime where it hashes. No
        product passes 2^31, so every backend finds the same.
        """
        joined = ops.concatenate([before, ops.cast(tokens, before.dtype)], axis=1)
        steps, found = ops.shape(tokens)[1], []
        for order in self.orders:
            size = self.rows(order)
            factor = (LARGEST - self.vocabulary_size) // size
            if size == self.vocabulary_size**order:
                factor = self.vocabulary_size
            first = self.memory + 1 - order
            value = ops.zeros_like(tokens)
            for place in range(first, first + order):
                value = (value * factor + joined[:, place : place + steps]) % size
            found.append(value)
        return found

    def compute_output_shape(self, tokens_shape: tuple[int | None, ...], *_: Any) -> Any:
        """Return [B, T, V]."""
        return (*tokens_shape, self.vocabulary_size)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return super().get_config() | {
            "orders": self.orders,
            "buckets": self.buckets,
            "vocabulary_size": self.vocabulary_size,
        }


def _prime_up_to(limit: int) -> int:
    """Return the largest prime not above `limit`, which is 2 or more."""
    return next(
        number
        for number in range(limit, 1, -1)
        if all(number % divisor for divisor in range(2, int(number**0.5) + 1))
    )

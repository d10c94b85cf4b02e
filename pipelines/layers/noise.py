"""Noise on token ids during training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="pipelines")
class WordDropout(keras.layers.Layer):
    """Replace tokens by the unknown token during training (Dai & Le, 2015, sec. 3).

    The network learns to do without any one word, and what to make of unknown ones. Maps
    int32[B, T] to int32[B, T]; padding (0) stays, and nothing changes at inference.

    Args:
        rate: share of all tokens replaced.
        rare: a in a / (a + count), the share of a rare word's occurrences replaced besides
            (Kiperwasser & Goldberg, 2016, sec. 4.2): what is rare in training stands for what is
            unknown later. 0 for none.
        first_of_count: first_of_count[c - 1] is the id from which on words occur c times or less in
            training, for c = 1, 2 ...; ids are ordered by falling count. Words that occur more
            often than it tells are not rare.
        unknown: the id of the unknown token.
        seed: of the noise.
    """

    def __init__(
        self,
        rate: float,
        *,
        rare: float = 0.0,
        first_of_count: Sequence[int] = (),
        unknown: int = 1,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.rate, self.unknown, self.seed = rate, unknown, seed
        self.rare, self.first_of_count = rare, [int(first) for first in first_of_count]
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.built = True

    def call(self, ids: Any, training: bool = False) -> Any:
        """Return ids with a share of the real ones replaced when training."""
        if not training or (self.rate == 0 and self.rare == 0):
            return ids
        noise = keras.random.uniform(ops.shape(ids), seed=self.seed_generator)
        hit = ops.logical_and(noise < self.rates(ids), ids != 0)
        return ops.where(hit, ops.cast(self.unknown, ids.dtype), ids)

    def rates(self, ids: Any) -> Any:
        """Return the probability of replacing each of ids int32[B, T]: float32[B, T]."""
        kept = 1.0 - self.rate
        rare = ops.zeros_like(ids, dtype="float32")
        for count, first in reversed(list(enumerate(self.first_of_count, start=1))):
            rare = ops.where(ids >= first, self.rare / (self.rare + count), rare)
        return 1.0 - kept * (1.0 - rare)

    def compute_output_spec(self, ids: Any, training: bool = False) -> Any:
        """Return the shape and type of the input."""
        del training
        return keras.KerasTensor(ids.shape, dtype=ids.dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return super().get_config() | {
            "rate": self.rate,
            "rare": self.rare,
            "first_of_count": self.first_of_count,
            "unknown": self.unknown,
            "seed": self.seed,
        }


def drop_types(vectors: Any, tokens: Any, rate: float, seed: keras.random.SeedGenerator) -> Any:
    """Set the vectors of some token types of each row to 0, the others divided by 1 - rate.

    Args:
        vectors: float[B, T, D].
        tokens: int32[B, T]; equal tokens of a row share their fate.
        rate: share of types dropped.
        seed: of the noise.
    """
    noise = keras.random.uniform(ops.shape(tokens), seed=seed)
    # The noise where a token first stands counts: no draw for each of a large vocabulary.
    same = ops.equal(tokens[:, :, None], tokens[:, None, :])
    first = ops.argmax(ops.cast(same, "int32"), axis=-1)
    kept = ops.take_along_axis(noise, first, axis=1) >= rate
    return vectors * ops.cast(kept[..., None], vectors.dtype) / (1.0 - rate)

"""What followed in this very text where it last read as it does now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from pipelines.errors import require

LEVELS = (2, 3, 4, 6)


class Matches(NamedTuple):
    """What a text's past says of the next token.

    Attributes:
        probability: of each token, by the votes of earlier places; 0 without any. float[B, T, V].
        counts: log(1 + places) that match at each level, float[B, T, N].
    """

    probability: Any
    counts: Any


@keras.saving.register_keras_serializable(package="pipelines")
class MatchMemory(keras.layers.Layer):
    """Lets earlier places of a text vote for the next token where the tokens before them match.

    A place whose last n tokens are the last n that were read, for the largest n of `levels`, votes
    with weight `base` to the power of that level's rank. This is what a compressor by partial
    matching does (Cleary & Witten, 1984), in the form of a pointer into the past (Merity et al.,
    2017, "Pointer sentinel mixture models"), with matches in the place of learned keys. Nothing is
    learned here; how far to believe it is the business of whoever asks.

    The state is the last tokens, int32[B, S]: `span` places and what it takes to match the first.

    Args:
        span: H, places remembered.
        vocabulary_size: V.
        levels: lengths of matches, rising.
        base: how many times a vote counts that matches to the next level.
    """

    def __init__(
        self,
        span: int,
        vocabulary_size: int,
        *,
        levels: Sequence[int] = LEVELS,
        base: float = 8.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs | {"trainable": False})
        self.span, self.vocabulary_size = int(span), int(vocabulary_size)
        self.levels, self.base = tuple(int(level) for level in levels), float(base)
        require(self.span >= 1, "span", span, "at least 1")
        rising = list(self.levels) == sorted({level for level in self.levels if level >= 1})
        require(rising and bool(self.levels), "levels", levels, "rising numbers from 1 on")
        self.built = True

    @property
    def memory(self) -> int:
        """S, tokens of a state."""
        return self.span + self.levels[-1]

    def start(self, rows: Any) -> Any:
        """Return the state before a text: padding, int32[B, S]."""
        return ops.zeros((rows, self.memory), dtype="int32")

    def remember(self, tokens: Any, before: Any) -> Any:
        """Return the state after `tokens`, int32[B, T]."""
        joined = ops.concatenate([before, ops.cast(tokens, before.dtype)], axis=1)
        return joined[:, ops.shape(tokens)[1] :]

    def call(self, tokens: Any, before: Any) -> Matches:
        """Return what the past says after each of tokens, int32[B, T].

        Args:
            tokens: read now, int32[B, T]; 0 is padding.
            before: the state.
        """
        joined = ops.concatenate([before, ops.cast(tokens, "int32")], axis=1)
        steps, first = ops.shape(tokens)[1], self.levels[-1]
        # Place i of the past is followed by token `first` + 1 + i of `joined`.
        same, counts, weight = self._allowed(steps), [], 1.0
        votes: Any = 0.0
        for rank, keys in enumerate(self._keys(joined)):
            for key in keys:
                equal = ops.equal(key[:, None, first:-1], key[:, -steps:, None])
                same = same * ops.cast(equal, self.compute_dtype)
            counts.append(ops.log1p(ops.sum(same, axis=-1)))
            # Who matches at a level matches at those below, whose weight is counted already.
            votes = votes + same * (weight - (weight / self.base if rank else 0.0))
            weight *= self.base
        followed = ops.one_hot(joined[:, first + 1 :], self.vocabulary_size, dtype=votes.dtype)
        found = ops.matmul(votes, followed)
        return Matches(_shares(found), ops.stack(counts, axis=-1))

    def step(self, tokens: Any, before: Any) -> Matches:
        """Return what the past says after one token a row, int32[B]: [B, V] and [B, N].

        Few places match even at the lowest level: they are found by comparing tokens one by one,
        and all else is done for them alone. Not for XLA, as their number is only known at run time.
        """
        rows, first = ops.shape(before)[0], self.levels[-1]
        joined = ops.concatenate([before, ops.cast(tokens, before.dtype)[:, None]], axis=1)
        now = joined[:, : -first - 1 : -1]
        now = ops.where(now == 0, -1, now)  # padding matches nothing
        same: Any = True
        for back in range(self.levels[0]):
            start = first - back
            equal = joined[:, start : start + self.span] == now[:, back, None]
            same = ops.logical_and(same, equal)
        row, place = ops.nonzero(same)
        # Of every such place: the token that followed, and those up to it, the last one first.
        starts = (row * (self.memory + 1) + place)[:, None]
        around = ops.take(ops.reshape(joined, (-1,)), starts + ops.arange(first + 1, 0, -1))
        equal = ops.cast(around[:, 1:] == ops.take(now, row, axis=0), "int32")
        length = ops.sum(ops.cumprod(equal, axis=1), axis=1)[:, None]
        matching = ops.cast(length >= np.array(self.levels, "int32"), self.compute_dtype)
        weights = [self.base**rank for rank in range(len(self.levels))]
        gained = np.diff(weights, prepend=0.0).astype(self.compute_dtype)
        bins = row * self.vocabulary_size + around[:, 0]
        votes = ops.segment_sum(
            ops.sum(matching * gained, axis=1), bins, rows * self.vocabulary_size
        )
        found = ops.reshape(votes, (-1, self.vocabulary_size))
        counts = ops.log1p(ops.segment_sum(matching, row, rows))
        return Matches(_shares(found), counts)

    def _allowed(self, steps: Any) -> Any:
        """Return which places each step may ask, float[T, H + T - 1]: the `span` before it."""
        places = ops.arange(self.span + steps - 1)[None]
        now = ops.arange(steps)[:, None] + self.span
        inside = ops.logical_and(places < now, places >= now - self.span)
        return ops.cast(inside, self.compute_dtype)

    def _keys(self, joined: Any) -> list[list[Any]]:
        """Return what must be equal for a match of each level that the level below lacks.

        Numbers into which tokens are packed, int32[B, N], so that nothing matches by chance. Where
        padding is among them it is one that no other place shares.
        """
        bits = (self.vocabulary_size - 1).bit_length() or 1
        room, below, keys = max(1, 31 // bits), 0, []
        for level in self.levels:
            starts = range(below, level, room)
            groups = [range(start, min(start + room, level)) for start in starts]
            keys.append([self._packed(joined, group, 2**bits) for group in groups])
            below = level
        return keys

    @staticmethod
    def _packed(joined: Any, backs: range, size: int) -> Any:
        """Pack the tokens so far back into one number a place."""
        length = ops.shape(joined)[1]
        value, real = ops.zeros_like(joined), ops.ones_like(joined, dtype="bool")
        for back in backs:
            token = ops.pad(joined, ((0, 0), (back, 0)))[:, :length]
            value = value * size + token
            real = ops.logical_and(real, token != 0)
        return ops.where(real, value, -1 - ops.arange(length, dtype="int32"))

    def compute_output_spec(self, tokens: Any, *_: Any, **__: Any) -> Matches:
        """Return [B, T, V] and [B, T, N]."""
        shapes = ((*tokens.shape, self.vocabulary_size), (*tokens.shape, len(self.levels)))
        return Matches(*(keras.KerasTensor(shape, dtype=self.compute_dtype) for shape in shapes))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return super().get_config() | {
            "span": self.span,
            "vocabulary_size": self.vocabulary_size,
            "levels": list(self.levels),
            "base": self.base,
        }


def _shares(votes: Any) -> Any:
    """Return votes [..., V] over their sum; 0 without any."""
    return votes / ops.maximum(ops.sum(votes, axis=-1, keepdims=True), 1e-9)

"""Remembered images and their captions, which have a say in what is written about a new image."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from pipelines.layers.decoding.consensus import likeness

_LEAST = 1e-6  # of distances: an image that is remembered itself is at distance 0


class Likenesses(NamedTuple):
    """How alike K hypotheses are to all that have a say.

    Attributes:
        own: to each other, float32[B, K, K].
        neighbours: to captions of J like images, float32[B, K, J].
        distances: of those images, squared, the nearest first, float32[B, J].
    """

    own: Any
    neighbours: Any
    distances: Any


@keras.saving.register_keras_serializable(package="pipelines")
class CaptionBank(keras.layers.Layer):
    """Ranks hypotheses by how well they agree with each other and with captions of like images.

    Captions of the nearest training images are a strong captioner by themselves (Devlin et al.,
    2015, "Exploring nearest neighbor approaches for image captioning"). Here they vote beside the
    decoder's hypotheses, in minimum Bayes risk decoding (see `decoding.consensus`). With d_j the
    distance of the image from neighbour j, the nearest first, and s_k the score of hypothesis k:

        neighbour j weighs exp(-(d_j^2 / d_1^2 - 1) / sharpness), hypothesis k exp(s_k /
        temperature); the neighbours have `share` of the say, the hypotheses the rest.

    As a layer it passes the encoder's map on and holds what is remembered as weights, so that it is
    saved and exported with the model. `fill` and `set_vote` set them once training has ended; until
    then the hypotheses' own order stays.

    Args:
        entries: N, captions remembered.
        longest: T, most tokens of one.
        vocabulary_size: V.
        neighbours: how many have a say; at most N.
    """

    def __init__(
        self, entries: int, *, longest: int, vocabulary_size: int, neighbours: int, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.settings: dict[str, Any] = {
            "entries": entries, "longest": longest, "vocabulary_size": vocabulary_size,
            "neighbours": min(neighbours, entries),
        }  # fmt: skip

    def build(self, memory_shape: tuple[Any, ...]) -> None:
        """Create the weights, none of them trained."""
        entries, longest = self.settings["entries"], self.settings["longest"]

        def kept(name: str, shape: tuple[int, ...], dtype: str = "float32") -> Any:
            return self.add_weight(
                shape, "zeros", trainable=False, name=name, dtype=dtype, autocast=False
            )

        self.features = kept("features", (entries, memory_shape[-1]))
        self.captions = kept("captions", (entries, longest), "int32")
        self.rarity = kept("rarity", (self.settings["vocabulary_size"],))
        self.vote = kept("vote", (3,))
        self.built = True

    def call(self, memory: Any) -> Any:
        """Return the map as it is."""
        return memory

    def fill(self, features: np.ndarray, captions: np.ndarray) -> None:
        """Remember images and captions.

        Args:
            features: what the encoder sees in each caption's image, float32[N, C].
            captions: its tokens, int32[N, T], padded with 0.
        """
        self.features.assign(features)
        self.captions.assign(captions)
        size = self.settings["vocabulary_size"]
        holds = np.zeros(size)
        np.add.at(holds, np.concatenate([np.unique(row) for row in captions]), 1)
        self.rarity.assign(np.log(len(captions) / np.maximum(holds, 1)))

    def set_vote(self, share: float, sharpness: float, temperature: float) -> None:
        """Set who has how much say; a temperature of 0 keeps the hypotheses' own order."""
        self.vote.assign(np.array([share, sharpness, temperature], np.float32))

    def neighbours(self, summary: Any) -> tuple[Any, Any]:
        """Return the captions nearest to images float[B, C], and how far each is.

        They are int32[B, K, T], the nearest first, and squared distances float32[B, K].
        """
        known = ops.convert_to_tensor(self.features)
        summary = ops.cast(summary, "float32")
        squares = ops.sum(ops.square(known), axis=-1)[None]
        own = ops.sum(ops.square(summary), axis=-1, keepdims=True)
        distances = own + squares - 2 * ops.matmul(summary, ops.transpose(known))
        nearest, places = ops.top_k(-distances, self.settings["neighbours"])
        captions = ops.take(ops.convert_to_tensor(self.captions), places, axis=0)
        return captions, ops.maximum(-nearest, 0.0)

    def rank(self, summary: Any, hypotheses: Any, scores: Any) -> Any:
        """Return how much speaks for each hypothesis, float32[B, K]; -infinity for absent ones.

        Args:
            summary: of the images, float[B, C].
            hypotheses: tokens, int32[B, K, T], padded with 0.
            scores: of a search, float32[B, K]; -infinity where there is no hypothesis.
        """
        return self.weighed(self.likenesses(summary, hypotheses), scores)

    def likenesses(self, summary: Any, hypotheses: Any) -> Likenesses:
        """Return what `rank` weighs: how alike hypotheses are to each other and to neighbours."""
        captions, distances = self.neighbours(summary)
        rarity = ops.convert_to_tensor(self.rarity)
        own = likeness(hypotheses, hypotheses, rarity)
        return Likenesses(own, likeness(hypotheses, captions, rarity), distances)

    def weighed(self, alike: Likenesses, scores: Any) -> Any:
        """Return what speaks for each hypothesis, float32[B, K], by the vote that is set."""
        share, sharpness, temperature = (ops.convert_to_tensor(self.vote)[at] for at in range(3))
        nearest = alike.distances[:, :1] + _LEAST
        near = ops.exp(-(alike.distances / nearest - 1.0) / ops.maximum(sharpness, _LEAST))
        near /= ops.sum(near, axis=-1, keepdims=True)
        own = ops.softmax(scores / ops.maximum(temperature, _LEAST), axis=-1)
        agreed = (1 - share) * _mean(alike.own, own) + share * _mean(alike.neighbours, near)
        found = ops.where(temperature > 0, agreed, scores)
        return ops.where(scores > -np.inf, found, -np.inf)

    def compute_output_shape(self, memory_shape: Any) -> Any:
        """Return [B, P, C]."""
        return memory_shape

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return super().get_config() | self.settings


def _mean(alike: Any, weights: Any) -> Any:
    """Return weighted means over the last axis, [B, K], of [B, K, M] and weights [B, M]."""
    return ops.squeeze(ops.matmul(alike, weights[..., None]), -1)

"""Documents read in two levels: words to sentences, sentences to a vector (Yang et al., 2016).

Backend-neutral: `keras.layers` and `keras.ops` only. Sentences are cut in the graph, so that an
exported model takes a text and no sentences.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import keras
from keras import ops

PACKAGE = "pipelines"


class Sentences(NamedTuple):
    """Where the tokens of sentences stand in their document.

    Attributes:
        places: step of each token in the document, int32[B, S, L]; any step where there is none.
        real: which of them are tokens, bool[B, S, L].
    """

    places: Any
    real: Any


def cut_sentences(ends: Any, mask: Any, *, most: int, longest: int) -> Sentences:
    """Cut documents after every token, or run of tokens, that ends a sentence.

    Args:
        ends: which tokens end a sentence, bool[B, T].
        mask: bool[B, T], True on real tokens, which stand first.
        most: sentences kept of a document; the tokens of later ones are left out.
        longest: tokens after which a sentence is cut, and the rest taken as a further one.

    Returns:
        S is the number of sentences of the document that has most of them, L the number of tokens
        of the longest; under JAX, whose shapes are fixed, the largest they can be for T steps.
    """
    steps = ops.cumsum(ops.ones_like(mask, dtype="int32"), axis=1) - 1
    after_end = ops.logical_and(ends[:, :-1], ops.logical_not(ends[:, 1:]))
    starts = ops.concatenate([ops.ones_like(mask[:, :1]), after_end], axis=1)
    begin = ops.take_along_axis(
        _places_of(starts, steps), ops.cumsum(ops.cast(starts, "int32"), axis=1) - 1, axis=1
    )
    starts = ops.logical_and(mask, (steps - begin) % longest == 0)
    total = ops.sum(ops.cast(mask, "int32"), axis=1, keepdims=True)
    firsts = ops.concatenate([_places_of(starts, steps), total], axis=1)
    firsts = ops.minimum(firsts, total)
    lengths = firsts[:, 1:] - firsts[:, :-1]  # 0 of what is no sentence
    sentences, tokens = _sizes(lengths[:, :most], mask, most, longest)
    within = ops.arange(tokens, dtype="int32")
    places = firsts[:, :sentences, None] + within
    real = within < lengths[:, :sentences, None]
    return Sentences(ops.where(real, places, 0), real)


def _places_of(chosen: Any, steps: Any) -> Any:
    """Return the steps chosen, in order, and then numbers beyond all steps, int32[B, T]."""
    return ops.sort(ops.where(chosen, steps, 2**30), axis=1)


def _sizes(lengths: Any, mask: Any, most: int, longest: int) -> tuple[Any, Any]:
    """Return S and L."""
    if keras.backend.backend() == "jax":
        return min(most, mask.shape[1]), min(longest, mask.shape[1])
    present = ops.cast(lengths > 0, "int32")
    return ops.max(ops.sum(present, axis=1)), ops.max(lengths)


@keras.saving.register_keras_serializable(package=PACKAGE)
class SentenceReader(keras.layers.Layer):
    """A document's vector from its sentences' vectors, and these from their tokens' (HAN).

    Maps vectors float[B, T, D], tokens int32[B, T] and a mask bool[B, T] to float[B, H]. No
    sentence's vector depends on another sentence; those of all are then read in order.

    Args:
        words: reads the tokens of one sentence: [N, L, D] and a mask to [N, L, W].
        word_pooling: makes a vector of them, [N, P].
        sentences: reads the sentences' vectors, [B, S, P] and a mask, to [B, S, V].
        sentence_pooling: makes a vector of them, [B, H].
        endings: ids of the tokens that end a sentence.
        most: sentences read of a document; see `cut_sentences`.
        longest: tokens after which a sentence is cut; likewise.
    """

    def __init__(
        self,
        words: keras.layers.Layer,
        word_pooling: keras.layers.Layer,
        sentences: keras.layers.Layer,
        sentence_pooling: keras.layers.Layer,
        *,
        endings: Sequence[int],
        most: int,
        longest: int,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.words, self.word_pooling = words, word_pooling
        self.sentences, self.sentence_pooling = sentences, sentence_pooling
        self.settings: dict[str, Any] = {
            "endings": [int(ending) for ending in endings], "most": most, "longest": longest,
        }  # fmt: skip
        self.supports_masking = True

    def build(self, vectors_shape: tuple[int | None, ...]) -> None:
        """Create the weights of both levels."""
        shape: tuple[int | None, ...] = (None, None, vectors_shape[-1])
        for read, pool in self._levels:
            for layer, given in ((read, shape), (pool, (None, None, read.width))):
                if not layer.built:  # those read from a file are
                    layer.build(given)
            shape = (None, *pool.compute_output_shape((None, None, read.width)))
        self.built = True

    @property
    def _levels(self) -> list[tuple[Any, Any]]:
        return [(self.words, self.word_pooling), (self.sentences, self.sentence_pooling)]

    def call(self, vectors: Any, tokens: Any, mask: Any, training: bool = False) -> Any:
        """Return the documents' vectors, float[B, H]."""
        cut = self.cut(tokens, mask)
        found = self.read_sentences(vectors, cut, training=training)
        present = ops.any(cut.real, axis=2)
        states = self.sentences(found, mask=present, training=training)
        return self.sentence_pooling(states, present)

    def compute_mask(self, *_: Any, **__: Any) -> None:
        """Return None: the time axis is gone."""

    def cut(self, tokens: Any, mask: Any) -> Sentences:
        """Cut documents of tokens int32[B, T] into sentences."""
        endings = ops.convert_to_tensor(self.settings["endings"], dtype="int32")
        ends = ops.any(tokens[..., None] == endings, axis=-1)
        sizes = {name: self.settings[name] for name in ("most", "longest")}
        return cut_sentences(ends, mask, **sizes)

    def read_sentences(self, vectors: Any, cut: Sentences, *, training: bool = False) -> Any:
        """Return the sentences' vectors, float[B, S, P]; 0 where there is none."""
        rows, sentences, steps = ops.shape(cut.places)
        flat = ops.reshape(cut.places, (rows, sentences * steps, 1))
        tokens = ops.take_along_axis(vectors, flat, axis=1)
        tokens = ops.reshape(tokens, (rows * sentences, steps, vectors.shape[-1]))
        # Where there is no sentence a token is read all the same: no mask may be empty.
        mask = ops.logical_or(cut.real, ops.arange(steps) == 0)
        mask = ops.reshape(mask, (rows * sentences, steps))
        states = self.words(tokens, mask=mask, training=training)
        pooled = self.word_pooling(states, mask)
        pooled = ops.reshape(pooled, (rows, sentences, pooled.shape[-1]))
        present = ops.any(cut.real, axis=2)[..., None]
        return ops.where(present, pooled, ops.zeros_like(pooled))

    def compute_output_shape(
        self, vectors_shape: tuple[int | None, ...], *_: Any, **__: Any
    ) -> tuple[int | None, ...]:
        """Return [B, H]."""
        width = self.sentence_pooling.compute_output_shape((None, None, self.sentences.width))[-1]
        return (vectors_shape[0], width)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, the layers as Keras writes them."""
        names = ("words", "word_pooling", "sentences", "sentence_pooling")
        parts = {name: keras.saving.serialize_keras_object(getattr(self, name)) for name in names}
        return super().get_config() | parts | self.settings

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Make the layer from what `get_config` returned."""
        made = {
            name: keras.saving.deserialize_keras_object(value)
            if isinstance(value, dict) and "class_name" in value and name != "dtype"
            else value
            for name, value in config.items()
        }
        return cls(**made)

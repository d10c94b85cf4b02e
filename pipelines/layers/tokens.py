"""Vectors of tokens from parts of them: their characters, or any features that are summed."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from pipelines.layers.pooling import SequencePooling
from pipelines.layers.recurrent import RecurrentStack
from pipelines.lazy_tables import read_by_rows, read_rows

PACKAGE = "pipelines"
FILTER_WIDTHS = (2, 3, 4, 5)


@keras.saving.register_keras_serializable(package=PACKAGE)
class SummedEmbedding(keras.layers.Layer):
    """The sum of the vectors of a token's features.

    Maps ids int32[B, T, F] to float32[B, T, D]; id 0 is no feature and adds nothing.

    Args:
        buckets: ids are below it.
        size: D.
        initializer: of the vectors.
    """

    def __init__(
        self, buckets: int, size: int, *, initializer: Any = "uniform", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.buckets, self.size = buckets, size
        self.initializer = keras.initializers.get(initializer)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the vectors, float32[buckets, D]."""
        del input_shape
        shape = (self.buckets, self.size)
        # Not cast as a whole in half precision, but the rows that are read.
        self.vectors = self.add_weight(
            shape, initializer=self.initializer, autocast=False, name="vectors"
        )
        read_by_rows(self.vectors)
        self.built = True

    def call(self, ids: Any, training: bool = False) -> Any:
        """Return the sums, float32[B, T, D]."""
        present = ops.cast(ids != 0, self.compute_dtype)
        vectors = ops.cast(read_rows(self.vectors, ids, training=training), self.compute_dtype)
        return ops.einsum("btf,btfd->btd", present, vectors)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[Any, ...]:
        """Return [B, T, D]."""
        return (*input_shape[:-1], self.size)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        initializer = keras.initializers.serialize(self.initializer)
        own = {"buckets": self.buckets, "size": self.size, "initializer": initializer}
        return super().get_config() | own


@keras.saving.register_keras_serializable(package=PACKAGE)
class SpellingEncoder(keras.layers.Layer):
    """A vector from the characters of each token.

    Maps ids int32[B, T, C], right-padded with 0, to float32[B, T, D]: "cnn" takes the largest
    response of filters 2 to 5 characters wide (D = 4 × units; Kim et al., 2016), a recurrent cell
    gives the final states of both directions (D = 2 × units; Lample et al., 2016).

    Args:
        kind: "cnn", or the cell of a `RecurrentStack`.
        characters: size of the vocabulary.
        size: dimensions of a character's vector.
        units: filters of each width, or units of each direction.
    """

    def __init__(self, kind: str, *, characters: int, size: int, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.settings: dict[str, Any] = {
            "kind": kind, "characters": characters, "size": size, "units": units
        }  # fmt: skip
        self.embedding = keras.layers.Embedding(characters, size)
        self.width = units * (len(FILTER_WIDTHS) if kind == "cnn" else 2)
        if kind != "cnn":
            # Short rows in large batches: cuDNN gains nothing, and the export must run anywhere.
            self.stack = RecurrentStack(cell=kind, units=units, use_cudnn=False)
            self.final = SequencePooling(("last",), backward=self.stack.backward)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights."""
        self.embedding.build(input_shape)
        size, units = self.settings["size"], self.settings["units"]
        if self.settings["kind"] != "cnn":
            self.stack.build((None, input_shape[-1], size))
        else:
            self.filters = [
                self.add_weight((width, size, units), name=f"filters_{width}")
                for width in FILTER_WIDTHS
            ]
            self.biases = [
                self.add_weight((1, units), initializer="zeros", name=f"bias_{width}")
                for width in FILTER_WIDTHS
            ]
        self.built = True

    def call(self, ids: Any) -> Any:
        """Return the vectors, float32[B, T, D]."""
        batch, steps, characters = ops.shape(ids)
        flat = ops.reshape(ids, (-1, characters))
        real = ops.cast(flat != 0, self.compute_dtype)[:, :, None]
        vectors = self.embedding(flat) * real
        if self.settings["kind"] == "cnn":
            result = self._convolved(vectors, real)
        else:
            # A padded token has no character; the mask must not be empty.
            mask = ops.logical_or(flat != 0, ops.arange(characters) == 0)
            result = self.final(self.stack(vectors, mask=mask), mask)
        return ops.reshape(result, (batch, steps, self.width))

    def _convolved(self, vectors: Any, real: Any) -> Any:
        """Return the largest response of each filter, [N, D], to vectors [N, C, size].

        As products, the bias a row of the matrix: the gradients of Keras' convolution depend, in
        their last bits, on where in memory a batch happens to lie, and a seed would fix no weights.
        """
        widest, size = max(FILTER_WIDTHS), self.settings["size"]
        length = vectors.shape[1]
        before = (widest - 1) // 2
        padded = ops.pad(vectors, ((0, 0), (before, widest - 1 - before), (0, 0)))
        shifted = [padded[:, start : start + length] for start in range(widest)]
        windows = ops.concatenate([*shifted, ops.ones_like(vectors[..., :1])], axis=-1)
        found = []
        for filters, bias in zip(self.filters, self.biases, strict=True):
            width = filters.shape[0]
            first = before - (width - 1) // 2
            seen = [windows[..., first * size : (first + width) * size], windows[..., -1:]]
            matrix = ops.concatenate([ops.reshape(filters, (width * size, -1)), bias], axis=0)
            response = ops.relu(ops.matmul(ops.concatenate(seen, axis=-1), matrix))
            # After the rectifier 0 is the least: at padding it can never be the largest response.
            found.append(ops.max(response * real, axis=1))
        return ops.concatenate(found, axis=-1)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[Any, ...]:
        """Return [B, T, D]."""
        return (*input_shape[:-1], self.width)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return super().get_config() | self.settings

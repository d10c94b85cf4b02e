"""From pixels to what a decoder attends to: a small residual network trained from scratch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from pipelines.errors import ConfigError

# Averages settle within an epoch of a few dozen batches; Keras' 0.99 would need several hundred.
MOMENTUM = 0.9


@keras.saving.register_keras_serializable(package="pipelines")
class ResidualEncoder(keras.layers.Layer):
    """Reads images with a residual network (He et al., 2016, sec. 3.3) and keeps its map.

    Maps images [B, S, S, 3], uint8 or float from 0 to 255, S known, to (memory float32[B, P, C],
    summary float32[B, C]), in the order in which `AttentionDecoder` takes them: the P places of the
    last map row by row, C = widths[-1] values each, and their mean. The first convolution and the
    first block of each stage but the first halve the side, so 96 pixels end as 6 × 6 places.

    White is 0 to the network, as is what convolutions see beyond the border of an image.

    Args:
        widths: channels of each stage.
        blocks: residual blocks of each stage; as many numbers as widths. With 0 the first stage is
            the stem alone: blocks at the full width of the first map cost the most.
        coordinates: tell the last stage where each place is, in two further channels (Liu et al.,
            2018): words such as "left of" need it, and convolutions do not know it.
        dropout: share of the channels of the map dropped in training (Tompson et al., 2015).
        seed: of weights and dropout; equal seeds, equal weights.
    """

    def __init__(
        self,
        widths: Sequence[int] = (32, 64, 128, 192),
        *,
        blocks: Sequence[int] = (1, 1, 1, 1),
        coordinates: bool = True,
        dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.widths, self.blocks = _stages(widths, blocks)
        self.coordinates, self.dropout, self.seed = coordinates, dropout, seed
        self.stem = _ConvolutionNorm(self.widths[0], strides=2, seed=seed, name="stem")
        self.stages = [
            _Block(width, halves=stage > 0 and block == 0, seed=seed, name=f"block_{stage}_{block}")
            for stage, (width, count) in enumerate(zip(self.widths, self.blocks, strict=True))
            for block in range(count)
        ]
        self._dropout = keras.layers.SpatialDropout1D(dropout, seed=seed)

    @property
    def width(self) -> int:
        """Return C, the width of memory and summary."""
        return self.widths[-1]

    def grid(self, images_shape: Sequence[int]) -> tuple[int, int]:
        """Return the rows and columns of the map of images of a shape [..., height, width, 3]."""
        height, width = images_shape[-3:-1]
        for _ in self.widths:
            height, width = -(-height // 2), -(-width // 2)
        return height, width

    def build(self, images_shape: tuple[Any, ...]) -> None:
        """Create the weights."""
        shape = tuple(images_shape)
        self.stem.build(shape)
        shape = self.stem.compute_output_shape(shape)
        for block in self.stages:
            shape = self._told(block, shape)
            block.build(shape)
            shape = block.compute_output_shape(shape)
        self.built = True

    def call(self, images: Any, training: bool = False) -> tuple[Any, Any]:
        """Return memory and summary."""
        ink = 1.0 - ops.cast(images, self.compute_dtype) / 255.0
        maps = ops.relu(self.stem(ink, training=training))
        for block in self.stages:
            maps = block(self._with_coordinates(block, maps), training=training)
        rows, columns = maps.shape[1:3]
        memory = ops.cast(ops.reshape(maps, (-1, rows * columns, self.width)), "float32")
        memory = ops.cast(self._dropout(memory, training=training), "float32")
        return memory, ops.mean(memory, axis=1)

    def _is_told(self, block: keras.layers.Layer) -> bool:
        return self.coordinates and block is self.stages[-self.blocks[-1]]

    def _told(self, block: keras.layers.Layer, shape: tuple[Any, ...]) -> tuple[Any, ...]:
        return (*shape[:-1], shape[-1] + 2) if self._is_told(block) else shape

    def _with_coordinates(self, block: keras.layers.Layer, maps: Any) -> Any:
        """Return maps [B, h, w, C] with row and column, from -1 to 1, if the block is told them."""
        if not self._is_told(block):
            return maps
        height, width = maps.shape[1:3]
        rows = ops.linspace(-1.0, 1.0, height, dtype=maps.dtype)[None, :, None, None]
        columns = ops.linspace(-1.0, 1.0, width, dtype=maps.dtype)[None, None, :, None]
        one = ops.ones_like(maps[..., :1])
        return ops.concatenate([maps, one * rows, one * columns], axis=-1)

    def compute_output_spec(self, images: Any, *_: Any, **__: Any) -> tuple[Any, Any]:
        """Return float32[B, P, C] and float32[B, C]."""
        rows, columns = self.grid(images.shape)
        batch = images.shape[0]
        return (
            keras.KerasTensor((batch, rows * columns, self.width), dtype="float32"),
            keras.KerasTensor((batch, self.width), dtype="float32"),
        )

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return super().get_config() | {
            "widths": self.widths, "blocks": self.blocks, "coordinates": self.coordinates,
            "dropout": self.dropout, "seed": self.seed,
        }  # fmt: skip


def _stages(widths: Sequence[int], blocks: Sequence[int]) -> tuple[list[int], list[int]]:
    """Return widths and blocks as they are kept in a config, or say what is wrong with them."""
    fits = bool(widths) and len(widths) == len(blocks) and min(widths) >= 1
    if not fits or min(blocks[1:], default=1) < 1 or blocks[0] < 0:
        raise ConfigError(
            f"stages of the image encoder: widths {tuple(widths)} and blocks {tuple(blocks)}; "
            "expected as many blocks as widths, all at least 1 but the first of blocks, which may "
            "be 0, such as widths (32, 64) and blocks (1, 1); give both the same length"
        )
    return [int(width) for width in widths], [int(count) for count in blocks]


class _ConvolutionNorm(keras.layers.Layer):
    """A convolution without bias and the normalisation of what comes out of it."""

    def __init__(
        self, width: int, *, kernel: int = 3, strides: int = 1, seed: int | None, name: str
    ) -> None:
        super().__init__(name=name)
        # The name makes convolutions of one shape start from different weights.
        initial = keras.initializers.HeNormal(seed=_named_seed(seed, name))
        self.convolution = keras.layers.Conv2D(
            width, kernel, strides=strides, padding="same", use_bias=False,
            data_format="channels_last", kernel_initializer=initial, name="convolution",
        )  # fmt: skip
        self.norm = _FusedNorm(momentum=MOMENTUM, epsilon=1e-5, name="norm")

    def build(self, shape: tuple[Any, ...]) -> None:
        self.convolution.build(shape)
        self.norm.build(self.convolution.compute_output_shape(shape))
        self.built = True

    def call(self, maps: Any, training: bool = False) -> Any:
        return self.norm(self.convolution(maps), training=training)

    def compute_output_shape(self, shape: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(self.convolution.compute_output_shape(shape))


class _FusedNorm(keras.layers.BatchNormalization):
    """Batch normalisation by TensorFlow's one operation for it where it applies.

    Keras computes the same from a dozen, which costs a quarter of the encoder's training speed.
    """

    def call(self, maps: Any, training: bool = False) -> Any:
        tensorflow = keras.backend.backend() == "tensorflow" and self.compute_dtype == "float32"
        if not (tensorflow and training and self.trainable):
            return super().call(maps, training=training)
        import tensorflow as tf

        found, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            maps, self.gamma, self.beta, epsilon=self.epsilon, is_training=True
        )
        count = ops.cast(ops.size(maps) // maps.shape[-1], "float32")
        # TensorFlow divides by count - 1, Keras by count.
        for average, new in (
            (self.moving_mean, mean),
            (self.moving_variance, variance * (count - 1) / count),
        ):
            average.assign(average * self.momentum + new * (1 - self.momentum))
        return found


class _Block(keras.layers.Layer):
    """Two convolutions around which the input passes as it is, or projected if its shape differs.

    The first block of a stage halves the side.
    """

    def __init__(self, width: int, *, halves: bool, seed: int | None, name: str) -> None:
        super().__init__(name=name)
        strides = 2 if halves else 1
        self.first = _ConvolutionNorm(width, strides=strides, seed=seed, name=f"{name}_first")
        self.second = _ConvolutionNorm(width, seed=seed, name=f"{name}_second")
        self.shortcut = _ConvolutionNorm(
            width, kernel=1, strides=strides, seed=seed, name=f"{name}_shortcut"
        )
        self.halves, self.width, self._projects = halves, width, halves

    def build(self, shape: tuple[Any, ...]) -> None:
        self._projects = self.halves or shape[-1] != self.width
        self.first.build(shape)
        self.second.build(self.first.compute_output_shape(shape))
        if self._projects:
            self.shortcut.build(shape)
        self.built = True

    def call(self, maps: Any, training: bool = False) -> Any:
        inner = ops.relu(self.first(maps, training=training))
        inner = self.second(inner, training=training)
        outer = self.shortcut(maps, training=training) if self._projects else maps
        return ops.relu(inner + outer)

    def compute_output_shape(self, shape: tuple[Any, ...]) -> tuple[Any, ...]:
        return self.first.compute_output_shape(shape)


def _named_seed(seed: int | None, name: str) -> int | None:
    return None if seed is None else (seed * 1_000_003 + sum(name.encode()) * 7919) % 2**31

"""Small changes of images in training, after which their captions still hold."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from pipelines.errors import ConfigError

WHITE = 255.0


@keras.saving.register_keras_serializable(package="pipelines")
class ImageAugmentation(keras.layers.Layer):
    """Moves, turns and lights images at random in training, each by its own draw.

    Maps images [B, S, S, 3], uint8 or float from 0 to 255, to float32 of the same shape. Outside
    training only the type changes. What comes in from beyond the border is white. Each amount is
    the largest change; all draws are uniform up to it in both directions.

    Args:
        shift: along each axis, share of the side.
        zoom: of the scale, as a share: 0.1 for 0.9 to 1.1.
        rotation: about the centre, degrees.
        brightness: added to all values, as a share of 255.
        contrast: of the factor on distances from the image's mean, as a share.
        flip: mirror half of those images that may be, left to right.
        erase: sides of a rectangle painted over in one random colour, share of the side; sides are
            drawn from 0 up (Zhong et al., 2020).
        seed: of the draws.

    Raises:
        ConfigError: an amount is negative, or a share is 1 or more.
    """

    def __init__(
        self,
        *,
        shift: float = 0.0,
        zoom: float = 0.0,
        rotation: float = 0.0,
        brightness: float = 0.0,
        contrast: float = 0.0,
        flip: bool = False,
        erase: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs | {"dtype": "float32"})
        self.amounts = {
            "shift": shift, "zoom": zoom, "rotation": rotation, "brightness": brightness,
            "contrast": contrast, "erase": erase,
        }  # fmt: skip
        _check(self.amounts)
        self.flip, self.seed = flip, seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.built = True

    def call(self, images: Any, may_flip: Any = None, training: bool = False) -> Any:
        """Return changed images when training.

        Args:
            images: uint8 or float [B, S, S, 3].
            may_flip: bool or number [B], true where a mirror image keeps its captions true; no
                image is mirrored without it.
            training: whether to change anything.
        """
        images = ops.cast(images, "float32")
        if not training:
            return images
        changed = self._lit(self._moved(images, may_flip))
        return self._erased(changed) if self.amounts["erase"] else changed

    def _draw(self, name: str, images: Any) -> Any:
        """Return an amount for each image, float32[B], from -largest to largest."""
        largest = self.amounts[name]
        if largest == 0:
            return ops.zeros(ops.shape(images)[:1])
        return self._uniform(images, -largest, largest)

    def _uniform(self, images: Any, low: float, high: float, *further: int) -> Any:
        shape = (ops.shape(images)[0], *further)
        return keras.random.uniform(shape, low, high, seed=self.seed_generator)

    def _moved(self, images: Any, may_flip: Any) -> Any:
        """Shift, zoom, turn and mirror in one resampling."""
        moves = any(self.amounts[name] for name in ("shift", "zoom", "rotation"))
        mirrors = self.flip and may_flip is not None
        if not (moves or mirrors):
            return images
        height, width = images.shape[1:3]
        x, y = (width - 1) / 2, (height - 1) / 2
        angle, scale = self._draw("rotation", images) * 0.0174532925, self._draw("zoom", images)
        cosine, sine = ops.cos(angle) / (1 + scale), ops.sin(angle) / (1 + scale)
        mirror = self._mirror(images, may_flip) if mirrors else ops.ones_like(angle)
        # Where an output pixel is taken from: about the centre, then moved.
        a, b, d, e = cosine * mirror, -sine, sine * mirror, cosine
        left = x - a * x - b * y + self._draw("shift", images) * width
        top = y - d * x - e * y + self._draw("shift", images) * height
        none = ops.zeros_like(a)
        transform = ops.stack([a, b, left, d, e, top, none, none], axis=1)
        return ops.image.affine_transform(
            images, transform, fill_value=WHITE, data_format="channels_last"
        )

    def _mirror(self, images: Any, may_flip: Any) -> Any:
        """Return -1 for half of the images that may be mirrored, else 1: float32[B]."""
        drawn = self._uniform(images, 0.0, 1.0) < 0.5
        return ops.where(ops.logical_and(drawn, ops.cast(may_flip, "bool")), -1.0, 1.0)

    def _lit(self, images: Any) -> Any:
        if not (self.amounts["brightness"] or self.amounts["contrast"]):
            return images
        factor = 1 + self._draw("contrast", images)[:, None, None, None]
        added = WHITE * self._draw("brightness", images)[:, None, None, None]
        mean = ops.mean(images, axis=(1, 2, 3), keepdims=True)
        return ops.clip(images * factor + (mean * (1 - factor) + added), 0.0, WHITE)

    def _erased(self, images: Any) -> Any:
        rows, columns = (self._stretch(images, side) for side in images.shape[1:3])
        inside = ops.logical_and(rows[:, :, None, None], columns[:, None, :, None])
        colour = self._uniform(images, 0.0, WHITE, 3)[:, None, None, :]
        return ops.where(inside, colour, images)

    def _stretch(self, images: Any, side: int) -> Any:
        """Return which of `side` pixels a random stretch covers, bool[B, side]."""
        length = self._uniform(images, 0.0, self.amounts["erase"] * side)
        start = self._uniform(images, 0.0, 1.0) * (side - length)
        place = ops.arange(side, dtype="float32")[None] + 0.5
        return ops.logical_and(place >= start[:, None], place < (start + length)[:, None])

    def compute_output_spec(self, images: Any, *_: Any, **__: Any) -> Any:
        """Return float32 of the images' shape."""
        return keras.KerasTensor(images.shape, dtype="float32")

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return super().get_config() | self.amounts | {"flip": self.flip, "seed": self.seed}


def _check(amounts: dict[str, float]) -> None:
    for name, amount in amounts.items():
        limit = 180 if name == "rotation" else 1
        if not 0 <= amount < limit:
            raise ConfigError(
                f"image augmentation: {name} is {amount}; expected 0 (none) or more, and below "
                f"{limit}, such as {limit / 20:g}; give a smaller change"
            )

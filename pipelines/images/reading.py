"""Encoded images to pixels: the one function that training and the exported model share.

Core TensorFlow operations only, so that a process with nothing but `tensorflow` runs it. The format
is told by the first bytes of a file, never by its name. What becomes of each:

- PNG: grey, colour, palette, with alpha or a transparent colour, 1 to 16 bits (the upper 8 count),
  interlaced. Of an animated PNG the default image.
- JPEG: grey, colour, CMYK, YCCK, progressive. One far larger than needed is shrunk while decoding.
- GIF: the first frame, on a canvas of the background; later frames are not decoded.
- BMP: 1, 2, 4, 8, 16, 24 and 32 bits, bottom-up or top-down, uncompressed or with bit masks.
- WebP: lossy, lossless, with alpha; the first frame of an animated one.

The orientation that a camera wrote (EXIF in JPEG, PNG and WebP) is carried out; the one in an XMP
block is not read, nor are colour profiles. Run-length encoded BMP, TIFF, HEIC, AVIF, JPEG XL and
SVG are refused, as are damaged and cut files and images of more than 134 million pixels: the
operation fails with `InvalidArgumentError`, and with it the whole batch.
"""

from __future__ import annotations

from typing import get_args

import tensorflow as tf

from pipelines.errors import ConfigError, did_you_mean
from pipelines.images.decoding import decode
from pipelines.images.files import read_file
from pipelines.images.fitting import Colour, Fit, fit_to_square, reduction

__all__ = ["FITS", "ImageReader", "read_file"]

FITS: tuple[str, ...] = get_args(Fit)
MAX_SIZE = 4096
# Decoded images are held one for each, and may be large.
_PARALLEL_IMAGES = 8


class ImageReader:
    """Turns the bytes of image files into square pixels of one size.

    Args:
        size: side S of the square, in pixels.
        fit: how an image that is not square becomes so: "pad" keeps all of it, centred on the
            background; "crop" fills the square and cuts off what hangs over on both sides;
            "stretch" gives up its proportions.
        background: red, green and blue (0 to 255) behind transparent and around padded images.

    Raises:
        ConfigError: a setting that is out of range.
    """

    def __init__(
        self, size: int = 96, fit: Fit = "pad", background: Colour = (255, 255, 255)
    ) -> None:
        _check_settings(size, fit, background)
        self.size = size
        self.fit: Fit = fit
        self.background = (int(background[0]), int(background[1]), int(background[2]))
        self._read = tf.function(
            self._read_all,
            input_signature=[tf.TensorSpec([None], tf.string, name="image")],
            autograph=False,
        )

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        """Read images, string[B] of encoded bytes, to uint8[B, S, S, 3] in RGB.

        Raises:
            tf.errors.InvalidArgumentError: some image is damaged or of a format not known;
                `describe_failure` of `pipelines.images.files` tells what a file is.
        """
        return self._read(tf.convert_to_tensor(images, tf.string))

    def settings(self) -> dict[str, int | str | list[int]]:
        """Return what the manifest records and `ImageReader(**settings)` takes."""
        return {"size": self.size, "fit": self.fit, "background": list(self.background)}

    def _read_all(self, images: tf.Tensor) -> tf.Tensor:
        pixels = tf.map_fn(
            self._read_one,
            images,
            parallel_iterations=_PARALLEL_IMAGES,
            fn_output_signature=tf.TensorSpec([self.size, self.size, 3], tf.uint8),
        )
        return tf.ensure_shape(pixels, [None, self.size, self.size, 3])

    def _read_one(self, contents: tf.Tensor) -> tf.Tensor:
        def reduced(sides: tf.Tensor) -> tf.Tensor:
            return reduction(sides, self.size, self.fit)

        image, orientation = decode(contents, self.background, reduced)
        return fit_to_square(image, orientation, self.size, self.fit, self.background)


def _check_settings(size: int, fit: str, background: Colour) -> None:
    if not 1 <= size <= MAX_SIZE:
        raise ConfigError(
            f"size of images: got {size}, expected 1 to {MAX_SIZE} pixels; 96 is usual"
        )
    if fit not in FITS:
        raise ConfigError(
            f"unknown fit {fit!r} of images{did_you_mean(fit, FITS)}; known: {', '.join(FITS)}"
        )
    if len(background) != 3 or not all(0 <= value <= 255 for value in background):
        raise ConfigError(
            f"background of images: got {tuple(background)}, expected red, green and blue, each "
            "0 to 255; white is (255, 255, 255)"
        )

"""The model of a captioner: image and words so far -> scores of the next word."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from pipelines.captioning.artifacts import CaptionArtifacts
from pipelines.captioning.captioner_config import CaptionerConfig
from pipelines.captioning.image_side import make_encoder
from pipelines.layers.attention_decoder import AttentionDecoder
from pipelines.layers.caption_bank import CaptionBank
from pipelines.layers.image_augmentation import ImageAugmentation
from pipelines.layers.recurrent_settings import stack_settings
from pipelines.layers.words_seen import WordsSeen

_DECODER = ("embedding_size", "attention", "input_feeding", "order", "tied", "word_dropout",
            "attention_dropout", "output_dropout", "scheduled_sampling", "seed")  # fmt: skip
_AUGMENTATION = ("shift", "zoom", "rotation", "brightness", "contrast", "erase", "seed")


def build(
    config: CaptionerConfig, artifacts: CaptionArtifacts, *, portable: bool = False
) -> keras.Model:
    """Build the whole model.

    Inputs: "image" uint8[B, S, S, 3] and "caption_in" int32[B, T], padded with 0. Output: scores of
    the token after each of the caption's, float32[B, T, V], 0 at padding. `portable` leaves out
    cuDNN kernels.
    """
    image, caption = _image(config), _caption()
    memory, _ = make_encoder(config)(image)
    if config.consensus:
        memory = _bank(config, artifacts)(memory)
    decoder = _decoder(config, len(artifacts.vocabulary), portable=portable)
    logits = decoder(caption, *read_of(memory))["logits"]
    real = ops.cast(ops.not_equal(caption, 0), logits.dtype)
    return keras.Model([image, caption], logits * real[..., None])


def read_of(memory: Any) -> tuple[Any, None, Any]:
    """Return what a decoder reads of a map float[B, P, C]: it, no mask, and its mean."""
    return memory, None, ops.mean(memory, axis=1)


def _image(config: CaptionerConfig) -> Any:
    side = config.image_size
    return keras.Input((side, side, 3), dtype="uint8", name="image")


def _caption() -> Any:
    return keras.Input((None,), dtype="int32", name="caption_in")


def _bank(config: CaptionerConfig, artifacts: CaptionArtifacts) -> CaptionBank:
    return CaptionBank(
        min(config.bank, artifacts.count),
        longest=artifacts.longest,
        vocabulary_size=len(artifacts.vocabulary),
        neighbours=config.neighbours,
        name="bank",
    )


def _decoder(config: CaptionerConfig, size: int, *, portable: bool) -> AttentionDecoder:
    looks = config.attention != "none"
    return AttentionDecoder(
        size,
        stack=stack_settings(config, **({"use_cudnn": False} if portable else {})),
        start="bridge" if looks else "input",
        gate=config.gate and looks,
        doubly_stochastic=config.doubly_stochastic if looks else 0.0,
        name="decoder",
        **{name: getattr(config, name) for name in _DECODER},
    )


def learner(model: keras.Model, config: CaptionerConfig) -> keras.Model:
    """Return the model that `fit` trains: images are varied, their words are a second aim."""
    image, caption = _image(config), _caption()
    inputs, seen = [image, caption], image
    if config.augmentation:
        flippable = [keras.Input((), dtype="float32", name="flippable")] if config.flip else []
        options = {name: getattr(config, name) for name in _AUGMENTATION}
        seen = ImageAugmentation(flip=config.flip, **options)(image, *flippable)
        inputs += flippable
    memory, _ = model.get_layer("encoder")(seen)
    return keras.Model(inputs, _taught(model, config, memory, caption))


def learner_of_features(model: keras.Model, config: CaptionerConfig) -> keras.Model:
    """Return the model that is trained above a frozen encoder, from its maps "features"."""
    shape = model.get_layer("encoder").output[0].shape[1:]
    memory, caption = keras.Input(shape, name="features"), _caption()
    return keras.Model([memory, caption], _taught(model, config, memory, caption))


def _taught(model: keras.Model, config: CaptionerConfig, memory: Any, caption: Any) -> Any:
    """Return scores of the next token, as the decoder reads given captions."""
    memory = keras.layers.SpatialDropout1D(config.memory_dropout, seed=config.seed)(memory)
    decoder = model.get_layer("decoder")
    memory, mask, summary = read_of(memory)
    if config.word_loss and not config.frozen:
        size = decoder.settings["vocabulary_size"]
        summary = WordsSeen(size, weight=config.word_loss, seed=config.seed)(summary, caption)
    return decoder(caption, memory, mask, summary)["logits"]

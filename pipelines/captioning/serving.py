"""What an exported captioner answers, from the bytes of images to captions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pipelines.captioning.artifacts import CaptionArtifacts
from pipelines.captioning.captioner import read_of
from pipelines.captioning.captioner_config import CaptionerConfig
from pipelines.captioning.encoding import caption_tokenizer, image_reader
from pipelines.captioning.validation import column_of
from pipelines.corpus import EncodedCorpus
from pipelines.export.row_blocks import in_blocks
from pipelines.export.saved_model import Endpoint
from pipelines.text.decoder_serving import Read, Search, TextWriter

BLOCK_ROWS = 32  # images captioned at once: enough for full matrix products, little memory

_MEANING = {
    "caption": "string[B], the most probable caption found",
    "score": "float32[B], its log-probability, made up for its length",
    "complete": "bool[B], False where the caption was cut at the longest length",
}
_N_BEST = {
    "captions": "string[B, K], the captions found, best first; '' where there are fewer",
    "scores": "float32[B, K], their log-probabilities, made up for their lengths; then -infinity",
    "complete": _MEANING["complete"].replace("[B]", "[B, K]"),
}
_SCORE = {
    "log_probability": "float32[B], natural logarithm, of the caption given the image",
    "tokens": "int32[B], tokens of the caption, its end included",
}
_ATTENTION = {
    "tokens": "string[B, T], tokens of the caption, padded with ''",
    "weights": "float32[B, T, P], where the model looked to write each, row by row of its map; 0 "
    "at padding",
}
_FEATURES = {"features": "float32[B, C], what the encoder sees in the whole image"}


class CaptionServing:
    """The endpoints of a captioner.

    Args:
        model: what `captioner.build` returned.
        artifacts: what it was made with.
        config: how captions are searched for.
    """

    def __init__(
        self, model: keras.Model, artifacts: CaptionArtifacts, config: CaptionerConfig
    ) -> None:
        self.model, self.config = model, config
        self.encoder = model.get_layer("encoder")
        self.reader, self.tokenizer = image_reader(artifacts), caption_tokenizer(artifacts)
        self.writer = TextWriter(model.get_layer("decoder"), self.tokenizer, config)
        chooses = config.consensus and config.beam > 1
        self.bank = model.get_layer("bank") if chooses else None
        # What all are compared with must be there: not the best hypothesis alone.
        self.search = self.writer.best if self.bank is None else self.writer.beams

    def endpoints(self) -> dict[str, Endpoint]:
        """Return `serve`, `greedy`, `n_best`, `score`, `attention` and `features`."""
        resources = (self.model, self.tokenizer)
        image = {"image": tf.TensorSpec([None], tf.string)}
        pair = image | {"caption": tf.TensorSpec([None], tf.string)}

        def endpoint(function: Any, inputs: Mapping[str, Any], meaning: Any) -> Endpoint:
            return Endpoint(function, inputs, meaning, resources=resources)

        def by(search: Search) -> Endpoint:
            return endpoint(lambda image: self.caption(image, search), image, _MEANING)

        endpoints = {
            "serve": by(self.search),
            "greedy": by(self.writer.greedy),
            "n_best": endpoint(self.n_best, image, _N_BEST),
            "score": endpoint(self.score, pair, _SCORE),
            "features": endpoint(self.features, image, _FEATURES),
        }
        if self.config.attention != "none":
            endpoints["attention"] = endpoint(self.attention, pair, _ATTENTION)
        return endpoints

    def caption(self, image: tf.Tensor, search: Search) -> dict[str, tf.Tensor]:
        """Caption images, string[B], by `search`."""
        return _only(
            self._in_blocks(
                lambda rows: self._write(rows, search),
                image,
                count=self.config.beam if search == self.writer.beams else 1,
            )
        )

    def n_best(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return the K best captions of images, string[B]."""
        found = self._in_blocks(
            lambda rows: self._write(rows, self.writer.beams), image, count=self.config.beam
        )
        return {"captions": found.pop("texts"), **found}

    def score(self, image: tf.Tensor, caption: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return the log-probabilities of given captions, string[B], of images, string[B]."""
        specs = {
            "log_probability": tf.TensorSpec([None], tf.float32),
            "tokens": tf.TensorSpec([None], tf.int32),
        }
        return in_blocks(
            lambda rows, texts: self.writer.score(self._read(rows), self.tokenizer.encode(texts)),
            image, caption, size=BLOCK_ROWS, outputs=specs,
        )  # fmt: skip

    def attention(self, image: tf.Tensor, caption: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return where the model looks as it writes given captions, string[B], of images."""
        return self.writer.look(self._read(image), self.tokenizer.encode(caption))

    def features(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return what the encoder sees in images, string[B]: the mean over its map."""
        width = self.encoder.output[0].shape[-1]
        return in_blocks(
            lambda rows: {"features": tf.cast(self._read(rows)[2], tf.float32)},
            image,
            size=BLOCK_ROWS,
            outputs={"features": tf.TensorSpec([None, width], tf.float32)},
        )

    def memory_captions(self, memory: tf.Tensor) -> dict[str, tf.Tensor]:
        """Caption encoded images, float32[B, P, C], as `serve` does."""
        return _only(self._write_of(read_of(memory), self.search))

    def _in_blocks(self, function: Any, image: tf.Tensor, *, count: int) -> dict[str, tf.Tensor]:
        specs = {
            "texts": tf.TensorSpec([None, count], tf.string),
            "scores": tf.TensorSpec([None, count], tf.float32),
            "complete": tf.TensorSpec([None, count], tf.bool),
        }
        return in_blocks(function, image, size=BLOCK_ROWS, outputs=specs)

    def _read(self, image: tf.Tensor) -> Read:
        return read_of(self.encoder(self.reader(image), training=False)[0])

    def _write(self, image: tf.Tensor, search: Search) -> dict[str, tf.Tensor]:
        return self._write_of(self._read(image), search)

    def _write_of(self, read: Read, search: Search) -> dict[str, tf.Tensor]:
        limits = tf.fill(tf.shape(read[0])[:1], self.config.max_tokens - 1)  # BOS is not written
        bank = self.bank
        if bank is None or search == self.writer.greedy:  # it finds one caption: there is no choice
            return self.writer.write(read, limits, search)
        return self.writer.write(
            read, limits, search, lambda tokens, scores: bank.rank(read[2], tokens, scores)
        )


def _only(found: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Return the one caption of each row."""
    names = {"caption": "texts", "score": "scores", "complete": "complete"}
    return {name: found[plural][:, 0] for name, plural in names.items()}


def caption_corpus(
    model: keras.Model,
    artifacts: CaptionArtifacts,
    config: CaptionerConfig,
    corpus: EncodedCorpus,
) -> dict[str, np.ndarray]:
    """Caption the images of an encoded corpus by the model in this process, in their order."""
    serving = CaptionServing(model, artifacts, config)
    column = column_of(corpus.names)
    images = np.arange(len(corpus.shared(column).values))

    def captions(block: tf.Tensor) -> dict[str, tf.Tensor]:
        memory = serving.encoder(block, training=False)[0] if column == "image" else block
        return serving.memory_captions(memory)

    answer = tf.function(captions, reduce_retracing=True, autograph=False)
    blocks = [images[start : start + BLOCK_ROWS] for start in range(0, len(images), BLOCK_ROWS)]
    parts = [answer(tf.constant(corpus.shared_values(column, block))) for block in blocks]
    joined = {
        name: np.concatenate([part[name].numpy() for part in parts])
        for name in ("caption", "score")
    }
    texts = [text.decode(errors="replace") for text in joined["caption"]]
    joined["caption"] = np.array(texts, object)
    return joined

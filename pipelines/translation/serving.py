"""What an exported translator answers, from raw text to raw text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pipelines.corpus import EncodedCorpus
from pipelines.export.row_blocks import in_blocks
from pipelines.export.saved_model import Endpoint
from pipelines.text.decoder_serving import Read, Search, TextWriter, token_names
from pipelines.text.vocabulary import PAD
from pipelines.translation.artifacts import TranslationArtifacts
from pipelines.translation.encoding import PairTokenizers
from pipelines.translation.translator_config import TranslatorConfig

BLOCK_ROWS = 32  # texts translated at once: enough for full matrix products, little memory
SPARE_TOKENS = 10  # beside `length_factor`: short texts differ most in relative length

_MEANING = {
    "translation": "string[B], the most probable translation found",
    "score": "float32[B], its log-probability, made up for its length",
    "complete": "bool[B], False where the text or its translation was cut at the longest length",
}
_N_BEST = {
    "translations": "string[B, K], the translations found, best first; '' where there are fewer",
    "scores": "float32[B, K], their log-probabilities, made up for their lengths; then -infinity",
    "complete": _MEANING["complete"].replace("[B]", "[B, K]"),
}
_SCORE = {
    "log_probability": "float32[B], natural logarithm, of the translation given the text",
    "tokens": "int32[B], tokens of the translation, its end included",
    "complete": "bool[B], False where either text was cut at the longest length",
}
_ATTENTION = {
    "source_tokens": "string[B, S], tokens of the text, padded with ''",
    "target_tokens": "string[B, T], tokens of the translation, padded with ''",
    "weights": "float32[B, T, S], where the model looked to write each token; 0 at padding",
}


class TranslationServing:
    """The endpoints of a translator.

    Args:
        model: what `translator.build` returned.
        artifacts: what it was made with.
        config: how translations are searched for.
    """

    def __init__(
        self, model: keras.Model, artifacts: TranslationArtifacts, config: TranslatorConfig
    ) -> None:
        self.model, self.artifacts, self.config = model, artifacts, config
        self.encoder, self.decoder = model.get_layer("encoder"), model.get_layer("decoder")
        self.tokenizers = PairTokenizers.of(artifacts)
        self.writer = TextWriter(
            self.decoder,
            self.tokenizers.target,
            config,
            coverage_penalty=config.coverage_penalty,
        )

    def endpoints(self) -> dict[str, Endpoint]:
        """Return `serve`, `greedy`, `n_best`, `score` and `attention`."""
        resources = (self.model, self.tokenizers.source, self.tokenizers.target)
        text = {"text": tf.TensorSpec([None], tf.string)}
        pair = text | {"translation": tf.TensorSpec([None], tf.string)}

        def endpoint(function: Any, inputs: Mapping[str, Any], meaning: Any) -> Endpoint:
            return Endpoint(function, inputs, meaning, resources=resources)

        def by(search: Search) -> Endpoint:
            return endpoint(lambda text: self.translate(text, search), text, _MEANING)

        endpoints = {
            "serve": by(self.writer.best),
            "greedy": by(self.writer.greedy),
            "n_best": endpoint(self.n_best, text, _N_BEST),
            "score": endpoint(self.score, pair, _SCORE),
        }
        if self.config.attention != "none":
            endpoints["attention"] = endpoint(self.attention, pair, _ATTENTION)
        return endpoints

    def translate(self, text: tf.Tensor, search: Search) -> dict[str, tf.Tensor]:
        """Translate texts, string[B], by `search`."""
        ids, lengths = self.tokenizers.source.encode_counted(text)
        found = self.translate_ids(ids, search)
        found["complete"] &= lengths <= self.config.max_tokens
        return found

    def translate_ids(
        self, ids: tf.RaggedTensor, search: Search | None = None
    ) -> dict[str, tf.Tensor]:
        """Translate numbered sources, int32 ragged [B, (S)]; by beam search if nothing else."""
        best = self._in_blocks(ids, search or self.writer.best, count=1)
        names = {"translation": "texts", "score": "scores", "complete": "complete"}
        return {name: best[plural][:, 0] for name, plural in names.items()}

    def n_best(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return the K best translations of texts, string[B]."""
        ids, lengths = self.tokenizers.source.encode_counted(text)
        found = self._in_blocks(ids, self.writer.beams, count=self.config.beam)
        found["complete"] &= (lengths <= self.config.max_tokens)[:, None]
        return {"translations": found.pop("texts"), **found}

    def score(self, text: tf.Tensor, translation: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return the log-probabilities of given pairs, each string[B]."""
        specs = {
            "log_probability": tf.TensorSpec([None], tf.float32),
            "tokens": tf.TensorSpec([None], tf.int32),
        }
        source, read = self.tokenizers.source.encode_counted(text)
        target, written = self.tokenizers.target.encode_counted(translation)
        found = in_blocks(
            lambda source, target: self.writer.score(self._read(source), target),
            source, target, size=BLOCK_ROWS, outputs=specs,
        )  # fmt: skip
        return found | {"complete": tf.maximum(read, written) <= self.config.max_tokens}

    def attention(self, text: tf.Tensor, translation: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return where the model looks as it writes given translations, each string[B]."""
        source = self.tokenizers.source.encode(text)
        target = self.tokenizers.target.encode(translation)
        found = self.writer.look(self._read(source), target)
        return {
            "source_tokens": token_names(source, self.artifacts.source.tokens),
            "target_tokens": found["tokens"],
            "weights": found["weights"],
        }

    def _in_blocks(
        self, ids: tf.RaggedTensor, search: Search, *, count: int
    ) -> dict[str, tf.Tensor]:
        specs = {
            "texts": tf.TensorSpec([None, count], tf.string),
            "scores": tf.TensorSpec([None, count], tf.float32),
            "complete": tf.TensorSpec([None, count], tf.bool),
        }
        return in_blocks(
            lambda rows: self.writer.write(self._read(rows), self._limits(rows), search),
            ids, size=BLOCK_ROWS, outputs=specs,
        )  # fmt: skip

    def _read(self, rows: tf.RaggedTensor) -> Read:
        return list(self.encoder(rows.to_tensor(PAD), training=False))

    def _limits(self, rows: tf.RaggedTensor) -> tf.Tensor:
        """Return the most tokens of each translation, its end included, int32[B]."""
        lengths = tf.cast(rows.row_lengths(), tf.float32)
        most = tf.cast(lengths * self.config.length_factor, tf.int32) + SPARE_TOKENS
        return tf.minimum(most, self.config.max_tokens)


def translate_corpus(
    model: keras.Model,
    artifacts: TranslationArtifacts,
    config: TranslatorConfig,
    corpus: EncodedCorpus,
    *,
    rows: int,
) -> dict[str, np.ndarray]:
    """Translate an encoded corpus by the model in this process, `rows` sources at a time."""
    serving = TranslationServing(model, artifacts, config)
    translate = tf.function(
        lambda ids: serving.translate_ids(ids),
        input_signature=[tf.RaggedTensorSpec([None, None], tf.int32)],
        autograph=False,
    )
    column = corpus.ragged("source")
    lengths = column.lengths.astype(np.int64)
    ids = tf.RaggedTensor.from_row_lengths(column.values.astype(np.int32), lengths)
    starts = range(0, len(corpus), rows)
    parts = [translate(ids[start : start + rows]) for start in starts]
    joined = {
        name: np.concatenate([part[name].numpy() for part in parts])
        for name in ("translation", "score")
    }
    texts = [text.decode(errors="replace") for text in joined["translation"]]
    joined["translation"] = np.array(texts, object)
    return joined

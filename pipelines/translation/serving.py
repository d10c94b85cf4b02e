"""What an exported translator answers, from raw text to raw text."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pipelines.corpus import EncodedCorpus
from pipelines.export.row_blocks import in_blocks
from pipelines.export.saved_model import Endpoint
from pipelines.layers.decoding import BeamSettings, Decoded, beam_search, greedy
from pipelines.text.vocabulary import BOS, PAD, UNK
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
        self.settings = BeamSettings(
            beams=config.beam,
            banned=(PAD, UNK, BOS),
            length_penalty=config.length_penalty,
            coverage_penalty=config.coverage_penalty,
            no_repeat_ngram=config.no_repeat_ngram,
        )

    def endpoints(self) -> dict[str, Endpoint]:
        """Return `serve`, `greedy`, `n_best`, `score` and `attention`."""
        resources = (self.model, self.tokenizers.source, self.tokenizers.target)
        text = {"text": tf.TensorSpec([None], tf.string)}
        pair = text | {"translation": tf.TensorSpec([None], tf.string)}

        def endpoint(function: Any, inputs: Mapping[str, Any], meaning: Any) -> Endpoint:
            return Endpoint(function, inputs, meaning, resources=resources)

        endpoints = {
            "serve": endpoint(lambda text: self.translate(text, self._best), text, _MEANING),
            "greedy": endpoint(lambda text: self.translate(text, self._greedy), text, _MEANING),
            "n_best": endpoint(self.n_best, text, _N_BEST),
            "score": endpoint(self.score, pair, _SCORE),
        }
        if self.config.attention != "none":
            endpoints["attention"] = endpoint(self.attention, pair, _ATTENTION)
        return endpoints

    def translate(self, text: tf.Tensor, search: Callable[..., Decoded]) -> dict[str, tf.Tensor]:
        """Translate texts, string[B], by `search`."""
        ids, lengths = self.tokenizers.source.encode_counted(text)
        found = self.translate_ids(ids, search)
        found["complete"] &= lengths <= self.config.max_tokens
        return found

    def translate_ids(
        self, ids: tf.RaggedTensor, search: Callable[..., Decoded] | None = None
    ) -> dict[str, tf.Tensor]:
        """Translate numbered sources, int32 ragged [B, (S)]; by beam search if nothing else."""
        best = self._in_blocks(ids, search or self._best, count=1)
        names = {"translation": "translations", "score": "scores", "complete": "complete"}
        return {name: best[plural][:, 0] for name, plural in names.items()}

    def n_best(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return the K best translations of texts, string[B]."""
        ids, lengths = self.tokenizers.source.encode_counted(text)
        found = self._in_blocks(ids, self._beams, count=self.config.beam)
        found["complete"] &= (lengths <= self.config.max_tokens)[:, None]
        return found

    def score(self, text: tf.Tensor, translation: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return the log-probabilities of given pairs, each string[B]."""
        specs = {
            "log_probability": tf.TensorSpec([None], tf.float32),
            "tokens": tf.TensorSpec([None], tf.int32),
        }
        source, read = self.tokenizers.source.encode_counted(text)
        target, written = self.tokenizers.target.encode_counted(translation)
        found = in_blocks(self._score_block, source, target, size=BLOCK_ROWS, outputs=specs)
        return found | {"complete": tf.maximum(read, written) <= self.config.max_tokens}

    def attention(self, text: tf.Tensor, translation: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return where the model looks as it writes given translations, each string[B]."""
        source = self.tokenizers.source.encode(text)
        target = self.tokenizers.target.encode(translation)
        outputs = self._teach(source.to_tensor(PAD), target.to_tensor(PAD))
        wanted = tf.cast(target[:, 1:].to_tensor(PAD) != PAD, tf.float32)
        return {
            "source_tokens": _names(source, self.artifacts.source.tokens),
            "target_tokens": _names(target[:, 1:], self.artifacts.target.tokens),
            "weights": tf.cast(outputs["attention"], tf.float32) * wanted[:, :, None],
        }

    def _in_blocks(
        self, ids: tf.RaggedTensor, search: Callable[..., Decoded], *, count: int
    ) -> dict[str, tf.Tensor]:
        specs = {
            "translations": tf.TensorSpec([None, count], tf.string),
            "scores": tf.TensorSpec([None, count], tf.float32),
            "complete": tf.TensorSpec([None, count], tf.bool),
        }
        return in_blocks(
            lambda rows: self._search(rows, search), ids, size=BLOCK_ROWS, outputs=specs
        )

    def _search(
        self, rows: tf.RaggedTensor, search: Callable[..., Decoded]
    ) -> dict[str, tf.Tensor]:
        source = rows.to_tensor(PAD)
        memory, mask, summary, *vectors = self.encoder(source, training=False)
        prepared = self.decoder.prepare(memory, mask, summary, *vectors)
        state = self.decoder.start(summary, memory=memory)
        decoded = search(
            lambda tokens, state: self.decoder.step(tokens, state, prepared),
            state,
            self._limits(rows),
            mask,
        )
        shape = tf.shape(decoded.tokens)
        flat = tf.reshape(decoded.tokens, [shape[0] * shape[1], shape[2]])
        texts = self.tokenizers.target.detokenize(flat)
        return {
            "translations": tf.reshape(texts, shape[:2]),
            "scores": tf.cast(decoded.score, tf.float32),
            "complete": decoded.complete,
        }

    def _limits(self, rows: tf.RaggedTensor) -> tf.Tensor:
        """Return the most tokens of each translation, its end included, int32[B]."""
        lengths = tf.cast(rows.row_lengths(), tf.float32)
        most = tf.cast(lengths * self.config.length_factor, tf.int32) + SPARE_TOKENS
        return tf.minimum(most, self.config.max_tokens)

    def _best(self, step: Any, state: Any, limits: Any, mask: Any) -> Decoded:
        settings = dataclasses.replace(self.settings, n_best=1)
        return beam_search(step, state, limits, settings, source_mask=mask)

    def _beams(self, step: Any, state: Any, limits: Any, mask: Any) -> Decoded:
        return beam_search(step, state, limits, self.settings, source_mask=mask)

    def _greedy(self, step: Any, state: Any, limits: Any, mask: Any) -> Decoded:
        del mask
        return greedy(step, state, limits, self.settings)

    def _teach(self, source: tf.Tensor, target: tf.Tensor) -> dict[str, Any]:
        """Return logits and attention as the decoder reads targets that are known."""
        read = self.encoder(source, training=False)
        return dict(self.decoder(target[:, :-1], *read, training=False))

    def _score_block(
        self, source: tf.RaggedTensor, target: tf.RaggedTensor
    ) -> dict[str, tf.Tensor]:
        written = target.to_tensor(PAD)
        logits = self._teach(source.to_tensor(PAD), written)["logits"]
        wanted = written[:, 1:]
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(wanted, tf.cast(logits, tf.float32))
        real = tf.cast(wanted != PAD, tf.float32)
        return {
            "log_probability": -tf.reduce_sum(losses * real, axis=1),
            "tokens": tf.reduce_sum(tf.cast(wanted != PAD, tf.int32), axis=1),
        }


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


def _names(ids: tf.RaggedTensor, tokens: tuple[str, ...]) -> tf.Tensor:
    """Name tokens, padded with ""; the end keeps its reserved name."""
    names = ids.with_flat_values(tf.gather(tf.constant(list(tokens)), ids.flat_values))
    return names.to_tensor("")

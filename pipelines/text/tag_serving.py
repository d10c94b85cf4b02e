"""What an exported tagger answers: tags of tokens, and spans with their places in the text."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from pipelines.datasets.tag_schemes import type_of
from pipelines.export.saved_model import Endpoint
from pipelines.layers.crf_decoding import n_best
from pipelines.text.contractions import Contractions
from pipelines.text.hyphens import join_hyphens
from pipelines.text.tagger_artifacts import TaggerArtifacts
from pipelines.text.token_features import TokenFeatures, unpadded
from pipelines.text.tokenizer import Tokenizer
from pipelines.text.units import Tokens, valid_text

ALTERNATIVES = 5
UNTYPED = "span"  # the type of spans whose tags are mere letters
_TOKENS = {
    "tags": "string[B, T], one a token, padded with ''; of spans in BIO",
    "confidences": "float32[B, T], the probability of each tag, padded with 0",
}
_PLACES = {
    "tokens": "string[B, T], the tokens of each text, padded with ''; contractions taken apart",
    **{
        f"{unit}_{end}": f"int32[B, T], where each token {verb} in the text, in {name}"
        for unit, name in (("byte", "UTF-8 bytes"), ("char", "code points"))
        for end, verb in (("starts", "starts"), ("limits", "ends (exclusive)"))
    },
}
_SPANS = {
    "span_types": "string[B, S], the type of each span ('span' if it has none), padded with ''",
    "span_starts": "int32[B, S], the number of its first token",
    "span_limits": "int32[B, S], the number of its last token plus 1",
    "span_confidences": "float32[B, S], the probability that the span is just so",
}
_WRITTEN = {"span_texts": "string[B, S], the words of each span, as written"}


def output_names(labels: tuple[str, ...], *, spans: bool) -> tuple[str, ...]:
    """Return what is answered for code 0 (padding) and for each label: of spans, in BIO."""
    if not spans:
        return ("", *labels)
    first = {"S": "B", "E": "I"}
    return ("", *(first.get(label[0], label[0]) + label[1:] for label in labels))


class TagServing:
    """The endpoints of a tagger.

    Args:
        model: tokens' features -> codes, left, right (see `PathDecoder`).
        artifacts: what it was made with.
    """

    def __init__(self, model: keras.Model, artifacts: TaggerArtifacts) -> None:
        self.model, self.artifacts = model, artifacts
        self.features = TokenFeatures(artifacts)
        self.splitter = Tokenizer(level="word", lowercase=False)
        self.contractions = Contractions(artifacts.contractions)
        self.spans = artifacts.settings["scheme"] != "none"
        labels = artifacts.labels.tokens
        self.names = tf.constant(output_names(labels, spans=self.spans))
        # A tracked holder: a lookup table alone is no resource that Keras keeps.
        self.tables = tf.Module()
        self.tables.contractions = self.contractions.table
        if self.spans:
            self.types = tf.constant(["", *(type_of(label) or UNTYPED for label in labels)])
            self.opens = tf.constant([False, *(label[0] in "BS" for label in labels)])
            self.inside = tf.constant([False, *(label[0] in "IE" for label in labels)])

    def endpoints(self) -> dict[str, Endpoint]:
        """Return `serve`, `serve_tokens`, `n_best` and, of a CRF, `transitions`."""
        spans = _SPANS if self.spans else {}
        written = _WRITTEN if self.spans else {}
        resources = (self.model, *self.features.layers, self.tables)
        text = {"text": tf.TensorSpec([None], tf.string)}
        tokens = {"tokens": tf.TensorSpec([None, None], tf.string)}
        paths = {
            "tokens": _PLACES["tokens"],
            "tags": f"string[B, {ALTERNATIVES}, T], the most probable tag sequences, best first",
            "probabilities": f"float32[B, {ALTERNATIVES}], of each whole sequence",
        }
        found = {
            "serve": Endpoint(
                self.serve, text, {**_PLACES, **_TOKENS, **spans, **written}, resources
            ),
            "serve_tokens": Endpoint(self.serve_tokens, tokens, {**_TOKENS, **spans}, resources),
            "n_best": Endpoint(self.n_best, text, paths, resources),
        }
        if self.model.get_layer("crf").learned:
            found["transitions"] = Endpoint(self.transitions, {}, _TRANSITIONS, resources)
        return found

    def serve(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        """Tag raw texts, string[B]."""
        text = valid_text(text)
        found = self.words(text)
        places = {name: getattr(found, name).to_tensor(0) for name in _PLACES if name != "tokens"}
        answer = self._answer(found.pieces, _width(found.pieces))
        if self.spans:
            answer["span_texts"] = _slices(text, places, answer)
        return {"tokens": found.pieces.to_tensor(""), **places, **answer}

    def words(self, text: tf.Tensor) -> Tokens:
        """Cut raw texts, string[B], into words as the training data has them."""
        tokens = self.splitter.split(text)
        if self.artifacts.settings["join_hyphens"]:
            tokens = join_hyphens(tokens)
        return self.contractions.expand(tokens)

    def serve_tokens(self, tokens: tf.Tensor) -> dict[str, tf.Tensor]:
        """Tag sentences that are cut into tokens, string[B, T] padded with ""."""
        return self._answer(unpadded(tokens), tf.shape(tokens)[1])

    def n_best(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return the most probable tag sequences of raw texts, string[B]."""
        pieces = self.words(text).pieces
        potentials = keras.Model(self.model.inputs, self.model.get_layer("decoder").input[0])
        codes, probabilities = n_best(potentials(self._inputs(pieces)), ALTERNATIVES)
        present = tf.sequence_mask(pieces.row_lengths(), tf.shape(codes)[2])[:, tf.newaxis]
        codes = tf.where(present, codes + 1, 0)[:, :, : _width(pieces)]
        tags = tf.gather(self.names, codes)
        return {"tokens": pieces.to_tensor(""), "tags": tags, "probabilities": probabilities}

    def transitions(self) -> dict[str, tf.Tensor]:
        """Return what the CRF has learned of steps between tags."""
        layers = {layer.name: layer for layer in self.model.layers}
        start, moves, end = layers["crf"].tables()
        if "joint" in layers:
            mix, linear = layers["joint"].mix, layers["linear_crf"].tables()
            parts = zip((start, moves, end), linear, strict=True)
            start, moves, end = (mix[0] * own + mix[1] * other for own, other in parts)
        labels = tf.constant(list(self.artifacts.labels.tokens))
        return {"tags": labels, "scores": moves, "start": start, "end": end}

    def _inputs(self, tokens: tf.RaggedTensor) -> list[tf.Tensor]:
        features = self.features.dense(tokens)
        return [features[tensor.name] for tensor in self.model.inputs]

    def _answer(self, tokens: tf.RaggedTensor, width: tf.Tensor) -> dict[str, tf.Tensor]:
        """Tag tokens, string ragged [B, (T)]; what is one a token is padded to `width`."""
        codes, left, right = self.model(self._inputs(tokens), training=False)
        present = tf.sequence_mask(tokens.row_lengths(), tf.shape(codes)[1])
        codes = tf.where(present, codes, 0)
        confidences = tf.where(present, probability(left + right), 0.0)
        answer = {
            "tags": tf.gather(self.names, _fitted(codes, width)),
            "confidences": _fitted(confidences, width),
        }
        return answer | self._spans(codes, left, right) if self.spans else answer

    def _spans(self, codes: tf.Tensor, left: tf.Tensor, right: tf.Tensor) -> dict[str, tf.Tensor]:
        """Read spans off codes int32[B, T], each row a legal sequence."""
        inside = tf.gather(self.inside, codes)
        opens = tf.gather(self.opens, codes)
        followed = tf.pad(inside[:, 1:], [(0, 0), (0, 1)])
        # Spans do not overlap, so the n-th opening belongs to the n-th closing.
        first, last = tf.where(opens), tf.where((opens | inside) & ~followed)
        likely = probability(tf.gather_nd(left, first) + tf.gather_nd(right, last))
        values = {
            "span_types": tf.gather(self.types, tf.gather_nd(codes, first)),
            "span_starts": tf.cast(first[:, 1], tf.int32),
            "span_limits": tf.cast(last[:, 1], tf.int32) + 1,
            "span_confidences": likely,
        }
        rows = tf.shape(codes, tf.int64)[0]

        def dense(flat: tf.Tensor) -> tf.Tensor:
            ragged = tf.RaggedTensor.from_value_rowids(flat, first[:, 0], rows)
            return ragged.to_tensor("" if flat.dtype == tf.string else 0)

        return {name: dense(flat) for name, flat in values.items()}


_TRANSITIONS = {
    "tags": "string[K], the model's own tags, in the order of labels.txt",
    "scores": "float32[K, K], the learned score of column's tag after row's",
    "start": "float32[K], of beginning with a tag",
    "end": "float32[K], of ending with it",
}


def _width(tokens: tf.RaggedTensor) -> tf.Tensor:
    return tokens.bounding_shape(axis=1, out_type=tf.int32)


def _fitted(values: tf.Tensor, width: tf.Tensor) -> tf.Tensor:
    """Cut or pad values, [B, T]: the model takes a step even where no row has a token."""
    cut = values[:, :width]
    return tf.pad(cut, [(0, 0), (0, width - tf.shape(cut)[1])])


def _slices(
    text: tf.Tensor, places: dict[str, tf.Tensor], answer: dict[str, tf.Tensor]
) -> tf.Tensor:
    """Return what stands in texts, string[B], at each span: string[B, S], padded with ""."""
    real = answer["span_types"] != ""
    row = tf.cast(tf.where(real)[:, 0], tf.int32)
    first = tf.stack([row, answer["span_starts"][real]], axis=1)
    last = tf.stack([row, answer["span_limits"][real] - 1], axis=1)
    starts, limits = (
        tf.gather_nd(places["byte_starts"], first),
        tf.gather_nd(places["byte_limits"], last),
    )
    found = tf.strings.substr(tf.gather(text, row), starts, limits - starts)
    return tf.tensor_scatter_nd_update(tf.fill(tf.shape(real), ""), tf.where(real), found)


def probability(logs: Any) -> Any:
    """Return exp(logs), at most 1: rounding may lift the logarithm above 0."""
    return tf.exp(tf.minimum(logs, 0.0))

"""What an exported language model answers, from raw text."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from pipelines.corpus import EncodedCorpus
from pipelines.datasets.documents import PASSAGE
from pipelines.export.saved_model import Endpoint
from pipelines.language.adapting import Adaptation, adaptive_bits
from pipelines.language.artifacts import LanguageArtifacts
from pipelines.language.encoding import tokenizer_of
from pipelines.language.generation import Generation
from pipelines.language.model import LAYER
from pipelines.language.reading import read_prompt, token_bits
from pipelines.layers.language_model import LanguageModel
from pipelines.padding import concatenate_padded
from pipelines.text.vocabulary import EOS, UNK

UNKNOWN_BITS = 20.0  # an unknown character is one of 2^20 code points

_SERVE = {
    "bits_per_character": "float32[B], -log2 of the text's probability, per character",
    "bits": "float32[B], of the whole text, without its end",
    "characters": "int32[B], code points of the text",
    "passage_bits": f"float32[B, P], bits of every {PASSAGE:,} characters of the text, then 0",
}
_SCORE = {
    "tokens": "string[B, T], what was read at each step, padded with ''",
    "bits": "float32[B, T], how much each token surprised the model; 0 at padding",
    "bits_per_character": _SERVE["bits_per_character"],
}
_NEXT = {
    "tokens": "string[B, V], what may come next, the likeliest first",
    "probability": "float32[B, V], how likely each is",
}


class LanguageServing:
    """The endpoints of a language model.

    Args:
        model: what `model.build` returned.
        artifacts: what it was made with.
    """

    def __init__(self, model: keras.Model, artifacts: LanguageArtifacts) -> None:
        self.model = model
        self.layer: LanguageModel = model.get_layer(LAYER)
        self.tokenizer = tokenizer_of(artifacts, ends=True)
        self._names = list(artifacts.vocabulary.tokens)

    def endpoints(self) -> dict[str, Endpoint]:
        """Return `serve`, `score`, `next`, `adapt` and those of `Generation`."""
        generation = Generation(self.layer, self.tokenizer)
        resources = (self.model, self.tokenizer)
        text = {"text": tf.TensorSpec([None], tf.string)}
        choices = {name: tf.TensorSpec([None], tf.float32) for name in Adaptation._fields}
        return {
            "serve": Endpoint(self.serve, text, _SERVE, resources=resources),
            "score": Endpoint(self.score, text, _SCORE, resources=resources),
            "next": Endpoint(self.next, text, _NEXT, resources=resources),
            "adapt": Endpoint(self.adapt, text | choices, _SERVE, resources=resources),
        } | generation.endpoints(resources)

    def serve(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return how many bits texts, string[B], take."""
        return self.weigh(self.tokenizer.encode(text))

    def adapt(
        self,
        text: tf.Tensor,
        rate: tf.Tensor,
        decay: tf.Tensor,
        share: tf.Tensor,
        sharpness: tf.Tensor,
    ) -> dict[str, tf.Tensor]:
        """Return how many bits texts, string[B], take a model that learns as it reads.

        Args:
            text: string[B].
            rate: float32[B]; this and the others are as in `Adaptation`.
            decay: float32[B].
            share: float32[B].
            sharpness: float32[B].
        """
        ids = self.tokenizer.encode(text)
        how = Adaptation(rate, decay, share, sharpness)
        return self._summed(ids, adaptive_bits(self.layer, ids, how))

    def weigh(self, ids: tf.RaggedTensor) -> dict[str, tf.Tensor]:
        """Return how many bits numbered texts take: BOS, tokens, EOS; int32 ragged [B, (T)]."""
        return self._summed(ids, token_bits(self.layer, ids))

    def _summed(self, ids: tf.RaggedTensor, bits: tf.Tensor) -> dict[str, tf.Tensor]:
        targets = ids[:, 1:].to_tensor()
        bits = _of_text(bits, targets)
        widths = self.tokenizer.characters_per_token(targets)
        characters = tf.reduce_sum(widths, axis=1)
        passages = _passages(bits, widths)
        total = tf.reduce_sum(passages, axis=1)
        return {
            "bits_per_character": _share(total, characters),
            "bits": total,
            "characters": characters,
            "passage_bits": passages,
        }

    def score(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return the bits of every token of texts, string[B]."""
        ids = self.tokenizer.encode(text)
        targets = ids[:, 1:].to_tensor()
        bits = _of_text(token_bits(self.layer, ids), targets)[:, :-1]
        characters = tf.reduce_sum(self.tokenizer.characters_per_token(targets), axis=1)
        pieces = self.tokenizer.split(text).pieces.to_tensor("")
        return {
            "tokens": pieces,
            "bits": bits,
            "bits_per_character": _share(tf.reduce_sum(bits, axis=1), characters),
        }

    def next(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return what may follow texts, string[B]."""
        prompt = read_prompt(self.layer, self.tokenizer.encode(text)[:, :-1])
        logits, _ = self.layer.step(prompt.last, prompt.state)
        probability, order = tf.math.top_k(tf.nn.softmax(logits), len(self._names))
        return {"tokens": tf.gather(tf.constant(self._names), order), "probability": probability}


def _of_text(bits: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """Add what it takes to say which unknown character it is; the end of a text costs nothing."""
    bits += UNKNOWN_BITS * tf.cast(targets == UNK, tf.float32)
    return tf.where(targets == EOS, 0.0, bits)


def _share(bits: tf.Tensor, characters: tf.Tensor) -> tf.Tensor:
    return bits / tf.cast(tf.maximum(characters, 1), tf.float32)


def _passages(bits: tf.Tensor, widths: tf.Tensor) -> tf.Tensor:
    """Sum bits float32[B, T] by passages of characters, `widths` int32[B, T]: float32[B, P].

    A token counts where it begins.
    """
    begins = tf.cumsum(widths, axis=1, exclusive=True)
    passages = begins // PASSAGE
    # The end of a text that fills its last passage would begin another; it has no bits.
    count = (tf.reduce_max(begins + widths) + PASSAGE - 1) // PASSAGE
    count = tf.maximum(count, 1)
    passages = tf.minimum(passages, count - 1)
    rows = tf.shape(bits)[0]
    places = passages + count * tf.range(rows)[:, None]
    sums = tf.math.unsorted_segment_sum(bits, places, rows * count)
    return tf.reshape(sums, [rows, count])


def weigh_corpus(
    model: keras.Model, artifacts: LanguageArtifacts, corpus: EncodedCorpus, *, rows: int
) -> dict[str, np.ndarray]:
    """Return what `serve` answers of an encoded corpus, by the model in this process."""
    serving = LanguageServing(model, artifacts)
    weigh = tf.function(
        serving.weigh,
        input_signature=[tf.RaggedTensorSpec([None, None], tf.int32)],
        autograph=False,
    )
    starts = range(0, len(corpus), rows)
    parts = [weigh(_with_end(corpus, start, start + rows)) for start in starts]
    return {name: concatenate_padded([part[name].numpy() for part in parts]) for name in parts[0]}


def _with_end(corpus: EncodedCorpus, start: int, stop: int) -> tf.RaggedTensor:
    """Return rows of a corpus as the tokenizer gives texts: BOS, tokens, EOS."""
    chosen = np.arange(start, min(stop, len(corpus)))
    batch = corpus.gather(chosen, ["tokens"])["tokens"]
    lengths = corpus.lengths("tokens")[chosen].astype(np.int64)
    end = tf.fill([len(chosen), 1], EOS)
    return tf.concat([tf.RaggedTensor.from_tensor(batch, lengths), end], axis=1)

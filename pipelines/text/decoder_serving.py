"""What a decoder's endpoints share, whatever it writes about: search, probability, attention."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from pipelines.layers.attention_decoder import AttentionDecoder
from pipelines.layers.decoding import BeamSettings, Decoded, beam_search, greedy
from pipelines.text.decoder_config import DecoderConfig
from pipelines.text.tokenizer import Tokenizer
from pipelines.text.vocabulary import BOS, PAD, UNK

# What is written about: memory [B, S, D], mask [B, S] or None, summary, and vectors of a lexical
# decoder; as `AttentionDecoder.call` takes them.
Read = Sequence[Any]
Search = Callable[[Any, Any, Any, Any], Decoded]
Rank = Callable[[Any, Any], Any]


class TextWriter:
    """Writes texts by a decoder, and tells how probable given ones are and where it looked.

    Args:
        decoder: built.
        tokenizer: of the texts: BOS + tokens + EOS a row.
        config: how texts are searched for.
        coverage_penalty: of the beam search; see `BeamSettings`.
    """

    def __init__(
        self,
        decoder: AttentionDecoder,
        tokenizer: Tokenizer,
        config: DecoderConfig,
        *,
        coverage_penalty: float = 0.0,
    ) -> None:
        self.decoder, self.tokenizer = decoder, tokenizer
        self.settings = BeamSettings(
            beams=config.beam,
            banned=(PAD, UNK, BOS),
            length_penalty=config.length_penalty,
            coverage_penalty=coverage_penalty,
            no_repeat_ngram=config.no_repeat_ngram,
        )

    def write(
        self, read: Read, limits: tf.Tensor, search: Search, rank: Rank | None = None
    ) -> dict[str, tf.Tensor]:
        """Write about what was read.

        Args:
            read: of B rows.
            limits: most tokens of each row, its end included, int32[B].
            search: one of `best`, `beams` and `greedy`.
            rank: orders what the search found anew: from tokens int32[B, K, T] and scores
                float32[B, K] to what speaks for each, float32[B, K].

        Returns:
            "texts" string[B, K], "scores" float32[B, K] and "complete" bool[B, K], best first.
        """
        memory, mask, summary, *vectors = read
        prepared = self.decoder.prepare(memory, mask, summary, *vectors)
        state = self.decoder.start(summary, memory=memory)
        decoded = search(
            lambda tokens, state: self.decoder.step(tokens, state, prepared), state, limits, mask
        )
        if rank is not None:
            decoded = _in_order(decoded, rank(decoded.tokens, decoded.score))
        shape = tf.shape(decoded.tokens)
        flat = tf.reshape(decoded.tokens, [shape[0] * shape[1], shape[2]])
        texts = self.tokenizer.detokenize(flat)
        return {
            "texts": tf.reshape(texts, shape[:2]),
            "scores": tf.cast(decoded.score, tf.float32),
            "complete": decoded.complete,
        }

    def best(self, step: Any, state: Any, limits: Any, mask: Any) -> Decoded:
        """Search for the best text alone."""
        settings = dataclasses.replace(self.settings, n_best=1)
        return beam_search(step, state, limits, settings, source_mask=mask)

    def beams(self, step: Any, state: Any, limits: Any, mask: Any) -> Decoded:
        """Search for as many texts as there are beams."""
        return beam_search(step, state, limits, self.settings, source_mask=mask)

    def greedy(self, step: Any, state: Any, limits: Any, mask: Any) -> Decoded:
        """Take the likeliest token at every step."""
        del mask
        return greedy(step, state, limits, self.settings)

    def score(self, read: Read, texts: tf.RaggedTensor) -> dict[str, tf.Tensor]:
        """Return how probable encoded texts, int32 ragged [B, (T)], are.

        Returns:
            "log_probability" float32[B] and "tokens" int32[B], the end counted.
        """
        written = texts.to_tensor(PAD)
        logits = self.teach(read, written)["logits"]
        wanted = written[:, 1:]
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(wanted, tf.cast(logits, tf.float32))
        real = tf.cast(wanted != PAD, tf.float32)
        return {
            "log_probability": -tf.reduce_sum(losses * real, axis=1),
            "tokens": tf.reduce_sum(tf.cast(wanted != PAD, tf.int32), axis=1),
        }

    def look(self, read: Read, texts: tf.RaggedTensor) -> dict[str, tf.Tensor]:
        """Return where the decoder looks as it writes encoded texts, int32 ragged [B, (T + 1)].

        Returns:
            "tokens" string[B, T], padded with "" (the end keeps its reserved name), and "weights"
            float32[B, T, S], 0 at padding.
        """
        written = texts.to_tensor(PAD)
        weights = tf.cast(self.teach(read, written)["attention"], tf.float32)
        wanted = tf.cast(written[:, 1:] != PAD, tf.float32)
        vocabulary = self.tokenizer.vocabulary
        names = token_names(texts[:, 1:], vocabulary.tokens if vocabulary else ())
        return {"tokens": names, "weights": weights * wanted[:, :, None]}

    def teach(self, read: Read, written: tf.Tensor) -> dict[str, Any]:
        """Return logits and attention as the decoder reads texts, int32[B, T], that are known."""
        return dict(self.decoder(written[:, :-1], *read, training=False))


def _in_order(decoded: Decoded, rank: tf.Tensor) -> Decoded:
    """Put hypotheses in the order of falling rank, float32[B, K]; of equals, the first found."""
    order = tf.argsort(rank, axis=1, direction="DESCENDING", stable=True)
    return Decoded(*(tf.gather(part, order, batch_dims=1) for part in decoded))


def token_names(ids: tf.RaggedTensor, tokens: Sequence[str]) -> tf.Tensor:
    """Name tokens, string[B, T] padded with ""; the end keeps its reserved name."""
    names = ids.with_flat_values(tf.gather(tf.constant(list(tokens)), ids.flat_values))
    return names.to_tensor("")

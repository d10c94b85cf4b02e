"""Writing on from a prompt inside the exported graph: sampling, streaming, completing.

A text is written in blocks: an outer loop around the decoding loop, so that a token costs the same
wherever it stands and memory is that of one block. What is drawn for a token depends on its row's
seed and on its place alone. A row's text is therefore the same in any batch, and however it is cut
into requests, as far as the products of matrices are: their last digits may hang on the batch.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from pipelines.export.saved_model import Endpoint
from pipelines.language.generation_state import Reader
from pipelines.language.generation_text import BlockTexts
from pipelines.language.generation_uniforms import uniforms
from pipelines.language.predict_options import COMPLETIONS
from pipelines.layers.decoding import (
    Ahead,
    BeamSettings,
    DecodingSettings,
    RowSettings,
    beam_search,
    sample_on,
)
from pipelines.text.tokenizer import Tokenizer
from pipelines.text.vocabulary import BOS, EOS, PAD, UNK

BLOCK = 128  # tokens written between two rounds of the outer loop
HISTORY = 64  # last tokens that the repetition penalty bears on

Outputs = dict[str, tf.Tensor]

_BANNED = (PAD, UNK, BOS)
_CHOICES = {
    "length": (tf.int32, "most tokens to write; none if not above 0"),
    "temperature": (tf.float32, "0 takes the most probable token"),
    "top_k": (tf.int32, "0 is all"),
    "top_p": (tf.float32, "1 is all"),
    "repetition_penalty": (tf.float32, "1 is off"),
    "seed": (tf.int32, "the same seed writes the same text"),
}
_TEXT = {
    "text": "string[B], what was written, without the prompt",
    "tokens": "int32[B], tokens written, the end included",
    "complete": "bool[B], whether the text ended by itself",
}
_STATE = {"state": "float32[B, W], all that the text is written on from"}
_COMPLETE = {
    "texts": f"string[B, {COMPLETIONS}], continuations, most probable first; '' if there are fewer",
    "log_probability": f"float32[B, {COMPLETIONS}], natural logarithm; -infinity if there are "
    "fewer",
    "complete": f"bool[B, {COMPLETIONS}], whether it ends the text",
}


class Generation:
    """The endpoints of a language model that write.

    Args:
        layer: a built `LanguageModel`, or what has `start`, `states` and `step` like it.
        tokenizer: numbers texts, cutting none.
        block: tokens written between two rounds of the outer loop.
    """

    def __init__(self, layer: Any, tokenizer: Tokenizer, *, block: int = BLOCK) -> None:
        self.layer, self.tokenizer, self.block = layer, tokenizer, block
        self._reader = Reader(layer, HISTORY)
        self._texts = BlockTexts(tokenizer)

    def endpoints(self, resources: tuple[Any, ...]) -> dict[str, Endpoint]:
        """Return `generate`, `begin`, `write_on` and `complete`.

        Args:
            resources: the Keras model and the tokenizer; see `Endpoint`.
        """
        prompt = {"prompt": tf.TensorSpec([None], tf.string)}
        choices = {name: tf.TensorSpec([None], kind) for name, (kind, _) in _CHOICES.items()}
        state = {"state": tf.TensorSpec([None, self._reader.width], tf.float32)}
        position = {"position": tf.TensorSpec([None], tf.int32)}
        length = {"length": choices["length"]}
        return {
            "generate": Endpoint(self.generate, prompt | choices, _TEXT, resources),
            "begin": Endpoint(self.begin, prompt, _STATE, resources),
            "write_on": Endpoint(
                self.write_on, state | choices | position, _TEXT | _STATE, resources
            ),
            "complete": Endpoint(self.complete, prompt | length, _COMPLETE, resources),
        }

    def generate(  # noqa: PLR0917  # an argument for every input of the endpoint
        self,
        prompt: tf.Tensor,
        length: tf.Tensor,
        temperature: tf.Tensor,
        top_k: tf.Tensor,
        top_p: tf.Tensor,
        repetition_penalty: tf.Tensor,
        seed: tf.Tensor,
    ) -> Outputs:
        """Write on from prompts of any length, string[B]; "" begins a document.

        Args:
            prompt: string[B].
            length: most tokens to write, int32[B].
            temperature: float32[B]; this and the next three are as in `RowSettings`.
            top_k: int32[B].
            top_p: float32[B].
            repetition_penalty: float32[B]; on the last `HISTORY` tokens, the prompt's included.
            seed: int32[B].

        Returns:
            text string[B], tokens int32[B] and complete bool[B].
        """
        rows = RowSettings(temperature, top_k, top_p, repetition_penalty)
        ahead = self._begin(prompt)
        outputs, _ = self._write(ahead, length, rows, seed, tf.zeros_like(seed))
        return outputs

    def begin(self, prompt: tf.Tensor) -> Outputs:
        """Read prompts, string[B]: the state float32[B, W] to write on from."""
        return {"state": self._reader.pack(self._begin(prompt))}

    def write_on(  # noqa: PLR0917  # an argument for every input of the endpoint
        self,
        state: tf.Tensor,
        length: tf.Tensor,
        temperature: tf.Tensor,
        top_k: tf.Tensor,
        top_p: tf.Tensor,
        repetition_penalty: tf.Tensor,
        seed: tf.Tensor,
        position: tf.Tensor,
    ) -> Outputs:
        """Write on from a state, for texts that are shown as they are written.

        The texts of requests one after the other join to what `generate` gives at once. At byte
        level a character whose end is not written yet comes with the next request. A text that has
        ended is written on no more.

        Args:
            state: of `begin` or of the request before, float32[B, W].
            length: most tokens to write in this request, int32[B].
            temperature: as in `generate`; and so the others.
            top_k: int32[B].
            top_p: float32[B].
            repetition_penalty: float32[B].
            seed: int32[B].
            position: tokens written since `begin`, int32[B].

        Returns:
            text string[B], tokens int32[B], complete bool[B] and state float32[B, W].
        """
        rows = RowSettings(temperature, top_k, top_p, repetition_penalty)
        outputs, ahead = self._write(self._reader.unpack(state), length, rows, seed, position)
        return outputs | {"state": self._reader.pack(ahead)}

    def complete(self, prompt: tf.Tensor, length: tf.Tensor) -> Outputs:
        """Search for the most probable continuations of prompts, string[B].

        Args:
            prompt: string[B].
            length: tokens of a continuation, fewer where one ends the text, int32[B].

        Returns:
            texts string[B, K], log_probability float32[B, K] and complete bool[B, K], K =
            `COMPLETIONS`, most probable first.
        """
        ahead = self._begin(prompt)
        settings = BeamSettings(
            beams=COMPLETIONS, banned=_BANNED, length_penalty=0.0, complete_first=False
        )
        found = beam_search(
            self._reader.step, ahead.state, length, settings, start=ahead.last[:, 0]
        )
        shape = tf.shape(found.tokens)
        texts = self._texts.whole(
            tf.reshape(found.tokens, [shape[0] * shape[1], shape[2]]),
            tf.reshape(found.lengths, [-1]),
        )
        return {
            "texts": tf.reshape(texts, shape[:2]),
            "log_probability": found.log_probability,
            "complete": found.complete,
        }

    def _begin(self, prompt: tf.Tensor) -> Ahead:
        ids = self.tokenizer.encode(prompt)
        # An empty text may be one unknown token, where BOS is enough.
        real = tf.gather(tf.strings.length(prompt) > 0, ids.value_rowids())
        values = ids.flat_values
        text = ids.with_flat_values(real & (values != BOS) & (values != EOS))
        column = tf.fill([tf.shape(prompt)[0], 1], BOS)
        ids = tf.concat([column, tf.ragged.boolean_mask(ids, text)], axis=1)
        ahead = self._reader.read(ids)
        # A prompt that ends within a character has shown its bytes: they are not held back.
        shown = tf.range(HISTORY, 0, -1) <= self._texts.held(ahead.history[:, 0])[:, None]
        return ahead._replace(history=tf.where(shown[:, None], PAD, ahead.history))

    def _write(
        self,
        ahead: Ahead,
        length: tf.Tensor,
        rows: RowSettings,
        seed: tf.Tensor,
        position: tf.Tensor,
    ) -> tuple[Outputs, Ahead]:
        """Write blocks until every row has its length or has ended."""
        nothing = tf.zeros_like(length)
        settings = DecodingSettings(banned=_BANNED, max_length=self.block)

        def limits(written: Any, ended: Any) -> Any:
            return tf.clip_by_value(tf.where(ended, 0, length - written), 0, self.block)

        def block(text: Any, written: Any, ended: Any, ahead: Any) -> Any:
            places = (position + written)[:, None] + tf.range(self.block)
            drawn = uniforms(seed[:, None], places)
            decoded, after = sample_on(
                self._reader.step,
                ahead,
                limits(written, ended),
                settings,
                lambda number: tf.gather(drawn, number, axis=1)[:, None],
                rows=rows,
                scored=False,
            )
            lengths = decoded.lengths[:, 0]
            new = self._texts.write(
                ahead.history[:, 0], decoded.tokens[:, 0], lengths, after.history[:, 0]
            )
            text = tf.strings.join([text, new])
            return text, written + lengths, ended | decoded.complete[:, 0], after

        text, written, ended, ahead = tf.while_loop(
            lambda _, written, ended, __: tf.reduce_any(limits(written, ended) > 0),
            block,
            (tf.fill(tf.shape(length), ""), nothing, ahead.last[:, 0] == EOS, ahead),
            parallel_iterations=1,
        )
        return {"text": text, "tokens": written, "complete": ended}, ahead

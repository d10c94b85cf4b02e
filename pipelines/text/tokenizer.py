"""The one tokenization layer: text in, padded numbers out, in core TensorFlow ops only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from pipelines.config import Level
from pipelines.errors import ConfigError
from pipelines.text import byte_level, detokenizing, subword, units
from pipelines.text.subword_learning import MAX_WORD_CHARS
from pipelines.text.tokenizer_checks import check_settings, check_whitespace
from pipelines.text.units import Tokens
from pipelines.text.vocabulary import BOS, EOS, PAD, RESERVED, UNK, Vocabulary


class Encoded(NamedTuple):
    """Numbers of a batch and how many there were before truncation.

    Attributes:
        ids: int32 ragged [B, (T)], no row empty.
        lengths: int32[B], the row lengths had nothing been cut, BOS and EOS included.
    """

    ids: tf.RaggedTensor
    lengths: tf.Tensor


@keras.saving.register_keras_serializable(package="pipelines")
class Tokenizer(keras.layers.Layer):
    """Cut texts into tokens and number them, inside the exported graph.

    Texts are string[B]: a tensor, an object array or a list of str. Ill-formed UTF-8 is read as
    U+FFFD. What a word is: see `pipelines.text.units`. A row is never empty, because recurrent
    kernels need a real step in every row: a text without tokens is one UNK, unless BOS or EOS is
    added. Composed and decomposed
    accents stay as they are (core TensorFlow has no NFC). To encode much text, wrap a method in
    `tf.function` with the signature string[None]: twice as fast, and far more for single texts.

    Args:
        vocabulary: the numbers, with the four reserved tokens; None for `split` alone, and at the
            level "byte", which has only one vocabulary.
        level: "word", "char" (code points, whitespace included), "byte" (of UTF-8; ill-formed ones
            stay as they are) or "subword".
        lowercase: whether to lower-case before looking a token up: all of Unicode, but A to Z
            alone at the level "byte".
        max_tokens: the longest row, BOS and EOS included; the text's end is cut. None: no limit.
        add_bos: whether a row begins with BOS.
        add_eos: whether a row ends with EOS; it is kept when the text is cut.
        keep_whitespace: whether subword pieces hold the whitespace of the text, so that it comes
            back exactly, and an unknown character is an UNK by itself; the vocabulary must have
            been fitted likewise. Characters and bytes always keep it, words never do.

    Raises:
        ConfigError: an unknown level, a limit with no room for text, a vocabulary without the
            reserved tokens or not of bytes at the level "byte", or words that keep whitespace.
    """

    def __init__(
        self,
        vocabulary: Vocabulary | Sequence[str] | None = None,
        *,
        level: Level = "word",
        lowercase: bool = True,
        max_tokens: int | None = None,
        add_bos: bool = False,
        add_eos: bool = False,
        keep_whitespace: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if vocabulary is not None and not isinstance(vocabulary, Vocabulary):
            vocabulary = Vocabulary(tuple(vocabulary))
        if vocabulary is None and level == "byte":
            vocabulary = Vocabulary.of_bytes()
        check_settings(vocabulary, level, max_tokens, extra=add_bos + add_eos)
        check_whitespace(level, keep_whitespace)
        self.vocabulary, self.level, self.lowercase = vocabulary, level, lowercase
        self.max_tokens, self.add_bos, self.add_eos = max_tokens, add_bos, add_eos
        self.keep_whitespace = keep_whitespace
        # Strings reach `call` as they are; Keras would convert them to its floating type.
        self._convert_input_args = False
        self._allow_non_tensor_positional_args = True
        if vocabulary is not None:
            self._make_table(vocabulary)
        self.built = True

    def _make_table(self, vocabulary: Vocabulary) -> None:
        # The reserved names are no keys: a text that spells "<eos>" does not end there. The empty
        # string, never a token, keeps the table of a vocabulary without words valid.
        known = ["", *self._strings(vocabulary)[len(RESERVED) :]]
        ids = [UNK, *range(len(RESERVED), len(vocabulary))]
        pairs = tf.lookup.KeyValueTensorInitializer(
            tf.constant(known, tf.string), tf.constant(ids, tf.int32)
        )
        self._table = tf.lookup.StaticHashTable(pairs, default_value=UNK)
        self._widest = max(1, max(map(len, known)))

    def split(self, texts: Any) -> Tokens:
        """Cut texts, string[B], into tokens with their places; nothing is truncated or added.

        A text without tokens gives an empty row here. Subword pieces need a vocabulary; a piece
        that is only U+2581 covers no character of the text. A byte has the place, in code points,
        of the character it belongs to.
        """
        texts = tf.convert_to_tensor(texts, tf.string)
        if self.level == "char":
            return units.char_tokens(texts, lowercase=self.lowercase)
        if self.level == "byte":
            return byte_level.byte_tokens(texts, lowercase=self.lowercase)
        if self.level == "subword" and self.keep_whitespace:
            spaced = units.spaced_tokens(texts, lowercase=self.lowercase, longest=MAX_WORD_CHARS)
            return subword.piece_tokens(
                spaced, self._lookup, widest=self._width(), keep_whitespace=True
            )
        words = units.word_tokens(texts, lowercase=self.lowercase)
        if self.level == "word":
            return words
        return subword.piece_tokens(words, self._lookup, widest=self._width())

    def encode(self, texts: Any) -> tf.RaggedTensor:
        """Number the tokens of texts, string[B]: int32 ragged [B, (T)], no row empty."""
        return self.encode_counted(texts).ids

    def encode_counted(self, texts: Any) -> Encoded:
        """Do as `encode`, and tell how long the rows would be without `max_tokens`."""
        texts = tf.convert_to_tensor(texts, tf.string)
        extra = self.add_bos + self.add_eos
        ids = self._numbers(texts) if extra else self._add_missing(self._numbers(texts))
        lengths = tf.cast(ids.row_lengths(), tf.int32) + extra
        if self.max_tokens is not None:
            ids = ids[:, : self.max_tokens - extra]
        return Encoded(self._add_ends(ids), lengths)

    def count_truncated(self, texts: Any) -> tf.Tensor:
        """Count the texts, string[B], that `max_tokens` cuts: int32 scalar."""
        lengths = self.encode_counted(texts).lengths
        limit = lengths.dtype.max if self.max_tokens is None else self.max_tokens
        return tf.reduce_sum(tf.cast(lengths > limit, tf.int32))

    def encode_tokens(self, tokens: tf.RaggedTensor) -> tf.RaggedTensor:
        """Number tokens that are already cut, string ragged [B, (T)], one for one: int32.

        For data that comes as tokens: nothing is added, cut off or truncated, and at the word
        level equal pieces get the numbers `encode` gives them.
        """
        flat, lower = tokens.flat_values, byte_level.lower
        if self.level != "byte":
            flat, lower = units.valid_text(flat), units.lower
        return tokens.with_flat_values(self._lookup(lower(flat) if self.lowercase else flat))

    def call(self, texts: Any) -> tf.Tensor:
        """Number texts, string[B], as int32[B, T], padded on the right with PAD."""
        return self.encode(texts).to_tensor(PAD)

    def compute_output_spec(self, texts: Any) -> keras.KerasTensor:
        """Give the symbolic result of `call`: int32[B, T], T unknown."""
        return keras.KerasTensor((texts.shape[0], None), dtype="int32")

    def detokenize(self, ids: Any) -> tf.Tensor:
        """Write ids, int32[B, T], as texts, string[B], up to EOS and without PAD and BOS.

        Characters, bytes and subword pieces give back the text (up to case, unknown tokens and,
        for pieces that do not keep it, whitespace); words are joined as `detokenizing.join_words`
        describes. Bytes cut within a character give ill-formed UTF-8.
        """
        vocabulary = self._need_vocabulary()
        ids = tf.convert_to_tensor(ids, tf.int32)
        tokens = tf.constant(self._strings(vocabulary))
        if self.level in ("char", "byte") or self.keep_whitespace:
            return detokenizing.join_plainly(ids, tokens)
        if self.level == "subword":
            return detokenizing.join_pieces(ids, tokens)
        return detokenizing.join_words(ids, tokens, detokenizing.word_spacing(vocabulary))

    def token_strings(self, ids: Any) -> tf.Tensor:
        """Show what ids, int32 of any shape or ragged, stand for: strings of the same shape.

        Valid UTF-8: a byte beyond ASCII is shown as `<0xC3>`. Reserved tokens have their names.
        """
        vocabulary = self._need_vocabulary()
        shown = vocabulary.tokens
        if self.level == "byte":
            ascii_only = [chr(value) for value in range(128)]
            shown = (*RESERVED, *ascii_only, *shown[len(RESERVED) + 128 :])
        return tf.gather(tf.constant(list(shown)), ids)

    def characters_per_token(self, ids: Any) -> tf.Tensor:
        """Count the code points each of ids, int32 of any shape or ragged, stands for: int32.

        UNK stands for 1, the other reserved tokens for 0, a byte that begins a character for 1 and
        one that continues it for 0. A U+2581 for "a space stood here" counts as that space.
        """
        vocabulary = self._need_vocabulary()
        counts = [len(token) for token in vocabulary.tokens[len(RESERVED) :]]
        if self.level == "byte":
            counts = [int(begins) for begins in byte_level.BEGINS_CHARACTER]
        reserved = [int(number == UNK) for number in range(len(RESERVED))]
        return tf.gather(np.array([*reserved, *counts], np.int32), ids)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments; the vocabulary as a list of tokens."""
        return {
            **super().get_config(),
            "vocabulary": None if self.vocabulary is None else list(self.vocabulary.tokens),
            "level": self.level,
            "lowercase": self.lowercase,
            "max_tokens": self.max_tokens,
            "add_bos": self.add_bos,
            "add_eos": self.add_eos,
            "keep_whitespace": self.keep_whitespace,
        }

    def _need_vocabulary(self) -> Vocabulary:
        if self.vocabulary is None:
            raise ConfigError(
                f"Tokenizer(level={self.level!r}) has no vocabulary, so it can only split words "
                "or characters; expected a Vocabulary; give it one from fit_vocabulary(...)"
            )
        return self.vocabulary

    def _strings(self, vocabulary: Vocabulary) -> list[Any]:
        """Return the text of every token, as it is looked up and written."""
        return list(byte_level.STRINGS if self.level == "byte" else vocabulary.tokens)

    def _lookup(self, strings: tf.Tensor) -> tf.Tensor:
        self._need_vocabulary()
        return self._table.lookup(strings)

    def _width(self) -> int:
        self._need_vocabulary()
        return self._widest

    def _numbers(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Number every token, in shorter ways than `split` that agree with it."""
        if self.level == "char":
            codes = tf.strings.unicode_decode(units.valid_text(texts), "UTF-8")
            distinct, where = tf.unique(codes.flat_values)
            chars = units.characters(distinct)
            chars = units.lower(chars) if self.lowercase else chars
            return codes.with_flat_values(tf.gather(self._lookup(chars), where))
        if self.level == "byte":
            return byte_level.byte_numbers(texts, lowercase=self.lowercase)
        if self.level == "word":
            words = units.words(texts, lowercase=self.lowercase)
            return words.with_flat_values(self._lookup(words.flat_values))
        if self.keep_whitespace:
            words = units.spaced_words(texts, longest=MAX_WORD_CHARS)
            if self.lowercase:
                words = words.with_flat_values(units.lower(words.flat_values))
        else:
            words = units.space_marked_words(texts, lowercase=self.lowercase)
        return subword.piece_numbers(
            words, self._lookup, widest=self._width(), keep_whitespace=self.keep_whitespace
        )

    def _add_missing(self, ids: tf.RaggedTensor) -> tf.RaggedTensor:
        empty = tf.cast(ids.row_lengths() == 0, tf.int64)
        unknown = tf.fill([tf.reduce_sum(empty)], UNK)
        return tf.concat([ids, tf.RaggedTensor.from_row_lengths(unknown, empty)], axis=1)

    def _add_ends(self, ids: tf.RaggedTensor) -> tf.RaggedTensor:
        column = tf.ones([ids.nrows(), 1], tf.int32)
        before = [column * BOS] if self.add_bos else []
        after = [column * EOS] if self.add_eos else []
        return tf.concat([*before, ids, *after], axis=1) if before or after else ids

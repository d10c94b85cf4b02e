"""The one tokenization layer: text in, padded numbers out, in core TensorFlow ops only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, get_args

import keras
import tensorflow as tf

from pipelines.errors import ConfigError, did_you_mean
from pipelines.text import detokenizing, subword, units
from pipelines.text.units import Tokens
from pipelines.text.vocabulary import BOS, EOS, PAD, RESERVED, UNK, Vocabulary

Level = Literal["word", "char", "subword"]


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
        vocabulary: the numbers, with the four reserved tokens; None for `split` alone.
        level: "word", "char" (code points, whitespace included) or "subword".
        lowercase: whether to lower-case (all of Unicode) before looking a token up.
        max_tokens: the longest row, BOS and EOS included; the text's end is cut. None: no limit.
        add_bos: whether a row begins with BOS.
        add_eos: whether a row ends with EOS; it is kept when the text is cut.

    Raises:
        ConfigError: an unknown level, a limit with no room for text, or a vocabulary without the
            reserved tokens.
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
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if vocabulary is not None and not isinstance(vocabulary, Vocabulary):
            vocabulary = Vocabulary(tuple(vocabulary))
        _check(vocabulary, level, max_tokens, extra=add_bos + add_eos)
        self.vocabulary, self.level, self.lowercase = vocabulary, level, lowercase
        self.max_tokens, self.add_bos, self.add_eos = max_tokens, add_bos, add_eos
        # Strings reach `call` as they are; Keras would convert them to its floating type.
        self._convert_input_args = False
        self._allow_non_tensor_positional_args = True
        if vocabulary is not None:
            self._make_table(vocabulary)
        self.built = True

    def _make_table(self, vocabulary: Vocabulary) -> None:
        # The reserved names are no keys: a text that spells "<eos>" does not end there. The empty
        # string, never a token, keeps the table of a vocabulary without words valid.
        known = ["", *vocabulary.tokens[len(RESERVED) :]]
        ids = [UNK, *range(len(RESERVED), len(vocabulary))]
        pairs = tf.lookup.KeyValueTensorInitializer(
            tf.constant(known, tf.string), tf.constant(ids, tf.int32)
        )
        self._table = tf.lookup.StaticHashTable(pairs, default_value=UNK)
        self._widest = max(1, max(map(len, known)))

    def split(self, texts: Any) -> Tokens:
        """Cut texts, string[B], into tokens with their places; nothing is truncated or added.

        A text without tokens gives an empty row here. Subword pieces need a vocabulary; a piece
        that is only U+2581 covers no character of the text.
        """
        texts = tf.convert_to_tensor(texts, tf.string)
        if self.level == "char":
            return units.char_tokens(texts, lowercase=self.lowercase)
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
        flat = units.valid_text(tokens.flat_values)
        return tokens.with_flat_values(self._lookup(units.lower(flat) if self.lowercase else flat))

    def call(self, texts: Any) -> tf.Tensor:
        """Number texts, string[B], as int32[B, T], padded on the right with PAD."""
        return self.encode(texts).to_tensor(PAD)

    def compute_output_spec(self, texts: Any) -> keras.KerasTensor:
        """Give the symbolic result of `call`: int32[B, T], T unknown."""
        return keras.KerasTensor((texts.shape[0], None), dtype="int32")

    def detokenize(self, ids: Any) -> tf.Tensor:
        """Write ids, int32[B, T], as texts, string[B], up to EOS and without PAD and BOS.

        Characters and subword pieces give back the text (up to case, unknown tokens and, for
        pieces, whitespace); words are joined as `detokenizing.join_words` describes.
        """
        vocabulary = self._need_vocabulary()
        ids = tf.convert_to_tensor(ids, tf.int32)
        tokens = tf.constant(list(vocabulary.tokens))
        if self.level == "char":
            return detokenizing.join_chars(ids, tokens)
        if self.level == "subword":
            return detokenizing.join_pieces(ids, tokens)
        return detokenizing.join_words(ids, tokens, detokenizing.word_spacing(vocabulary))

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
        }

    def _need_vocabulary(self) -> Vocabulary:
        if self.vocabulary is None:
            raise ConfigError(
                f"Tokenizer(level={self.level!r}) has no vocabulary, so it can only split words "
                "or characters; expected a Vocabulary; give it one from fit_vocabulary(...)"
            )
        return self.vocabulary

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
            chars = tf.strings.unicode_encode(distinct[:, tf.newaxis], "UTF-8")
            chars = units.lower(chars) if self.lowercase else chars
            return codes.with_flat_values(tf.gather(self._lookup(chars), where))
        if self.level == "word":
            words = units.words(texts, lowercase=self.lowercase)
            return words.with_flat_values(self._lookup(words.flat_values))
        words = units.space_marked_words(texts, lowercase=self.lowercase)
        return subword.piece_numbers(words, self._lookup, widest=self._width())

    def _add_missing(self, ids: tf.RaggedTensor) -> tf.RaggedTensor:
        empty = tf.cast(ids.row_lengths() == 0, tf.int64)
        unknown = tf.fill([tf.reduce_sum(empty)], UNK)
        return tf.concat([ids, tf.RaggedTensor.from_row_lengths(unknown, empty)], axis=1)

    def _add_ends(self, ids: tf.RaggedTensor) -> tf.RaggedTensor:
        column = tf.ones([ids.nrows(), 1], tf.int32)
        before = [column * BOS] if self.add_bos else []
        after = [column * EOS] if self.add_eos else []
        return tf.concat([*before, ids, *after], axis=1) if before or after else ids


def _check(
    vocabulary: Vocabulary | None, level: str, max_tokens: int | None, *, extra: int
) -> None:
    levels = get_args(Level)
    if level not in levels:
        raise ConfigError(
            f"unknown level {level!r} for Tokenizer{did_you_mean(level, levels)}; expected one of "
            f"{', '.join(levels)}"
        )
    if max_tokens is not None and max_tokens <= extra:
        raise ConfigError(
            f"max_tokens={max_tokens} for Tokenizer leaves no room for text beside the {extra} of "
            f"BOS and EOS; expected at least {extra + 1}; raise it or give None for no limit"
        )
    if vocabulary is not None and vocabulary.reserved != RESERVED:
        raise ConfigError(
            f"the vocabulary for Tokenizer reserves {list(vocabulary.reserved)}; expected "
            f"{list(RESERVED)}; a set of labels cannot number text"
        )

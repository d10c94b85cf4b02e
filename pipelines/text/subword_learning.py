"""Learning subword pieces from counted words, with the `tokenizers` library; no TensorFlow."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping

from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from pipelines.errors import DataError
from pipelines.text.vocabulary import RESERVED, UNK, Vocabulary

MAX_WORD_CHARS = 100  # longer words become UNK, as in the library (`max_input_chars_per_word`)
MAX_PIECE_CHARS = 20  # longer pieces are dropped: rare, and the cost of a lookup grows with them
# A space where no word holds one; else a character for private use.
_SEPARATORS = (0x20, *range(0xE000, 0xF900), *range(0xF0000, 0xFFFFE))
_TRAINING_WORDS = 5_000_000  # occurrences shown to the trainer; counts are scaled down to it


def learn_pieces(
    word_counts: Mapping[str, int], *, min_count: int = 2, max_size: int = 8000
) -> Vocabulary:
    """Learn a WordPiece vocabulary from counted words (Schuster & Nakajima, 2012).

    Args:
        word_counts: occurrences of each word, as `units.space_marked_words` cuts them, or
            `units.spaced_words` where whitespace is kept.
        min_count: merges and characters seen less often are not learned.
        max_size: the largest length of the vocabulary, reserved tokens included.

    Raises:
        DataError: there are no words to learn from.
    """
    if not word_counts:
        raise DataError(
            "no subword pieces can be learned: the training text holds 0 words; expected at least "
            "one; check the text column"
        )
    alphabet = _alphabet(word_counts, min_count=min_count, room=(max_size - len(RESERVED)) // 2)
    learner = Tokenizer(models.WordPiece(unk_token=RESERVED[UNK]))
    separator = next(mark for mark in map(chr, _SEPARATORS) if mark not in alphabet)
    learner.pre_tokenizer = pre_tokenizers.CharDelimiterSplit(separator)
    trainer = trainers.WordPieceTrainer(
        vocab_size=max_size,
        min_frequency=min_count,
        special_tokens=list(RESERVED),
        continuing_subword_prefix="",
        initial_alphabet=sorted(alphabet),
        show_progress=False,
    )
    lines = _repeated_words(word_counts, alphabet, separator)
    learner.train_from_iterator(lines, trainer)
    numbers = learner.get_vocab()
    ordered = sorted(numbers, key=lambda piece: numbers[piece])
    return Vocabulary(tuple(piece for piece in ordered if len(piece) <= MAX_PIECE_CHARS))


def _alphabet(word_counts: Mapping[str, int], *, min_count: int, room: int) -> set[str]:
    """Choose the characters: the most frequent ones, at most half of the vocabulary."""
    characters: Counter[str] = Counter()
    for word, count in word_counts.items():
        for character in word:
            characters[character] += count
    ranked = sorted(characters.items(), key=lambda entry: (-entry[1], entry[0]))
    return {character for character, count in ranked[:room] if count >= min_count}


def _repeated_words(
    word_counts: Mapping[str, int], alphabet: set[str], separator: str
) -> Iterator[str]:
    """Yield lines that repeat each word as often as it occurs: the trainer takes no counts.

    Sorted, so that the result depends on nothing but the counts.
    """
    scale = min(1.0, _TRAINING_WORDS / sum(word_counts.values()))
    for word, count in sorted(word_counts.items()):
        if alphabet.issuperset(word) and len(word) <= MAX_WORD_CHARS:
            yield separator.join([word] * math.ceil(count * scale))

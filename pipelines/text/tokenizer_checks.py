"""What a tokenizer refuses, and why."""

from __future__ import annotations

from typing import get_args

from pipelines.config import Level
from pipelines.errors import ConfigError, did_you_mean
from pipelines.text.vocabulary import RESERVED, Vocabulary


def check_settings(
    vocabulary: Vocabulary | None, level: str, max_tokens: int | None, *, extra: int
) -> None:
    """Refuse a level, a limit and a vocabulary that cannot work, alone or together.

    Args:
        vocabulary: the numbers, or None.
        level: what tokens are.
        max_tokens: the longest row, or None.
        extra: how many of BOS and EOS a row has.

    Raises:
        ConfigError: see above.
    """
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
    if vocabulary is None:
        return
    if vocabulary.reserved != RESERVED:
        raise ConfigError(
            f"the vocabulary for Tokenizer reserves {list(vocabulary.reserved)}; expected "
            f"{list(RESERVED)}; a set of labels cannot number text"
        )
    if level == "byte" and vocabulary != Vocabulary.of_bytes():
        raise ConfigError(
            f"the vocabulary for Tokenizer(level='byte') has {len(vocabulary)} entries that are "
            "not the 256 bytes in order; give it Vocabulary.of_bytes() or None, or another level"
        )


def check_whitespace(level: str, keep_whitespace: bool) -> None:
    """Refuse to keep whitespace at a level that drops it.

    Raises:
        ConfigError: words that keep whitespace.
    """
    if keep_whitespace and level == "word":
        raise ConfigError(
            "keep_whitespace=True for Tokenizer(level='word'), which drops whitespace; expected "
            "one of char, byte, subword; choose one of them, or leave keep_whitespace out"
        )

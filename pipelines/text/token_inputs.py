"""Tokens as what an encoder reads, where these are not learned vectors; and where sentences end."""

from __future__ import annotations

import logging
from typing import Any

from pipelines.config import TextConfig
from pipelines.errors import ConfigError
from pipelines.text.vocabulary import BYTES, RESERVED, Vocabulary

MOST_ONE_HOT = 2_000  # entries; a batch of 4,096 tokens then takes 33 MB
FINAL = frozenset(".!?\u2026\u3002\uff0e\uff01\uff1f\uff61\u061f\u06d4\u0964\u0965\u0589\u1362")
_MARK = "\u2581"  # a space stood here: of subword pieces
_log = logging.getLogger(__name__)


def require_small(vocabulary: Vocabulary, config: TextConfig) -> None:
    """Refuse one-hot vectors of a large vocabulary.

    Raises:
        ConfigError: the vocabulary is too large; with what it would cost, and what to do instead.
    """
    size = len(vocabulary)
    if size <= MOST_ONE_HOT:
        return
    megabytes = config.batch_tokens * size * 4 / 1e6
    level = "--level char, " if hasattr(config, "level") else ""
    raise ConfigError(
        f"option --inputs is 'one-hot', but the vocabulary has {size:,} entries; it must have at "
        f"most {MOST_ONE_HOT:,}: one batch of {config.batch_tokens:,} tokens would take "
        f"{megabytes:,.0f} MB. Use {level}--vocabulary-size {MOST_ONE_HOT}, or --inputs embedding"
    )


def sentence_endings(vocabulary: Vocabulary) -> tuple[int, ...]:
    """Return the ids of tokens that end a sentence: runs of full stops, ! and ? of any script."""
    found = tuple(
        number
        for number, token in enumerate(vocabulary.tokens)
        if number >= len(RESERVED) and _is_final(token)
    )
    if not found:
        _log.warning(
            "no token of the vocabulary ends a sentence, such as a full stop: sentences are cut "
            "by --max-sentence-tokens alone"
        )
    return found


def _is_final(token: str) -> bool:
    written = _CHARACTERS.get(token, token).removeprefix(_MARK)
    return bool(written) and set(written) <= FINAL


_CHARACTERS: dict[str, Any] = {token: chr(byte) for byte, token in enumerate(BYTES[:128])}

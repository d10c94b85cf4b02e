"""Words cut outside the graph are those cut in it, on random text of every script."""

from __future__ import annotations

import random
import unicodedata

import tensorflow as tf

from pipelines.datasets.word_spans import word_spans
from pipelines.text.units import word_tokens

PIECES = ["don't", "http://x.y/z)", "3.5mm", ":)", "\u200d", "\U0001f469\u200d\U0001f4bb", "@a_b"]
PIECES += ["\U0001f1e9\U0001f1ea", "e\u0301", "\u0e17\u0e35", "\u6f22\u5b57", "\ufe0f", "...", ":D"]


def random_texts(count: int) -> list[str]:
    """Draw texts of ASCII, of assigned characters, and of pieces that follow a rule."""
    drawn = random.Random(17)
    ascii_signs = [chr(code) for code in range(128)]
    assigned = [
        char
        for char in map(chr, range(0x30000))
        if unicodedata.category(char) not in ("Cn", "Cs", "Co")
    ]
    pools = (ascii_signs, assigned, PIECES)
    return [
        "".join(drawn.choice(drawn.choice(pools)) for _ in range(drawn.randint(0, 14)))
        for _ in range(count)
    ]


def test_spans_agree_with_the_graph() -> None:
    texts = random_texts(4000)
    tokens = word_tokens(tf.constant(texts), lowercase=False)
    starts, limits = tokens.char_starts.to_list(), tokens.char_limits.to_list()
    for text, first, last in zip(texts, starts, limits, strict=True):
        assert word_spans(text) == list(zip(first, last, strict=True)), repr(text)

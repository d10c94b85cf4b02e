"""How many values the features of a token have: a model needs these where TensorFlow is absent."""

from __future__ import annotations

CASINGS = 9  # classes of `token_features.casing`, 0 for padding

AFFIX_LENGTHS = {"prefix": (1, 2, 3, 4), "suffix": (1, 2, 3, 4, 5)}
AFFIXES = sum(map(len, AFFIX_LENGTHS.values()))
AFFIX_BUCKETS = 1 << 14

CLUE_LENGTHS = (1, 2, 3, 4)  # of prefixes and of suffixes
CLUES = 2 + 2 * len(CLUE_LENGTHS) + 2 + 4 * 2 + 2  # itself, habits, neighbours, their habits
CLUE_BUCKETS = 1 << 17

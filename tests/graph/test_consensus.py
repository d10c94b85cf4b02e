"""The choice by agreement, against the same in plain Python."""

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipelines.layers.decoding.consensus import likeness

VOCABULARY = 9
RARITY = np.array([0, 0, 0, 0, 0.5, 1.0, 1.5, 2.0, 0.0], np.float32)
WIDTH = 7


def grams(words, order):
    return Counter(tuple(words[at : at + order]) for at in range(len(words) - order + 1))


def expected_likeness(one, other):
    one, other = ([token for token in text if token > 3] for text in (one, other))
    found = []
    for order in range(1, 5):
        a, b = (
            {gram: count * sum(RARITY[token] for token in gram) for gram, count in it.items()}
            for it in (grams(one, order), grams(other, order))
        )
        norms = [np.sqrt(sum(value**2 for value in it.values())) for it in (a, b)]
        if max(norms) == 0:
            continue
        dot = sum(a[gram] * b[gram] for gram in a.keys() & b.keys())
        found.append(dot / (norms[0] * norms[1]) if min(norms) > 0 else 0.0)
    gap = len(one) - len(other)
    return (np.mean(found) if found else 0.0) * np.exp(-(gap**2) / 72)


def padded(texts):
    return np.array([[*text, *[0] * (WIDTH - len(text))] for text in texts], np.int32)


# What a search gives: tokens, the stop token (3) after the last, padding.
TEXTS = st.lists(st.integers(4, VOCABULARY - 1), max_size=WIDTH - 1).map(lambda text: [*text, 3])


@given(st.lists(TEXTS, min_size=5, max_size=5))
def test_likeness_is_the_cosine_of_rare_n_grams(texts):
    first, second = padded(texts[:2])[None], padded(texts[2:])[None]
    found = np.asarray(likeness(first, second, RARITY))[0]
    wanted = [[expected_likeness(one, other) for other in texts[2:]] for one in texts[:2]]
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_a_text_is_most_like_itself():
    texts = padded([[5, 6, 3], [7, 3], [5, 6, 7, 4, 5, 3]])[None]
    found = np.asarray(likeness(texts, texts, RARITY))[0]
    np.testing.assert_allclose(np.diag(found), 1.0, atol=1e-5)
    np.testing.assert_allclose(found, found.T, atol=1e-6)

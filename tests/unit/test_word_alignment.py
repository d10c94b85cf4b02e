import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.corpus import Ragged
from pipelines.text.vocabulary import BOS, EOS, PAD
from pipelines.translation.word_alignment import LEAST_PROBABILITY, Lexicon, learn_lexicon

SIZE = 12
TEXTS = st.lists(st.integers(4, SIZE - 1), max_size=5).map(lambda words: [*words, EOS])
PAIRS = st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=8)


def ragged(rows) -> Ragged:
    flat = [token for row in rows for token in row]
    return Ragged.of_ids(flat, [len(row) for row in rows], max(flat, default=0))


def learn(pairs, **options) -> Lexicon:
    sizes = {"source_size": SIZE, "target_size": SIZE} | options
    return learn_lexicon(*(ragged(side) for side in zip(*pairs, strict=True)), **sizes)


def dictionary_pairs(count: int, *, words: int = 40, seed: int = 3):
    """Sentences of made-up words, each translated by one word; neighbours change places."""
    draws = np.random.default_rng(seed)
    translation = np.concatenate([np.arange(4), 4 + draws.permutation(words)])
    pairs = []
    for _ in range(count):
        source = draws.integers(4, 4 + words, draws.integers(1, 12))
        target = translation[source]
        for place in range(0, len(target) - 1, 2):
            if draws.random() < 0.5:
                target[[place, place + 1]] = target[[place + 1, place]]
        pairs.append(([*source, EOS], [*target, EOS]))
    return pairs, translation


@pytest.mark.parametrize("iterations", [(6, 0), (4, 3)])
def test_every_word_finds_its_translation(iterations):
    pairs, translation = dictionary_pairs(400)
    lexicon = learn(pairs, source_size=44, target_size=44, iterations=iterations)
    probabilities = lexicon.probabilities.toarray()
    np.testing.assert_array_equal(probabilities[3:].argmax(1), translation[3:])
    assert probabilities[4:].max(1).min() > 0.6
    assert lexicon.pairs == 400


def test_places_tell_words_apart_that_always_occur_together():
    # 4 and 5 are in every pair of theirs together, so that only order says which is which.
    draws = np.random.default_rng(1)
    pairs = []
    for _ in range(60):
        noise = draws.integers(6, SIZE, 6)
        words = [4, *noise, 5, EOS]
        pairs.append((words, words))
    blind = learn(pairs, iterations=(7, 0)).probabilities.toarray()
    seeing = learn(pairs, iterations=(4, 3)).probabilities.toarray()
    np.testing.assert_allclose(blind[4], blind[5])
    assert seeing[4, 4] > 0.9 and seeing[5, 5] > 0.9
    assert seeing[EOS, EOS] > 0.9


def model_1(pairs, iterations: int) -> np.ndarray:
    """The textbook's loops (Brown et al., 1993)."""
    table = np.full((SIZE, SIZE), 1 / SIZE)
    for _ in range(iterations):
        counts = np.zeros((SIZE, SIZE))
        for source, target in pairs:
            for y in target:
                total = sum(table[x, y] for x in source)
                for x in source:
                    counts[x, y] += table[x, y] / total
        table = counts / np.maximum(counts.sum(1, keepdims=True), 1e-300)
    return table


@given(PAIRS, st.integers(1, 4))
@settings(max_examples=40, deadline=None)
def test_model_1_is_the_textbooks(pairs, iterations):
    found = learn(pairs, iterations=(iterations, 0)).probabilities.toarray()
    expected = model_1(pairs, iterations)
    largest = expected.max(1, keepdims=True)
    kept = expected >= np.minimum(LEAST_PROBABILITY, largest)
    np.testing.assert_allclose(found, np.where(kept & (largest > 0), expected, 0), rtol=1e-5)


@given(PAIRS, st.sampled_from([(6, 0), (0, 6), (3, 4)]))
@settings(max_examples=60, deadline=None)
def test_the_likelihood_never_falls(pairs, iterations):
    likelihoods = learn(pairs, iterations=iterations).log_likelihoods
    assert len(likelihoods) == sum(iterations)
    assert likelihoods[0] == pytest.approx(-np.log(SIZE))
    assert np.all(np.diff(likelihoods) >= -1e-12)


@given(PAIRS, st.integers(1, 60))
@settings(max_examples=40, deadline=None)
def test_the_size_of_a_block_changes_nothing(pairs, block_cells):
    whole, cut = learn(pairs), learn(pairs, block_cells=block_cells)
    np.testing.assert_allclose(
        cut.probabilities.toarray(), whole.probabilities.toarray(), rtol=1e-5, atol=1e-7
    )
    np.testing.assert_allclose(cut.log_likelihoods, whole.log_likelihoods)


@given(PAIRS)
@settings(max_examples=30, deadline=None)
def test_rows_are_shares_and_the_unseen_are_empty(pairs):
    table = learn(pairs).probabilities
    assert table.dtype == np.float32 and table.shape == (SIZE, SIZE)
    sums = np.asarray(table.sum(axis=1)).ravel()
    seen = sorted({token for source, _ in pairs for token in source})
    assert np.all((sums[seen] > 0.9) & (sums[seen] < 1 + 1e-5))
    assert np.flatnonzero(sums).tolist() == seen


def test_a_row_keeps_its_largest_entry_however_small():
    targets = list(range(4, 4 + 1500))
    table = learn([([4], targets)], longest=1500, target_size=2000).probabilities
    assert table.nnz == 1500
    table = learn([([4], [*targets, 4])], longest=1501, target_size=2000).probabilities
    assert table[4, 4] == pytest.approx(2 / 1501) and table.nnz == 1


def test_the_same_seed_gives_the_same_lexicon_and_another_draws_other_pairs():
    pairs, _ = dictionary_pairs(200)
    options = {"source_size": 44, "target_size": 44, "most_cells": 2000}
    first, again, other = (learn(pairs, seed=seed, **options) for seed in (5, 5, 6))
    assert (first.probabilities != again.probabilities).nnz == 0
    assert first.log_likelihoods == again.log_likelihoods
    assert first.log_likelihoods != other.log_likelihoods
    assert 10 < first.pairs < 100


def test_the_draw_is_even():
    # Odd rows hold one word, even rows another: half of them each must be left.
    pairs = [([4 + row % 2, EOS], [6, EOS]) for row in range(1000)]
    drawn = learn(pairs, most_cells=2000)
    assert drawn.pairs == 500
    late = [([4 if row < 500 else 5], [6]) for row in range(1000)]
    table = learn(late, most_cells=100).probabilities
    assert table[4, 6] == table[5, 6] == 1


def test_long_pairs_are_left_out():
    long = [4] * 30
    assert learn([(long, [5]), ([6], long), ([7], [7])], longest=29).pairs == 1
    assert learn([(long, [5]), ([6], long), ([7], [7])], longest=30).pairs == 3


def test_the_shortest_are_used_where_all_are_long():
    pairs = [([4] * 9, [4] * 9), ([5] * 7, [5] * 7), ([6] * 8, [6] * 8)]
    lexicon = learn(pairs, longest=5, most_cells=120)
    assert lexicon.pairs == 2
    assert lexicon.probabilities.getnnz(axis=1).nonzero()[0].tolist() == [5, 6]


def test_padding_and_starts_take_no_part():
    plain = learn([([4, EOS], [5, EOS]), ([6, EOS], [7, EOS])])
    marked = learn([([BOS, 4, EOS, PAD], [BOS, 5, EOS]), ([6, EOS], [BOS, 7, EOS, PAD, PAD])])
    assert (plain.probabilities != marked.probabilities).nnz == 0
    assert marked.probabilities[:, [PAD, BOS]].nnz == 0


@pytest.mark.parametrize(
    "pairs",
    [[([], [])], [([], [4]), ([5], [])], [([PAD, BOS], [4])], [([4] * 40, [4] * 40)]],
)
def test_nothing_to_learn_from_gives_an_empty_lexicon(pairs):
    lexicon = learn(pairs, most_cells=1000)
    assert (lexicon.pairs, lexicon.probabilities.nnz, lexicon.log_likelihoods) == (0, 0, ())


def test_no_rows_at_all():
    nothing = Ragged(np.zeros(0, np.uint16), np.zeros(0, np.int32))
    lexicon = learn_lexicon(nothing, nothing, source_size=SIZE, target_size=SIZE)
    assert lexicon.probabilities.shape == (SIZE, SIZE) and lexicon.pairs == 0


def test_rows_of_no_and_of_one_token_stand_among_others():
    pairs = [([4], [5]), ([], [6]), ([7], []), ([4, 8], [9, 5]), ([8], [9])]
    table = learn(pairs).probabilities
    assert learn(pairs).pairs == 3
    assert table[4].argmax() == 5 and table[8].argmax() == 9
    assert table[7].nnz == 0


def test_large_ids_do_not_overflow():
    size = 3_000_000_000 // 1000
    source, target = size - 1, size - 2
    pairs = [([source, EOS], [target, EOS]), ([source - 5, EOS], [target - 9, EOS])] * 3
    table = learn(pairs, source_size=size, target_size=size).probabilities
    assert table[source].indices.tolist() and table[source].argmax() == target
    assert table[source - 5].argmax() == target - 9


def test_ids_as_narrow_as_a_corpus_stores_them():
    narrow = Ragged(np.array([60_000, EOS], np.uint16), np.array([2], np.int32))
    table = learn_lexicon(narrow, narrow, source_size=65_000, target_size=65_000).probabilities
    assert table[60_000].indices.tolist() == [EOS, 60_000]


def test_a_log_line_says_what_was_used(caplog):
    with caplog.at_level("INFO"):
        learn([([4, EOS], [5, EOS]), ([4] * 60, [5])])
    assert "1 of 2 pairs" in caplog.text

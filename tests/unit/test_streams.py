import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines import corpus as corpora_module
from pipelines.corpus import Ragged, write_corpus
from pipelines.errors import DataError
from pipelines.streams import SHORTEST, Streams

FIRST = 4  # ids below are reserved


def corpus_of(tmp_path_factory, lengths):
    """Documents of the given lengths in which no token occurs twice; a target is the next one."""
    lengths = np.array(lengths)
    tokens = np.arange(FIRST, FIRST + lengths.sum(), dtype=np.int32)
    return write_corpus(
        tmp_path_factory.mktemp("streams") / "corpus",
        [{"tokens": Ragged(tokens, lengths), "target": Ragged(tokens + 1, lengths)}],
    )


def batches_of(plan):
    """All batches, their targets checked to be the token after the one that is read."""
    batches = []
    for index, (inputs, targets, weights) in enumerate(plan):
        tokens = inputs["tokens"]
        np.testing.assert_array_equal(targets, np.where(tokens > 0, tokens + 1, 0))
        assert tokens.dtype == targets.dtype == np.int32
        assert weights.dtype == inputs["keep"].dtype == np.float32
        np.testing.assert_array_equal(weights, np.ones(len(tokens)))
        assert (tokens > 0).sum() == plan.token_counts[index]
        batches.append(tokens)
    return batches


def followed(tokens, lengths):
    """Whether the second of two neighbouring tokens follows the first in a document."""
    ends = FIRST + np.cumsum(lengths)
    return (tokens[1:] == tokens[:-1] + 1) | np.isin(tokens[:-1] + 1, ends)


documents = st.lists(st.integers(0, 90), min_size=1, max_size=30)
tweets = st.lists(st.integers(1, 6), min_size=40, max_size=200)
huge = st.integers(100, 900).map(lambda length: [length])
corpora = st.one_of(documents, tweets, huge)


@settings(max_examples=50)
@given(
    lengths=corpora, streams=st.integers(1, 7), window=st.integers(1, 80),
    seed=st.integers(0, 99), jitter=st.booleans(), data=st.data(),
)  # fmt: skip
def test_an_epoch_reads_every_token_once(
    tmp_path_factory, lengths, streams, window, seed, jitter, data
):
    if sum(lengths) < 2 * streams:
        lengths = [*lengths, 2 * streams]
    corpus = corpus_of(tmp_path_factory, lengths)

    def epoch(number, start=0):
        fed = Streams(corpus, streams=streams, window=window, seed=seed, jitter=jitter)
        return fed.epoch(number, start)

    plan = epoch(3)
    batches = batches_of(plan)
    together = np.concatenate(batches, axis=1)
    assert len(together) == streams
    # Once each, apart from what is left over at the end.
    assert len(np.unique(together)) == together.size
    assert together.min() >= FIRST
    assert sum(lengths) - together.size < streams * (1 + min(SHORTEST, window))
    # Row b goes on where row b ended.
    for row in together:
        assert followed(row, lengths).all()
    # Drawn from the seed alone, so that a resumed epoch goes on as the whole one did.
    start = data.draw(st.integers(0, len(batches)))
    rest = epoch(3, start)
    assert len(rest) == len(batches) - start
    for one, other in zip(batches[start:], batches_of(rest), strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(rest.token_counts, plan.token_counts[start:])


@settings(max_examples=50)
@given(lengths=corpora, streams=st.integers(1, 7), window=st.integers(1, 80))
def test_without_a_seed_every_token_is_read_once_and_in_order(
    tmp_path_factory, lengths, streams, window
):
    if sum(lengths) < 2 * streams:
        lengths = [*lengths, 2 * streams]
    corpus = corpus_of(tmp_path_factory, lengths)
    fed = Streams(corpus, streams=streams, window=window, seed=None)
    plan = fed.epoch(0)
    batches = batches_of(plan)
    assert {batch.shape for batch in batches} == {(streams, window)}  # nothing compiled anew
    assert len(plan) == len(fed)
    read = np.concatenate(batches, axis=1).ravel()
    np.testing.assert_array_equal(read[read > 0], np.arange(FIRST, FIRST + sum(lengths)))
    assert plan.token_counts.sum() == fed.tokens == sum(lengths)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return corpus_of(tmp_path_factory, [700, 1, 0, 40, 3000, 7, 7, 2000, 64])


def test_only_the_first_window_of_an_epoch_starts_from_the_zero_state(corpus):
    fed = Streams(corpus, streams=5, window=30, seed=1)
    kept = [inputs["keep"].tolist() for inputs, _, _ in fed.epoch(0)]
    assert kept == [[0.0] * 5] + [[1.0] * 5] * (len(kept) - 1)
    resumed, _, _ = fed.epoch(0, start=4)[0]
    assert resumed["keep"].tolist() == [1.0] * 5


def test_epochs_and_seeds_differ_in_the_order_of_documents_and_in_the_windows(corpus):
    def drawn(seed, number):
        plan = Streams(corpus, streams=2, window=50, seed=seed).epoch(number)
        return tuple(plan.documents), tuple(int(steps) for _, steps in plan.rows)

    orders, windows = zip(*(drawn(*pair) for pair in [(1, 0), (1, 1), (2, 0)]), strict=True)
    assert len(set(orders)) == len(set(windows)) == 3


def test_windows_are_drawn_as_merity_et_al_do(tmp_path_factory):
    corpus = corpus_of(tmp_path_factory, [400_000])
    fed = Streams(corpus, streams=2, window=70, seed=1)
    lengths = np.array([steps for _, steps in fed.epoch(0).rows])[:-1]
    short = lengths < 52
    assert 0.03 < short.mean() < 0.07
    assert lengths[~short].mean() == pytest.approx(69.5, abs=0.5)  # rounded down
    assert lengths[~short].std() == pytest.approx(5, abs=0.4)
    assert lengths[short].mean() == pytest.approx(34.5, abs=1.5)
    assert len(fed) == len(lengths) + 1 == pytest.approx(len(fed.epoch(1)), rel=0.02)
    still = Streams(corpus, streams=2, window=70, seed=1, jitter=False).epoch(0)
    assert {int(steps) for _, steps in still.rows[:-1]} == {70}


def test_pages_are_given_back_while_an_epoch_is_read(tmp_path_factory, monkeypatch):
    corpus = corpus_of(tmp_path_factory, [900, 20, 700])
    given_back = []

    class Watched:
        def madvise(self, advice):
            given_back.append(advice)

    monkeypatch.setattr(corpora_module, "MOST_MAPPED", 1)
    monkeypatch.setattr(corpus._maps["tokens"], "_mmap", Watched())
    plan = Streams(corpus, streams=3, window=40, seed=1).epoch(0)
    batches_of(plan)
    assert len(given_back) >= len(plan)


def test_keep_may_be_named_among_the_inputs(corpus):
    fed = Streams(corpus, inputs=("tokens", "keep"), streams=2, window=9, seed=None)
    inputs, _, _ = fed.epoch(0)[0]
    assert sorted(inputs) == ["keep", "tokens"]


def test_too_few_tokens_for_the_streams_are_refused(tmp_path_factory):
    corpus = corpus_of(tmp_path_factory, [3, 4])
    assert len(batches_of(Streams(corpus, streams=3, window=9, seed=1).epoch(0))) == 1
    with pytest.raises(
        DataError, match="corpus: 7 tokens for 4 streams; expected at least 8: use fewer streams"
    ):
        Streams(corpus, streams=4, window=9, seed=1)


def test_windows_may_be_weighed_by_their_length(corpus):
    plan = Streams(corpus, streams=2, window=50, seed=1, scaled=True).epoch(0)
    for (_, steps), (_, _, weights) in zip(plan.rows, plan, strict=True):
        np.testing.assert_allclose(weights, [steps / 50] * 2)
    for _, _, weights in Streams(corpus, streams=2, window=50, seed=None, scaled=True).epoch(0):
        np.testing.assert_array_equal(weights, [1, 1])

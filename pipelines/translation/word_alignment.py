"""Which token translates which, learned from text pairs alone by counting; no network, no gradient.

Expectation maximisation over alignments of tokens. In model 1 (Brown et al., 1993, sec. 4.1) every
target token y at place t comes from one source token, wherever that stands:

    p(target | source) = prod_t sum_s a(s | t) p(y_t | x_s),        a(s | t) = 1 / S.

In model 2 places matter too. Its many parameters are replaced by one table q over how far a link is
from the diagonal (in the spirit of Dyer et al., 2013): a(s | t) = q[b(s, t)] / sum_s' q[b(s', t)],
where b cuts the offset of relative places, from -1 to 1, into buckets.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from pipelines.corpus import Ragged
from pipelines.text.vocabulary import BOS, PAD

BUCKETS = 81  # of the relative offset; a token in a verse of 40 moves by one bucket
LEAST_PROBABILITY = 1e-3  # rarer translations are noise of the estimate
MOST_CELLS = (
    30_000_000  # 0.5 GB in all with subwords; 1.2 GB where most cells are of distinct words
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Lexicon:
    """What tokens translate into.

    Attributes:
        probabilities: p(target token | source token), float32[Vs, Vt]. Unseen tokens are rows of
            zeros. Entries below `LEAST_PROBABILITY` are left out, but for the largest of a row, so
            that rows sum to 1 at most.
        log_likelihoods: mean ln p(target token | source row) before each iteration.
        pairs: how many pairs it was learned from.
    """

    probabilities: sp.csr_matrix
    log_likelihoods: tuple[float, ...]
    pairs: int


def learn_lexicon(
    source: Ragged,
    target: Ragged,
    *,
    source_size: int,
    target_size: int,
    iterations: tuple[int, int] = (4, 3),
    longest: int = 50,
    most_cells: int = MOST_CELLS,
    block_cells: int = 1 << 20,
    seed: int = 17,
) -> Lexicon:
    """Learn p(target token | source token) from pairs of texts.

    PAD and BOS take no part; every other token does, EOS too, which meets the EOS of the other side
    and takes up what nothing else explains. A cell is a target and a source token of one pair.

    Args:
        source: token ids of each source.
        target: token ids of each target, as many rows.
        source_size: Vs; source ids are below it.
        target_size: Vt; target ids are below it.
        iterations: of model 1 and then of model 2.
        longest: pairs with more tokens on a side are left out, unless all have; then the shortest
            are used.
        most_cells: bounds time and memory; pairs are drawn evenly where there are more.
        block_cells: cells worked on at once; the result does not depend on it.
        seed: of the draw.

    Returns:
        The lexicon; empty where no pair can be used.
    """
    began = time.perf_counter()
    sides = (_without_ends(source), _without_ends(target))
    rows = _choose(sides[0].lengths, sides[1].lengths, longest, most_cells, seed)
    blocks = [
        _make_block(*sides, part, target_size)
        for part in _cut(rows, sides[0].lengths[rows] * sides[1].lengths[rows], block_cells)
    ]
    codes = _number_types(blocks)
    types = _Types.of(codes, (source_size, target_size))
    table, likelihoods = _maximise(blocks, types, iterations)
    _log.info(
        "lexicon: %d of %d pairs, %.1f million cells, %.1f seconds",
        len(rows), len(sides[0].lengths), sum(len(block.types) for block in blocks) / 1e6,
        time.perf_counter() - began,
    )  # fmt: skip
    return Lexicon(types.pruned(table), likelihoods, len(rows))


def _without_ends(texts: Ragged) -> Ragged:
    """Leave out PAD and BOS, which translate nothing."""
    values, lengths = np.asarray(texts.values, np.int64), np.asarray(texts.lengths, np.int64)
    kept = (values != PAD) & (values != BOS)
    before = np.concatenate([[0], np.cumsum(kept)])
    ends = np.cumsum(lengths)
    return Ragged(values[kept], before[ends] - before[ends - lengths])


def _choose(
    sources: np.ndarray, targets: np.ndarray, longest: int, most_cells: int, seed: int
) -> np.ndarray:
    """Return the rows to learn from, in order: all of fitting length, or as many as may be."""
    cells, sizes = sources * targets, np.maximum(sources, targets)
    usable = np.flatnonzero(cells)
    short = usable[sizes[usable] <= longest]
    if len(short):
        order = np.random.default_rng(seed).permutation(short)
    else:
        order = usable[np.argsort(sizes[usable], kind="stable")]
    return np.sort(order[np.cumsum(cells[order]) <= most_cells])


def _cut(rows: np.ndarray, cells: np.ndarray, most: int) -> Iterator[np.ndarray]:
    """Cut rows into runs of at most so many cells; a row of more is a run of its own."""
    ends, first = np.cumsum(cells), 0
    while first < len(rows):
        done = int(ends[first - 1]) if first else 0
        stop = max(first + 1, int(np.searchsorted(ends, done + most, side="right")))
        yield rows[first:stop]
        first = stop


@dataclass
class _Block:
    """The cells of some pairs; the cells of a target token stand together.

    Attributes:
        codes: distinct pairs of tokens in the block, ascending, as source * Vt + target; replaced
            by their numbers among the pairs of tokens of all blocks.
        types: which of those a cell is of.
        buckets: the offset of a cell's places, uint8.
        starts: the first cell of every target token.
        widths: cells of every target token, S of its pair.
    """

    codes: np.ndarray
    types: np.ndarray
    buckets: np.ndarray
    starts: np.ndarray
    widths: np.ndarray

    def sums(self, cells: np.ndarray) -> np.ndarray:
        """Return the sum over source tokens for every target token."""
        return np.add.reduceat(cells, self.starts)

    def spread(self, sums: np.ndarray) -> np.ndarray:
        """Return the value of its target token for every cell."""
        return np.repeat(sums, self.widths)


def _make_block(source: Ragged, target: Ragged, rows: np.ndarray, target_size: int) -> _Block:
    sources, targets = source.lengths[rows], target.lengths[rows]
    from_source = (np.cumsum(source.lengths) - source.lengths)[rows]
    from_target = (np.cumsum(target.lengths) - target.lengths)[rows]
    widths = np.repeat(sources, targets)
    starts = np.cumsum(widths) - widths
    source_at = _ranges(np.repeat(from_source, targets), widths)
    target_at = _ranges(from_target, targets)
    codes = source.values[source_at] * target_size + np.repeat(target.values[target_at], widths)
    offsets = _relative(_ranges(np.zeros_like(widths), widths), np.repeat(widths, widths))
    places = _relative(_ranges(np.zeros_like(targets), targets), np.repeat(targets, targets))
    offsets -= np.repeat(places, widths)
    buckets = np.rint((offsets + 1) * ((BUCKETS - 1) / 2)).astype(np.uint8)
    distinct, types = np.unique(codes, return_inverse=True)
    return _Block(distinct, types.astype(np.int32), buckets, starts, widths)


def _ranges(firsts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return `first, first + 1, ...` of each length, end to end."""
    total = int(lengths.sum())
    return np.arange(total) + np.repeat(firsts - (np.cumsum(lengths) - lengths), lengths)


def _relative(places: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return places from 0, the first, to 1, the last: ends of both sides lie on the diagonal."""
    return np.asarray(places / np.maximum(lengths - 1, 1), np.float32)


def _number_types(blocks: list[_Block]) -> np.ndarray:
    """Let all blocks number the pairs of tokens alike; return the codes, ascending."""
    every = np.concatenate([np.zeros(0, np.int64), *(block.codes for block in blocks)])
    every.sort()  # a hundred times as fast as np.unique, which hashes
    every = every[np.diff(every, prepend=-1) > 0]
    for block in blocks:
        block.codes = np.searchsorted(every, block.codes).astype(np.int32)
    return every


@dataclass(frozen=True)
class _Types:
    """The pairs of tokens that occur in any pair of texts, ordered by source and target."""

    sources: np.ndarray
    targets: np.ndarray
    shape: tuple[int, int]

    @classmethod
    def of(cls, codes: np.ndarray, shape: tuple[int, int]) -> _Types:
        """Take codes apart."""
        sources, targets = np.divmod(codes, shape[1])
        return cls(sources.astype(np.int32), targets.astype(np.int32), shape)

    def normalised(self, counts: np.ndarray) -> np.ndarray:
        """Return counts as shares of their source token's."""
        totals = np.bincount(self.sources, counts, self.shape[0])
        # A token that explains ever less may reach 0 in floating point.
        return counts / np.maximum(totals, np.finfo(np.float64).tiny)[self.sources]

    def pruned(self, table: np.ndarray) -> sp.csr_matrix:
        """Return the table without the entries that are too small to mean anything."""
        largest = np.zeros(self.shape[0])
        np.maximum.at(largest, self.sources, table)
        kept = (table > 0) & (table >= np.minimum(LEAST_PROBABILITY, largest[self.sources]))
        cells = (table[kept].astype(np.float32), (self.sources[kept], self.targets[kept]))
        return sp.csr_matrix(cells, shape=self.shape)


def _maximise(
    blocks: list[_Block], types: _Types, iterations: tuple[int, int]
) -> tuple[np.ndarray, tuple[float, ...]]:
    """Return the table of every pair of tokens, and the likelihood before each iteration."""
    table = np.full(len(types.sources), 1 / max(types.shape[1], 1))
    offsets = np.ones(BUCKETS)
    tokens = sum(len(block.starts) for block in blocks)
    likelihoods = []
    for iteration in range(sum(iterations) if blocks else 0):
        expected = _expect(blocks, table, offsets)
        table = types.normalised(expected.counts)
        # The last step of model 1 tells offsets already, as all of them weigh the same in it.
        if iterations[1] and iteration >= iterations[0] - 1:
            offsets = expected.offsets
        likelihoods.append(expected.likelihood / tokens)
    return table, tuple(likelihoods)


@dataclass(frozen=True)
class _Expected:
    """Counts of links: by pair of tokens, by offset; and ln p of all target tokens."""

    counts: np.ndarray
    offsets: np.ndarray
    likelihood: float


def _expect(blocks: list[_Block], table: np.ndarray, offsets: np.ndarray) -> _Expected:
    """Count links, each cell by its probability, and how often each offset was to be expected."""
    counts, found, chances = np.zeros(len(table)), np.zeros(BUCKETS), np.zeros(BUCKETS)
    likelihood = 0.0
    for block in blocks:
        prior = offsets[block.buckets]
        scale = block.sums(prior)
        links = table[block.codes][block.types] * prior
        sums = block.sums(links)
        links /= block.spread(sums)
        counts[block.codes] += np.bincount(block.types, links)
        found += np.bincount(block.buckets, links, BUCKETS)
        chances += np.bincount(block.buckets, block.spread(1 / scale), BUCKETS)
        likelihood += float(np.log(sums).sum() - np.log(scale).sum())
    # Exact maximisation has no closed form: a step of minorisation, which never loses likelihood.
    return _Expected(counts, found / np.where(chances > 0, chances, 1), likelihood)

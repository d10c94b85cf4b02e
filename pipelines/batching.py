"""Length-bucketed batches over an encoded corpus."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from pipelines.corpus import Batch, EncodedCorpus

LENGTH_STEP = 4  # lengths are rounded up to this before sorting, so that shuffling has room
SHORTER_STEP = 16  # likewise the shorter side of a pair: coarser, or batches would never mix


def plan_batches(
    lengths: np.ndarray, batch_tokens: int, *, rng: np.random.Generator | None
) -> list[np.ndarray]:
    """Cut rows into batches of similar length with at most `batch_tokens` padded tokens.

    Args:
        lengths: tokens of every row, int[N]; of pairs, of each side, int[N, 2]: the longer side
            counts, and pairs alike in both are put together. A row longer than the budget is a
            batch by itself.
        batch_tokens: rows × longest row of a batch stay at or below this.
        rng: shuffles rows of similar length among batches, and the batches; None keeps the
            order by length, for evaluation.

    Returns:
        Row numbers of each batch; every row is in exactly one.
    """
    if not len(lengths):
        return []
    longest = lengths if lengths.ndim == 1 else lengths.max(axis=1)
    order = _by_length(_length_keys(lengths), rng)
    padded = -(-np.maximum(longest[order], 1) // LENGTH_STEP) * LENGTH_STEP
    batches, start = [], 0
    while start < len(order):
        most = max(1, batch_tokens // int(padded[start]))
        last = min(start + most, len(order)) - 1
        stop = start + max(1, min(last - start + 1, batch_tokens // int(padded[last])))
        batches.append(order[start:stop])
        start = stop
    if rng is not None:
        rng.shuffle(batches)
    return batches


def _length_keys(lengths: np.ndarray) -> np.ndarray:
    """Return numbers to sort by, int[N]: of pairs, by the longer side and then by the shorter."""
    if lengths.ndim == 1:
        return np.asarray(-(-lengths // LENGTH_STEP))
    longer, shorter = lengths.max(axis=1), lengths.min(axis=1)
    steps = -(-shorter // SHORTER_STEP)
    return np.asarray(-(-longer // LENGTH_STEP) * (1 + steps.max()) + steps)


def _by_length(rounded: np.ndarray, rng: np.random.Generator | None) -> np.ndarray:
    """Return row numbers by rounded length, int32[N]; rows of one length as they come, or drawn."""
    # Narrow integers: sorted in linear time, and with many rows these arrays are what memory holds.
    keys = rounded.astype(np.uint16 if rounded.max() < 1 << 16 else np.int32)
    if rng is None:
        return np.argsort(keys, kind="stable").astype(np.int32)
    drawn = np.empty(len(keys), np.int32)
    drawn[rng.permutation(np.arange(len(keys), dtype=np.int32))] = np.arange(len(keys))
    return drawn[np.argsort(keys[drawn], kind="stable")]


class Batches:
    """All batches of an epoch, the same for the same seed and epoch.

    Yields `(inputs, targets, weights)` as `fit` takes them; `weights` is explicit, float32[B].

    Args:
        corpus: the encoded rows.
        length_of: the ragged or windowed feature whose lengths count as tokens; of pairs, the two
            features, the longer of which counts.
        inputs: features the model takes.
        target: the feature the loss takes.
        batch_tokens: most padded tokens in a batch.
        seed: of the order and of what is drawn; None for evaluation, which sees every row.
        rows_per_epoch: with a seed, draw this many rows anew for every epoch.
    """

    def __init__(
        self,
        corpus: EncodedCorpus,
        *,
        length_of: str | tuple[str, str],
        inputs: tuple[str, ...],
        target: str,
        batch_tokens: int,
        seed: int | None,
        rows_per_epoch: int | None = None,
    ) -> None:
        self.corpus, self.inputs, self.target = corpus, inputs, target
        sides = (length_of,) if isinstance(length_of, str) else length_of
        lengths = [corpus.lengths(name) for name in sides]
        self._planned = lengths[0] if len(lengths) == 1 else np.stack(lengths, axis=1)
        self.lengths = lengths[0] if len(lengths) == 1 else self._planned.max(axis=1)
        self._budget, self._seed = batch_tokens, seed
        self._drawn = None
        if seed is not None and rows_per_epoch is not None and rows_per_epoch < len(self.lengths):
            self._drawn = rows_per_epoch
        share = 1.0 if self._drawn is None else self._drawn / len(self.lengths)
        self.tokens = round(share * int(self.lengths.sum(dtype=np.int64)))

    def epoch(self, number: int, start: int = 0) -> EpochPlan:
        """Return epoch `number` from its batch `start` on; without a seed all epochs are alike."""
        rng = None if self._seed is None else np.random.default_rng((self._seed, number))
        return EpochPlan(self, self._plan(rng)[start:])

    def _plan(self, rng: np.random.Generator | None) -> list[np.ndarray]:
        if self._drawn is None:
            return plan_batches(self._planned, self._budget, rng=rng)
        rng = rng or np.random.default_rng(0)
        rows = rng.choice(len(self.lengths), self._drawn, replace=False, shuffle=False)
        return [rows[batch] for batch in plan_batches(self._planned[rows], self._budget, rng=rng)]

    def __len__(self) -> int:
        return len(self._plan(None))

    def with_inputs(self, names: Iterable[str]) -> Batches:
        """Return the same batches with other features as inputs."""
        other = copy.copy(self)
        other.inputs = tuple(names)
        return other

    def load(self, rows: np.ndarray) -> tuple[Batch, np.ndarray, np.ndarray]:
        """Read one batch: inputs by name, targets, and weights float32[B]."""
        weighted = ("weight",) if "weight" in self.corpus.names else ()
        columns = self.corpus.gather(rows, {*self.inputs, self.target, *weighted})
        weights = columns.get("weight", np.ones(len(rows), np.float32))
        return {name: columns[name] for name in self.inputs}, columns[self.target], weights


@dataclass(frozen=True)
class EpochPlan:
    """The batches of one epoch, in order."""

    batches: Batches
    rows: list[np.ndarray]

    @property
    def token_counts(self) -> np.ndarray:
        """Real tokens of each batch, int64."""
        return np.array(
            [self.batches.lengths[rows].sum(dtype=np.int64) for rows in self.rows], np.int64
        )

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[Batch, np.ndarray, np.ndarray]:
        return self.batches.load(self.rows[index])

    def __iter__(self) -> Iterator[tuple[Batch, np.ndarray, np.ndarray]]:
        return (self.batches.load(rows) for rows in self.rows)

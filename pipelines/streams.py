"""Windows of parallel streams over an encoded corpus: what a language model reads, state carried.

All documents are put end to end and cut into streams of equal length, which are read side by side,
one window of steps after another, so that row b of a batch goes on where row b of the batch before
it ended (truncated back-propagation through time).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from pipelines.batching import Batches, EpochPlan
from pipelines.corpus import Batch, EncodedCorpus
from pipelines.errors import DataError

HALVED_SHARE = 0.05  # Merity et al. (2018, sec. 4.1): share of windows drawn around half the length
LENGTH_SPREAD = 5.0  # standard deviation of a window's length in steps, of the same source
SHORTEST = 5  # steps of a drawn window at least, of the authors' code
FEWEST_STEPS = 2  # of a stream
KEEP = "keep"  # input: whether the state of the window before is gone on with


class Streams(Batches):
    """All windows of an epoch, the same for the same seed and epoch.

    Yields `(inputs, targets, weights)` as `fit` takes them: inputs {name: int32[S, T], "keep":
    float32[S]}, targets int32[S, T], weights float32[S]. `keep` is 0 in the first window of an
    epoch, which starts from the zero state, and 1 in all others.

    With a seed the documents come in a new order and the windows in new lengths every epoch; up to
    one token a stream and one shortest window are left out at the end. Without, order and length
    are fixed and every token is read; rows that end early are padded with 0, which a loss ignores.

    Args:
        corpus: the encoded documents.
        inputs: ragged features the model takes, all of one length a document; "keep" may be named.
        target: the ragged feature the loss takes.
        streams: rows read side by side, S.
        window: steps of a window, with a seed their mean but for the halved ones.
        seed: of order and lengths; None for evaluation, which reads every token once.
        jitter: draw the lengths of windows, as Merity et al. (2018, sec. 4.1) do.
        scaled: weigh a drawn window by its length divided by `window`. The authors scale the rate
            of the step by it; with sgd that is the same but for the clipping of gradients, while
            Adam's steps stay as large and only what they point to is weighed.

    Raises:
        DataError: there are fewer than two tokens for a stream.
    """

    def __init__(
        self,
        corpus: EncodedCorpus,
        *,
        inputs: tuple[str, ...] = ("tokens",),
        target: str = "target",
        streams: int,
        window: int,
        seed: int | None,
        jitter: bool = True,
        scaled: bool = False,
    ) -> None:
        self.corpus, self.inputs, self.target = corpus, inputs, target
        self.streams, self.window = streams, window
        self.lengths = corpus.lengths(target)
        self._values: dict[str, np.ndarray] = {}  # mapped, not read
        self._seed, self._jitter = seed, jitter
        self.weighs_lengths = scaled and jitter and seed is not None
        self._total = total = int(self.lengths.sum(dtype=np.int64))
        if total < FEWEST_STEPS * streams:
            raise DataError(
                f"{corpus.folder}: {total:,} tokens for {streams:,} streams; expected at least "
                f"{FEWEST_STEPS * streams:,}: use fewer streams, or give more text"
            )
        self.tokens = total if seed is None else total // streams * streams

    def epoch(self, number: int, start: int = 0) -> StreamPlan:
        """Return epoch `number` from its window `start` on; without a seed all epochs are alike."""
        if self._seed is None:
            bounds = np.arange(self.streams + 1) * self._total // self.streams
            documents = np.arange(len(self.lengths))
            lengths = self._fixed_lengths(int(np.diff(bounds).max()))
        else:
            rng = np.random.default_rng((self._seed, number))
            steps = self._total // self.streams
            bounds = np.arange(self.streams + 1) * steps
            documents = rng.permutation(len(self.lengths))
            lengths = self._drawn_lengths(steps, rng)
        windows = np.stack([np.cumsum(lengths) - lengths, lengths], axis=1)
        return StreamPlan(self, list(windows[start:]), documents, bounds)

    def _fixed_lengths(self, steps: int) -> np.ndarray:
        return np.full(-(-steps // self.window), self.window)

    def _drawn_lengths(self, steps: int, rng: np.random.Generator) -> np.ndarray:
        """Draw windows that fill `steps`; the last takes what is left unless too short."""
        shortest = min(SHORTEST, self.window)
        count = -(-steps // shortest)
        if self._jitter:
            mean = np.where(rng.random(count) < HALVED_SHARE, self.window / 2, self.window)
            lengths = np.maximum(shortest, rng.normal(mean, LENGTH_SPREAD).astype(np.int64))
        else:
            lengths = np.full(count, self.window)
        lengths = np.diff(np.minimum(np.cumsum(lengths), steps), prepend=0)
        kept = lengths >= shortest
        kept[0] = True
        return lengths[kept]

    def __len__(self) -> int:
        """Windows of the first epoch; where lengths are drawn, others have a few more or less."""
        return len(self.epoch(0))

    def at(self, name: str, places: np.ndarray) -> np.ndarray:
        """Return a ragged feature's values at places int64[S, T], counted over all documents."""
        if name not in self._values:
            self._values[name] = self.corpus.ragged(name).values
        # Streams touch pages all over the file: let the corpus give them back now and then.
        jumps = np.count_nonzero(np.diff(places, axis=1) != 1)
        self.corpus._forget_now_and_then(len(places) + int(jumps))
        return self._values[name][places].astype(np.int32)


@dataclass(frozen=True)
class StreamPlan(EpochPlan):
    """The windows of one epoch, in order.

    Attributes:
        batches: the streams; `rows` are the windows: first step and number of steps, int64[2].
        documents: their order in this epoch, int64[N].
        bounds: the places where streams begin and the last ends, int64[S + 1], counted over the
            documents end to end.
    """

    batches: Streams
    documents: np.ndarray
    bounds: np.ndarray
    _ends: np.ndarray = field(init=False)
    _shifts: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        """Note where each document ends in this order, and how far it moved from the corpus'."""
        lengths = self.batches.lengths.astype(np.int64)
        ends = np.cumsum(lengths[self.documents])
        stored = (np.cumsum(lengths) - lengths)[self.documents]
        object.__setattr__(self, "_ends", ends)
        object.__setattr__(self, "_shifts", stored - (ends - lengths[self.documents]))

    @property
    def token_counts(self) -> np.ndarray:
        """Real tokens of each window over all streams, int64."""
        windows = np.array(self.rows).reshape(-1, 2)
        left = np.diff(self.bounds)[None] - windows[:, :1]
        return np.asarray(np.clip(left, 0, windows[:, 1:]).sum(axis=1), np.int64)

    def __getitem__(self, index: int) -> tuple[Batch, np.ndarray, np.ndarray]:
        first, steps = self.rows[index]
        places = self.bounds[:-1, None] + np.arange(first, first + steps)
        real = places < self.bounds[1:, None]
        places = np.where(real, places, 0)
        places += self._shifts[np.searchsorted(self._ends, places, side="right")]
        read = self.batches
        inputs = {name: read.at(name, places) * real for name in read.inputs if name != KEEP}
        inputs[KEEP] = np.full(len(places), np.float32(first > 0))
        weight = steps / read.window if read.weighs_lengths else 1.0
        weights = np.full(len(places), weight, np.float32)
        return inputs, read.at(read.target, places) * real, weights

    def __iter__(self) -> Iterator[tuple[Batch, np.ndarray, np.ndarray]]:
        return (self[index] for index in range(len(self)))

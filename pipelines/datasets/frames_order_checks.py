"""Look for what the order of frames gives away: labels by the clock, and channels that count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from pipelines.datasets.findings import Finding
from pipelines.datasets.frames_streams import FrameRows, FrameStream

BINS = 50  # of a stream's duration
CLEARLY = 0.15  # accuracy that the place alone adds to the most frequent label
LEAST_FRAMES = 100  # of a stream, to see whether a channel counts in it


def order_finding(train: FrameRows, test: FrameRows) -> Finding:
    """Tell how well the place in a stream alone gives the label away.

    The most frequent training label of each fiftieth of a stream, and of each stretch of frames
    from its beginning, is compared with the test labels there.
    """
    if not len(train) or not len(test):
        return Finding("ok", "Order", "nothing to compare")
    usual = _best(np.concatenate([it.labels for it in train]))
    total = int(test.lengths.sum())
    base = sum(int((it.labels == usual).sum()) for it in test) / total
    longest = max(int(train.lengths.max()), int(test.lengths.max()))
    ways = {"share of its duration": None, "number of frames since its beginning": longest}
    found = {name: _accuracy(train, test, usual, scale) for name, scale in ways.items()}
    way, best = max(found.items(), key=lambda item: item[1])
    detail = (
        f"the place in a stream ({way}) alone gives {best:.1%} of the test labels, the most "
        f"frequent label {base:.1%}"
    )
    if best < base + CLEARLY:
        return Finding("ok", "Order", detail)
    detail += (
        "; labels follow a fixed order in time, which a model can learn instead of the signal; "
        "record in other orders, or do not expect the scores to hold where the order differs"
    )
    return Finding("warning", "Order", detail)


def _best(labels: np.ndarray) -> str:
    return str(Counter(labels.tolist()).most_common(1)[0][0])


def _places(stream: FrameStream, scale: int | None) -> np.ndarray:
    """Return the bin of each frame: of its own stream's duration, or of a common number."""
    return np.arange(len(stream)) * BINS // (scale or len(stream))


def _accuracy(train: FrameRows, test: FrameRows, usual: str, scale: int | None) -> float:
    votes: list[Counter[str]] = [Counter() for _ in range(BINS)]
    for stream in train:
        places = _places(stream, scale)
        for place in np.unique(places).tolist():
            votes[place].update(stream.labels[places == place].tolist())
    guesses = np.array([it.most_common(1)[0][0] if it else usual for it in votes], object)
    right = sum(int((guesses[_places(it, scale)] == it.labels).sum()) for it in test)
    return right / int(test.lengths.sum())


def counter_finding(channels: Sequence[str], streams: Sequence[FrameStream]) -> Finding:
    """Look for channels that only ever rise, as a clock or a row number does."""
    long = [stream.values for stream in streams if len(stream) >= LEAST_FRAMES]
    counting = [
        name
        for number, name in enumerate(channels)
        if long and all(bool((np.diff(values[:, number]) > 0).all()) for values in long)
    ]
    if not counting:
        return Finding("ok", "Counters", "no channel only rises")
    names = ", ".join(map(repr, counting))
    detail = (
        f"only rising in every stream: {names}; a clock or row number tells the place, not what "
        "happens; name it by --time-column, or name the others by --channels"
    )
    return Finding("warning", "Counters", detail)

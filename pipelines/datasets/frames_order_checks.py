"""Look for what gives labels away: their order in time, channels that count, and codes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from pipelines.datasets.findings import Finding
from pipelines.datasets.frames_streams import FrameRows, FrameStream

BINS = 50  # of a stream's duration
CLEARLY = 0.15  # accuracy that the place alone adds to the most frequent label
MOST_CODES = 100  # different values of a channel that may be codes of something
TELLING = re.compile(
    r"^(?:.*[ _.-])?(?:subject|who|user|person|participant|patient|id|uid|pid|session|trial|run|"
    r"time|timestamp|date|index|frame|row|activity|class|label|target|unnamed: 0|column 1)"
    r"(?:[ _.-]?(?:id|nr|no|index))?$",
    re.IGNORECASE,
)
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


def leak_finding(channels: Sequence[str], streams: Sequence[FrameStream]) -> Finding:
    """Look for channels that hold codes of the labels, and for names of what is no measurement."""
    coded = [name for number, name in enumerate(channels) if _tells_label(streams, number)]
    if coded:
        detail = (
            f"every value of {', '.join(map(repr, coded))} goes with one label only, as codes of "
            "the labels do; leave such columns out by --channels, or scores mean nothing"
        )
        return Finding("error", "Leaks", detail)
    named = [name for name in channels if TELLING.match(name)]
    if named:
        detail = (
            f"channels named as what tells who or when, not what was measured: "
            f"{', '.join(map(repr, named))}; name them by --group-column, --stream-column or "
            "--time-column, or the others by --channels"
        )
        return Finding("warning", "Leaks", detail)
    return Finding("ok", "Leaks", "no channel holds codes of the labels")


def _tells_label(streams: Sequence[FrameStream], number: int) -> bool:
    """Tell whether a channel has few values, at least two, each with a single label."""
    labels: dict[float, set[str]] = {}
    for stream in streams:
        column = stream.values[:, number]
        values, codes = np.unique(column, return_inverse=True)
        if len(values) > MOST_CODES:
            return False
        for code, value in enumerate(values.tolist()):
            seen = labels.setdefault(value, set())
            seen.update(stream.labels[codes == code].tolist())
            if len(seen) > 1 and value == value:  # NaN differs from itself
                return False
    known = [seen for value, seen in labels.items() if value == value]
    return len(known) > 1 and len(set.union(*known)) > 1

"""Options of `predict` for a frame labeller."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipelines.errors import require
from pipelines.options import PredictOptions


@dataclass(frozen=True, kw_only=True)
class FramesOptions(PredictOptions):
    """What to label; the labels are written as csv."""

    file: str
    """A table or npz with the channels of the training data, or - for csv on standard input."""
    segments: bool = False
    """Write a line for each segment, from its first frame to before its limit, not each frame."""
    stream: bool = False
    """Read frame by frame and answer each at once, by the signature `step` of a causal model: for
    csv on standard input that does not end."""
    stream_column: str | None = None
    """Column that tells streams apart; none given: a file is a stream."""
    time_column: str | None = None
    """Column of the time of each frame; it is no channel, and is checked to ascend."""
    plot: Path | None = None
    """Also draw the labels over time, as a .png, .svg or .pdf."""

    def __post_init__(self) -> None:
        """Refuse what cannot be done together."""
        whole = [name for name in ("segments", "plot", "stream_column") if getattr(self, name)]
        expected = "left out with --stream, which answers each frame before the next is there"
        for name in whole:
            require(not self.stream, name, getattr(self, name), expected)

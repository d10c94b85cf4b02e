"""What a frame labeller learns from its training split besides weights."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from pipelines.config import fingerprint
from pipelines.datasets.frames_streams import FrameRows
from pipelines.errors import require

AXES = "xyz"


@dataclass(frozen=True)
class FrameArtifacts:
    """Channels, classes, and the scale of every channel.

    Attributes:
        channels: names, in the order of the model's input.
        classes: labels; id 0 is padding, so that class i has id i + 1.
        mean, spread: of each channel over the training frames, in its own unit.
        triples: channels that are the x, y and z axes of one sensor.
        mirror: channels whose sign a mirrored movement changes.
        missing: whether the training split lacks any value.
        rate: frames a second, if known.
        settings: what decides how streams are cut into windows, as plain JSON.
    """

    channels: tuple[str, ...]
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    spread: tuple[float, ...]
    triples: tuple[tuple[int, int, int], ...]
    mirror: tuple[int, ...]
    missing: bool
    rate: float | None
    settings: Mapping[str, Any]

    def save(self, folder: Path) -> None:
        """Write labels.txt, one class a line, and frames.json."""
        (folder / "labels.txt").write_text("\n".join(self.classes) + "\n")
        (folder / "frames.json").write_text(json.dumps(asdict(self), indent=2))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        content = json.loads((folder / "frames.json").read_text())
        tuples = ("channels", "classes", "mean", "spread", "mirror")
        content |= {name: tuple(content[name]) for name in tuples}
        return cls(**content | {"triples": tuple(map(tuple, content["triples"]))})

    def fingerprint(self) -> str:
        """Return a hash of everything that decides how a stream is encoded."""
        return fingerprint(asdict(self))

    def describe(self) -> dict[str, Any]:
        """Return sizes and hashes for the log and the manifest."""
        return {
            "channels": len(self.channels),
            "classes": len(self.classes),
            "sensors_with_axes": len(self.triples),
            "labels_hash": fingerprint(list(self.classes)),
        }


def fit_frame_artifacts(
    train: FrameRows,
    *,
    window: int,
    patch: int,
    stretch: float = 0.0,
    mirror: Sequence[str] = (),
) -> FrameArtifacts:
    """Learn the scale of every channel from the training streams.

    Args:
        train: the training streams.
        window: most frames of a training window.
        patch: frames of a step; windows are whole steps.
        stretch: by which share training streams are played faster and slower.
        mirror: channels whose sign a mirrored movement changes.

    Raises:
        ConfigError: `mirror` names a channel that the streams lack.
    """
    unknown = [name for name in mirror if name not in train.channels]
    require(not unknown, "mirror", tuple(mirror), f"some of {', '.join(train.channels)}")
    mean, spread = _scale(train)
    return FrameArtifacts(
        channels=tuple(train.channels),
        classes=tuple(train.classes),
        mean=tuple(map(float, mean)),
        spread=tuple(map(float, spread)),
        triples=axes_of(train.channels),
        mirror=tuple(train.channels.index(name) for name in mirror),
        missing=bool(any(np.isnan(stream.values).any() for stream in train)),
        rate=train.rate,
        settings={"window": window // patch * patch, "patch": patch, "stretch": stretch},
    )


def _scale(train: FrameRows) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and deviation of the observed values of each channel, float64[K]."""
    count = total = square = np.zeros(len(train.channels))
    for stream in train:
        seen = np.isfinite(stream.values)
        values = np.where(seen, stream.values, 0).astype(float)
        count, total = count + seen.sum(axis=0), total + values.sum(axis=0)
    mean = total / np.maximum(count, 1)
    for stream in train:
        square = square + np.nansum((stream.values - mean) ** 2, axis=0)
    spread = np.sqrt(square / np.maximum(count, 1))
    return mean, np.where(spread > 0, spread, 1.0)


def axes_of(channels: Sequence[str]) -> tuple[tuple[int, int, int], ...]:
    """Return the channels that are axes of one sensor by their names: ax ay az, gyro_x ...

    A sensor's three names differ in one letter alone: x, y or z, small or capital.
    """
    places = {name.lower(): place for place, name in enumerate(channels)}
    found = []
    for name in places:
        for letter in (at for at, character in enumerate(name) if character == "x"):
            three = [name[:letter] + axis + name[letter + 1 :] for axis in AXES]
            if all(axis in places for axis in three):
                found.append((places[three[0]], places[three[1]], places[three[2]]))
                break
    return tuple(found)

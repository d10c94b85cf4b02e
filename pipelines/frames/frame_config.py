"""Settings of a frame labeller; apart from the model, so that `--help` needs no Keras."""

from __future__ import annotations

from dataclasses import dataclass, fields

from pipelines.config import RunConfig
from pipelines.datasets.frames_streams import FrameOptions
from pipelines.errors import require
from pipelines.recurrent_config import Cell, Direction

AUTO = ("auto",)
# The device of these exercises points to the hand on one arm and away from it on the other: of a
# mirrored movement, acceleration changes its sign along x, and turning about y and z.
KNOWN_MIRRORS = {"watch-exercises": ("ax", "wy", "wz")}


@dataclass(frozen=True, kw_only=True)
class FrameConfig(RunConfig, FrameOptions):
    """Settings of a recurrent frame labeller."""

    epochs: int = 30
    patience: int = 15
    batch_tokens: int = 8_192
    learning_rate: float = 3e-3
    cell: Cell = "gru"
    input_dropout: float = 0.4
    weight_decay: float = 0.01
    weight_average: float = 0.98
    clip_norm: float = 5.0

    causal: bool = False
    """Label a frame from the frames up to it: the exported model then also reads a stream frame by
    frame, by its signature `step`. The recurrent stack reads forward."""
    patch: int = 25
    """Frames that the recurrent stack reads as one step; a causal model's labels are as of the
    last whole step."""
    window: int = 1_000
    """Frames of a training window; streams to be labelled may be of any length."""
    windows_per_epoch: int = 256
    """Training windows drawn anew for every epoch; they begin at every fifth of a patch."""
    output_dropout: float = 0.4
    """Share of the values of a state dropped before the last layer."""
    lasting: bool = True
    """Labels last: how much a change costs is chosen on the validation streams, and the label of a
    frame is the likeliest given the steps around it (of a causal model, those before)."""
    label_smoothing: float = 0.1
    """Share of the wanted distribution that is spread evenly over all classes."""
    turn: float = 20.0
    """Training windows are seen as by a sensor turned by up to this many degrees, where channels
    are named as axes (ax ay az, gyro_x gyro_y gyro_z); 0: as they are."""
    mirror: tuple[str, ...] = AUTO
    """Channels that change their sign when the device is worn on the other side of the body; half
    of the training windows are seen so. auto: those a built-in set is known for, else none."""
    stretch: float = 0.15
    """Training streams are also played faster and slower by this share; 0: as they are."""
    gain: float = 0.4
    """Every channel of a training window is scaled by up to this share."""
    noise: float = 0.1
    """Deviation of the noise added in training, as a share of each channel's own."""

    def __post_init__(self) -> None:
        """Refuse values that cannot work, before any data is read."""
        super().__post_init__()
        FrameOptions.__post_init__(self)
        for name in ("patch", "window", "windows_per_epoch"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        require(self.window >= 2 * self.patch, "window", self.window, "two times --patch or more")
        for name in ("output_dropout", "label_smoothing", "stretch", "gain"):
            require(0 <= getattr(self, name) < 1, name, getattr(self, name), "in [0, 1)")
        require(0 <= self.turn <= 180, "turn", self.turn, "from 0 to 180 degrees")
        require(self.noise >= 0, "noise", self.noise, "0 or more")
        ahead = self.direction in ("backward", "alternating")
        expected = "left out with --causal, which reads forward"
        require(not (self.causal and ahead), "direction", self.direction, expected)

    @property
    def reads(self) -> Direction:
        """Return the direction in which the stack reads."""
        return "forward" if self.causal else self.direction

    def mirrored(self, source: str) -> tuple[str, ...]:
        """Return the channels that a mirrored movement changes the sign of, in data of a source."""
        return KNOWN_MIRRORS.get(source, ()) if self.mirror == AUTO else self.mirror

    def reading(self) -> FrameOptions:
        """Return the options of the reader."""
        names = [entry.name for entry in fields(FrameOptions)]
        return FrameOptions(**{name: getattr(self, name) for name in names})

"""Settings of a forecaster; apart from the model, so that `--help` needs no Keras."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

from pipelines.config import RunConfig
from pipelines.datasets.series_options import SeriesOptions
from pipelines.encoder_config import EncoderConfig
from pipelines.errors import require
from pipelines.recurrent_config import Cell, Direction

Architecture = Literal["direct", "encoder-decoder", "autoregressive"]
Head = Literal["quantiles", "gaussian", "student-t", "negative-binomial"]
ScalingChoice = Literal["auto", "mean", "robust", "standard", "none"]
Transform = Literal["auto", "none", "log"]
LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


@dataclass(frozen=True, kw_only=True)
class ForecasterConfig(RunConfig, EncoderConfig, SeriesOptions):
    """Settings of a forecaster."""

    epochs: int = 7
    batch_tokens: int = 43_008
    cell: Cell = "gru"
    direction: Direction = "forward"
    input_dropout: float = 0.0
    learning_rate: float = 3e-3
    weight_average: float = 0.99
    weight_decay: float = 0.01
    windows_per_epoch: int = 15_360
    """Training windows drawn anew for every epoch; a long series has millions of them."""

    architecture: Architecture = "direct"
    """direct: all steps at once from the encoder's state; encoder-decoder: a second recurrent
    layer reads the calendar and known covariates of the future; autoregressive: each step is drawn
    from the distribution given the one before, and quantiles are those of many drawn paths."""
    head: Head = "quantiles"
    """What is learned: quantiles, or a normal, Student t or negative binomial distribution."""
    loss: Literal["raw", "scaled"] = "raw"
    """Of quantiles: errors count in the series' own unit, each series by its seasonal change, as
    MASE counts them; scaled: in the unit of the window, after a logarithm if there is one."""
    quantiles: tuple[float, ...] = LEVELS
    """Levels of the quantiles forecast, ascending and with 0.5 among them."""
    scaling: ScalingChoice = "auto"
    """Unit of a window, from its observed history: mean of absolute values; median and quartiles;
    mean and deviation. none: that of the training part; auto: none of one series, mean of many."""
    transform: Transform = "auto"
    """log: forecast on a logarithmic scale; auto: where no training value is negative and the
    values are skewed."""
    patch: int | None = None
    """Steps of history read at once by the recurrent layers; none given: a 28th of the history."""
    output_dropout: float = 0.4
    """Share of what was read of the history dropped in training, where the decoder takes it."""
    decoder_dropout: float = 0.1
    """Share of the values dropped in training within the decoder of a direct forecast."""
    decoder_units: int = 128
    """Width of the layers that turn states into forecasts."""
    paths: int = 100
    """Paths drawn by an autoregressive model."""
    calibrate: bool = True
    """Widen or narrow intervals so that they cover what they say on the validation part."""

    def __post_init__(self) -> None:
        """Refuse values that cannot work, before any data is read."""
        super().__post_init__()
        EncoderConfig.__post_init__(self)
        SeriesOptions.__post_init__(self)
        for name in ("windows_per_epoch", "decoder_units", "paths"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        for name in ("output_dropout", "decoder_dropout"):
            require(0 <= getattr(self, name) < 1, name, getattr(self, name), "in [0, 1)")
        levels = self.quantiles
        usable = 0.5 in levels and all(0 < level < 1 for level in levels)
        require(
            usable and list(levels) == sorted(set(levels)),
            "quantiles",
            levels,
            "ascending levels between 0 and 1, with 0.5 among them",
        )
        require(
            self.architecture != "autoregressive" or self.head != "quantiles",
            "head",
            self.head,
            "gaussian, student-t or negative-binomial where --architecture is autoregressive: "
            "paths are drawn from a distribution",
        )

        require(
            self.architecture != "autoregressive" or self.direction == "forward",
            "direction",
            self.direction,
            "off where --architecture is autoregressive: the decoder goes on from the encoder's "
            "state",
        )

        require(
            self.architecture == "direct" or self.encoder == "rnn",
            "encoder",
            self.encoder,
            f"rnn where --architecture is {self.architecture}: its decoder goes on from the final "
            "state of a recurrent encoder, and no other has one; --architecture direct takes any",
        )
        plain = self.scaling in ("auto", "mean") and self.transform in ("auto", "none")
        require(
            self.head != "negative-binomial" or plain,
            "head",
            self.head,
            "another one, or with --scaling mean and --transform none: counts stay counts when "
            "they are only divided",
        )

    def reading(self) -> SeriesOptions:
        """Return the options of the reader."""
        names = [entry.name for entry in fields(SeriesOptions)]
        return SeriesOptions(**{name: getattr(self, name) for name in names})

"""How time series are read, put on a grid and cut into windows: the options of a user."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pipelines.errors import require

AUTO = ("auto",)
DELIMITER_NAMES = {"tab": "\t", "\\t": "\t", "space": " ", "comma": ",", "semicolon": ";"}
TableLayout = Literal["auto", "long", "wide"]
Aggregate = Literal["error", "mean", "sum", "first", "last", "min", "max"]
Impute = Literal["none", "last", "season"]
HistoryFrom = Literal["auto", "part", "past"]


@dataclass(frozen=True, kw_only=True)
class SeriesOptions:
    """How to read time series; an empty value means to find it out, and to say what was found."""

    time_column: tuple[str, ...] = ()
    """Column of the time stamps, or the columns that make one together, such as year month day
    hour, or Date Time."""
    time_format: str = ""
    """How stamps are written: dmy or mdy where the day or the month comes first, the codes of
    strftime such as %d/%m/%Y %H:%M, or s or ms for seconds or milliseconds since 1970."""
    time_zone: str = ""
    """Place whose clock the stamps follow, such as Europe/Berlin; without one they are taken as
    written, without daylight saving."""
    series_column: str = ""
    """Of a table in long layout, the column that tells series apart; none for a single series."""
    layout: TableLayout = "auto"
    """long: a row is one stamp of one series; wide: a row is one stamp, a column one series."""
    targets: tuple[str, ...] = ()
    """Columns to forecast; in wide layout the columns that are series."""
    past_covariates: tuple[str, ...] = AUTO
    """Columns known up to the present only, such as measured weather; auto: all that remain;
    the option without a name: no column."""
    known_covariates: tuple[str, ...] = ()
    """Columns known for the horizon too, such as prices; a forecast then needs their values."""
    static_covariates: tuple[str, ...] = ()
    """Columns that hold one value for each series, such as its region."""
    frequency: str = ""
    """Distance of two steps: 15min, h, D, W, M, Q, Y and multiples such as 10min; empty: the usual
    distance found in the stamps."""
    aggregate: Aggregate = "error"
    """What becomes of rows with the same stamp in one series."""
    impute: Impute = "none"
    """What the model puts for missing values of a window's history: nothing (it is told that they
    are missing), the last value before, or the value one season before."""
    horizon: int | None = None
    """Steps to forecast; none given: by the frequency, such as 24 of hours."""
    history: int | None = None
    """Steps seen before the forecast; none given: by the frequency, such as 168 of hours."""
    season: int | None = None
    """Steps after which a series roughly repeats, such as 24 of hours; none given: by the
    frequency."""
    gap: int | None = None
    """Steps left out between the targets of two splits; none given: the horizon."""
    stride: int | None = None
    """Steps between two forecasts of the back-test; none given: a quarter of the horizon."""
    history_from: HistoryFrom = "auto"
    """Whether histories of validation and test may reach back before their part (past) or stay
    inside it (part); auto: inside, unless a part is short."""
    decimal: str = "."
    """Mark before the decimals of a number in text files: a dot or a comma."""
    delimiter: str = ""
    """Of csv and txt; empty means to find it in the first line."""
    encoding: str = "utf-8"
    """Of text files; a byte-order mark is skipped."""

    def __post_init__(self) -> None:
        """Refuse values that cannot work, before any data is read."""
        for name, least in (
            ("horizon", 1),
            ("history", 1),
            ("season", 1),
            ("gap", 0),
            ("stride", 1),
        ):
            value = getattr(self, name)
            require(value is None or value >= least, name, value, f"at least {least}")
        require(self.decimal in (".", ","), "decimal", self.decimal, "'.' or ','")
        require(
            len(self.delimiter) <= 1 or self.delimiter in DELIMITER_NAMES,
            "delimiter",
            self.delimiter,
            f"one character, or {', '.join(DELIMITER_NAMES)}",
        )

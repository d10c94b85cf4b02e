"""What the built-in sets of time series need to be told, so that a user need not."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipelines.datasets.series_options import AUTO, SeriesOptions


@dataclass(frozen=True)
class Preset:
    """Options of a built-in set.

    Args:
        options: name of an option -> value, used where the user leaves the default.
        units: column -> unit of its values.
        notes: what a reader of a score should know of the set.
    """

    options: Mapping[str, Any]
    units: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def _plain(target: str, unit: str = "", time: str = "ts") -> Preset:
    """Describe a set of one column of stamps and one of values."""
    options = {"time_column": (time,), "targets": (target,), "past_covariates": ()}
    return Preset(options, {target: unit} if unit else {})


PRESETS = {
    "beijing-air": Preset(
        {
            "time_column": ("year", "month", "day", "hour"),
            "targets": ("pm2.5",),
            "past_covariates": ("DEWP", "TEMP", "PRES", "cbwd", "Iws", "Is", "Ir"),
        },
        {"pm2.5": "µg/m³", "DEWP": "°C", "TEMP": "°C", "PRES": "hPa", "Iws": "m/s"}
        | {"Is": "h", "Ir": "h"},
    ),
    "metro-traffic": Preset(
        {
            "time_column": ("date_time",),
            "targets": ("traffic_volume",),
            "past_covariates": ("temp", "rain_1h", "snow_1h", "clouds_all", "weather_main"),
            "aggregate": "first",
        },
        {"traffic_volume": "vehicles/h", "temp": "K", "rain_1h": "mm", "snow_1h": "mm"}
        | {"clouds_all": "%"},
        (
            "rows with the same stamp tell the same traffic and several words for the weather, so "
            "the first of them is kept",
            "'temp' is 0 K in 10 rows and 'rain_1h' is 9831.3 mm in one, as published",
            "'holiday' is left out, as it names a holiday in the first hour of the day only",
        ),
    ),
    "household-power": Preset(
        {"time_column": ("Date", "Time"), "targets": ("Global_active_power",)},
        {"Global_active_power": "kW", "Global_reactive_power": "kW", "Voltage": "V"}
        | {"Global_intensity": "A"}
        | {f"Sub_metering_{number}": "Wh" for number in (1, 2, 3)},
    ),
    "appliance-energy": Preset(
        {
            "time_column": ("date",),
            "targets": ("Appliances",),
            "past_covariates": (
                "lights",
                *(f"{name}{number}" for number in range(1, 10) for name in ("T", "RH_")),
                *("T_out", "Press_mm_hg", "RH_out", "Windspeed", "Visibility", "Tdewpoint"),
            ),
        },
        {"Appliances": "Wh", "lights": "Wh", "T_out": "°C", "RH_out": "%"},
        ("'rv1' and 'rv2' are left out, as they are random numbers",),
    ),
    "bike-sharing": Preset(
        {"time_column": ("ts",), "targets": ("count",), "past_covariates": ()},
        {"count": "bicycles/h", "tmin": "°C", "tmax": "°C", "pn": "mm"},
        (
            "'tmin', 'tmax' and 'pn' are left out, as they are of the whole day and not known "
            "during it",
        ),
    ),
    "electricity": _plain("y", "kW"),
    "solar-power": _plain("y", "MW"),
    "wind-power": _plain("y", "MW"),
    "sf-traffic": _plain("y"),
    "yosemite-temps": _plain("y", "°C", time="ds"),
    "peyton-manning": _plain("y"),
    "australian-temperature": Preset(
        {"time_column": ("Date",), "targets": ("Min_Temp", "Max_Temp"), "past_covariates": ()},
        {"Min_Temp": "°C", "Max_Temp": "°C"},
    ),
    "us-housing": _plain("y", "months"),
    "sunspots": _plain("Sunspots", time="Month"),
}


def with_preset(name: str, options: SeriesOptions) -> tuple[SeriesOptions, Preset]:
    """Fill in what a built-in set needs; what the user gave stays.

    Args:
        name: of the built-in set, or "" for a user's own data.
        options: of the user.

    Returns:
        the options to read it with, and the preset, its notes telling what was filled in.
    """
    preset = PRESETS.get(name)
    if preset is None:
        return options, Preset({})
    wanted = dict(preset.options)
    if options.targets and options.targets != wanted["targets"]:
        wanted["past_covariates"] = AUTO  # the usual target is a covariate then
    defaults = SeriesOptions()
    taken = set(options.known_covariates) | set(options.static_covariates)
    for option, value in wanted.items():
        if isinstance(value, tuple):
            wanted[option] = tuple(it for it in value if it not in taken)
    filled: dict[str, Any] = {
        option: value
        for option, value in wanted.items()
        if getattr(options, option) == getattr(defaults, option) != value
    }
    options = dataclasses.replace(options, **filled)
    # Not only what was filled in now: options that a preset has filled in come here again.
    said = ", ".join(
        f"{option} {_shown(value)}"
        for option, value in wanted.items()
        if getattr(options, option) == value != getattr(defaults, option)
    )
    notes = (f"options of the set {name!r}: {said}",) if said else ()
    return options, dataclasses.replace(preset, notes=(*notes, *preset.notes))


def _shown(value: Any) -> str:
    return " ".join(value) or "none" if isinstance(value, tuple) else str(value)

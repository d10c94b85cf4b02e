"""What a decoder can be set to, apart from how it works."""

from __future__ import annotations

from typing import Any, Literal

from pipelines.config import require
from pipelines.errors import ConfigError

DecoderAttention = Literal["dot", "additive", "none"]
Sampling = Literal["argmax", "sample"]


def check_settings(name: str, settings: dict[str, Any]) -> None:
    """Refuse settings that cannot work.

    Args:
        name: of the decoder.
        settings: its constructor's arguments.

    Raises:
        ConfigError: a setting is out of range, or one needs attention and there is none.
    """
    kinds = ("dot", "additive", "none")
    require(settings["attention"] in kinds, "attention", settings["attention"], ", ".join(kinds))
    share = settings["scheduled_sampling"]
    require(0 <= share <= 1, "scheduled_sampling", share, "in [0, 1]")
    ways = ("argmax", "sample")
    require(settings["sampling"] in ways, "sampling", settings["sampling"], ", ".join(ways))
    if settings["attention"] != "none":
        return
    for option, use in (("input_feeding", "can be fed"), ("lexical", "tells which words to read")):
        if settings[option]:
            raise ConfigError(
                f"decoder {name!r}: got {option}=True with attention='none', expected attention "
                f"whose result {use}; set attention='dot' or {option}=False"
            )

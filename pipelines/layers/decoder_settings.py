"""What a decoder can be set to, apart from how it works."""

from __future__ import annotations

from typing import Any, Literal

from pipelines.errors import ConfigError, require

DecoderAttention = Literal["dot", "additive", "none"]
DecoderOrder = Literal["luong", "bahdanau"]
DecoderStart = Literal["bridge", "input"]
Sampling = Literal["argmax", "sample"]

_CHOICES = {
    "attention": ("dot", "additive", "none"),
    "sampling": ("argmax", "sample"),
    "start": ("bridge", "input"),
    "order": ("luong", "bahdanau"),
}
# What needs attention, what of it, and the value that leaves it out.
_OF_ATTENTION = (
    ("input_feeding", "whose result can be fed", False),
    ("lexical", "whose result tells which words to read", False),
    ("gate", "whose result can be scaled", False),
    ("doubly_stochastic", "whose weights can be evened out", 0.0),
    ("order", "that the recurrence can read", "luong"),
)


def check_settings(name: str, settings: dict[str, Any]) -> None:
    """Refuse settings that cannot work.

    Args:
        name: of the decoder.
        settings: its constructor's arguments.

    Raises:
        ConfigError: a setting is out of range, one needs attention and there is none, the
            recurrence would read both what it attends to and what it attended to, or its
            regulariser could not act.
    """
    for option, known in _CHOICES.items():
        require(settings[option] in known, option, settings[option], ", ".join(known))
    share, penalty = settings["scheduled_sampling"], settings["doubly_stochastic"]
    require(0 <= share <= 1, "scheduled_sampling", share, "in [0, 1]")
    require(penalty >= 0, "doubly_stochastic", penalty, "0 (off) or more")
    if settings["order"] == "bahdanau" and settings["input_feeding"]:
        raise ConfigError(
            f"decoder {name!r}: got input_feeding=True with order='bahdanau', expected one of the "
            "two, as in that order the recurrence reads what attention finds already; set "
            "input_feeding=False or order='luong'"
        )
    weight = settings["stack"].get("norm_preserving", 0.0)
    if weight and loops(settings["order"], settings["input_feeding"]):
        raise ConfigError(
            f"decoder {name!r}: got norm_preserving={weight} with steps computed one after "
            "another, expected 0, as the regulariser needs the gradients of all steps at once; set "
            "norm_preserving=0.0, or input_feeding=False and order='luong'"
        )
    if settings["attention"] != "none":
        return
    for option, use, off in _OF_ATTENTION:
        if settings[option] != off:
            raise ConfigError(
                f"decoder {name!r}: got {option}={settings[option]!r} with attention='none', "
                f"expected attention {use}; set attention='dot' or {option}={off!r}"
            )


def loops(order: DecoderOrder, input_feeding: bool) -> bool:
    """Return whether steps are computed one after another, as each reads what one attends to."""
    return input_feeding or order == "bahdanau"


def require_summary(name: str, summary: Any) -> None:
    """Refuse to begin with a summary where there is none.

    Args:
        name: of the decoder.
        summary: it, its shape, or None.

    Raises:
        ConfigError: it is None.
    """
    if summary is None:
        raise ConfigError(
            f"decoder {name!r}: got no summary with start='input', expected one float[B, D] to "
            "read before the first token; pass summary=, or set start='bridge', which starts from "
            "0 without"
        )

"""Errors a user can act on.

Every message says, in this order: what went wrong, where, what was found, what was expected, and
what to do about it. The command line prints the message alone and exits with `exit_code`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ToolkitError(Exception):
    """Base of all errors that are the user's to mend; shown without a traceback."""

    exit_code = 1


class ConfigError(ToolkitError):
    """A command, option or setting that does not exist or cannot hold the value given."""

    exit_code = 2


class DataError(ToolkitError):
    """Data that is absent, unreadable or not what the task needs."""


class TrainingError(ToolkitError):
    """Training cannot start, go on or be resumed."""


class ExportError(ToolkitError):
    """The exported model is absent, or does not do what the trained model does."""


class EvaluationError(ToolkitError):
    """Outputs that cannot be scored, such as two lists of unequal length."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `"; did you mean 'x'?"` for the closest known word, or an empty string."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""


def require(condition: bool, name: str, got: object, expected: str) -> None:
    """Raise a ConfigError that names the option unless `condition` holds."""
    if not condition:
        option = "--" + name.replace("_", "-")
        raise ConfigError(f"option {option} is {got!r}; it must be {expected}")

"""How functions of the fast path are compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from numba import njit

_Function = TypeVar("_Function", bound=Callable[..., Any])
_OPTIONS: dict[str, Any] = {
    "nogil": True,  # lanes run at the same time
    "error_model": "numpy",  # a check for division by zero would keep loops from being vectorised
    # No `nnan`: what is not a number has to come out as such. No `reassoc`: see `cells.tanh`.
    "fastmath": {"contract", "nsz", "arcp"},
}


def compiled(function: _Function) -> _Function:
    """Compile a function that is part of an `entry`."""
    result: _Function = njit(**_OPTIONS)(function)
    return result


def entry(function: _Function) -> _Function:
    """Compile a function that is called from Python, once for each processor: it is kept on disk.

    Beside the source, or where that cannot be written in the user's cache folder; where neither
    can, every process compiles anew.
    """
    try:
        result: _Function = njit(cache=True, **_OPTIONS)(function)
    except RuntimeError:  # Numba found no folder for it
        return compiled(function)
    return result

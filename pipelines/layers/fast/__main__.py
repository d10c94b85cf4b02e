"""Compile the loops for this machine: `python -m pipelines.layers.fast`."""

from __future__ import annotations

import sys

from pipelines.layers.fast.ready import compile_now, has_numba

if has_numba():
    sys.stdout.write(f"compiled the recurrent loops in {compile_now():.0f} s\n")

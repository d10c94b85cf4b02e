"""Beam search."""

from __future__ import annotations

from typing import Any

from pipelines.layers.decoding.settings import BeamSettings
from pipelines.layers.decoding.types import Decoded, Step


def beam_search(
    step: Step,
    state: Any,
    limits: Any,
    settings: BeamSettings = BeamSettings(),  # noqa: B008
    *,
    source_mask: Any = None,
    start: Any = None,
) -> Decoded:
    """Follow the K most probable hypotheses of each row, and keep the N best that finish.

    Args:
        step: the model.
        state: at the start of a row, every leaf [B, 1, ...].
        limits: most tokens of each row, stop token included, int32[B].
        settings: of the search.
        source_mask: True on real source tokens, bool[B, S]; needed for the coverage penalty.
        start: token each row goes on from, int32[B]; None is `settings.start`.

    Returns:
        N hypotheses a row, best first; complete ones before those cut.
    """
    raise NotImplementedError

"""Decoding in which hypotheses know nothing of one another: greedy and sampling."""

from __future__ import annotations

from typing import Any

from pipelines.layers.decoding.settings import DecodingSettings, SampleSettings
from pipelines.layers.decoding.types import Decoded, Draw, Step


def greedy(
    step: Step,
    state: Any,
    limits: Any,
    settings: DecodingSettings = DecodingSettings(),  # noqa: B008
    *,
    start: Any = None,
) -> Decoded:
    """Take the most probable token at every step.

    Args:
        step: the model; called with K = 1.
        state: at the start of a row, every leaf [B, 1, ...].
        limits: most tokens of each row, stop token included, int32[B].
        settings: what may be chosen, and how scores are normalised.
        start: token each row goes on from, int32[B]; None is `settings.start`.

    Returns:
        one hypothesis a row.
    """
    raise NotImplementedError


def sample(
    step: Step,
    state: Any,
    limits: Any,
    settings: SampleSettings,
    draw: Draw,
    *,
    start: Any = None,
) -> Decoded:
    """Draw K hypotheses a row, each token from the model's distribution cut as `settings` says.

    Args:
        step: the model.
        state: at the start of a row, every leaf [B, 1, ...].
        limits: most tokens of each row, stop token included, int32[B].
        settings: of sampling.
        draw: gives each step's uniforms; the same ones give the same samples.
        start: token each row goes on from, int32[B]; None is `settings.start`.

    Returns:
        K hypotheses a row, in the order drawn.
    """
    raise NotImplementedError

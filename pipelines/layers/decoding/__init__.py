"""Decoding loops shared by every model that writes: greedy, beam search, sampling.

`keras.ops` only. A model is a `Step`: it reads the last token of K hypotheses of B rows and gives
logits and state. The loops live in the graph, end as soon as every row has, and give each row what
it would get alone.

    decoded = beam_search(step, state, limits, BeamSettings(beams=5), source_mask=mask)
    decoded.tokens[:, 0]      # int32[B, T], the best of each row
"""

from pipelines.layers.decoding.beam import beam_search
from pipelines.layers.decoding.independent import greedy, sample, sample_on
from pipelines.layers.decoding.settings import BeamSettings, DecodingSettings, SampleSettings
from pipelines.layers.decoding.types import Ahead, Decoded, Draw, RowSettings, Step, StepOutput

__all__ = [
    "Ahead",
    "BeamSettings",
    "Decoded",
    "DecodingSettings",
    "Draw",
    "RowSettings",
    "SampleSettings",
    "Step",
    "StepOutput",
    "beam_search",
    "greedy",
    "sample",
    "sample_on",
]

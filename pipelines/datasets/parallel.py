"""Pairs of a text and its translation from any source: cleaned, counted, split, cached on disk."""

from __future__ import annotations

from pipelines.datasets.parallel_options import ParallelOptions, RawPair, TextPair

__all__ = ["ParallelOptions", "RawPair", "TextPair"]

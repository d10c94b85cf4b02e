"""Part-of-speech tagging, aligned many-to-many: every word of a sentence gets its word class.

words, spelling, casing, affixes -> embedding -> bidirectional recurrent stack -> CRF -> tags
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from rich.text import Text

from pipelines.text.tagger_config import TaggerConfig
from pipelines.text.tagging import Tagging


@dataclass(frozen=True, kw_only=True)
class PosConfig(TaggerConfig):
    """Settings of part-of-speech tagging."""


class Pos(Tagging):
    """Word classes; which, the data says."""

    config_type = PosConfig
    headline: ClassVar[str] = "accuracy"
    default_source: ClassVar[str] = "porttinari"
    spans: ClassVar[bool] = False
    unlabelled_of: ClassVar[Mapping[str, str]] = {
        "porttinari": "petrogold,danteshots,dantestocks",
    }

    def marked(self, answer: Mapping[str, Any]) -> Text:
        """Write every word with its tag behind it."""
        shown = Text()
        for token, tag in zip(answer["tokens"], answer["tags"], strict=True):
            shown.append(f"{token}").append(f"/{tag}  ", "cyan")
        shown.rstrip()
        return shown

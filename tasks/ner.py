"""Named-entity recognition, aligned many-to-many: spans of a sentence get a type.

words, spelling, casing, affixes -> embedding -> bidirectional recurrent stack -> CRF -> spans
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from rich.text import Text

from pipelines.text.tagger_config import SpanScheme, TaggerConfig
from pipelines.text.tagging import Tagging

STYLES = ("bold magenta", "bold green", "bold cyan", "bold yellow", "bold blue", "bold red")


@dataclass(frozen=True, kw_only=True)
class NerConfig(TaggerConfig):
    """Settings of named-entity recognition; the defaults suit a thousand entities."""

    epochs: int = 16
    patience: int = 16
    batch_tokens: int = 640
    weight_average: float = 0.98
    units: int = 64
    input_dropout: float = 0.5
    output_dropout: float = 0.5
    word_dropout: float = 0.1
    freeze_vectors: bool = True
    affix_size: int = 48
    span_scheme: SpanScheme = "bio"
    linear: bool = True


class Ner(Tagging):
    """Entities; of which types, the data says."""

    config_type = NerConfig
    headline: ClassVar[str] = "f1"
    default_source: ClassVar[str] = "tweet-entities"
    spans: ClassVar[bool] = True
    unlabelled_of: ClassVar[Mapping[str, str]] = {
        "tweet-entities": "tweets,rated-tweets,product-reviews,news-sentences"
    }

    def marked(self, answer: Mapping[str, Any]) -> Text:
        """Write the text with its entities in brackets, in colour, with type and probability."""
        text, shown, place = answer["text"], Text(), 0
        types = sorted({span["type"] for span in answer["spans"]})
        for span in answer["spans"]:
            style = STYLES[types.index(span["type"]) % len(STYLES)]
            shown.append(text[place : span["start"]])
            shown.append(f"[{text[span['start'] : span['limit']]}]", style)
            shown.append(f"({span['type']} {span['confidence']:.2f})", f"not bold {style}")
            place = span["limit"]
        return shown.append(text[place:])

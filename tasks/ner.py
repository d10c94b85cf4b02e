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
    """Settings of named-entity recognition."""

    epochs: int = 16
    """Most passes over the training split; early stopping may end sooner."""
    patience: int = 16
    """Stop after this many epochs without a better validation score."""
    batch_tokens: int = 640
    """Padded tokens in a batch: short rows come in large batches, long rows in small ones."""
    weight_average: float = 0.98
    """Validate and keep a moving average of the weights of this decay, such as 0.99; 0: none."""
    units: int = 64
    """Units of a recurrent layer, in each direction."""
    input_dropout: float = 0.5
    """Share of a recurrent layer's input values dropped, drawn anew at every step."""
    output_dropout: float = 0.5
    """Share of the recurrent states' values dropped before the scores of the tags."""
    word_dropout: float = 0.1
    """Share of all words made unknown in training, so that no single word is relied on."""
    freeze_vectors: bool = True
    """Do not train the vectors words start from, but a projection of them: for small sets."""
    affix_size: int = 48
    """Dimensions of the summed vectors of a word's prefixes and suffixes; 0 leaves them out."""
    span_scheme: SpanScheme = "bio"
    """How the model writes spans as tags inside; its answers are BIO."""
    linear: bool = True
    """Join the network with a linear CRF over hashed features, fitted first: for small sets."""


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

"""Sentences, settings and artifacts for the tests of taggers: no model is wider than 4."""

from pipelines.datasets.rows import Rows
from pipelines.datasets.splits import DataCard, Splits
from pipelines.datasets.tagged import TaggedSentence
from pipelines.text.tagger_config import TaggerConfig
from pipelines.text.tagger_fitting import fit_tagger_artifacts

TINY = {
    "units": 4, "embedding_size": 4, "affix_size": 3, "character_units": 2, "character_size": 3,
    "casing_size": 2, "max_characters": 6,
}  # fmt: skip
FAMILY = "\U0001f469\u200d\U0001f469\u200d\U0001f467"
# Right-to-left, combining marks, joined emoji, flags, NUL, titlecase, no case, Turkish.
ODD_WORDS = (
    "a", "I", "Rome", "don't", "McX", "x1", "3.5", "?!", "שלום", "بالعالم", "e\u0301", FAMILY,
    "q\u0323\u0307", "\U0001f1e9\U0001f1ea", "\U0001f44d\U0001f3fd", "\0", "a\0b", "ǅ", "漢", "İst",
    "ß", "𐐀x",
)  # fmt: skip


def sentence(written, **options):
    """A sentence from "word/tag word/tag"."""
    pairs = [pair.rsplit("/", 1) for pair in written.split()]
    tokens, tags = zip(*pairs, strict=True) if pairs else ((), ())
    return TaggedSentence(tokens, tags, **options)


def rows(*written):
    """Rows of sentences, each "word/tag word/tag" or made already."""
    made = (item if isinstance(item, TaggedSentence) else sentence(item) for item in written)
    return Rows.of(TaggedSentence, made)


def splits(train, valid=(), test=(), extra=None):
    """Splits of sentences; `extra` has no tags."""
    return Splits(
        rows(*train),
        rows(*valid),
        rows(*test),
        DataCard(source="tests"),
        None if extra is None else rows(*extra),
    )


def artifacts(train, *, spans, extra=None, **settings):
    """Tiny settings, and what is learned from training sentences with them."""
    config = TaggerConfig(**{**TINY, **settings})
    return config, fit_tagger_artifacts(splits(train, extra=extra), config, spans=spans)

"""Text without labels beside labelled sentences: more words in context to learn vectors from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from pipelines.datasets.labelled_text import load_labelled_text
from pipelines.datasets.rows import Rows
from pipelines.datasets.splits import Splits, duplicate_key
from pipelines.datasets.storage import DataFolders
from pipelines.datasets.tagged import TaggedSentence, load_tagged
from pipelines.datasets.tagged_sources import built_in_tagged_names
from pipelines.datasets.word_spans import word_spans


def with_unlabelled(
    splits: Splits[TaggedSentence], names: str, folders: DataFolders
) -> Splits[TaggedSentence]:
    """Add the words of other sources as extra rows, none of which stands in valid or test.

    Args:
        splits: labelled sentences.
        names: sources, by comma: built-in names of tagged sets, or what holds labelled text. Their
            labels are not used.
        folders: where fetched and prepared data are kept.
    """
    rows = (row for name in names.split(",") for row in _sentences(name.strip(), folders))
    kept = without_sentences_in(rows, (splits.valid, splits.test))
    extra = Rows.of(TaggedSentence, kept)
    note = (
        f"{len(extra):,} further sentences without labels to learn word vectors and habits of "
        f"capitals from, of {names}; none is in valid or test"
    )
    card = replace(splits.card, notes=(*splits.card.notes, note))
    return replace(splits, extra=extra, card=card)


def _sentences(name: str, folders: DataFolders) -> Iterator[TaggedSentence]:
    if name in built_in_tagged_names():
        tagged = load_tagged(name, folders=folders, spans=False)
        for _, rows in tagged.named():
            yield from (TaggedSentence(row.tokens, (), place=row.place) for row in rows)
        return
    for _, texts in load_labelled_text(name, folders=folders).named():
        for text in (row.text for row in texts):
            words = tuple(text[start:limit] for start, limit in word_spans(text))
            yield TaggedSentence(words, ())


def without_sentences_in(
    rows: Iterable[TaggedSentence], held_out: Iterable[Rows[TaggedSentence]]
) -> Iterator[TaggedSentence]:
    """Yield sentences that stand, up to case and marks, in none of the held-out splits."""
    known = {_key(row) for split in held_out for row in split}
    return (row for row in rows if _key(row) not in known)


def _key(row: TaggedSentence) -> int:
    return duplicate_key(" ".join(row.tokens), seed=0)

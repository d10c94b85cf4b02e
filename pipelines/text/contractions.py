"""Contractions learned from a treebank: one written form that stands for several words.

Portuguese writes "do" for "de o", French "du" for "de le". Treebanks tag the words, users write the
form, so a tagger of raw text has to take it apart the way its training data does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

import tensorflow as tf

from pipelines.datasets.tagged import TaggedSentence
from pipelines.text.units import Tokens

_JOINT = "\x1f"  # in no token: control characters separate words


def learn_contractions(sentences: Iterable[TaggedSentence]) -> dict[str, tuple[str, ...]]:
    """Return, of every form that is mostly a contraction, the words it mostly stands for.

    The count of a form includes its uses as one word: Portuguese "nos" is "em os" or a pronoun. A
    form is also known capitalised and in capitals, unless training data has that as one word.
    """
    uses: dict[str, Counter[tuple[str, ...]]] = {}
    for sentence in sentences:
        for surface, words in _surfaces(sentence):
            uses.setdefault(surface, Counter())[words] += 1
    mostly = {surface: counts.most_common(1)[0][0] for surface, counts in uses.items()}
    forms = {surface: words for surface, words in mostly.items() if len(words) > 1}
    for surface, (first, *rest) in list(forms.items()):  # "Do" begins a sentence, "DO" a headline
        forms.setdefault(_capitalised(surface), (_capitalised(first), *rest))
        forms.setdefault(surface.upper(), tuple(word.upper() for word in (first, *rest)))
    for surface in forms.keys() & {it for it, words in mostly.items() if len(words) == 1}:
        del forms[surface]
    return dict(sorted(forms.items()))


def _capitalised(word: str) -> str:
    return word[:1].upper() + word[1:]


def _surfaces(sentence: TaggedSentence) -> Iterator[tuple[str, tuple[str, ...]]]:
    if not sentence.surfaces:
        yield from ((token, (token,)) for token in sentence.tokens)
    start = 0
    for surface, count in zip(sentence.surfaces, sentence.parts, strict=True):
        yield surface, sentence.tokens[start : start + count]
        start += count


class Contractions:
    """Takes contractions apart in the graph; every word keeps the place of the form it is in."""

    def __init__(self, forms: Mapping[str, tuple[str, ...]]) -> None:
        # The empty string, never a token, keeps the table of a language without any valid.
        written = ["", *forms]
        words = ["", *(_JOINT.join(parts) for parts in forms.values())]
        pairs = tf.lookup.KeyValueTensorInitializer(tf.constant(written), tf.constant(words))
        self.table = tf.lookup.StaticHashTable(pairs, default_value="")

    def expand(self, tokens: Tokens) -> Tokens:
        """Replace every contraction by its words; `pieces` then holds words, not slices."""
        flat = tokens.pieces.flat_values
        found = self.table.lookup(flat)
        words = tf.strings.split(tf.where(found == "", flat, found), _JOINT)
        source = words.value_rowids()
        rows = tf.gather(tokens.pieces.value_rowids(), source)

        def repeated(values: tf.Tensor) -> tf.RaggedTensor:
            return tf.RaggedTensor.from_value_rowids(values, rows, tokens.pieces.nrows())

        placed = {
            name: repeated(tf.gather(part.flat_values, source))
            for name, part in tokens._asdict().items()
        }
        pieces = repeated(words.flat_values)
        return Tokens(**{**placed, "pieces": pieces, "normalised": pieces})

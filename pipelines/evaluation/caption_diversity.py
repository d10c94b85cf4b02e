"""How varied captions are: distinct ones, words used, captions never seen in training, loops.

How many different captions or words there are is no total over images: drawing images anew would
find fewer. Every image therefore adds its share in them: of a caption given to m images each adds
1 / m, so that the sum is their number, and resampling changes neither its mean nor its sense.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.evaluation.caption_metrics import References, Tokens, tokens_of
from pipelines.evaluation.measures import Measure, share
from pipelines.evaluation.scores import Better
from pipelines.evaluation.translation_evidence import loops

Array = NDArray[Any]


def diversity_measures(
    systems: Mapping[str, Sequence[Tokens]],
    references: Sequence[References],
    train_captions: Collection[str],
) -> list[Measure]:
    """Return the measures of variety.

    - `distinct_captions`: different captions per image.
    - `vocabulary_used`: share of the words of the training captions that occur in some caption.
    - `novel_caption_share`: captions whose words, in order, are no training caption.
    - `repetition_rate`: captions that repeat themselves (`translation_evidence.loops`) as no
      reference of theirs does.

    More variety is not always better: the target of the first three is what people reach, taking
    the first reference of each image.

    Args:
        systems: tokens of each system's captions, the model's under "model".
        references: tokens of the references of each image.
        train_captions: all captions of the training split.
    """
    known = {tuple(tokens_of(caption)) for caption in train_captions}
    vocabulary = {word for caption in known for word in caption}
    people: list[Tokens] = [captions[0] for captions in references]

    def novel(captions: Sequence[Tokens]) -> Array:
        return np.array([tuple(caption) not in known for caption in captions], float)

    def used(captions: Sequence[Tokens]) -> Array:
        words = [vocabulary.intersection(caption) for caption in captions]
        return parts_of_kinds(words) * len(captions) / max(1, len(vocabulary))

    def distinct(captions: Sequence[Tokens]) -> Array:
        return parts_of_kinds([[tuple(caption)] for caption in captions])

    def looping(captions: Sequence[Tokens]) -> Array:
        pairs = zip(captions, references, strict=True)
        return np.array([repeats(caption, own) for caption, own in pairs], float)

    found = [
        _measure(
            name, {system: count(captions) for system, captions in systems.items()}, count(people)
        )
        for name, count in (
            ("distinct_captions", distinct),
            ("vocabulary_used", used),
            ("novel_caption_share", novel),
        )
    ]
    loop_flags = {system: looping(captions) for system, captions in systems.items()}
    return [*found, _measure("repetition_rate", loop_flags, None)]


def parts_of_kinds(kinds: Sequence[Collection[Hashable]]) -> Array:
    """Return each row's part in the number of different things, float64[N]; their sum is it.

    Args:
        kinds: the things that each row holds, each once.
    """
    rows_with = Counter(kind for held in kinds for kind in held)
    return np.array([sum(1 / rows_with[kind] for kind in held) for held in kinds], float)


def repeats(caption: Tokens, references: References) -> bool:
    """Tell whether a caption loops in a way that none of its references does."""
    found = loops(caption)
    return bool(found) and not any(found <= loops(reference) for reference in references)


def _measure(name: str, found: Mapping[str, Array], people: Array | None) -> Measure:
    """Build the measure of a mean over images, with what people reach as its target if given."""
    sums = {system: np.column_stack([each, np.ones(len(each))]) for system, each in found.items()}
    better: Better = "lower" if people is None else "target"
    return Measure(
        name=name,
        model=sums.pop("model"),
        others=sums,
        statistic=_share_of_all,
        better=better,
        unit="fraction",
        target=None if people is None else float(people.mean()),
        count=len(found["model"]),
        counted="images",
    )


def _share_of_all(totals: Array) -> Array:
    # Images whose words are rare can be drawn more than once; there are no more words than all.
    return np.minimum(1.0, share(totals))

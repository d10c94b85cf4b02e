"""Pairs of a text and its translation from TensorFlow Datasets (`tfds:NAME`)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from pipelines.datasets.parallel_languages import closest_code
from pipelines.datasets.parallel_options import ParallelOptions, RawPair
from pipelines.datasets.remarks import Remarks
from pipelines.datasets.tfds_reader import (
    flat_features,
    found_set,
    own_splits,
    plain_value,
    set_on_disk,
)
from pipelines.errors import DataError, did_you_mean

if TYPE_CHECKING:
    from pipelines.datasets.parallel_sources import PairSource

_VARIABLE = ("language", "translation")  # parallel lists: as many languages as an example has


def tfds_pair_source(name: str, options: ParallelOptions) -> PairSource:
    """Return the pairs of a TensorFlow Datasets translation set, its own splits on them.

    A set holds one text for each language, as "ted_hrlr_translate/pt_to_en" and
    "wmt16_translate/de-en" do, or lists of languages and texts, as "ted_multi_translate" does.
    Either direction of a set can be read.

    Args:
        name: as `tfds.builder` takes it.
        options: the languages; `source_column` and `target_column` name features that are not
            called by a language.

    Raises:
        DataError: the library is absent, has no such set, the set is not of these languages, or it
            is neither on disk nor reachable.
    """
    builder, where = set_on_disk(name)
    features = flat_features(builder.info.features)
    group = next((it.rpartition("/")[0] for it in features if it.endswith("/language")), None)
    if group is None or f"{group}/translation" not in features:
        names = _features(list(features), options, where)
        splits, notes = own_splits(builder, where)
        streams = tuple(partial(_pairs, builder, it, names) for it in splits.items())
        return found_set(builder, name, streams, " ".join(names), notes)
    splits, notes = own_splits(builder, where)
    streams = tuple(partial(_listed, builder, it, group) for it in splits.items())
    return found_set(builder, name, streams, group, notes)


def _features(names: list[str], options: ParallelOptions, where: str) -> tuple[str, str]:
    """Return the features of source and target: those asked for, else those of the languages."""
    by_code = {name.rpartition("/")[2]: name for name in names}
    sides = (
        (options.source_column, options.source_language, "source"),
        (options.target_column, options.target_language, "target"),
    )
    found = []
    for wanted, language, side in sides:
        code = wanted if wanted in by_code else None if wanted else closest_code(by_code, language)
        if wanted not in names and code is None:
            what = f"feature {wanted!r}" if wanted else f"language {language!r}"
            raise DataError(
                f"{where}: no {what} for the {side}{did_you_mean(wanted or language, by_code)}; "
                f"found: {', '.join(by_code)}; give --source-language and --target-language two of "
                "them"
            )
        found.append(wanted if code is None else by_code[code])
    return found[0], found[1]


def _examples(builder: Any, own_split: str) -> Iterator[tuple[str, Any]]:
    """Yield where an example is, and its features by name."""
    import tensorflow_datasets as tfds

    where = f"tfds:{builder.info.full_name}:{own_split}"
    examples = tfds.as_numpy(builder.as_dataset(split=own_split, shuffle_files=False))
    for number, example in enumerate(examples, start=1):
        yield f"{where}:{number}", flat_features(example)


def _pairs(
    builder: Any,
    splits: tuple[str, str],
    names: tuple[str, str],
    _: ParallelOptions,
    __: Remarks,
) -> Iterator[RawPair]:
    own_split, split = splits
    for place, example in _examples(builder, own_split):
        source, target = (plain_value(example[name]) for name in names)
        yield RawPair(source, target, "", place, split)


def _listed(
    builder: Any,
    splits: tuple[str, str],
    group: str,
    options: ParallelOptions,
    remarks: Remarks,
) -> Iterator[RawPair]:
    """Yield pairs of examples that list their languages, where both are listed."""
    own_split, split = splits
    seen: set[str] = set()
    pairs = 0
    for place, example in _examples(builder, own_split):
        codes, texts = (map(plain_value, example[f"{group}/{name}"]) for name in _VARIABLE)
        by_code = dict(zip(codes, texts, strict=True))
        seen.update(by_code)
        wanted = (options.source_language, options.target_language)
        found = [code for code in (closest_code(by_code, it) for it in wanted) if code is not None]
        if len(found) < 2:
            remarks.add("example(s) without one of the languages, left out", place)
            continue
        pairs += 1
        yield RawPair(by_code[found[0]], by_code[found[1]], "", place, split)
    if not pairs:
        raise DataError(
            f"tfds:{builder.info.full_name}:{own_split}: no example holds both "
            f"{options.source_language} and {options.target_language}; languages found: "
            f"{', '.join(sorted(seen))}; give --source-language and --target-language two of them"
        )

"""Labelled text and tagged sentences from TensorFlow Datasets (`tfds:NAME`).

TensorFlow is imported on use alone. A set that was prepared before is read without any network. One
that was not is asked for only if its host answers: the library itself would try for minutes before
it gave up.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit
from urllib.request import getproxies

from pipelines.datasets.labelled_rows import (
    LABEL_COLUMNS,
    TEXT_COLUMNS,
    LabelledTextOptions,
    RawRow,
    pick_column,
)
from pipelines.datasets.locate import SPLIT_WORDS, Found
from pipelines.errors import DataError, did_you_mean

if TYPE_CHECKING:
    from pipelines.datasets.labelled_sources import TextSource
    from pipelines.datasets.tagged_options import RawSentence, Reading, TaggedOptions
    from pipelines.datasets.tagged_sources import TaggedSource

S = TypeVar("S")
PROBE_SECONDS = 5.0


def tfds_text_source(name: str, options: LabelledTextOptions) -> TextSource:
    """Return the rows of a TensorFlow Datasets text-classification set, its own splits on them.

    Integer labels become the names the set gives them; -1, an unlabelled row, is a missing label.
    Splits other than train, validation and test are not read.

    Args:
        name: as `tfds.builder` takes it, for example "imdb_reviews" or "glue/sst2".
        options: `text_feature` and `label_feature` where the usual names do not fit.

    Raises:
        DataError: the library is absent, has no such set or feature, or the set is neither on disk
            nor reachable.
    """
    builder, where = set_on_disk(name)
    features = flat_features(builder.info.features)
    text = pick_column(
        list(features), options.text_feature, TEXT_COLUMNS, what="text", where=where, kind="feature"
    )
    label = pick_column(
        [feature for feature in features if feature != text],
        options.label_feature,
        LABEL_COLUMNS,
        what="label",
        where=where,
        kind="feature",
    )
    splits, notes = own_splits(builder, where)
    names = getattr(features[label], "names", None)
    streams = tuple(
        partial(_rows, builder, own, split, text=text, label=label, names=names)
        for own, split in splits.items()
    )
    return found_set(builder, name, streams, f"{text} {label}", notes)


def tfds_tagged_source(name: str, options: TaggedOptions) -> TaggedSource:
    """Return the sentences of a TensorFlow Datasets tagging set, its own splits on them.

    Words are a sequence of texts, tags one of class labels, as in "conll2003"; the features can be
    named by `token_column` and `tag_column`.

    Raises:
        DataError: the library is absent, has no such set or feature, or the set is neither on disk
            nor reachable.
    """
    builder, where = set_on_disk(name)
    splits, notes = own_splits(builder, where)
    streams = tuple(partial(_sentences, builder, own, split) for own, split in splits.items())
    return found_set(builder, name, streams, f"{options.token_column} {options.tag_column}", notes)


def found_set(
    builder: Any, name: str, streams: tuple[S, ...], columns: str, notes: tuple[str, ...]
) -> Found[S]:
    """Describe a set that was found.

    Args:
        builder: of the set.
        name: as the user gave it.
        streams: what reads its splits.
        columns: the features that are read, part of what tells one reading from another.
        notes: what the user should know of it.
    """
    return Found(
        name=f"tfds-{name.replace('/', '-')}",
        streams=streams,
        files={},
        layout=f"{builder.info.full_name} {columns}",
        citation=" ".join(builder.info.citation.split()),
        notes=notes,
    )


def _sentences(builder: Any, own: str, split: str, reading: Reading) -> Iterator[RawSentence]:
    import tensorflow_datasets as tfds

    from pipelines.datasets.tagged_options import RawSentence
    from pipelines.datasets.tagged_records import SPAN_TAG_KEYS, TOKEN_KEYS, WORD_TAG_KEYS, pick

    features, options = flat_features(builder.info.features), reading.options
    where = f"tfds:{builder.info.full_name}"
    lists = [key for key, feature in features.items() if hasattr(feature, "feature")]
    usual = SPAN_TAG_KEYS if reading.spans else WORD_TAG_KEYS
    token = pick(lists, options.token_column, TOKEN_KEYS, "token", where)
    tag = pick(lists, options.tag_column, usual, "tag", where)
    names = getattr(features[tag].feature, "names", None)
    path = Path(f"{where}:{own}")
    examples = tfds.as_numpy(builder.as_dataset(split=own, shuffle_files=False))
    for number, example in enumerate(examples, start=1):
        words = tuple(plain_value(word) for word in _feature(example, token))
        codes = [plain_value(code) for code in _feature(example, tag)]
        tags = tuple((names[code] if code >= 0 else "") if names else code for code in codes)
        yield RawSentence(path, (number,), words, tags, split=split)


def own_splits(builder: Any, where: str) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the set's own splits -> train, valid or test, and a note of those not read.

    Raises:
        DataError: none of them is a training split.
    """
    splits = {split: SPLIT_WORDS[split] for split in builder.info.splits if split in SPLIT_WORDS}
    if "train" not in splits.values():
        raise DataError(f"{where}: no train split, only {list(builder.info.splits)}")
    ignored = [split for split in builder.info.splits if split not in splits]
    return splits, (f"not read: split {', '.join(ignored)}",) if ignored else ()


def flat_features(features: Mapping[str, Any]) -> dict[str, Any]:
    """Return features by name; those within a group are called group/name."""
    flat: dict[str, Any] = {}
    for name, feature in features.items():
        if hasattr(feature, "items"):  # the library's own dict of features is no Mapping
            flat |= {f"{name}/{inner}": value for inner, value in feature.items()}
        else:
            flat[name] = feature
    return flat


def set_on_disk(name: str) -> tuple[Any, str]:
    """Return the builder of a set, prepared if it was not, and the set's name in messages.

    Raises:
        DataError: the library is absent, has no such set, or the set is neither on disk nor
            reachable.
    """
    where = f"tfds:{name}"
    builder = _builder(name)
    _prepare(builder, where)
    return builder, where


def _builder(name: str) -> Any:
    # The library's import of TensorFlow otherwise fills the terminal with its start-up messages.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        import importlib_resources  # noqa: F401  tensorflow-datasets needs it but does not say so
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise DataError(
            f"tfds:{name} needs a package that is not installed ({error.name}); install "
            "tensorflow-datasets and importlib_resources, or give DATA= a file"
        ) from error
    try:
        return tfds.builder(name)
    except tfds.core.DatasetNotFoundError as error:
        known = tfds.list_builders(with_community_datasets=False)
        raise DataError(
            f"tfds:{name}: TensorFlow Datasets has no such set{did_you_mean(name, known)}; check "
            "the name in its catalogue"
        ) from error
    except (ValueError, KeyError) as error:
        raise DataError(
            f"tfds:{name}: no such configuration ({str(error).splitlines()[0][:200]}); check the "
            "name in the catalogue of TensorFlow Datasets"
        ) from error


def _prepare(builder: Any, where: str) -> None:
    """Download the set unless it is on disk, after a quick look whether its host answers."""
    if Path(builder.data_dir).exists():
        return
    for address in list(builder.url_infos or ())[:1]:
        _probe(address, where)
    try:
        builder.download_and_prepare()
    except Exception as error:  # the library lets through whatever its many readers raise
        raise _unreachable(where, f"{type(error).__name__}: {error}") from error


def _probe(address: str, where: str) -> None:
    """Raise `DataError` if the host does not take a connection; a proxy is not second-guessed."""
    parts = urlsplit(address)
    if parts.hostname is None or parts.scheme in getproxies():
        return
    port = parts.port or (80 if parts.scheme == "http" else 443)
    try:
        socket.create_connection((parts.hostname, port), timeout=PROBE_SECONDS).close()
    except OSError as error:
        raise _unreachable(where, str(error)) from error


def _unreachable(where: str, reason: str) -> DataError:
    return DataError(
        f"{where} is not on disk and cannot be downloaded: {reason[:200]}; prepare it on a machine "
        "with a network and copy its folder (TFDS_DATA_DIR names where), or give DATA= a file"
    )


def _rows(
    builder: Any, own_split: str, split: str, *, text: str, label: str, names: list[str] | None
) -> Iterator[RawRow]:
    import tensorflow_datasets as tfds

    path = Path(f"tfds:{builder.info.full_name}:{own_split}")
    examples = tfds.as_numpy(builder.as_dataset(split=own_split, shuffle_files=False))
    for number, example in enumerate(examples, start=1):
        value = plain_value(_feature(example, label))
        if names and isinstance(value, int):
            value = names[value] if value >= 0 else None
        yield RawRow(path, number, plain_value(_feature(example, text)), value, None, split)


def _feature(example: Any, name: str) -> Any:
    for part in name.split("/"):
        example = example[part]
    return example


def plain_value(value: Any) -> Any:
    """Turn NumPy scalars and bytes into Python's own values."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value.item() if hasattr(value, "item") else value

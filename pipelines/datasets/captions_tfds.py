"""Images with captions from TensorFlow Datasets (`tfds:NAME`), their bytes written out once."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.datasets.captions_options import CaptionedImage, CaptionOptions, RawImage
from pipelines.datasets.captions_tables import CAPTION_COLUMNS, IMAGE_COLUMNS, RESTVAL
from pipelines.datasets.remarks import Remarks
from pipelines.datasets.storage import DataFolders, storage_errors
from pipelines.datasets.tfds_reader import (
    flat_features,
    found_set,
    own_splits,
    plain_value,
    set_on_disk,
)
from pipelines.errors import DataError, did_you_mean

if TYPE_CHECKING:
    from pipelines.datasets.captions_sources import CaptionReader, CaptionSource

FOLDER = "tfds-images"
_TEXT_PARTS = ("text", "raw", "caption")
_NAMES = ("image/filename", "image_filename", "filename", "file_name", "image/id", "image_id", "id")


def tfds_caption_source(name: str, options: CaptionOptions, folders: DataFolders) -> CaptionSource:
    """Return the images and captions of a TensorFlow Datasets set, its own splits on them.

    Images are not decoded, but written as they are, each once, to a folder of the cache, under the
    hash of their bytes.

    Args:
        name: as `tfds.builder` takes it, for example "coco_captions".
        options: `image_column` and `caption_column` name features where the usual ones do not fit.
        folders: `cache` takes the images.

    Raises:
        DataError: the library is absent, has no such set, the set has no images or captions, or it
            is neither on disk nor reachable.
    """
    builder, where = set_on_disk(name)
    features = flat_features(builder.info.features)
    image = feature_of(features, options.image_column, "image", where)
    caption = feature_of(features, options.caption_column, "caption", where)
    splits, notes = _splits(builder, where)
    target = folders.cache / FOLDER
    streams: tuple[CaptionReader, ...] = tuple(
        partial(_images, builder, it, image, caption, target) for it in splits.items()
    )
    found = found_set(builder, name, streams, f"{image} {caption}", notes)
    # Rows hold paths: images written to another folder are other rows.
    return replace(found, layout=f"{found.layout} {target.absolute()}")


def _splits(builder: Any, where: str) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return own split -> split; Karpathy's "restval" is to be trained on."""
    splits, notes = own_splits(builder, where)
    if RESTVAL not in builder.info.splits:
        return splits, notes
    splits[RESTVAL] = "train"
    ignored = [split for split in builder.info.splits if split not in splits]
    return splits, (f"not read: split {', '.join(ignored)}",) if ignored else ()


def feature_of(features: Mapping[str, Any], wanted: str, what: str, where: str) -> str:
    """Return the feature asked for, else the likeliest: images by type, captions by name.

    Raises:
        DataError: there is none; the message lists all features.
    """
    if wanted in features:
        return wanted
    if not wanted and what == "image":
        usual = [name for name, it in features.items() if type(it).__name__ == "Image"]
        usual.sort(key=lambda it: IMAGE_COLUMNS.index(it) if it in IMAGE_COLUMNS else 99)
    else:
        names = (f"{it}/{part}" for it in CAPTION_COLUMNS for part in _TEXT_PARTS)
        usual = [] if wanted else [it for it in (*names, *CAPTION_COLUMNS) if it in features]
    if usual:
        return usual[0]
    asked = f" {wanted!r}{did_you_mean(wanted, features)}" if wanted else ""
    raise DataError(
        f"{where}: no {what} feature{asked}; features found: {', '.join(features)}; give "
        f"--{what}-column one of them, or another set"
    )


def _images(
    builder: Any, splits: tuple[str, str], image: str, caption: str, folder: Path, _: Remarks
) -> Iterator[RawImage]:
    import tensorflow_datasets as tfds

    own, split = splits
    where = f"tfds:{builder.info.full_name}:{own}"
    features = builder.info.features
    wanted = [image, caption, *(it for it in _NAMES if it in features)]
    decoders = tfds.decode.PartialDecoding(
        _nested(wanted, features, True),
        decoders=_nested([image], features, tfds.decode.SkipDecoding()),
    )
    dataset = builder.as_dataset(split=own, shuffle_files=False, decoders=decoders)
    for number, example in enumerate(tfds.as_numpy(dataset), start=1):
        values = flat_features(example)
        texts = values[caption]
        captions = [texts] if isinstance(texts, bytes | str) else list(texts)
        given = next((plain_value(values[it]) for it in _NAMES if it in values), number)
        path = _written(values[image], folder)
        texts = tuple(str(plain_value(text)) for text in captions)
        row = CaptionedImage(str(path), texts, name=str(given), origin=f"{where}:{number}")
        yield RawImage(row, split)


def _nested(names: Sequence[str], features: Any, value: Any) -> dict[str, Any]:
    """Return {"captions": {"text": value}} for "captions/text", unless a feature is called so."""
    nested: dict[str, Any] = {}
    for name in names:
        group, _, inner = name.partition("/")
        if name in features:
            nested[name] = value
        else:
            nested.setdefault(group, {})[inner] = value
    return nested


def _written(content: bytes, folder: Path) -> Path:
    """Write an encoded image under the hash of its bytes, unless it is there; whole or not."""
    digest = hashlib.sha256(content).hexdigest()[:32]
    path = folder.absolute() / digest[:2] / digest
    if path.is_file() and path.stat().st_size == len(content):
        return path
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial_path = path.with_name(f".{digest}-{os.getpid()}")
        partial_path.write_bytes(content)
        partial_path.replace(path)
    return path

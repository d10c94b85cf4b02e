"""Captions in one JSON document: COCO's, Karpathy's, a list of rows, or captions by image."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipelines.datasets.captions_options import CaptionOptions, RawCaptions
from pipelines.datasets.captions_tables import NO_CAPTION, SPLITS, captions_in, read_caption_table
from pipelines.datasets.readers import Record
from pipelines.datasets.remarks import Remarks
from pipelines.datasets.text_files import describe_missing, open_text, reading_errors
from pipelines.errors import DataError, did_you_mean

_COCO, _KARPATHY = ("images", "annotations"), ("images",)
FORMS = (
    'COCO ({"images": [{"id", "file_name"}], "annotations": [{"image_id", "caption"}]}), Karpathy '
    '({"images": [{"filename", "sentences": [{"raw"}], "split"}]}), a list of {"image", "caption"} '
    'or {"NAME.jpg": ["caption", ...]}'
)


def read_caption_json(
    path: Path, options: CaptionOptions, remarks: Remarks
) -> Iterator[RawCaptions]:
    """Yield the captions of a .json file: one document, or an object a line.

    Raises:
        DataError: it is no JSON (the message names the line), or of no known form.
    """
    if not path.is_file():
        raise DataError(describe_missing(path))
    if _is_lines(path, options.encoding):
        yield from read_caption_table(path, options, remarks)
        return
    content = _document(path, options.encoding)
    if isinstance(content, list):
        yield from _listed(path, content, options, remarks)
    elif not isinstance(content, Mapping):
        raise _unknown(path, f"a {type(content).__name__}")
    elif all(isinstance(content.get(key), list) for key in _COCO):
        yield from _coco(path, content, remarks)
    elif isinstance(content.get("images"), list):
        yield from _karpathy(path, content["images"], remarks)
    elif content and all(isinstance(it, str | list) for it in content.values()):
        for number, (image, captions) in enumerate(content.items(), start=1):
            place = f"{path}:image {number}"
            yield RawCaptions(image, captions_in(captions, place, image), place)
    else:
        raise _unknown(
            path, f"an object with {', '.join(map(repr, list(content)[:8])) or 'nothing'}"
        )


def _is_lines(path: Path, encoding: str) -> bool:
    """Tell whether the first line alone is an object that names an image, as in jsonl."""
    with reading_errors(path, encoding), open_text(path, encoding) as stream:
        first = stream.readline(1 << 20)
        rest = stream.read(1)
    try:
        fields = json.loads(first)
    except ValueError:
        return False
    return isinstance(fields, dict) and bool(rest)


def _document(path: Path, encoding: str) -> Any:
    with reading_errors(path, encoding), open_text(path, encoding) as stream:
        text = stream.read()
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(
            f"{path}:{error.lineno}: not JSON: {error.msg} at column {error.colno}; expected one "
            "document, or one object a line; mend the line, or copy the file again"
        ) from error


def _unknown(path: Path, found: str) -> DataError:
    return DataError(
        f"{path}: no captions in this JSON: it is {found}; expected {FORMS}; give another file"
    )


def _coco(path: Path, content: Mapping[str, Any], remarks: Remarks) -> Iterator[RawCaptions]:
    """Yield the captions of each image in turn, in the order of the images."""
    by_image: dict[Any, list[str]] = {}
    for number, note in enumerate(content["annotations"], start=1):
        if not isinstance(note, Mapping) or "caption" not in note:
            keys = list(note) if isinstance(note, Mapping) else note
            raise DataError(
                f"{path}: annotation {number} has no caption (found {str(keys)[:120]}); expected "
                "the captions file of COCO, such as captions_train2017.json, not its objects; give "
                "that"
            )
        by_image.setdefault(note.get("image_id"), []).append(str(note["caption"]))
    for number, image in enumerate(content["images"], start=1):
        place = f"{path}:image {number}"
        name = image.get("file_name") if isinstance(image, Mapping) else None
        captions = by_image.pop(image.get("id"), []) if isinstance(image, Mapping) else []
        if not name or not captions:
            remarks.add("image(s) of the file without a caption or a name, left out", place)
        else:
            yield RawCaptions(str(name), tuple(captions), place)
    for image_id, captions in by_image.items():
        place = f"{path}:image_id {image_id}"
        remarks.add("caption(s) of an image the file does not list, left out", place, len(captions))


def _karpathy(path: Path, images: list[Any], remarks: Remarks) -> Iterator[RawCaptions]:
    for number, image in enumerate(images, start=1):
        place = f"{path}:image {number}"
        name = image.get("filename") if isinstance(image, Mapping) else None
        if not name or not isinstance(image.get("sentences"), list):
            keys = list(image) if isinstance(image, Mapping) else image
            raise _unknown(path, f"of images with {str(keys)[:120]} (image {number})")
        captions = captions_in(image["sentences"], place, "sentences")
        split = image.get("split")
        if split is not None and split not in SPLITS:
            raise DataError(
                f"{place}: split {split!r}{did_you_mean(str(split), SPLITS)}; expected one of "
                f"{', '.join(SPLITS)}; mend the file"
            )
        if not captions:
            remarks.add(NO_CAPTION, place)
            continue
        folder = image.get("filepath")
        full = f"{folder}/{name}" if folder else str(name)
        yield RawCaptions(full, captions, place, SPLITS[split] if split else None)


def _listed(
    path: Path, rows: list[Any], options: CaptionOptions, remarks: Remarks
) -> Iterator[RawCaptions]:
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict):
            raise _unknown(path, f"a list whose element {number} is {str(row)[:60]!r}")
    records = (Record(path, number, row) for number, row in enumerate(rows, start=1))
    yield from read_caption_table(path, options, remarks, records)

"""Find out what `DATA=` means for images with captions, and how they are reached."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from pipelines.datasets.captions_drawn import BUILT_IN, draw
from pipelines.datasets.captions_folder import (
    ImageIndex,
    describe_folder,
    files_of,
    folders_beside,
    require_images,
)
from pipelines.datasets.captions_json import read_caption_json
from pipelines.datasets.captions_lists import LIST, NOT_LISTED, SplitLists, is_list, listed_split
from pipelines.datasets.captions_options import (
    CaptionedImage,
    CaptionOptions,
    RawCaptions,
    RawImage,
)
from pipelines.datasets.captions_pictures import SUFFIXES
from pipelines.datasets.captions_tables import TOKEN, read_caption_table
from pipelines.datasets.locate import (
    SPLIT_WORDS,
    Convention,
    Found,
    Located,
    Part,
    Parts,
    locate,
)
from pipelines.datasets.package_index import Progress
from pipelines.datasets.readers import FORMATS, format_of
from pipelines.datasets.remarks import Remarks
from pipelines.datasets.storage import DataFolders
from pipelines.errors import DataError

CaptionReader = Callable[[Remarks], Iterator[RawImage]]
CaptionSource = Found[CaptionReader]
MISSING, AMBIGUOUS = "file not found", "name of several files"
ANOTHER_SPELLING = "caption(s) whose image is spelled otherwise on disk"
WITHOUT_CAPTION = "image file(s) without a caption, not used"
EXPECTED = (
    "captions.csv or captions.txt (image,caption), Flickr8k.token.txt, results.csv, a .jsonl of "
    '{"image", "caption"}, COCO\'s captions_*.json or Karpathy\'s dataset_*.json'
)
_FORMATS = (*FORMATS, TOKEN)
_NUMBER = re.compile(r"#\d+$")
_NO_CAPTIONS = re.compile(
    r"readme|licen[cs]e|requirements|lemma|crowdflower|expertannotations|instances_|keypoints"
    r"|stuff_|panoptic_|image_info"
)


class _CaptionConvention(Convention):
    """Names the generated set too, which is no download."""

    def built_in_names(self) -> list[str]:
        return list(BUILT_IN)


_CONVENTION = _CaptionConvention(
    is_built_in=lambda source: source.name in BUILT_IN,
    unit="captions",
    named="file",
    split_words=SPLIT_WORDS,
)


def built_in_caption_names() -> list[str]:
    """Return the names of the built-in sets."""
    return _CONVENTION.built_in_names()


def find_caption_source(
    source: str, options: CaptionOptions, folders: DataFolders, progress: Progress | None = None
) -> CaptionSource:
    """Resolve `DATA=`: a built-in name, `tfds:NAME`, a folder, a caption file or a glob of such.

    Raises:
        DataError: it is none of these, or there are no captions or no images.
    """
    if source in BUILT_IN:
        return _drawn(source, options, folders, progress)
    if source.startswith("tfds:"):
        from pipelines.datasets.captions_tfds import tfds_caption_source

        return tfds_caption_source(source.removeprefix("tfds:"), options, folders)
    located = locate(
        source,
        _CONVENTION,
        lambda folder: _folder_parts(folder, options),
        [],
        folders=folders,
        progress=progress,
    )
    beside = located.parts[0].path.parent
    parts = [_marked(part, options) for part in located.parts] + _given(beside, options)
    return _found(source, replace(located, parts=parts), options)


def _drawn(
    source: str, options: CaptionOptions, folders: DataFolders, progress: Progress | None
) -> CaptionSource:
    if options.valid_file or options.test_file or options.images:
        raise DataError(
            f"{source}: --valid-file, --test-file and --images do not go with a built-in set; "
            "leave them out, or give DATA= captions of your own"
        )
    images, found = draw(source, options, folders, progress)
    waiting = [images]

    def read(_: Remarks) -> Iterator[RawImage]:
        drawn = waiting.pop() if waiting else draw(source, options, folders, progress)[0]
        return (RawImage(*it) for it in drawn)

    return Found(
        name=found.name,
        streams=(read,),
        files=found.files,
        # Rows hold paths: pictures drawn into another folder are other rows.
        layout=f"{found.layout} {folders.cache.absolute()}",
        licence=found.licence,
        citation=found.citation,
        language=found.language,
        notes=found.notes,
    )


def _found(source: str, located: Located, options: CaptionOptions) -> CaptionSource:
    """Find the images, and say how each caption file is read."""
    captions = [part for part in located.parts if part.kind != LIST]
    lists = [part for part in located.parts if part.kind == LIST]
    if not captions:
        raise DataError(
            f"{source}: a list of image names, but no captions; expected {EXPECTED}; give that, "
            "and the list as --valid-file or --test-file"
        )
    roots = _image_folders(source, captions, options)
    index = ImageIndex(roots)
    require_images(index, source)
    found = located.found(lambda part: part, lambda part: f"{part.kind} {format_of(part.path)}")
    places = [str(root.resolve()) for root in roots]
    reader = _Reader(index, SplitLists(lists, options.encoding), options)
    return Found(
        name=found.name,
        streams=(*(partial(reader.read, part) for part in captions), reader.rest),
        files={**found.files, **dict.fromkeys(places[:1], index.sha256())},
        layout=" ".join([found.layout, *places]),
        notes=found.notes,
    )


def _image_folders(source: str, captions: list[Part], options: CaptionOptions) -> list[Path]:
    path = Path(options.images or source).expanduser()
    if options.images and not path.is_dir():
        raise DataError(
            f"--images {options.images}: no such folder; expected the folder of the images that "
            f"{captions[0].path} describes; check the path"
        )
    if path.is_dir():
        return [path]
    beside = [folder for part in captions for folder in folders_beside(part.path)]
    return list(dict.fromkeys(beside)) or [captions[0].path.absolute().parent]


class _Reader:
    """Reads caption files and finds the images they name."""

    def __init__(self, index: ImageIndex, lists: SplitLists, options: CaptionOptions) -> None:
        self.index, self.lists, self.options = index, lists, options
        self._used: set[str] = set()
        self._names: set[str] = set()

    def read(self, part: Part, remarks: Remarks) -> Iterator[RawImage]:
        """Yield the captions of a file, each with the image it is of."""
        near = None if self.options.images else part.path.parent
        for raw in _reader(part.path)(part.path, self.options, remarks):
            name = _NUMBER.sub("", raw.image)
            paths = self.index.find(name, near)
            split = self.lists.split_of(name) or part.split or raw.split
            reason = "" if len(paths) == 1 else AMBIGUOUS if paths else MISSING
            if not reason and self.lists.complete and split is None:
                reason = NOT_LISTED
            path = str(paths[0]) if len(paths) == 1 else ""
            if path and paths[0].name != name.replace("\\", "/").rsplit("/", 1)[-1]:
                remarks.add(ANOTHER_SPELLING, f"{raw.origin} ({name})")
            self._used.add(path)
            self._names.add(name)
            image = CaptionedImage(path or name, raw.captions, name=name, origin=raw.origin)
            yield RawImage(image, split, reason)

    def rest(self, remarks: Remarks) -> Iterator[RawImage]:
        """Yield nothing, but tell of images without captions; to be read last."""
        for path in self.index.paths:
            if str(path) not in self._used:
                remarks.add(WITHOUT_CAPTION, str(path))
        if self.lists:
            self.lists.note_unused(self._names, remarks)
        return iter(())


def _reader(
    path: Path,
) -> Callable[[Path, CaptionOptions, Remarks], Iterator[RawCaptions]]:
    kind = format_of(path)
    if kind == ".json":
        return read_caption_json
    if kind in _FORMATS:
        return read_caption_table
    what = "an image" if kind in SUFFIXES else f"a file that ends in {kind or 'nothing'}"
    raise DataError(
        f"{path}: {what}, expected captions: {EXPECTED}; give the caption file, or the folder that "
        "holds it and the images"
    )


def _given(beside: Path, options: CaptionOptions) -> list[Part]:
    """Return the parts of --valid-file and --test-file."""
    parts = []
    for split, name in (("valid", options.valid_file), ("test", options.test_file)):
        if name:
            path = Path(name).expanduser()
            path = path if path.exists() or not (beside / name).is_file() else beside / name
            parts.append(_marked(Part(path, split), options))
    return parts


def _marked(part: Part, options: CaptionOptions) -> Part:
    """Say whether a file lists names of images rather than captions."""
    return replace(part, kind=LIST) if is_list(part.path, options.encoding) else part


def _folder_parts(folder: Path, options: CaptionOptions) -> Parts:
    """Take the caption files of the likeliest names, and lists of image names beside them."""
    texts = [it for it in files_of(folder, depth=1) if format_of(it) in _FORMATS]
    likely = [it for it in texts if not _NO_CAPTIONS.search(it.name.lower())]
    lists = [it for it in likely if listed_split(it) and is_list(it, options.encoding)]
    likely = [it for it in likely if it not in lists]
    if not likely:
        raise DataError(
            f"{folder}: no captions in this folder: it holds {describe_folder(folder)}; expected "
            f"{EXPECTED}; give the caption file as DATA= and this folder as --images"
        )
    best = min(map(_rank, likely))
    parts = _chosen(folder, [it for it in likely if _rank(it) == best])
    if options.valid_file or options.test_file or not all(part.split is None for part in parts):
        lists = []
    read = {part.path for part in parts}.union(lists)
    parts += [Part(it, listed_split(it), LIST) for it in lists]
    return parts, [it.name for it in texts if it not in read]


def _rank(path: Path) -> int:
    """Order names: Karpathy's, then those that speak of captions, then usual ones, then others."""
    name = path.name.lower()
    if name.startswith("dataset") and format_of(path) == ".json":
        return 0
    if "caption" in name or "token" in name:
        return 1
    return 2 if name.startswith(("results", "metadata")) else 3


def _chosen(folder: Path, files: list[Path]) -> list[Part]:
    """Use files of one name in other formats once, and files named after splits as such."""
    by_stem = {str(it.parent / it.name.split(".")[0]): it for it in reversed(files)}
    files = sorted(by_stem.values())
    if len(files) == 1:
        return [Part(files[0])]
    splits = {it: _split_of(folder, it) for it in files}
    parts = [Part(it, split) for it, split in splits.items() if split]
    if parts:
        _CONVENTION.require_train(folder, parts)
        return parts
    raise DataError(
        f"{folder}: several caption files: {', '.join(it.name for it in files[:8])}; expected one, "
        "or files named after train, valid and test; give the one as DATA=, and this folder as "
        "--images"
    )


def _split_of(folder: Path, path: Path) -> str | None:
    """Read the split from a file's name, else from the folder it is in."""
    own = _CONVENTION.split_of(path)
    return own or (_CONVENTION.split_of(path.parent) if path.parent != folder else None)

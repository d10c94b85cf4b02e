"""Find out what `DATA=` means for labelled frames, and read it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from pipelines.datasets.frames_arrays import read_arrays
from pipelines.datasets.frames_reading import ReadFrames, Wanted, joined, listed, stem_of
from pipelines.datasets.frames_streams import FrameOptions, FrameRows
from pipelines.datasets.frames_tables import read_table
from pipelines.datasets.frames_times import clock_notes
from pipelines.datasets.frames_watch import read_watch
from pipelines.datasets.locate import SPLIT_WORDS, Convention, Found, Part, Parts, locate
from pipelines.datasets.package_index import Progress
from pipelines.datasets.prepared import fingerprint
from pipelines.datasets.series_read_files import FORMATS, PACKED, is_table
from pipelines.datasets.storage import DataFolders
from pipelines.errors import DataError, did_you_mean

READER_VERSION = 1  # part of the fingerprint: raise it when the same file gives other streams
ARRAYS = ".npz"
_CONVENTION = Convention(
    is_built_in=lambda source: source.task == "frame_labelling",
    unit="streams",
    named="file",
    split_words={},  # training_run_3.csv is a recording of a training run
)
_BY_NAME = replace(_CONVENTION, split_words=SPLIT_WORDS)


@dataclass(frozen=True)
class FrameFile:
    """A file of streams: where it is, its split if its name tells, and how it is read."""

    path: Path
    split: str | None
    read: Callable[[Path, Wanted, str], ReadFrames]


FrameSource = Found[FrameFile]


def built_in_frame_names() -> list[str]:
    """Return the names of the default sets of labelled frames."""
    return _CONVENTION.built_in_names()


def find_frames(
    source: str, *, folders: DataFolders, progress: Progress | None = None
) -> FrameSource:
    """Resolve `DATA=`: a built-in name, a file, a glob or a folder; and hash the files.

    Raises:
        DataError: it is none of these, a folder without streams, or a file of another format.
    """
    if source.startswith("tfds:"):
        raise DataError(
            f"{source}: sets of TensorFlow Datasets are not read as frames; expected a file, a "
            f"folder or one of {', '.join(built_in_frame_names())}; write the frames as csv or npz"
        )
    located = locate(source, _CONVENTION, _folder_parts, [], folders=folders, progress=progress)
    if located.published is None:
        located = replace(located, parts=_with_splits(located.parts))
    return located.found(
        lambda part: FrameFile(part.path, part.split, _reader(part.path, located.published)),
        lambda part: f"{part.path.name}",
    )


def _folder_parts(folder: Path) -> Parts:
    files = sorted(path for path in folder.iterdir() if path.is_file())
    chosen = [path for path in files if is_table(path) or _is_arrays(path)]
    if not chosen:
        shown = listed([path.name for path in files], 6) or "no file"
        raise DataError(
            f"{folder}: no streams in this folder: it holds {shown}; expected .csv, .tsv, .parquet "
            "or .npz files, one a recording; give the file"
        )
    return [Part(path) for path in chosen], [it.name for it in files if it not in chosen]


def _is_arrays(path: Path) -> bool:
    return path.name.lower().endswith(ARRAYS) and not path.name.startswith(".")


def _with_splits(parts: list[Part]) -> list[Part]:
    """Read splits from names if every file is named after one, and train and test are among them.

    A single name that happens to hold such a word then decides nothing.
    """
    splits = [_BY_NAME.split_of(part.path) for part in parts]
    if None in splits or not {"train", "test"} <= set(splits):
        return parts
    return [replace(part, split=split) for part, split in zip(parts, splits, strict=True)]


def _reader(path: Path, published: object) -> Callable[[Path, Wanted, str], ReadFrames]:
    if published is not None:
        return lambda file, wanted, _: read_watch(file, wanted)
    if _is_arrays(path):
        return lambda file, wanted, prefix: read_arrays(file, wanted, prefix=prefix)
    if is_table(path):
        return lambda file, wanted, prefix: read_table(file, wanted, prefix=prefix)
    known = (*FORMATS, ARRAYS)
    raise DataError(
        f"{path}: unknown format {path.suffix or path.name!r}{did_you_mean(path.suffix, known)}; "
        f"expected one of {', '.join(known)}, tables each also with {', '.join(PACKED)}; write "
        "the frames as csv"
    )


def read_found(found: FrameSource, wanted: Wanted) -> ReadFrames:
    """Read all streams of a source; names that recur are told apart by their file.

    Raises:
        DataError: a file cannot be read, or files have different channels.
    """
    several = len(found.streams) > 1
    parts = []
    for file in found.streams:
        prefix = f"{stem_of(file.path)} " if several else ""
        part = file.read(file.path, wanted, prefix)
        part.splits = [file.split] * len(part.streams)
        parts.append(part)
        if not wanted.named:  # the first file decides which columns are channels
            wanted = replace(wanted, channels=part.channels)
    read = joined(parts)
    _tell_apart(read)
    read.notes = [*found.notes, *read.notes, *clock_notes(read.clocks)]
    return read


def _tell_apart(read: ReadFrames) -> None:
    """Number streams of equal names, such as those of a.csv and a.parquet."""
    counts = Counter(stream.name for stream in read.streams)
    seen: Counter[str] = Counter()
    for number, stream in enumerate(read.streams):
        if counts[stream.name] > 1:
            seen[stream.name] += 1
            name = f"{stream.name} ({seen[stream.name]})"
            group = name if stream.group == stream.name else stream.group
            read.streams[number] = replace(stream, name=name, group=group)


def rate_of(read: ReadFrames, options: FrameOptions) -> float | None:
    """Return frames a second: as given, or the median of what the streams tell, or None."""
    if options.rate is not None:
        return options.rate
    rates = sorted([*read.rates, *(clock.rate for clock in read.clocks)])
    return rates[len(rates) // 2] if rates else None


def rows_of(read: ReadFrames, options: FrameOptions, classes: tuple[str, ...] = ()) -> FrameRows:
    """Return all streams as rows; without classes given, these are the labels that occur."""
    if not classes:
        found = {str(label) for stream in read.streams for label in set(stream.labels.tolist())}
        classes = tuple(sorted(found - {""}))
    rate = rate_of(read, options)
    return FrameRows(read.streams, channels=read.channels, rate=rate, classes=classes)


def print_of(found: FrameSource, options: FrameOptions, more: object = None) -> str:
    """Return the fingerprint of a source read and split with the given options."""
    settings = {"settings": asdict(options), "more": more}
    return fingerprint(["frames", READER_VERSION], settings, found)

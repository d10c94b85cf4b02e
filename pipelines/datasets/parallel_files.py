"""Pairs in two text files, line for line: find the files, and read them side by side."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from pipelines.datasets.locate import SPLIT_WORDS
from pipelines.datasets.parallel_alignment import first_shift
from pipelines.datasets.parallel_languages import is_language, same_language, split_ending
from pipelines.datasets.parallel_options import ParallelOptions, RawPair
from pipelines.datasets.remarks import Remarks
from pipelines.datasets.text_files import describe_missing, open_text, reading_errors
from pipelines.errors import DataError

_SHOWN_CHARACTERS = 60
_SOURCE_ENDINGS, _TARGET_ENDINGS = ("src", "source"), ("tgt", "trg", "target")
_OTHER_FORMATS = (
    "md",
    "po",
    "mo",
    "tmx",
    "csv",
    "tsv",
    "tab",
    "pq",
    "xml",
    "zip",
    "pdf",
    "py",
    "sh",
    "log",
)


@dataclass(frozen=True)
class PairFiles:
    """Two text files of equally many lines; line n of one is the translation of the other's.

    Args:
        source: of the language to translate from.
        target: of the language to translate into.
        split: train, valid or test, if their name tells.
    """

    source: Path
    target: Path
    split: str | None = None


def find_pair_files(source: str, options: ParallelOptions) -> list[PairFiles]:
    """Return the pairs of text files that `DATA=` means; none if it means something else.

    Args:
        source: two paths, separated by a comma or a space; a folder that holds `train.en` and
            `train.fr` (also valid or dev, and test), or other names with languages as endings; one
            such file, the other being beside it; or what both names begin with, as `corpus` of
            `corpus.en` and `corpus.fr`; each also .gz.
        options: the languages.

    Raises:
        DataError: one file of a pair is missing, or no two endings fit the languages.
    """
    path = Path(source).expanduser()
    if path.is_dir():
        return _in_folder(path, options)
    if not source.strip():
        return []
    for separator in () if path.exists() else (r",", r"\s+"):
        parts = [part for part in re.split(separator, source.strip()) if part.strip()]
        two = [Path(part.strip()).expanduser() for part in parts]
        if len(two) == 2 and (any(it.is_file() for it in two) or _are_of_sides(two, options)):
            return [_two_paths(two[0], two[1], options)]
    if not path.parent.is_dir():
        return []
    stem = path.name
    if path.is_file():
        stem, ending = split_ending(path)
        if not any(_is_of_side(ending, side, options) for side in (0, 1)):
            return []
    named = [it for it in _text_files(path.parent) if split_ending(it)[0] == stem]
    return _pairs(path.parent, named, options)


def _are_of_sides(paths: list[Path], options: ParallelOptions) -> bool:
    """Tell whether the paths end in the languages of both sides, whether or not they exist."""
    endings = {split_ending(path)[1] for path in paths}
    return all(any(_is_of_side(it, side, options) for it in endings) for side in (0, 1))


def _two_paths(first: Path, second: Path, options: ParallelOptions) -> PairFiles:
    """Tell source from target by the endings where they say, else by the order given."""
    for path, other in ((first, second), (second, first)):
        if not path.is_file():
            there = "is there" if other.is_file() else "is not there either"
            raise DataError(
                f"{describe_missing(path)}; the other file of the pair, {other}, {there}: line n "
                "of both must hold the same text in two languages"
            )
    endings = [split_ending(path)[1] for path in (first, second)]
    sides = [[side for side in (0, 1) if _is_of_side(it, side, options)] for it in endings]
    if sides == [[1], [0]]:
        return PairFiles(second, first)
    if sides != [[0], [1]] and all(map(is_language, endings)):
        raise _wrong_languages(f"{first}, {second}", endings, options)
    return PairFiles(first, second)


def _text_files(folder: Path) -> list[Path]:
    """Return files whose name may end in a language, sorted."""
    files = [it for it in sorted(folder.iterdir()) if it.is_file() and it.name[:1] != "."]
    endings = {it: split_ending(it)[1].lower() for it in files}
    return [it for it, ending in endings.items() if ending and ending not in _OTHER_FORMATS]


def _in_folder(folder: Path, options: ParallelOptions) -> list[PairFiles]:
    pairs = _pairs(folder, _text_files(folder), options)
    splits = {pair: split_of_pair(pair) for pair in pairs}
    if not any(splits.values()) or len(pairs) == 1:
        return pairs
    if "train" not in splits.values():
        found = ", ".join(pair.source.name for pair in pairs[:5])
        raise DataError(
            f"{folder}: no training pairs: found {found}; expected also files named train; give "
            "the two files as DATA=A,B to split them by seed"
        )
    return [replace(pair, split=split) for pair, split in splits.items() if split]


def split_of_pair(pair: PairFiles) -> str | None:
    """Read the split from what both names share: `dev.en` is valid, `corpus.test.fr` is test."""
    words = re.split(r"[^a-z]+", split_ending(pair.source)[0].lower())
    splits = {SPLIT_WORDS[word] for word in words if word in SPLIT_WORDS}
    return splits.pop() if len(splits) == 1 else None


def _pairs(folder: Path, files: list[Path], options: ParallelOptions) -> list[PairFiles]:
    """Match files whose names differ in the language alone."""
    sides = [_by_stem(files, side, options) for side in (0, 1)]
    known = sorted({*sides[0], *sides[1]})
    for stem in known:
        if (stem in sides[0]) != (stem in sides[1]):
            raise _lone_file(folder, stem, sides, files, options)
    named = [it for it in files if is_language(split_ending(it)[1])]
    if not known and len({split_ending(it)[0] for it in named}) < len(named):
        found = sorted({split_ending(it)[1] for it in named})
        raise _wrong_languages(str(folder), found, options)
    return [PairFiles(sides[0][stem], sides[1][stem]) for stem in known]


def _is_of_side(ending: str, side: int, options: ParallelOptions) -> bool:
    """Tell whether an ending stands for the source (0) or the target (1)."""
    language = (options.source_language, options.target_language)[side]
    usual = (_SOURCE_ENDINGS, _TARGET_ENDINGS)[side]
    return same_language(ending, language) or ending.lower() in usual


def _by_stem(files: Iterable[Path], side: int, options: ParallelOptions) -> dict[str, Path]:
    """Return what a file's name shares with its translation's -> file, an exact code first."""
    language = (options.source_language, options.target_language)[side]
    fitting = [it for it in files if _is_of_side(split_ending(it)[1], side, options)]
    fitting.sort(key=lambda it: split_ending(it)[1].casefold() == language.casefold())
    return {split_ending(it)[0]: it for it in fitting}


def _lone_file(
    folder: Path,
    stem: str,
    sides: list[dict[str, Path]],
    files: list[Path],
    options: ParallelOptions,
) -> DataError:
    languages = [options.source_language, options.target_language]
    missing = 1 if stem in sides[0] else 0
    path, code = sides[1 - missing][stem], languages[missing]
    name = path.name.replace(f".{split_ending(path)[1]}", f".{code}", 1) if stem else code
    same_stem = sorted({split_ending(it)[1] for it in files if split_ending(it)[0] == stem})
    option = "--target-language" if missing else "--source-language"
    return DataError(
        f"{folder / name}: no such file, but {path.name} is there; expected both, with the same "
        f"text line by line (endings found of {stem or 'no name'!r}: {', '.join(same_stem)}); add "
        f"the file, or give {option} one of the endings"
    )


def _wrong_languages(where: str, found: Iterable[str], options: ParallelOptions) -> DataError:
    return DataError(
        f"{where}: no files of the language pair {options.source_language}-"
        f"{options.target_language}; endings found: {', '.join(found)}; expected "
        f".{options.source_language} and .{options.target_language}; give --source-language and "
        "--target-language two of those found"
    )


def read_pair_files(
    files: PairFiles, options: ParallelOptions, remarks: Remarks
) -> Iterator[RawPair]:
    """Yield the pairs of two text files, line by line; only a line feed ends a line.

    Blank lines behind the end of the shorter file are left out; other blank lines are empty sides.

    Raises:
        DataError: a file is absent, binary or of another encoding, or one has more lines than the
            other; the message names both counts and the line that first looks shifted.
    """
    sides = [_lines(path, options) for path in (files.source, files.target)]
    number = 0
    for number, (source, target) in enumerate(itertools.zip_longest(*sides), start=1):
        if source is None or target is None:
            _require_blank_rest(files, options, remarks, number)
            return
        yield RawPair(source, target, "", f"{files.source}:{number}", files.split)
    if number == 0:
        raise DataError(f"{files.source}, {files.target}: both files are empty; expected text")


def _lines(path: Path, options: ParallelOptions) -> Iterator[str]:
    if not path.is_file():
        raise DataError(describe_missing(path))
    encoding = options.encoding or "utf-8"
    with reading_errors(path, encoding), open_text(path, encoding) as stream:
        # A carriage return or a line separator inside a text must not shift one side.
        stream.reconfigure(newline="\n")  # type: ignore[attr-defined]
        for line in stream:
            yield line.rstrip("\r\n")


def _require_blank_rest(
    files: PairFiles, options: ParallelOptions, remarks: Remarks, number: int
) -> None:
    """Refuse a longer side whose lines from `number` on are not all blank."""
    counts, last_text = [], 0
    for path in (files.source, files.target):
        count = 0
        for count, line in enumerate(_lines(path, options), start=1):
            if not line.isspace() and line:
                last_text = max(last_text, count)
        counts.append(count)
    if last_text >= number:
        raise _unequal(files, options, counts)
    longer = files.source if counts[0] > counts[1] else files.target
    excess = abs(counts[0] - counts[1])
    remarks.add("blank line(s) at the end of one side, left out", f"{longer}:{number}", excess)


def _unequal(files: PairFiles, options: ParallelOptions, counts: list[int]) -> DataError:
    shift = first_shift(_lines(files.source, options), _lines(files.target, options))
    if shift is None:
        shorter = files.source if counts[0] < counts[1] else files.target
        where = f"no line looks shifted: {shorter.name} is probably cut after line {min(counts):,}"
    else:
        here, other = shift.fits, shift.fits + shift.offset
        where = (
            f"line {shift.line:,} first looks shifted: line {here:,} of {files.source.name}, "
            f"{_line(files.source, here, options)}, stands beside "
            f"{_line(files.target, here, options)} but fits line {other:,} of {files.target.name}, "
            f"{_line(files.target, other, options)}"
        )
    return DataError(
        f"{files.source} has {counts[0]:,} lines, {files.target} {counts[1]:,}; expected equally "
        f"many, line n of one the translation of the other's; {where}; mend the files there"
    )


def _line(path: Path, number: int, options: ParallelOptions) -> str:
    line = next(itertools.islice(_lines(path, options), number - 1, None), "")
    shown = line if len(line) <= _SHOWN_CHARACTERS else f"{line[: _SHOWN_CHARACTERS - 1]}…"
    return repr(shown)

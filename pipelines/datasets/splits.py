"""Train, validation and test rows that share no text and no group, chosen by hash and seed."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from pipelines.datasets.rows import Rows
from pipelines.errors import DataError, require


class _HasText(Protocol):
    @property
    def text(self) -> str: ...


E = TypeVar("E")
T = TypeVar("T", bound=_HasText)
IntArray = npt.NDArray[np.int64]
SPLIT_NAMES = ("train", "valid", "test")
FRACTIONS = (0.8, 0.1, 0.1)

_URL = re.compile(r"(?:https?://|www\.)\S+", re.IGNORECASE)
_MENTION = re.compile(r"@\w+")
_RETWEET = re.compile(r"^\s*rt\b", re.IGNORECASE)
# Vowel signs of the scripts of South and South-East Asia are no \w, but tell words apart.
_WORD = re.compile(r"[\w\u0900-\u0dff\u0e00-\u109f]+")
_ASCII_WORDS = (
    bytes(
        ord(chr(code).lower()) if chr(code).isalnum() or code == ord("_") else ord(" ")
        for code in range(128)
    )
    + b" " * 128
)


@dataclass(frozen=True, kw_only=True)
class DataCard:
    """Where the rows come from and what was done to them, for the log and the report.

    Args:
        source: the DATA= given, or the default set's name.
        files: path -> sha256 of each file read (of a folder of texts: of all of them together).
        counts: split -> rows.
        label_counts: split -> label -> rows, for sets with one label a row.
        dropped: reason -> rows left out.
        notes: anything else a reader of a score should know.
        fingerprint: 16 hexadecimal digits that change when rows, options or seed change.
    """

    source: str
    licence: str = ""
    citation: str = ""
    language: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    label_counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    dropped: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    fingerprint: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return a dict that `json` can write."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> DataCard:
        """Build a card from what `to_json` returned."""
        return cls(**{**content, "notes": tuple(content["notes"])})


@dataclass(frozen=True)
class Splits(Generic[E]):
    """Examples to learn from, to choose by and to be judged on.

    `extra` are further rows to learn from, of another source; none is in valid or test.
    """

    train: Rows[E]
    valid: Rows[E]
    test: Rows[E]
    card: DataCard
    extra: Rows[E] | None = None

    def named(self) -> Iterator[tuple[str, Rows[E]]]:
        """Yield ("train", rows), ("valid", rows), ("test", rows)."""
        yield from zip(SPLIT_NAMES, (self.train, self.valid, self.test), strict=True)


def require_shares(valid: float, test: float) -> None:
    """Refuse shares of a split that cannot be, before any data is read.

    Raises:
        ConfigError: the message names the option.
    """
    for name, share in (("valid_share", valid), ("test_share", test)):
        require(0 < share < 1, name, share, "a share between 0 and 1")
    require(valid + test < 1, "test_share", test, "below 1 together with --valid-share")


def normalise_for_duplicates(text: str) -> str:
    """Return the words of a text in lower case, joined by one blank.

    Links, @mentions and a leading "rt" are removed first, so that copies of a tweet meet; then the
    text is NFKC-normalised and case-folded. Two texts with equal results count as one.
    """
    if text.isascii():
        return _normalise_ascii(text)
    text = _RETWEET.sub("", _MENTION.sub("", _URL.sub("", text)))
    return " ".join(_WORD.findall(unicodedata.normalize("NFKC", text).casefold()))


def _normalise_ascii(text: str) -> str:
    """Do the same to ASCII text, several times faster: a byte table stands in for the patterns."""
    text = text.lower()
    if "://" in text or "www." in text:
        text = _URL.sub("", text)
    if "@" in text:
        text = _MENTION.sub("", text)
    if "rt" in text[:8] or text[:1].isspace():
        text = _RETWEET.sub("", text)
    return b" ".join(text.encode().translate(_ASCII_WORDS).split()).decode()


def duplicate_key(text: str, seed: int) -> int:
    """Return a 64-bit number that two texts share if they count as one, and that orders rows.

    A text without any word, such as ":)", stands for itself.
    """
    return _hash(normalise_for_duplicates(text) or text, seed)


def _hash(text: str, seed: int) -> int:
    # JSON can hold half a surrogate pair, which has no UTF-8 form of its own.
    content = text.encode("utf-8", "surrogatepass")
    digest = hashlib.blake2b(content, digest_size=8, key=str(seed).encode()).digest()
    return int.from_bytes(digest, "big")


def first_rows(keys: npt.NDArray[np.uint64]) -> IntArray:
    """Return, in order, the number of the first row of each key: uint64[N] -> int64[U]."""
    # np.unique would do, but holds three more arrays of this size at once.
    order = np.argsort(keys, kind="stable")
    is_first = np.ones(len(keys), bool)
    is_first[1:] = np.diff(keys[order]) != 0
    first = order[is_first]
    first.sort()
    return first


def stratified_split(
    labels: npt.NDArray[np.int32],
    keys: npt.NDArray[np.uint64],
    fractions: tuple[float, float, float] = FRACTIONS,
) -> tuple[IntArray, IntArray, IntArray]:
    """Split rows by label, each text once.

    The first row of each key is kept. The n rows of a label are ordered by key: the first
    round(n * fractions[2]) are test rows, the next round(n * fractions[1]) validation rows and the
    others training rows. A row's place depends on its own text and the seed of its key alone, so
    adding rows moves few others.

    Args:
        labels: code of each row's label, int32[N].
        keys: `duplicate_key` of each row's text, uint64[N].
        fractions: of train, validation and test rows.

    Returns:
        train, validation and test row numbers, each sorted, int64.
    """
    kept = first_rows(keys)
    by_label = kept[np.argsort(labels[kept], kind="stable")]
    edges = np.flatnonzero(np.diff(labels[by_label])) + 1
    parts: tuple[list[IntArray], ...] = ([], [], [])
    for group in np.split(by_label, edges):
        rows = group[np.argsort(keys[group], kind="stable")]
        test = round(len(rows) * fractions[2])
        valid = test + round(len(rows) * fractions[1])
        for part, chosen in zip(parts, (rows[valid:], rows[test:valid], rows[:test]), strict=True):
            part.append(chosen)
    train, valid_rows, test_rows = (np.sort(np.concatenate(part)) for part in parts)
    return train, valid_rows, test_rows


def group_split(
    groups: Sequence[str], seed: int, fractions: tuple[float, float, float] = FRACTIONS
) -> tuple[IntArray, IntArray, IntArray]:
    """Split rows so that no group (document, chapter, subject) is in two splits.

    Groups are taken in an order drawn by hash from the seed; each goes to the split that is
    furthest, in rows, below its share. A split left empty then takes the smallest group of the
    split that has most groups.

    Args:
        groups: the group of each row, N names.
        seed: another seed draws another order.
        fractions: of train, validation and test rows; a split of fraction 0 stays empty.

    Returns:
        train, validation and test row numbers, each sorted, int64.

    Raises:
        DataError: there are fewer groups than splits.
    """
    names, codes, sizes = np.unique(
        np.asarray(groups, dtype=object).astype(str), return_inverse=True, return_counts=True
    )
    wanted = [number for number, fraction in enumerate(fractions) if fraction > 0]
    if len(names) < len(wanted):
        raise DataError(
            f"{len(names)} group(s) for {len(wanted)} splits ({', '.join(names[:3])}); expected at "
            "least one document, chapter or subject a split: give more, or files already split"
        )
    places = _assign(names, sizes, seed, fractions)
    _fill_empty(places, sizes, wanted)
    train, valid, test = (np.flatnonzero(places[codes] == number) for number in range(3))
    return train, valid, test


def _assign(
    names: npt.NDArray[np.str_], sizes: IntArray, seed: int, fractions: tuple[float, float, float]
) -> IntArray:
    """Return the split number of each group, int64[G]."""
    missing = np.array(fractions) / sum(fractions) * sizes.sum()
    missing[np.array(fractions) <= 0] = -np.inf
    places = np.empty(len(names), np.int64)
    for group in sorted(range(len(names)), key=lambda index: _hash(str(names[index]), seed)):
        places[group] = int(missing.argmax())
        missing[places[group]] -= sizes[group]
    return places


def _fill_empty(places: IntArray, sizes: IntArray, wanted: list[int]) -> None:
    """Give each wanted but empty split one group, in place."""
    for split in wanted:
        if split in places:
            continue
        richest = int(np.bincount(places).argmax())
        owned = np.flatnonzero(places == richest)
        places[owned[sizes[owned].argmin()]] = split


def without_rows_in(
    rows: Iterable[T], held_out: Iterable[Rows[T]], *, seed: int = 0
) -> Iterator[T]:
    """Yield rows whose text stands in none of the held-out splits, each text once.

    Two texts count as one by `normalise_for_duplicates`. The keys of `rows` are held in memory, the
    splits are streamed: `rows` should be the smaller part.
    """
    fresh: dict[int, T] = {}
    for row in rows:
        fresh.setdefault(duplicate_key(row.text, seed), row)
    for split in held_out:
        for row in split:
            fresh.pop(duplicate_key(row.text, seed), None)
    yield from fresh.values()


def replaced_test(splits: Splits[E], test: Rows[E], reason: str) -> Splits[E]:
    """Put a smaller test split in place, and count what is gone under `reason`."""
    gone = len(splits.test) - len(test)
    if not len(test):
        raise DataError(
            f"{splits.card.source}: all {gone:,} rows were left out: {reason}; give rows the model "
            "has not seen"
        )
    dropped = {**splits.card.dropped, **({reason: gone} if gone else {})}
    card = replace(splits.card, dropped=dropped, counts={"test": len(test)})
    return replace(splits, test=test, card=card)

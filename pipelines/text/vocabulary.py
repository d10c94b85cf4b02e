"""Tokens and their numbers, in a file a person can read: token i stands on line i."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pipelines.errors import DataError, did_you_mean

PAD, UNK, BOS, EOS = range(4)
RESERVED = ("<pad>", "<unk>", "<bos>", "<eos>")
BYTES = tuple(f"<0x{value:02X}>" for value in range(256))

_ESCAPE = re.compile(r"\\(?:\\|n|t|u[0-9a-f]{4}|U00(?:0[0-9a-f]|10)[0-9a-f]{4})")
_SHORT = {"\\": "\\\\", "\n": "\\n", "\t": "\\t"}
_LONG = {written: character for character, written in _SHORT.items()}
# Controls, line breaks, odd spaces and surrogates are invisible, break lines or are not UTF-8.
_UNSAFE_CATEGORIES = {"Cc", "Cs", "Zl", "Zp", "Zs"}


@dataclass(frozen=True)
class Vocabulary:
    """An immutable, ordered set of distinct tokens; a token's number is its position.

    Attributes:
        tokens: every token, the reserved ones first; none is empty, none occurs twice.
        reserved: the leading tokens with a meaning of their own. Text uses `RESERVED` (PAD 0,
            UNK 1, BOS 2, EOS 3); a set of labels has none and is given `()`.

    Raises:
        DataError: an empty or repeated token, or `tokens` does not begin with `reserved`.
    """

    tokens: tuple[str, ...]
    reserved: tuple[str, ...] = RESERVED

    def __post_init__(self) -> None:
        object.__setattr__(self, "tokens", tuple(self.tokens))
        object.__setattr__(self, "reserved", tuple(self.reserved))
        _check_tokens(self.tokens, self.reserved, lambda index: f"vocabulary token {index}")

    @classmethod
    def from_counts(
        cls,
        counts: Mapping[str, int],
        *,
        min_count: int = 1,
        max_size: int | None = None,
        reserved: tuple[str, ...] = RESERVED,
    ) -> Vocabulary:
        """Keep the most frequent tokens; equal counts are ordered by the token itself.

        Args:
            counts: occurrences of each token.
            min_count: tokens seen less often are left out.
            max_size: the largest length of the result, reserved tokens included; None for any.
            reserved: the leading tokens; they need not be counted.
        """
        skipped = {"", *reserved}
        kept = [
            token
            for token, count in sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))
            if count >= min_count and token not in skipped
        ]
        room = None if max_size is None else max(0, max_size - len(reserved))
        return cls((*reserved, *kept[:room]), reserved)

    @classmethod
    def of_bytes(cls) -> Vocabulary:
        """Return what numbers bytes: the same for every text, byte b as number b + 4, `<0x0A>`."""
        return cls((*RESERVED, *BYTES))

    @classmethod
    def load(cls, path: Path, *, reserved: tuple[str, ...] = RESERVED) -> Vocabulary:
        """Read a file written by `save`.

        Raises:
            DataError: the file is absent or not UTF-8, or a line is empty, repeated or wrongly
                escaped, or the first lines are not `reserved`; the message names the line.
        """
        lines = _read_lines(Path(path))
        tokens = tuple(_unescape(line, path, number) for number, line in enumerate(lines, 1))
        _check_tokens(tokens, reserved, lambda index: f"{path}:{index + 1}")
        return cls(tokens, reserved)

    def save(self, path: Path) -> None:
        """Write one token a line in UTF-8; unprintable characters are escaped as in Python."""
        Path(path).write_bytes(self._as_bytes())

    def _as_bytes(self) -> bytes:
        return "".join(f"{_escape(token)}\n" for token in self.tokens).encode()

    @cached_property
    def fingerprint(self) -> str:
        """The first 16 hexadecimal digits of the SHA-256 of the file `save` writes."""
        return hashlib.sha256(self._as_bytes()).hexdigest()[:16]

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {token: index for index, token in enumerate(self.tokens)}

    def encode_token(self, token: str) -> int:
        """Return the token's number, or UNK where the vocabulary has one.

        Raises:
            DataError: the token is unknown and the vocabulary has no UNK (a set of labels).
        """
        if token in self._ids:
            return self._ids[token]
        if RESERVED[UNK] in self.reserved:
            return self._ids[RESERVED[UNK]]
        raise DataError(
            f"unknown label {token!r}{did_you_mean(token, self.tokens)}; expected one of: "
            f"{_shortened(self.tokens)}; correct the label or add rows that hold it to the "
            "training data"
        )

    def __len__(self) -> int:
        return len(self.tokens)

    def __contains__(self, token: object) -> bool:
        return token in self._ids


def _check_tokens(
    tokens: tuple[str, ...], reserved: tuple[str, ...], where: Callable[[int], str]
) -> None:
    if tokens[: len(reserved)] != reserved:
        raise DataError(
            f"reserved tokens missing at {where(0)}: the vocabulary begins with "
            f"{list(tokens[: len(reserved)])}, expected {list(reserved)}; fit it again, or load "
            "a set of labels with reserved=()"
        )
    seen: dict[str, int] = {}
    for index, token in enumerate(tokens):
        if not token:
            raise DataError(
                f"empty token at {where(index)}; expected one token a line; remove the line"
            )
        if token in seen:
            raise DataError(
                f"repeated token at {where(index)}: {token!r} already stands at "
                f"{where(seen[token])}; expected distinct tokens; remove one of them"
            )
        seen[token] = index


def _read_lines(path: Path) -> list[str]:
    try:
        text = path.read_bytes().decode()
    except OSError as error:
        raise DataError(
            f"cannot read the vocabulary {path}: {error.strerror}; expected a file with one token "
            "a line; train the model again or give the right path"
        ) from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path}:{line}: byte {error.object[error.start]:#04x} at offset {error.start} is not "
            "UTF-8; expected one UTF-8 token a line; save the file as UTF-8"
        ) from error
    return text.removesuffix("\n").split("\n") if text else []


def _escape(token: str) -> str:
    safe_spaces = token.strip(" ") == token
    return "".join(_escape_character(character, safe_spaces) for character in token)


def _escape_character(character: str, safe_spaces: bool) -> str:
    if character in _SHORT:
        return _SHORT[character]
    if character == " " and safe_spaces:
        return character
    code = ord(character)
    if unicodedata.category(character) in _UNSAFE_CATEGORIES or character == "\ufeff":
        return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
    return character


def _unescape(line: str, path: Path, number: int) -> str:
    if "\\" in _ESCAPE.sub("", line) or "\r" in line:
        raise DataError(
            f"{path}:{number}: {line!r} is not a token as `save` writes it; expected a backslash "
            r"only in \\, \n, \t, \uXXXX or \UXXXXXXXX, and no carriage return; restore the file"
        )
    return _ESCAPE.sub(lambda found: _LONG.get(found[0]) or chr(int(found[0][2:], 16)), line)


def _shortened(tokens: Iterable[str], shown: int = 20) -> str:
    listed = [repr(token) for token in tokens]
    more = f", and {len(listed) - shown} more" if len(listed) > shown else ""
    return ", ".join(listed[:shown]) + more

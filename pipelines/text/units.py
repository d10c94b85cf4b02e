r"""What a word is: one RE2 pattern, applied in the graph with core TensorFlow ops.

A text is cut, left to right, into whitespace runs and the units below; the first that fits wins.

| unit | examples |
|---|---|
| address | `https://x.org/a?b=1`, `www.x.org` (a closing full stop or bracket stays outside) |
| number with inner `.`, `,` or `:` | `3.5`, `1,000`, `10:30`, `3.5mm`, `v1.2` |
| letters, marks, digits; apostrophes, underscores inside | `don't`, `l'eau`, `snake_case` |
| mention | `@name` (a hash mark stands alone, so that `#great` shares the entry of `great`) |
| emoticon | `:)`, `;-(`, `:'(`, `=D`, `:/`, `<3` |
| one character of a script without spaces, with its marks | Han, kana, Thai, Lao, Khmer, Burmese |
| emoji with its modifiers and joined sequence, flag | skin tones, families, `U+FE0F` |
| a run of two or more of the same kind of mark | `...`, `?!?`, `--`, `**`, two back-ticks |
| any other single character, with its marks | `,`, `(`, `-`, `$` |

Hyphens separate (`well`, `-`, `made`). Whitespace is every Unicode space, every control character,
zero-width spaces, directional marks, and U+2581, which subword pieces use for "a space stood here".
"""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf

SPACE_MARK = "\u2581"
_SEPARATOR = "\x1f"  # a control character, so never part of a unit
_CUT = b"\xff"  # a byte that valid UTF-8 never holds
_NUL_STAND_IN = "\ufdd0"

_ODD_SPACE = (
    r"\p{Cc}\x{A0}\x{1680}\x{2000}-\x{200B}\x{200E}\x{200F}\x{2028}-\x{202F}\x{205F}-\x{206F}"
    r"\x{2581}\x{3000}\x{FEFF}"
)
_SPACE = rf" {_ODD_SPACE}"
SPACELESS = (
    r"\p{Han}\p{Hiragana}\p{Katakana}\x{30FC}\x{FF70}\p{Bopomofo}\p{Yi}"
    r"\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}"
)
# The planes of emoji are listed too: a pictograph newer than the Unicode table of RE2 is not a
# letter because it is unassigned there.
_PICTURES = r"\x{1F000}-\x{1FAFF}"
# RE2 has no class subtraction: what may be inside a word is what is nothing else.
_LETTER = rf"[^{_SPACE}{SPACELESS}{_PICTURES}\p{{P}}\p{{S}}]"
_MODIFIERS = r"[\p{M}\x{1F3FB}-\x{1F3FF}\x{E0020}-\x{E007F}]*"
_PICTURE = rf"[\p{{So}}{_PICTURES}]{_MODIFIERS}"

UNIT = "|".join(
    [
        r"(?i:https?://|www\.)[!#-;=?-~]*[0-9A-Za-z/]",
        rf"{_LETTER}*\p{{Nd}}(?:[.,:]\p{{Nd}}+)+{_LETTER}*",
        rf"{_LETTER}+(?:['’_]{_LETTER}+)*",
        rf"@{_LETTER}+(?:_{_LETTER}+)*",
        r"[:;=]['-]?(?:[()\[\]{}|/\\*]+|[DPpOo]\b)",
        r"</?3",
        rf"[{SPACELESS}]\p{{M}}*",
        r"[\x{1F1E6}-\x{1F1FF}]{2}",
        rf"{_PICTURE}(?:\x{{200D}}{_PICTURE})*",
        r"\.{2,}|[!?]{2,}|-{2,}|\*{2,}|'{2,}|`{2,}|_{2,}|={2,}|~{2,}",
        rf"[^{_SPACE}]\p{{M}}*",
    ]
)


class Tokens(NamedTuple):
    """The tokens of a batch of texts and where they stand, each ragged [B, (T)].

    Offsets count from the start of the text, `limits` are exclusive, and slicing the text by them
    gives `pieces`. They refer to the text as UTF-8; each ill-formed byte sequence counts as the
    U+FFFD it is read as, but where the tokens are bytes `byte_starts` are those of the text as it
    is, and a token has the `char_starts` of the character it belongs to.

    Attributes:
        pieces: string, as in the original text.
        normalised: string, what is looked up in the vocabulary.
        byte_starts: int32; and so `byte_limits`, in UTF-8 bytes.
        byte_limits: int32.
        char_starts: int32; and so `char_limits`, in code points.
        char_limits: int32.
        space_before: bool, whether whitespace stands right before the token.
    """

    pieces: tf.RaggedTensor
    normalised: tf.RaggedTensor
    byte_starts: tf.RaggedTensor
    byte_limits: tf.RaggedTensor
    char_starts: tf.RaggedTensor
    char_limits: tf.RaggedTensor
    space_before: tf.RaggedTensor


def valid_text(texts: Any) -> tf.Tensor:
    """Read string[B] as UTF-8, each ill-formed sequence becoming U+FFFD."""
    return tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8", errors="replace")


def lower(strings: tf.Tensor) -> tf.Tensor:
    """Lower-case Unicode text one code point for one, whatever the locale of the process.

    The underlying op follows the locale of the environment, so under a Turkish one a served model
    would lower I to a dotless i; replacing I (and dotted capital I, which otherwise lowers to two
    code points and would break offsets) beforehand prevents it. What remains locale-dependent is
    Lithuanian's extra dot on accented capital I and J. The op also ends a string at its first NUL,
    so a noncharacter, which Unicode keeps for use inside a process, stands in for NUL.
    """
    whole = tf.strings.regex_replace(strings, "\\x00", _NUL_STAND_IN)
    lowered = tf.strings.lower(tf.strings.regex_replace(whole, "[Iİ]", "i"), encoding="utf-8")
    return tf.strings.regex_replace(lowered, _NUL_STAND_IN, "\0")


def characters(codes: tf.Tensor) -> tf.Tensor:
    """Write code points, int32[N], as strings of one character each."""
    return tf.strings.unicode_encode(codes[:, tf.newaxis], "UTF-8")


def words(texts: Any, *, lowercase: bool) -> tf.RaggedTensor:
    """Cut texts into normalised words: `word_tokens(...).normalised`, several times faster."""
    marked = tf.strings.regex_replace(valid_text(texts), f"[{_ODD_SPACE}]", " ")
    marked = tf.strings.regex_replace(marked, UNIT, r"\0 ")
    return tf.strings.split(lower(marked) if lowercase else marked)


def space_marked_words(texts: Any, *, lowercase: bool) -> tf.RaggedTensor:
    """Cut texts into normalised words, U+2581 before each at the start or after whitespace."""
    # The mark is whitespace here, so one put before the text merges with any that stands there.
    texts = tf.strings.join([SPACE_MARK, valid_text(texts)])
    marked = tf.strings.regex_replace(texts, f"[{_SPACE}]+", SPACE_MARK)
    marked = tf.strings.regex_replace(marked, f"{SPACE_MARK}$", "")
    marked = tf.strings.regex_replace(marked, f"{SPACE_MARK}?(?:{UNIT})", r"\0 ")
    return tf.strings.split(lower(marked) if lowercase else marked)


def spaced_words(texts: Any, *, longest: int) -> tf.RaggedTensor:
    """Cut texts, string[B], into words, each with the one space before it, and whitespace runs.

    Nothing is lost: the parts of a text, string [B, (W)], put together are the text. A space
    belongs to a word only where no other whitespace stands before it. U+2581 is a symbol here, as
    any other. Parts of `longest` code points or more are cut again; none keeps more.
    """
    marked = tf.strings.regex_replace(valid_text(texts), f" ?(?:{UNIT})|[{_SPACE}]+", rb"\0" + _CUT)
    # A dot fits no ill-formed byte, so what it counts never reaches past a cut.
    too_long = f"(?s)(.{{{longest - 1}}})(.)"
    marked = tf.strings.regex_replace(marked, too_long, rb"\1" + _CUT + rb"\2")
    return tf.strings.split(marked, _CUT)[:, :-1]  # nothing follows the last cut


def spaced_tokens(texts: Any, *, lowercase: bool, longest: int) -> Tokens:
    """Give `spaced_words` with their places; `space_before` is False."""
    units = spaced_words(texts, longest=longest)
    nowhere = tf.zeros_like(units.flat_values, tf.bool)
    return normalise(place(units, space_before=nowhere), lowercase=lowercase)


def word_tokens(texts: Any, *, lowercase: bool) -> Tokens:
    """Cut texts, string[B], into words with their places."""
    clean = tf.strings.regex_replace(valid_text(texts), _SEPARATOR, " ")
    marked = tf.strings.regex_replace(clean, f"[{_SPACE}]+|{UNIT}", rf"\0{_SEPARATOR}")
    units = tf.strings.split(marked, _SEPARATOR)[:, :-1]  # nothing follows the last separator
    is_space = tf.strings.regex_full_match(units.flat_values, f"[{_SPACE}]+")
    after_space = tf.concat([[False], is_space[:-1]], 0)[: tf.size(is_space)]
    first = tf.equal(tf.ragged.range(units.row_lengths()).flat_values, 0)
    placed = place(units, space_before=after_space & ~first)
    return normalise(_keep(placed, ~is_space), lowercase=lowercase)


def _keep(tokens: Tokens, keep: tf.Tensor) -> Tokens:
    """Keep the tokens, counted over the batch, for which `keep` holds."""
    kept_before = tf.concat([[0], tf.cumsum(tf.cast(keep, tf.int64))], 0)
    splits = tf.gather(kept_before, tokens.pieces.row_splits)
    where = tf.squeeze(tf.where(keep), 1)
    return Tokens(
        *(
            tf.RaggedTensor.from_row_splits(tf.gather(part.flat_values, where), splits, False)
            for part in tokens
        )
    )


def char_tokens(texts: Any, *, lowercase: bool) -> Tokens:
    """Cut texts, string[B], into code points, whitespace among them; `space_before` is False."""
    units = tf.strings.unicode_split(valid_text(texts), "UTF-8")
    nowhere = tf.zeros_like(units.flat_values, tf.bool)
    return normalise(place(units, space_before=nowhere), lowercase=lowercase)


def normalise(tokens: Tokens, *, lowercase: bool) -> Tokens:
    """Fill `normalised` from `pieces`."""
    if not lowercase:
        return tokens._replace(normalised=tokens.pieces)
    lowered = tokens.pieces.with_flat_values(lower(tokens.pieces.flat_values))
    return tokens._replace(normalised=lowered)


def place(units: tf.RaggedTensor, *, space_before: tf.Tensor) -> Tokens:
    """Give adjoining units, string[B, (T)], their offsets: sums of the lengths before them."""
    flat = units.flat_values
    byte_lengths = units.with_flat_values(tf.strings.length(flat))
    char_lengths = units.with_flat_values(tf.strings.length(flat, unit="UTF8_CHAR"))
    byte_starts, char_starts = starts(byte_lengths), starts(char_lengths)
    return Tokens(
        pieces=units,
        normalised=units,
        byte_starts=byte_starts,
        byte_limits=_sum(byte_starts, byte_lengths),
        char_starts=char_starts,
        char_limits=_sum(char_starts, char_lengths),
        space_before=units.with_flat_values(space_before),
    )


def _sum(first: tf.RaggedTensor, second: tf.RaggedTensor) -> tf.RaggedTensor:
    """Add values without the check that the rows agree, which ragged `+` makes every time."""
    return first.with_flat_values(first.flat_values + second.flat_values)


def starts(lengths: tf.RaggedTensor) -> tf.RaggedTensor:
    """Sum the lengths, int32[B, (T)], that stand before each position of its own row."""
    before = tf.cumsum(lengths.flat_values, exclusive=True)
    row_starts = tf.gather(tf.concat([before, [0]], 0), lengths.row_starts())
    return lengths.with_flat_values(before - tf.gather(row_starts, lengths.value_rowids()))

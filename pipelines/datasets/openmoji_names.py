"""Standard names of emoji, readable, and the base emoji that variants share."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import emoji

LANGUAGES = ("en", "de", "es", "fr")
_TONE = r"(?:medium-light|medium-dark|light|medium|dark) skin tone"
_HAIR = r"(?:red|curly|white|blond) hair|bald|beard"
_PERSON = r"man|woman|person|boy|girl|adult|child"
_PEOPLE = re.compile(rf"(kiss|couple with heart|family)((?: (?:{_PERSON}|{_TONE}))+)")
_QUALIFIED = re.compile(rf"(.*?)((?: (?:{_TONE}|{_HAIR}))+)")
_QUALIFIER = re.compile(rf"{_TONE}|{_HAIR}|{_PERSON}")

_JOINER, _EMOJI_STYLE, _KEYCAP = "\u200d", "\ufe0f", "\u20e3"
_TONES = {chr(code) for code in range(0x1F3FB, 0x1F400)}
_CLOCKS = {chr(code) for code in range(0x1F550, 0x1F568)}
# Joined to a person these change hair, gender or direction, not what is done.
_SIDE_PARTS = {chr(code) for code in range(0x1F9B0, 0x1F9B4)} | {"\u2640", "\u2642", "\u27a1"}
_ADULT, _CHILD, _FAMILY = "\U0001f9d1", "\U0001f9d2", "\U0001f46a"
_SAME_BUT_LOOKS = {
    "\U0001f468\U0001f469": _ADULT,
    "\U0001f466\U0001f467": _CHILD,
    "\U0001f471\U0001f9d4": _ADULT,  # blond hair, beard
    "\U0001f474\U0001f475": "\U0001f9d3",  # old man, old woman
    "\U0001f934\U0001f478": "\U0001fac5",  # prince, princess
    "\U0001f385\U0001f936": "\U0001f9d1\u200d\U0001f384",  # Santa and Mrs. Claus
    "\U0001f483": "\U0001f57a",  # dancers
    "\U0001f930\U0001fac3": "\U0001fac4",  # pregnant
    "\U0001f46b\U0001f46c\U0001f46d": "\U0001f9d1\u200d\U0001f91d\u200d\U0001f9d1",
}
_NEUTRAL = {person: base for people, base in _SAME_BUT_LOOKS.items() for person in people}
_WRITTEN_OUT = {  # sequences of two people, by what joins them -> the emoji of the two
    "\u2764": "\U0001f491",  # couple with heart
    "\u2764\U0001f48b": "\U0001f48f",  # kiss
    "\U0001f430": "\U0001f46f",  # people with bunny ears
    "\U0001faef": "\U0001f93c",  # people wrestling
}
_HANDS, _HANDSHAKE = ["\U0001faf1", "\U0001faf2"], "\U0001f91d"
_VARIANT_WORD = re.compile(
    r"\b(?:(?:left|right|up|down)(?:wards?)?|facing|tilted|waxing|waning|first|last|1st|2nd|3rd"
    r"|red|orange|yellow|green|blue|light blue|purple|brown|black|white|pink|gr[ae]y)\b",
    re.IGNORECASE,
)


def standard_emoji() -> list[str]:
    """Return every emoji in its full form, sorted by its code points."""
    full = emoji.STATUS["fully_qualified"]
    return sorted(key for key, about in emoji.EMOJI_DATA.items() if about["status"] == full)


def name_of(sequence: str, language: str = "en") -> str:
    """Return the standard name of an emoji (Unicode CLDR's, as the package `emoji` has it).

    English gets back the colons and commas that the package leaves out: "woman biking: dark skin
    tone", "flag: France", "keycap: 3". The other languages are lower-case throughout.
    """
    if language not in emoji.EMOJI_DATA[sequence]:
        emoji.config.load_language(language)
    name = str(emoji.EMOJI_DATA[sequence][language]).strip(":").replace("_", " ")
    if language != "en":
        return " ".join(name.replace(",", ", ").split())
    if _is_country(sequence):
        return f"flag: {name}"
    if name.startswith("keycap "):
        return name.replace("keycap", "keycap:", 1)
    return _punctuated(name)


def _is_country(sequence: str) -> bool:
    """Tell whether it is a flag of two regional letters, or one of the United Kingdom's parts."""
    return "\U0001f1e6" <= sequence[0] <= "\U0001f1ff" or sequence[-1] == "\U000e007f"


def _punctuated(name: str) -> str:
    match = _PEOPLE.fullmatch(name) or _QUALIFIED.fullmatch(name)
    if match is None:
        return name
    return f"{match[1]}: {', '.join(_QUALIFIER.findall(match[2]))}"


def tones_of(sequence: str) -> str:
    """Return the signs of an emoji that tell colours of skin; one if all people have the same."""
    tones = [sign for sign in sequence if sign in _TONES]
    return "".join(tones if len(set(tones)) > 1 else tones[:1])


def base_emoji(sequence: str) -> str:
    """Return an emoji without skin tones, hair, gender and direction; as people, not who they are.

    All keycaps have one base, and so have all clock faces, all families, all couples of a kind.
    """
    if _KEYCAP in sequence or sequence == "\U0001f51f":
        return _KEYCAP
    if sequence in _CLOCKS:
        return min(_CLOCKS)
    plain = "".join(sign for sign in sequence if sign not in {*_TONES, _EMOJI_STYLE})
    first, *others = plain.split(_JOINER)
    parts = [first, *(part for part in others if part not in _SIDE_PARTS)]
    parts = [_NEUTRAL.get(part, part) for part in parts]
    if parts == _HANDS:
        return _HANDSHAKE
    if len(parts) > 1 and set(parts) <= {_ADULT, _CHILD}:
        return _FAMILY
    if parts[0] == parts[-1] == _ADULT and "".join(parts[1:-1]) in _WRITTEN_OUT:
        return _WRITTEN_OUT["".join(parts[1:-1])]
    return _JOINER.join(parts)


def groups_of(sequences: Iterable[str]) -> Mapping[str, str]:
    """Name the group of each emoji: what its variants have in common.

    Emoji are of one group if they have the same base, or if the names of their bases differ in
    words of side, colour, phase or rank only ("left arrow" and "right arrow", "red heart" and "blue
    heart").

    Args:
        sequences: emoji in their full form.

    Returns:
        emoji -> name of its group.
    """
    members: dict[str, list[str]] = {}
    for sequence in sequences:
        members.setdefault(base_emoji(sequence), []).append(sequence)
    found = {}
    for base, variants in members.items():
        group = _without_variant_words(_base_name(base, variants))
        found.update(dict.fromkeys(variants, group))
    return found


def _base_name(base: str, variants: list[str]) -> str:
    if base == _KEYCAP:
        return "keycap"
    if base in _CLOCKS:
        return "clock face"
    if base in emoji.EMOJI_DATA and not _is_country(base):
        return name_of(base)
    return min((name_of(it) for it in variants), key=lambda name: (len(name), name))


def _without_variant_words(name: str) -> str:
    left = " ".join(_VARIANT_WORD.sub(" ", name.replace("-", " ")).split())
    return left or name

"""Whether the mirror image of a picture still fits its captions."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

# Whole words, in English, German, French, Spanish, Portuguese and Italian, lower case.
_SIDES = (
    r"left\w*|right\w*"
    r"|links\w*|rechts\w*|linke[mnrs]?|rechte[mnrs]?"
    r"|gauch\w*|droite?s?|droiti\w*"
    r"|izquierd\w*|derech\w*|zurd\w*|diestr\w*"
    r"|esquerd\w*|direit\w*|canhot\w*|destr[aeio]|sinistr[aeio]"
)
_TURNS = (
    r"clockwise|counterclockwise|anticlockwise"
    r"|\w*uhrzeigersinn\w*|horaires?|antihoraires?|aiguilles"
    r"|horari[ao]|horári[ao]|antihorari[ao]|antihorári[ao]|agujas|manecillas|ponteiros"
    r"|orari[ao]|antiorari[ao]|lancette"
)
# Bare "est" (French: is) and "este" (Spanish: this) say nothing; see _COMPASS_PHRASES.
_COMPASS = (
    r"(?:north|south)?(?:east|west)(?:ern|erly|wards?|ernmost)?"
    r"|(?:nord|süd)?(?:ost|osten|west|westen|östlich\w*|westlich\w*)"
    r"|(?:nord|sud)?-?(?:ouest|ovest)|orientale?s?|occidentale?s?|orientaux|occidentaux"
    r"|oeste|leste|(?:nor|nord|su|sud)(?:este|oeste|est)|oriente|occidente|levante|poniente"
)
# What reads otherwise in a mirror: writing, flags, clocks, the moon's phases, arrows.
_READ = (
    r"letters?|digits?|numerals?|numbers?|keycaps?|alphabet\w*|buttons?|arrows?|flags?"
    r"|clock|waxing|waning|quarter|mirrored|reversed"
    r"|buchstaben?|ziffern?|zahl|zahlen|tastenkappe|taste|tasten|schaltfläche\w*|pfeile?"
    r"|flaggen?|fahnen?|uhr|zunehmend\w*|abnehmend\w*"
    r"|lettres?|chiffres?|nombres?|touches?|boutons?|flèches?|drapeaux?|heures?"
    r"|letras?|dígitos?|números?|numeros?|teclas?|botón|botones|flechas?|banderas?|horas?"
    r"|botão|botões|setas?|bandeiras?|crescente|minguante|creciente|menguante"
    r"|letter[ae]|cifr[ae]|numer[oi]|tast[oi]|pulsant[ei]|frecci[ae]|frecce|bandier[ae]|or[ae]"
)
_WORD = re.compile(rf"(?<!\w)(?:{_SIDES}|{_TURNS}|{_COMPASS}|{_READ})(?!\w)")
_COMPASS_PHRASES = re.compile(r"(?<!\w)(?:(?:l|dell|all)['’]\s*est|(?:al|el|del) este)(?!\w)")


def may_flip(captions: Iterable[str]) -> bool:
    """Say whether captions stay true when their image is mirrored left to right.

    False where any of them holds a word, in English, German, French, Spanish, Portuguese or
    Italian, for a side, a turning sense or east and west, or for what reads otherwise in a mirror:
    letters and digits, flags (Ireland's becomes Côte d'Ivoire's), clock times, phases of the moon,
    arrows. A doubtful word counts ("all right"): an image too few mirrored costs little, a false
    caption teaches the wrong side. Text that a caption does not mention is not seen.

    Args:
        captions: of one image; with none, nothing can become false.
    """
    return not any(
        _names_a_side(unicodedata.normalize("NFC", caption).casefold()) for caption in captions
    )


def _names_a_side(caption: str) -> bool:
    return bool(_WORD.search(caption) or _COMPASS_PHRASES.search(caption))

"""The report's gallery: test images, their references, what systems said, where the model looked.

A small script of our own keeps only the cards that hold the words typed; without it, and without a
network, the page is a plain list.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from markupsafe import Markup

from pipelines.evaluation.caption_baselines import BY_FEATURE, BY_PIXEL
from pipelines.evaluation.caption_figures import looks_block
from pipelines.evaluation.caption_judged import MODEL, Judged, percent
from pipelines.evaluation.caption_looks import Evidence
from pipelines.evaluation.caption_pictures import data_uri, thumbnail
from pipelines.evaluation.sections import Html, Section
from pipelines.evaluation.tagging_examples import lines
from pipelines.evaluation.translation_examples import differing, heading

MOST_SHOWN = 240
_EACH = 3  # best, median, worst and random images, with what the model looked at
_SIDE = 112  # pixels of a picture
_MOST_REFERENCES = 5
_SCRIPT = Path(__file__).parent / "templates" / "gallery.js"
_SHORT = {BY_FEATURE: "nearest", BY_PIXEL: "nearest"}
_LOOKS = (
    "Beside or below them, the image is drawn once more for each word, as the square that the "
    "network saw: the clearer a place, the more the model looked there when it wrote the word; "
    "what it did not look at is dark. Attention tells where information was taken from, not why a "
    "word was chosen."
)


def gallery_script() -> str:
    """Return the script, exactly as it stands in the page."""
    return "\n" + _SCRIPT.read_text(encoding="utf-8")


def script_hash() -> str:
    """Return what the page's content policy names the script by."""
    digest = hashlib.sha256(gallery_script().encode()).digest()
    return "sha256-" + base64.b64encode(digest).decode()


def gallery_section(found: Judged, evidence: Evidence) -> Section:
    """Show images: the best, middle, worst and some at random, then more from best to worst."""
    order = ranking(found)
    groups = groups_of(order, found.seed)
    featured = [row for rows in groups.values() for row in rows]
    more = others(order, featured, MOST_SHOWN - len(featured))
    looks = [_looks(found, evidence, row) for row in featured]
    drawn = dict(zip(featured, looks, strict=True))
    parts = [_search(len(featured) + len(more))]
    for title, rows in groups.items():
        parts += [heading(title), _cards([_card(found, row, drawn[row]) for row in rows], "large")]
    if more:
        folded = Markup(
            "<details><summary>{} more images, from best to worst</summary>{}</details>"
        )
        parts.append(folded.format(len(more), _cards([_card(found, row) for row in more])))
    parts.append(Markup("<script>{}</script>").format(Markup(gallery_script())))
    block = Markup('<div class="gallery">{}</div>').format(Markup("").join(parts))
    return Section("Images and captions", _prose(found, any(looks)), [Html(block)])


def _prose(found: Judged, looked: bool) -> str:
    prose = [
        f"{_standing(found)} {_advice(found)}",
        "Target is a reference, model the caption served. A dotted line marks words that the "
        "reference most like the caption does not have in that place: often an error, sometimes "
        f"another good way to say it. {_neighbour(found)}Best, median and worst are by CIDEr-D of "
        "the image; images of equal scores come in random order.",
    ]
    if found.generated:
        prose.insert(
            0,
            "All images are generated scenes, and so are their references: of those, which all say "
            "the same, the one most like the caption is shown.",
        )
    return "\n\n".join([*prose, _LOOKS] if looked else prose)


def _standing(found: Judged) -> str:
    right, nothing = found.mean(found.right), found.mean(found.cider[MODEL] < 0.005)
    return (
        f"{percent(right)} of the model's captions have exactly the words of a reference, and "
        f"{percent(nothing)} score nothing by CIDEr-D."
    )


def _advice(found: Judged) -> str:
    """Say what images the model and its neighbours fail on."""
    if not found.neighbour:
        return ""
    gain = found.cider[MODEL] - found.cider[found.neighbour]
    better, worse = found.mean(gain > 0.005), found.mean(gain < -0.005)
    text = (
        f"It beats the baseline “{found.neighbour}” on {percent(better)} of the images, and loses "
        f"to it on {percent(worse)}"
    )
    if worse.value > better.value:
        return f"{text}: copying a caption would serve better; train longer or on more images."
    return f"{text}; look at the images it loses on first, they show what it has not learned."


def _neighbour(found: Judged) -> str:
    if not found.neighbour:
        return ""
    return f"{_short(found.neighbour).capitalize()} is what the baseline “{found.neighbour}” says. "


def _short(name: str) -> str:
    return _SHORT.get(name, "baseline")


def ranking(found: Judged) -> list[int]:
    """Return the images from best to worst, equals in random order."""
    scores = np.round(found.cider[MODEL], 9)
    mixed = np.random.default_rng(found.seed).permutation(len(scores))
    return [int(row) for row in mixed[np.argsort(-scores[mixed], kind="stable")]]


def groups_of(order: Sequence[int], seed: int) -> dict[str, list[int]]:
    """Choose the images that are shown large, none of them twice."""
    middle = max(0, (len(order) - _EACH) // 2)
    random = np.random.default_rng(seed + 1).permutation(len(order)).tolist()
    wanted = {
        "Best": order[:_EACH],
        "Worst": order[::-1][:_EACH],
        "Median": order[middle : middle + _EACH],
        "At random": random,
    }
    taken: set[int] = set()
    chosen = {}
    for title, rows in wanted.items():
        chosen[title] = [row for row in rows if row not in taken][:_EACH]
        taken.update(chosen[title])
    titles = ("Best", "Median", "Worst", "At random")
    return {title: chosen[title] for title in titles if chosen[title]}


def others(order: Sequence[int], shown: Sequence[int], most: int) -> list[int]:
    """Choose images evenly from best to worst, but none of those shown already."""
    left = [row for row in order if row not in set(shown)]
    if len(left) <= most:
        return left
    return [left[place] for place in np.linspace(0, len(left) - 1, most).round().astype(int)]


def _search(count: int) -> Markup:
    return Markup(
        '<p class="search" hidden><label>Words in the captions <input type="search" '
        'autocomplete="off" spellcheck="false"></label> <output aria-live="polite">{} images'
        "</output></p>"
    ).format(count)


def _cards(cards: Sequence[Markup], kind: str = "") -> Markup:
    return Markup('<div class="cards {}">{}</div>').format(kind, Markup("").join(cards))


def _card(found: Judged, row: int, looks: Markup | None = None) -> Markup:
    """Show one image and what was said of it."""
    said = [("target", Markup("{}").format(text)) for text in _references(found, row)]
    reference = found.rows[row].captions[found.closest[row]]
    for name in found.drawn:
        short = "model" if name == MODEL else _short(name)
        said.append((short, differing(found.captions[name][row], reference)))
    meta = [f"CIDEr-D {found.cider[MODEL][row]:.2f}", found.rows[row].name]
    return Markup(
        '<article class="card" data-words="{}">{}<div><div class="said" dir="auto">{}</div>'
        '<p class="meta">{}</p></div>{}</article>'
    ).format(
        searched(found, row),
        _picture(found.rows[row].path, f"Test image {row + 1:,}"),
        lines(*said),
        "; ".join(part for part in meta if part),
        looks or Markup(""),
    )


def searched(found: Judged, row: int) -> str:
    """Return the words that a search finds an image by, a blank before each."""
    said = [*found.references[row], *(found.tokens[name][row] for name in found.drawn)]
    return "".join(f" {word}" for word in dict.fromkeys(word for each in said for word in each))


def _references(found: Judged, row: int) -> list[str]:
    known = list(found.rows[row].captions)
    if found.generated and len(known) > 1:  # all say the same
        return [known[found.closest[row]]]
    rest = len(known) - _MOST_REFERENCES
    return known if rest <= 0 else [*known[:_MOST_REFERENCES], f"… and {rest} more"]


def _picture(path: str, alt: str) -> Markup:
    seen = thumbnail(Path(path), _SIDE)
    if seen is None:
        return Markup('<span class="picture">no longer readable</span>')
    return Markup(
        '<img class="picture" src="{}" width="{}" height="{}" alt="{}" loading="lazy">'
    ).format(data_uri(seen), *seen.size, alt)


def _looks(found: Judged, evidence: Evidence, row: int) -> Markup:
    look = evidence.look(row, found.captions[MODEL][row])
    return Markup("") if look is None else looks_block(Path(found.rows[row].path), look)

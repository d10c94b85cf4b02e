import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from markupsafe import escape
from PIL import Image

from pipelines.datasets.captions_options import CaptionedImage
from pipelines.datasets.scene_grammar import ABOVE, LEFT, Relation, Scene, SceneObject, sentences
from pipelines.errors import EvaluationError
from pipelines.evaluation import caption_sections_gallery as gallery
from pipelines.evaluation.caption_baselines import BY_FEATURE, MOST_COMMON
from pipelines.evaluation.caption_judged import judged, percent
from pipelines.evaluation.caption_looks import Evidence, Look
from pipelines.evaluation.caption_report import caption_sections
from pipelines.evaluation.caption_sections_scenes import novelty, scenes_section
from pipelines.evaluation.caption_sections_scores import (
    length_section,
    references_section,
    search_section,
)
from pipelines.evaluation.caption_sections_variety import diversity_section
from pipelines.evaluation.caption_sections_words import replaced, wanted_words
from pipelines.evaluation.sections import Figure, Html
from pipelines.evaluation.wording import readable

NOUNS = ["apple", "dog", "cup", "key", "star", "<b>"]
TRAIN = frozenset(f"a {colour} {noun}" for colour in ("red", "blue") for noun in NOUNS[:4])


def outputs_of(captions):
    return {"caption": np.array(captions, object), "complete": np.ones(len(captions), bool)}


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    paths = []
    for place, colour in enumerate(("red", "blue", "green")):
        paths.append(str(folder / f"{place}.png"))
        Image.new("RGB", (30, 20), colour).save(paths[-1])
    return paths


def rows_of(images, count=60, references=1):
    random = np.random.default_rng(2)
    colours = ["red", "blue", "green"]
    rows = []
    for row in range(count):
        first = f"a {colours[row % 3]} {NOUNS[random.integers(6)]}"
        more = tuple(f"{first} number {n}" for n in range(1, references))
        rows.append(CaptionedImage(images[row % 3], (first, *more), name=f"<i>{row}"))
    return rows


def look(_row, caption):
    tokens = tuple(caption.split()) or ("<eos>",)
    return Look(tokens, np.full((len(tokens), 4), 0.25, np.float32))


def sections_of(rows, said, *, greedy=None, baselines=None, looks=look, train=TRAIN):
    nearest = outputs_of([row.captions[0] for row in rows[::-1]])
    found = {MOST_COMMON: outputs_of(["a red dog"] * len(rows)), BY_FEATURE: nearest}
    evidence = Evidence(outputs_of(said if greedy is None else greedy), looks)
    baselines = found if baselines is None else baselines
    found = caption_sections(rows, outputs_of(said), baselines, evidence, train_captions=train)
    return {section.title: section for section in found}


@pytest.fixture(scope="module")
def case(images):
    rows = rows_of(images)
    said = [
        row.captions[0] if n % 2 else row.captions[0].replace("red", "blue")
        for n, row in enumerate(rows)
    ]
    return rows, said


@pytest.fixture(scope="module")
def sections(case):
    rows, said = case
    return sections_of(rows, said, greedy=[text.replace("dog", "cat") for text in said])


def judged_of(rows, said, greedy=None):
    found = {} if greedy is None else outputs_of(greedy)
    return judged(rows, outputs_of(said), {}, found, train_captions=TRAIN, seed=1)


def everything(section):
    parts = [escape(section.title + section.prose)]
    for block in section.blocks:
        if isinstance(block, Figure):
            parts += [block.svg, escape(block.caption + block.alt)]
        elif isinstance(block, Html):
            parts.append(block.markup)
        else:
            parts += [escape(c) for c in [*block.columns, *(x for row in block.rows for x in row)]]
    return "".join(parts)


class Page(HTMLParser):
    def __init__(self, markup):
        super().__init__()
        self.tags = []
        self.feed(markup)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def having(self, name):
        return [it for _, it in self.tags if name in (it.get("class") or "").split()]


def test_sections_in_order(sections):
    assert list(sections) == [
        "Images and captions",
        "Words that fail",
        "Variety",
        "Search and greedy decoding",
        "By length",
    ]


def test_foreign_text_is_escaped_and_nothing_comes_from_outside(sections):
    markup = "".join(map(everything, sections.values()))
    assert "<b>" not in markup
    assert "<i>" not in markup
    assert "&lt;b&gt;" in markup
    for _, attributes in Page(markup).tags:
        for name in ("src", "href"):
            assert (attributes.get(name) or "data:").startswith(("data:", "#"))
        assert "url(http" not in (attributes.get("style") or "")


def test_the_gallery_shows_every_image_once_and_looks_at_twelve(sections, case):
    markup = everything(sections["Images and captions"])
    page = Page(markup)
    assert len(page.having("card")) == len(case[0])
    assert sorted(re.findall(r'alt="Test image (\d+)"', markup), key=int) == [
        str(n + 1) for n in range(60)
    ]
    assert len(page.having("looks")) == 12
    assert page.having("looks")[0]["aria-label"].startswith("Most attention: a: middle, ")
    titles = re.findall("<h3>(.*?)</h3>", markup)
    assert titles == ["Best", "Median", "Worst", "At random"]


def test_the_gallery_holds_a_limited_number_of_images_from_best_to_worst(case, monkeypatch):
    rows, said = case
    monkeypatch.setattr(gallery, "MOST_SHOWN", 20)
    section = gallery.gallery_section(judged_of(rows, said), Evidence({}, lambda *_: None))
    markup = everything(section)
    scores = [float(it) for it in re.findall(r"CIDEr-D ([\d.]+);", markup)]
    assert len(scores) == 20
    folded = scores[12:]
    assert folded == sorted(folded, reverse=True)
    assert folded[0] > folded[-1]
    assert "looks" not in markup
    assert "drawn once more" not in markup


def test_a_search_finds_all_that_was_said_of_an_image(images):
    row = CaptionedImage(images[0], ("A Woman's \u732b", "two cats"))
    found = judged([row], outputs_of(["dog, dog"]), {}, {}, train_captions=(), seed=1)
    assert gallery.searched(found, 0) == " a woman s \u732b two cats dog"
    section = gallery.gallery_section(found, Evidence({}, look))
    assert 'data-words=" a woman s \u732b two cats dog"' in everything(section)


def test_without_a_script_the_gallery_is_a_list_and_the_search_is_hidden(sections):
    page = Page(everything(sections["Images and captions"]))
    (search,) = page.having("search")
    assert "hidden" in search
    assert not any("hidden" in card for card in page.having("card"))


def test_the_policy_of_the_page_names_the_script_as_it_stands_in_it(sections):
    template = Path(gallery.__file__).parent / "templates" / "report.html.j2"
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', template.read_text())[1]
    assert f"script-src '{gallery.script_hash()}'" in policy
    assert f"<script>{gallery.gallery_script()}</script>" in everything(
        sections["Images and captions"]
    )


def test_an_image_that_is_gone_leaves_its_captions(images):
    rows = [CaptionedImage("absent.png", ("a red dog",)), *rows_of(images, 5)]
    found = judged_of(rows, [row.captions[0] for row in rows])
    section = gallery.gallery_section(found, Evidence({}, look))
    assert "no longer readable" in everything(section)


def test_words_are_counted_by_how_often_training_has_them(sections):
    section = sections["Words that fail"]
    bins = {row[0]: row[1:] for row in section.blocks[1].rows}
    assert list(bins) == ["unseen", "1–2", "3–9"]
    assert bins["unseen"][1].startswith("1.000 (")
    assert "0 % are in no training caption, 100 % in fewer than 10" in section.prose
    assert "Most misses are words that training hardly held" in section.prose
    (missed, instead) = section.blocks[2:]
    assert [row[0] for row in missed.rows] == ["red"]
    assert [row[:2] for row in instead.rows] == [["red", "blue"]]


def test_words_of_few_references_are_not_asked_for(images):
    row = CaptionedImage(images[0], ("a dog", "a hound", "a dog runs"))
    found = judged([row], outputs_of([""]), {}, {}, train_captions=["a cat", "the a"], seed=1)
    wanted = wanted_words(found)
    assert dict(zip(wanted.words, wanted.seen.tolist(), strict=True)) == {"a": 2, "dog": 0}


def test_only_runs_of_one_length_are_paired():
    own, reference = ["a", "blue", "dog", "sits"], ["a", "red", "cat", "sits", "here"]
    assert replaced(reference, own) == [("red", "blue"), ("cat", "dog")]
    assert replaced(["a", "big", "red", "cat"], ["a", "dog"]) == []


def test_variety_tells_new_captions_right_and_wrong(sections):
    section = sections["Variety"]
    titles = [block.caption.split(":")[0] for block in section.blocks]
    assert "New captions that are right" in titles
    assert "different captions, references" in section.prose


def test_few_captions_are_called_so(images):
    rows = rows_of(images)
    found = diversity_section(judged_of(rows, ["a red dog"] * len(rows)))
    assert "gives 1 different captions" in found.prose
    assert "falls back on few captions" in found.prose


def test_search_and_greedy_are_compared_in_pairs(sections, case):
    section = sections["Search and greedy decoding"]
    dogs = sum("dog" in text for text in case[1])
    assert f"They differ on {dogs} (" in section.prose
    assert "Searching is worth its time" in section.prose
    assert section.blocks[0].columns == ["score", "as served", "95 % interval", "greedy"]
    assert all(row[-1].startswith("+") for row in section.blocks[1].rows)


def test_equal_captions_need_no_search(case):
    section = search_section(judged_of(*case, greedy=case[1]))
    assert "differ on 0 (0.0 %) of the images: nothing is lost" in section.prose


def test_scores_by_number_of_references_where_there_are_several(images):
    rows = rows_of(images, 30, references=3)
    found = references_section(judged_of(rows, [row.captions[1] for row in rows]))
    assert [row[0] for row in found.blocks[1].rows] == ["1", "2", "3"]
    assert found.blocks[1].columns[:2] == ["references", "CIDEr-D"]
    assert "1 to 3 references" in found.prose


def test_lengths_are_told(sections):
    section = sections["By length"]
    assert "The model's captions have 3.0 words on average, references 3.0." in section.prose


def test_short_captions_are_told(images):
    rows = rows_of(images)
    assert "says less" in length_section(judged_of(rows, ["a"] * len(rows))).prose


def test_empty_captions_and_no_baseline_are_reported_too(images):
    rows = rows_of(images, 4)
    found = sections_of(rows, [""] * 4, baselines={})
    assert "0\u00a0% (0–" in found["Images and captions"].prose
    assert "(nothing)" in everything(found["Variety"])


def test_outputs_that_do_not_fit_are_refused(images):
    with pytest.raises(EvaluationError, match=r"outputs of model: 1 captions for 3 test images"):
        caption_sections(
            rows_of(images, 3), outputs_of(["a"]), {}, Evidence({}, look), train_captions=()
        )


def scene_of(first, place, second):
    objects = tuple(SceneObject(noun, colour) for colour, noun in (first, second))
    return Scene(objects, (Relation(0, place, 1),))


@pytest.fixture(scope="module")
def drawn(images):
    things = [("red", "dog"), ("blue", "cup"), ("green", "key"), ("orange", "star")]
    rows, said = [], []
    for n in range(24):
        scene = scene_of(things[n % 4], (LEFT, ABOVE)[n % 2], things[(n + 1) % 4])
        rows.append(CaptionedImage(images[n % 3], sentences(scene), scene=scene.to_json()))
        said.append(rows[-1].captions[n % 2].replace("red dog", "blue cat"))
    said[0] = "dog red a"
    return rows, said


def test_scenes_are_marked_as_generated_and_scored_apart(drawn):
    rows, said = drawn
    train = {"a red dog to the left of a blue cup", "a purple key"}
    found = sections_of(rows, said, train=train)
    assert next(iter(found)) == "Generated scenes"
    section = found["Generated scenes"]
    markup = everything(section)
    assert "These images are generated" in section.prose
    assert "All images are generated scenes" in found["Images and captions"].prose
    scores = next(
        block for block in section.blocks if getattr(block, "columns", [""])[0] == "score"
    )
    assert scores.columns == ["score", "all", "2 objects", "both new", "nothing new"]
    assert "a right caption may be memory" in section.prose
    assert "Most often dog is taken for cat" in markup
    assert "dog red a" in markup
    known = {row[0]: row[1] for row in scores.rows}
    assert known["grammar rate"].startswith("0.958 (")


def test_only_unseen_combinations_are_called_so(drawn):
    section = scenes_section(judged_of(*drawn))
    assert section.prose.startswith("On unseen combinations, in 24 generated scenes")
    assert "the figures tell composition, not memory" in section.prose


def test_novelty_reads_relations_in_both_directions():
    scenes = [
        scene_of(("red", "dog"), LEFT, ("blue", "cup")),
        scene_of(("red", "dog"), ABOVE, ("blue", "cup")),
        scene_of(("blue", "dog"), LEFT, ("blue", "cup")),
    ]
    found = novelty(scenes, ["a blue cup to the right of a red dog", "no sentence"])
    assert {name: rows.tolist() for name, rows in found.items()} == {
        "new relation": [False, True, False],
        "new colour": [False, False, True],
        "nothing new": [True, False, False],
    }


def test_images_are_chosen_once_and_evenly():
    order = list(range(100, 0, -1))
    order = [place - 1 for place in order]
    groups = gallery.groups_of(order, seed=1)
    shown = [row for rows in groups.values() for row in rows]
    assert Counter(shown).most_common(1)[0][1] == 1
    assert groups["Best"] == [99, 98, 97]
    assert groups["Worst"] == [0, 1, 2]
    more = gallery.others(order, shown, 11)
    assert len(set(more)) == 11
    assert not set(more) & set(shown)
    assert np.ptp(np.diff(more)) <= 4
    assert gallery.groups_of([0], seed=1) == {"Best": [0]}


def test_equal_values_have_no_interval_of_no_width(images):
    rows = rows_of(images, 10)
    found = judged_of(rows, [row.captions[0] for row in rows])
    assert percent(found.mean(found.right)) == "100\u00a0% (72–100)"


def test_names_of_caption_scores_are_spelt_as_in_their_papers():
    assert [readable(it) for it in ("cider_d", "bleu_4", "rouge_l", "meteor")] == [
        "CIDEr-D",
        "BLEU-4",
        "ROUGE-L",
        "METEOR",
    ]
    assert readable("valid_cider_d") == "valid CIDEr-D"
    assert readable("macro_f1") == "macro F1"
    assert readable("cider_days") == "cider days"

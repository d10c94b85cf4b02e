import re

import numpy as np
import pytest
from markupsafe import escape

from pipelines.datasets.parallel_options import TextPair
from pipelines.errors import EvaluationError
from pipelines.evaluation.sections import Figure, Html
from pipelines.evaluation.translation import Alignment, ReferenceScores
from pipelines.evaluation.translation_examples import SHOWN_CHARACTERS, differing
from pipelines.evaluation.translation_report import MOST_ALIGNMENTS, translation_sections

WORDS = ["le", "roi", "<b>", "maison", "jour", "terre", "ciel", "&amp;", "été"]


def outputs_of(texts, **more):
    return {"translation": np.array(texts, object), "complete": np.ones(len(texts), bool), **more}


def case(rows=60, seed=1):
    random = np.random.default_rng(seed)
    pairs, said = [], []
    for row in range(rows):
        words = [WORDS[n] for n in random.integers(0, len(WORDS), random.integers(3, 20))]
        pairs.append(TextPair(" ".join(words[::-1]), " ".join(words), f"Gen {row // 2}"))
        keep = random.random(len(words)) < row / rows
        said.append(" ".join(w if k else "nuit" for w, k in zip(words, keep, strict=True)))
    return pairs, said


def sections_of(**changes):
    pairs, said = case()
    memory = outputs_of([pair.target for pair in pairs[::-1]])
    memory["similarity"] = np.linspace(0, 1, len(pairs))
    options = {
        "greedy": outputs_of([text.replace("roi", "nuit") for text in said]),
        "reference": ReferenceScores(np.full(len(pairs), -20.0), np.full(len(pairs), 10)),
        "alignments": [Alignment(("<i>", "b"), ("c",), np.array([[0.25, 0.75]]))] * 8,
        "train_counts": {"le": 3, "roi": 100},
        "seconds": {"model": 30.0, "greedy": 6.0},
        "notes": ["Archaic <verses>."],
        "language": "fr",
    }
    model = outputs_of(said, score=np.linspace(-2, 0, len(pairs)))
    return translation_sections(
        pairs, model, {"translation memory": memory}, **{**options, **changes}
    )


@pytest.fixture(scope="module")
def sections():
    return {section.title: section for section in sections_of()}


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


def test_all_sections_in_order(sections):
    assert list(sections) == [
        "How good the translations are",
        "Beam search and greedy decoding",
        "By length of the source",
        "By rare words",
        "Faults",
        "Attention",
        "Samples",
        "Is the model's score to be believed",
        "Overlap with training",
        "Probability of the references",
    ]


def test_what_is_not_known_is_left_out():
    found = sections_of(greedy=None, reference=None, alignments=(), train_counts=None)
    titles = [section.title for section in found]
    for absent in ("Beam search and greedy decoding", "Attention", "By rare words"):
        assert absent not in titles
    assert "Probability of the references" not in titles


def test_perplexity_is_told_where_no_reference_holds_a_word():
    pairs = [TextPair("roi", "…")] * 4
    reference = ReferenceScores(np.full(4, -20.0), np.full(4, 10))
    found = translation_sections(pairs, outputs_of(["…"] * 4), {}, reference=reference)
    (section,) = (it for it in found if it.title == "Probability of the references")
    assert "perplexity of the references is 7.39 per token" in section.prose
    assert "Per word" not in section.prose


def test_foreign_text_is_escaped(sections):
    markup = "".join(map(everything, sections.values()))
    for foreign in ("<b>", "<i>", "<verses>"):
        assert foreign not in markup
    assert "&lt;b&gt;" in markup
    assert "&amp;amp;" in markup


def test_quality_holds_signatures_notes_and_every_system(sections):
    section = sections["How good the translations are"]
    markup = everything(section)
    assert "BLEU|nrefs:1|case:mixed|eff:no|tok:13a" in markup
    assert "TER|nrefs:1" in markup
    assert "Archaic <verses>." in section.prose
    assert [row[0] for row in section.blocks[0].rows] == ["model", "translation memory"]


def test_beam_and_greedy_are_compared_in_pairs(sections):
    section = sections["Beam search and greedy decoding"]
    assert "2.00 sentences/s" in section.prose
    assert "10.0 sentences/s" in section.prose
    (table,) = section.blocks
    assert list(table.columns) == ["score", "beam search", "95 % interval", "greedy"]
    assert table.rows[1][0] == "chrF++"
    assert re.search(r"<small>\+\d.*p &lt; 0.001", str(table.rows[1][-1]))


def test_the_score_of_this_model_is_informative(sections):
    section = sections["Is the model's score to be believed"]
    rank = float(re.search(r"chrF\+\+ is (\d\.\d\d)", section.prose)[1])
    assert rank > 0.8
    table = section.blocks[-1]
    by_score = [float(row[2]) for row in table.rows]
    assert by_score[0] < by_score[-1]
    assert all(float(row[2]) <= float(row[3]) + 1e-9 for row in table.rows)


def test_constant_or_missing_scores_draw_nothing():
    pairs, said = case(30)
    for score in ({}, {"score": np.zeros(30)}, {"score": np.full(30, np.nan)}):
        found = translation_sections(pairs, outputs_of(said, **score), {})
        assert "Is the model's score to be believed" not in [section.title for section in found]


def test_faults_are_counted_by_hand():
    pairs = [TextPair(f"house number{n} stands there", "la maison est là") for n in range(4)]
    said = ["la maison est là", "la la la la la maison", "", "house number3 stands"]
    complete = np.array([True, False, True, True])
    found = translation_sections(pairs, {**outputs_of(said), "complete": complete}, {})
    faults = next(section for section in found if section.title == "Faults")
    counts = {row[0]: row[1].split()[0] for row in faults.blocks[0].rows}
    assert counts["repeat themselves"] == "1"
    assert counts["copy 3 words or more"] == "1"
    assert counts["are empty"] == "1"
    assert counts["were cut off at the limit"] == "1"


def test_pictures_of_attention_are_few(sections):
    assert len(sections["Attention"].blocks) == MOST_ALIGNMENTS


def test_probability_tells_perplexity_and_errors_of_search():
    pairs, said = case(20)
    reference = ReferenceScores(np.full(20, -10 * np.log(4)), np.full(20, 10))
    own = outputs_of(said, log_probability=np.repeat([-99.0, -1.0], 10))
    found = translation_sections(pairs, own, {}, reference=reference)[-1]
    assert "perplexity of the references is 4.00 per token" in found.prose
    assert "In 10 (50.0 %) rows" in found.prose


def test_differing_words_are_marked():
    assert differing("Le roi vint", "le jour vint") == (
        'Le <span class="mark wrong-mark">roi</span> vint'
    )
    assert differing("le jour", "Le jour") == "le jour"
    assert "mark" not in differing("", "x")
    assert differing("<i>", "<i>") == "&lt;i&gt;"
    long = differing("mot " * 400, "rien")
    assert long.endswith(f"({1600 - SHOWN_CHARACTERS} more characters)")


@pytest.mark.parametrize("rows", [1, 2])
def test_few_rows_still_make_a_report(rows):
    pairs, said = case(rows)
    found = translation_sections(pairs, outputs_of(said, score=np.zeros(rows)), {})
    assert "Samples" in [section.title for section in found]


def test_no_rows_and_wrong_outputs_are_said():
    with pytest.raises(EvaluationError, match="0 test pairs; at least 1.*test split"):
        translation_sections([], outputs_of([]), {})
    with pytest.raises(EvaluationError, match="1 translations for 2 test rows"):
        translation_sections([TextPair("a", "b")] * 2, outputs_of(["x"]), {})


@pytest.mark.filterwarnings("error")
def test_empty_translations_alone_have_a_report():
    pairs, _ = case()
    empty = [""] * len(pairs)
    model = outputs_of(empty, score=np.linspace(-2, 0, len(pairs)))
    found = translation_sections(
        pairs, model, {"translation memory": outputs_of(empty)}, greedy=outputs_of(empty)
    )
    titles = [section.title for section in found]
    assert "Faults" in titles
    assert "Is the model's score to be believed" not in titles

import re

import numpy as np
import pytest

from pipelines.datasets.tag_schemes import Span
from pipelines.evaluation.sections import Figure, Html, Table
from pipelines.evaluation.tag_baselines import tag_outputs
from pipelines.evaluation.tagged_rows import TaggedRows, Tagging
from pipelines.evaluation.tagging_confusions import (
    NONE,
    match_by_words,
    span_confusion_blocks,
    tag_confusion_blocks,
)
from pipelines.evaluation.tagging_examples import (
    SHOWN_WORDS,
    first_shown,
    in_context,
    marked_spans,
    tagged_words,
)
from pipelines.evaluation.tagging_figures import (
    FORBIDDEN,
    MOST_TAGS,
    Transitions,
    span_length_blocks,
    transition_blocks,
    transition_map,
)
from pipelines.evaluation.tagging_report import tagging_sections
from pipelines.evaluation.tagging_worst import worst_sentences

POS = ["<A>", "B", "C"]
BIO = ["O", "B-x", "I-x", "B-<y>", "I-<y>"]
WORDS = ["one", "two", "<b>", "&amp;", "שלום", "e\u0301"]


def case(tags, rows=80, seed=1):
    random = np.random.default_rng(seed)
    tokens, gold, said, sure = [], [], [], []
    for size in random.integers(1, 25, rows):
        tokens.append([WORDS[n] for n in random.integers(0, len(WORDS), size)])
        gold.append([tags[n] for n in random.integers(0, len(tags), size)])
        keep = random.random(size) < 0.8
        other = [tags[n] for n in random.integers(0, len(tags), size)]
        said.append([g if k else o for g, k, o in zip(gold[-1], keep, other, strict=True)])
        sure.append(random.uniform(0.3, 1, size))
    return tokens, gold, tag_outputs(said, sure), tag_outputs(gold[::-1][::-1])


def sections_of(tags, spans, **options):
    tokens, gold, model, other = case(tags)
    return tagging_sections(
        tokens,
        gold,
        model,
        {"weak": model, "strong": other},
        spans=spans,
        known_words=WORDS[:4],
        **options,
    )


def transitions(tags):
    random = np.random.default_rng(1)
    size = len(tags)
    scores = random.normal(size=(size, size))
    scores[0, -1] = -1e4
    return Transitions(tags, scores, random.normal(size=size), random.normal(size=size))


@pytest.fixture(scope="module")
def pos_sections():
    return sections_of(POS, False, train_counts={"<A>": 1234, "B": 5}, transitions=transitions(POS))


@pytest.fixture(scope="module")
def ner_sections():
    return sections_of(BIO, True, train_counts={"x": 77}, transitions=transitions(BIO))


def everything(sections):
    """All markup of the sections, figures and tables included, as the template would escape it."""
    from markupsafe import escape

    parts = []
    for section in sections:
        parts.append(escape(section.title + section.prose))
        for block in section.blocks:
            if isinstance(block, Figure):
                parts += [block.svg, escape(block.caption + block.alt)]
            elif isinstance(block, Html):
                parts.append(block.markup)
            else:
                cells = [*block.columns, *(cell for row in block.rows for cell in row)]
                parts += [escape(cell) for cell in cells]
    return "".join(parts)


def test_sections_of_tags(pos_sections):
    assert [section.title for section in pos_sections] == [
        "Tags",
        "What is confused",
        "Known and unknown words",
        "By length",
        "Learned transitions",
        "Calibration",
        "Worst sentences",
    ]


def test_sections_of_spans(ner_sections):
    assert [section.title for section in ner_sections] == [
        "Entity types",
        "Strict and partial matches",
        "What is confused",
        "Known and unknown words",
        "By length",
        "Learned transitions",
        "Calibration",
        "Worst sentences",
    ]
    by_length = next(section for section in ner_sections if section.title == "By length")
    assert sum(isinstance(block, Figure) for block in by_length.blocks) == 2


@pytest.mark.parametrize("kind", ["pos_sections", "ner_sections"])
def test_foreign_text_is_escaped_and_figures_are_told_in_words(kind, request):
    sections = request.getfixturevalue(kind)
    markup = everything(sections)
    for foreign in ("<b>", "<A>", "<y>"):
        assert foreign not in markup
    assert "&lt;b&gt;" in markup
    figures = [b for section in sections for b in section.blocks if isinstance(b, Figure)]
    assert all(figure.alt and figure.caption for figure in figures)


def test_confidences_counts_and_transitions_are_optional():
    tokens, gold, model, _ = case(POS)
    outputs = {"tags": model["tags"]}
    sections = tagging_sections(tokens, gold, outputs, {}, spans=False, known_words=WORDS)
    titles = [section.title for section in sections]
    assert "Calibration" not in titles
    assert "Learned transitions" not in titles
    assert "training words" not in sections[0].blocks[0].columns


def test_class_table_holds_scikit_learns_values(pos_sections):
    from sklearn.metrics import precision_recall_fscore_support

    _, gold, model, _ = case(POS)
    flat = [tag for row in gold for tag in row]
    said = [tag for row in model["tags"] for tag in row if tag]
    columns = precision_recall_fscore_support(flat, said, labels=POS)
    table = pos_sections[0].blocks[0]
    found = {row[0]: row[1:] for row in table.rows}
    for tag, p, r, f, n in zip(POS, *columns, strict=True):
        assert found[tag][:4] == [f"{p:.3f}", f"{r:.3f}", f"{f:.3f}", f"{n:,}"]
    assert found["<A>"][-1] == "1,234"
    assert found["C"][-1] == "0"


def test_matches_table_adds_up(ner_sections):
    table = ner_sections[1].blocks[0]
    assert [row[0] for row in table.rows] == ["strict", "exact", "partial", "type"]
    whole = {sum(int(cell.replace(",", "")) for cell in row[1:5]) for row in table.rows}
    assert len(whole) == 1
    assert table.columns[-1] == "F1 of strong"
    assert {row[-1] for row in table.rows} == {"1.000"}


def test_known_and_unknown_are_shown_for_every_system(pos_sections, ner_sections):
    (table,) = pos_sections[2].blocks
    assert list(table.columns) == ["accuracy on", "words", "model", "weak", "strong"]
    assert [row[0] for row in table.rows] == ["known words", "unknown words"]
    assert table.rows[0][-1] == "1.000 (1.000–1.000)"
    (table,) = ner_sections[3].blocks
    assert [row[0] for row in table.rows] == ["of known words only", "with an unknown word"]


def test_calibration_of_spans_looks_at_words_in_entities(ner_sections):
    _, _, model, _ = case(BIO)
    inside = sum(tag not in ("", "O") for row in model["tags"] for tag in row)
    assert f"Only the {inside:,} words" in ner_sections[-2].prose


def test_spans_are_matched_by_their_words():
    gold = [Span(0, 2, "x"), Span(3, 4, "y"), Span(6, 8, "x")]
    said = [Span(0, 2, "y"), Span(6, 7, "x"), Span(3, 4, "y")]
    assert match_by_words(gold, said) == [
        ("x", "y", 0, 2),
        ("y", "y", 3, 4),
        (NONE, "x", 6, 7),
        ("x", NONE, 6, 8),
    ]


def test_span_confusions_by_hand():
    rows = TaggedRows([["Rio", "Grande", "and", "Bo"]] * 3, [["B-x", "I-x", "O", "B-y"]] * 3)
    model = Tagging([["B-x", "I-x", "O", "B-x"], ["B-x", "O", "O", "B-y"], ["O"] * 4])
    matrix, (table,) = span_confusion_blocks(rows, model, ["x", "y"])
    counts = re.findall(r">(\d+)<small>", matrix.markup)
    assert counts == ["1", "0", "2", "1", "1", "1", "1", "0", "0"]
    assert table.rows[0][:3] == ["x", NONE, "2"]
    assert "<strong>Rio Grande</strong> and Bo" in table.rows[0][3]
    assert {(row[0], row[1]) for row in table.rows} == {
        ("x", NONE),
        ("y", "x"),
        ("y", NONE),
        (NONE, "x"),
    }


def test_many_tags_make_a_dense_matrix_and_more_a_list_of_pairs():
    def block_of(size):
        tags = [f"T{n:02}" for n in range(size)]
        return tag_confusion_blocks(TaggedRows([tags], [tags]), Tagging([tags]), tags)[0]

    assert 'class="confusion">' in block_of(10).markup
    dense = block_of(17).markup
    assert 'class="confusion dense">' in dense
    assert '<td style="--share:1.000" title="100%">1</td>' in dense
    assert isinstance(block_of(40), Table)


def test_tag_confusions_show_the_commonest_words_first():
    rows = TaggedRows([["a", "b", "b"], ["b", "c"]], [["X", "X", "X"], ["X", "Y"]])
    model = Tagging([["Y", "Y", "Y"], ["Y", "Y"]])
    _, (table,) = tag_confusion_blocks(rows, model, ["X", "Y"])
    ((gold, said, count, examples),) = table.rows
    assert (gold, said, count) == ("X", "Y", "4")
    assert examples.index("<strong>b</strong>") < examples.index("<strong>a</strong>")


def test_no_mistakes_are_said_plainly():
    rows = TaggedRows([["a", "b"]], [["B-x", "O"]])
    twin = Tagging([["B-x", "O"]])
    assert (
        worst_sentences(rows, twin, spans=True).prose == "Every test sentence was answered rightly."
    )
    assert span_confusion_blocks(rows, twin, ["x"])[1] == []


def test_worst_sentences_have_most_mistakes_and_of_equals_the_surest():
    tokens = [["a", "b"], ["c", "d"], ["e", "f"], ["g"]]
    rows = TaggedRows(tokens, [["X", "X"], ["X", "X"], ["X", "X"], ["X"]])
    sure = np.array([0.5, 0.5, 0.5, 0.5, 0.9, 0.9, 0.99])
    model = Tagging([["Y", "Y"], ["X", "Y"], ["Y", "Y"], ["X"]], sure)
    blocks = worst_sentences(rows, model, spans=False).blocks
    assert [re.search(r"Sentence (\d)", block.markup).group(1) for block in blocks] == [
        "3",
        "1",
        "2",
    ]
    assert "1 of 2 words wrong" in blocks[-1].markup
    assert "d<small>Y for X</small>" in blocks[-1].markup


def test_spans_are_marked_as_agreeing_or_not():
    tokens = ["New", "York", "and", "<Bo>"]
    gold, said = [Span(0, 2, "x"), Span(3, 4, "y")], [Span(0, 2, "x"), Span(2, 4, "y")]
    markup = marked_spans(tokens, gold, said)
    assert '<span class="mark right-mark">New York<small>x</small></span> and' in markup
    assert '<span class="mark wrong-mark">&lt;Bo&gt;<small>y</small></span>' in markup


def test_long_sentences_are_cut_around_the_first_mistake():
    size = 4 * SHOWN_WORDS
    tokens, gold = [f"w{n}" for n in range(size)], ["X"] * size
    said = [*gold[:100], "Y", *gold[101:]]
    first = first_shown(size, [100])
    markup = tagged_words(tokens, gold, said, first)
    assert "w100<small>Y for X</small>" in markup
    assert f"({first} words before) … w{first} " in markup
    assert markup.endswith(
        f"w{first + SHOWN_WORDS - 1} … ({size - first - SHOWN_WORDS} more words)"
    )
    assert first_shown(size, [size - 1]) == size - SHOWN_WORDS
    assert first_shown(SHOWN_WORDS, [SHOWN_WORDS - 1]) == 0
    spans = [Span(0, 1, "x"), Span(100, 102, "x"), Span(200, 201, "x")]
    marked = marked_spans(tokens, spans, [], first)
    assert marked.count("<small>") == 1
    assert "w100 w101<small>x</small>" in marked


def test_context_says_where_it_was_cut():
    tokens = [f"w{n}" for n in range(20)]
    assert "… w3 w4" in in_context(tokens, 10, 11)
    assert "w16 w17 …" in in_context(tokens, 10, 11)
    assert "…" not in in_context(tokens[:5], 2, 3)


def test_transition_map_draws_sign_and_prohibition_without_colour_alone():
    svg = transition_map(
        np.array([[2.0, -1.0], [-np.inf, 0.5]]), ["(start)", "<A>"], ["<A>", "(end)"]
    )
    assert "&lt;A&gt;" in svg
    assert "<A>" not in svg
    assert "var(--series-1)" in svg
    assert re.search(r"fill-opacity: 0; stroke: var\(--series-2\)", svg)
    assert "var(--plot-faint)" in svg


def test_of_many_tags_the_frequent_are_drawn():
    tags = [f"T{n}" for n in range(MOST_TAGS + 10)]
    frequencies = {tag: n for n, tag in enumerate(tags)}
    figure, table = transition_blocks(transitions(tags), frequencies)
    assert f"The {MOST_TAGS} most frequent of {len(tags)} tags" in figure.caption
    assert ">T9<" not in figure.svg
    assert ">T10<" in figure.svg
    assert isinstance(table, Table)
    assert len(table.rows) == 16


def test_steps_that_cannot_occur_are_not_listed():
    scores = np.array([[1.0, FORBIDDEN], [-2.0, 0.0]])
    _, table = transition_blocks(
        Transitions(["A", "B"], scores, np.array([0.0, FORBIDDEN]), np.zeros(2)), {}
    )
    steps = {(row[0], row[1]) for row in table.rows}
    assert ("A", "B") not in steps
    assert ("(start)", "B") not in steps
    assert ("B", "A") in steps
    assert table.rows[0] == ["A", "A", "+1.00"]


def test_spans_by_length():
    rows = TaggedRows([["a", "b", "c"]] * 30, [["B-x", "B-x", "I-x"]] * 30)
    model = Tagging([["B-x", "O", "O"]] * 30)
    figure, table = span_length_blocks(rows, {"model": model}, seed=1)
    assert [row[:2] for row in table.rows] == [["1", "30"], ["2", "30"]]
    assert [row[2] for row in table.rows] == ["1.000 (1.000–1.000)", "0.000 (0.000–0.000)"]
    assert "1: 1.000; 2: 0.000" in figure.alt


def test_no_entities_at_all_still_make_a_report():
    sections = tagging_sections(
        [["a"], ["b", "c"]],
        [["O"], ["O", "O"]],
        tag_outputs([["O"], ["O", "O"]], [[0.9], [0.8, 0.7]]),
        {},
        spans=True,
        known_words=[],
    )
    assert sections[-1].prose == "Every test sentence was answered rightly."

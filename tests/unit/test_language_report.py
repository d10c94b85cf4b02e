"""The report on a language model: its prose and tables, on small texts."""

import re

import numpy as np
import pytest
from markupsafe import escape

from pipelines.datasets.documents import Document
from pipelines.errors import EvaluationError
from pipelines.evaluation.language_evidence import Evidence, Guess, ScoredText, Written
from pipelines.evaluation.language_measures import language_outputs, passage_sums
from pipelines.evaluation.language_report import language_sections
from pipelines.evaluation.scores import Score
from pipelines.evaluation.sections import Figure, Html, Table
from pipelines.evaluation.wording import headline

LINE = "KING. <b>Fetch it</b>, & quickly now.\n"
COPIED = "the quality of mercy is not strained"
TEXTS = [LINE * 60, (LINE.replace("King", "Fool") + "\n") * 40]
ROWS = [Document(text, name) for text, name in zip(TEXTS, ["One <play>", "Two"], strict=True)]
TRAIN = [Document(f"Say: {COPIED}, sir.\n" * 3, "Merchant"), Document("Never mind.\n", "Other")]


def outputs_of(per_character, texts=TEXTS, *, told=False):
    """Bits that are the same for every character."""
    bits = [np.full(len(text), per_character) for text in texts]
    outputs = language_outputs([passage_sums(row) for row in bits], list(map(len, texts)))
    if told:
        outputs["character_bits"] = np.empty(len(bits), object)
        for number, row in enumerate(bits):
            outputs["character_bits"][number] = row.astype(np.float32)
    return outputs


def scored(row=0, length=2_000):
    text = TEXTS[row][:length]
    bits = np.where(np.array(list(text)) == "F", 19.0, 1.0).astype(np.float32)
    return ScoredText(row, ROWS[row].name, text, tuple(text), bits)


def evidence_of(**changes):
    guess = Guess("Two", "Fetch\nit", " ", 0.5, ("e", " ", "<0x0A>"), (0.6, 0.3, 0.05))
    found = {
        "samples": [
            Written(0.5, f"<i> {COPIED} & so"),
            Written(0.5, "mind never"),
            Written(1.0, "Sblurk"),
            Written(1.0, ""),
        ],
        "scored": [scored(0), scored(1)],
        "guesses": [guess, Guess("Two", "x", "e", 2.0, ("e", "a"), (0.9, 0.1))],
    }
    return Evidence(**{**found, **changes})


BASELINES = {
    "PPMd": outputs_of(2.5, told=True),
    "lzma": outputs_of(3.0),
    "unigram": outputs_of(4.5, told=True),
}


def sections_of(per_character=2.0, baselines=None, **changes):
    options = {"evidence": evidence_of(), "train": TRAIN, "notes": ["PPMd has order 6."]}
    found = language_sections(
        ROWS,
        outputs_of(per_character),
        BASELINES if baselines is None else baselines,
        **{**options, **changes},
    )
    return {section.title: section for section in found}


@pytest.fixture(scope="module")
def sections():
    return sections_of()


def everything(section):
    parts = [escape(section.title + section.prose)]
    for block in section.blocks:
        if isinstance(block, Figure):
            parts += [block.svg, escape(block.caption + block.alt)]
        elif isinstance(block, Html):
            parts.append(block.markup)
        else:
            cells = [*block.columns, *(cell for row in block.rows for cell in row)]
            parts += [escape(cell) for cell in cells]
    return "".join(parts)


def tables(section):
    return [block for block in section.blocks if isinstance(block, Table)]


def row_of(table, name):
    return next(row for row in table.rows if str(row[0]).startswith(name))


def test_all_sections_in_order(sections):
    assert list(sections) == [
        "How good the model is",
        "By document and passage",
        "Where the model earns its keep",
        "Samples",
        "What surprises it",
        "What it expects next",
        "How to read these figures",
    ]


def test_what_is_not_known_is_left_out():
    found = sections_of(baselines={}, evidence=Evidence(), train=None, notes=())
    assert list(found) == ["How good the model is", "How to read these figures"]
    assert "no other system was asked" in found["How good the model is"].prose


def test_a_victory_over_the_best_compressor_is_told_first(sections):
    prose = sections["How good the model is"].prose
    assert prose.startswith(
        "The model beats the best compressor here. The model needs 2.00 bits per character, PPMd "
        "2.50: it saves 0.500 bits per character, 20.0 %"
    )
    assert "fewer bits than PPMd on 5 (100.0 %) of the passages" in prose
    assert "on 2 (100.0 %) of the documents" in prose


def test_a_defeat_is_told_first_and_plainly():
    prose = sections_of(3.5)["How good the model is"].prose
    assert prose.startswith(
        "The model loses to the best compressor here. The model needs 3.50 bits per character, "
        "PPMd 2.50: 1.00 bits per character more"
    )
    assert "On this text it does not earn its keep" in prose
    assert "on 0 (0.0 %) of the documents" in prose


def test_a_draw_is_called_neither():
    prose = sections_of(2.5)["How good the model is"].prose
    assert "is not shown to be better or worse than the best compressor" in prose


def test_every_system_stands_in_the_table_by_rank(sections):
    (table,) = tables(sections["How good the model is"])
    assert [row[0] for row in table.rows] == ["model", "PPMd", "lzma", "unigram"]
    assert row_of(table, "PPMd")[2] == "5.66"  # 2 ** 2.5
    assert row_of(table, "model")[3] == "4.00"  # 8 bits of ASCII over 2
    assert row_of(table, "lzma")[4].startswith("−1.00")


def test_learning_as_it_reads_has_its_place():
    evidence = evidence_of(adapted=outputs_of(1.5))
    section = sections_of(evidence=evidence)["How good the model is"]
    assert "then it needs 1.50 bits per character, not 2.00: −0.500 (" in section.prose
    assert "So it is better than PPMd: −1.00 (" in section.prose
    (table,) = tables(section)
    assert table.rows[0][0] == "model that learns as it reads"


def test_documents_are_compared_one_by_one(sections):
    section = sections["By document and passage"]
    (table,) = tables(section)
    assert table.columns == ["document", "model", "PPMd", "lzma"]
    assert [re.sub("<.*", "", str(row[0])) for row in table.rows] == ["One &lt;play&gt;", "Two"]
    assert "2,280 characters" in str(table.rows[0][0])
    assert "−0.500" in str(table.rows[0][2])
    assert section.prose.startswith("Against PPMd, the model does best on ")


def test_many_documents_are_shown_by_gain_and_loss():
    texts = [LINE * 30] * 30
    rows = [Document(text, f"d{number:02}") for number, text in enumerate(texts)]
    model = outputs_of(2.0, texts)
    for name in ("bits", "passage_bits"):
        model[name] = (model[name].T * np.linspace(0.5, 1.5, 30)).T
    found = language_sections(
        rows, model, {"PPMd": outputs_of(2.0, texts)}, evidence=Evidence(), train=None
    )
    (table,) = tables(found[1])
    names = [re.sub("<.*", "", str(row[0])) for row in table.rows]
    assert names == [f"d{number:02}" for number in (*range(6), *range(24, 30))]
    assert "the 12 with the largest gains and losses" in table.caption
    assert "30 documents" in tables(found[0])[0].caption


def test_kinds_of_character_tell_where_bits_are_saved(sections):
    section = sections["Where the model earns its keep"]
    position, kind = tables(section)
    assert [row[0] for row in position.rows] == ["0 to 1,000", "1,000 to 3,000"]
    # Of the scored text, an F costs 19 bits and all else 1, while PPMd pays 2.5 for each.
    assert str(row_of(kind, "later letter")[2]).startswith("1.00")
    assert re.search("surely needs fewer bits than PPMd at: .*later letter", section.prose)
    assert re.search("surely needs more bits than PPMd at: first letter of a word", section.prose)
    assert re.search(r"Of all bits that it saves, \d+ % are at: later letter", section.prose)
    saved = [float(row[4].replace("−", "-")) for row in kind.rows]
    assert saved[0] < 0 < saved[1]


def test_a_rival_that_tells_no_characters_leaves_the_figure_to_others():
    found = sections_of(baselines={"lzma": BASELINES["lzma"]})
    section = found["Where the model earns its keep"]
    assert "Of all bits" not in section.prose
    assert list(tables(section)[0].columns) == ["characters before it", "model", "lzma"]


def test_copied_runs_are_marked_with_length_and_source(sections):
    section = sections["Samples"]
    markup = everything(section)
    run = f" {COPIED}"
    assert f'<span class="mark wrong-mark">{run}<small>{len(run)}</small></span>' in markup
    _, runs = tables(section)
    assert runs.rows[0][1:] == [f"{len(run)}", "Merchant"]
    assert f"The longest run copied from the training text has {len(run)} char" in section.prose


def test_samples_stand_beside_people_and_an_empty_one_is_told(sections):
    section = sections["Samples"]
    traits, _ = tables(section)
    assert traits.columns == ["measure", "at 0.5", "at 1", "people"]
    assert row_of(traits, "real words")[2] == "0.000"
    assert "the model ended the text at once" in everything(section)


def test_without_training_text_nothing_is_said_of_copies():
    section = sections_of(train=None)["Samples"]
    assert "The training text is gone" in section.prose
    (traits,) = tables(section)
    assert not [row for row in traits.rows if row[0].startswith(("longest", "copied", "real"))]
    assert "wrong-mark" not in everything(section)


def test_surprise_shows_easiest_to_hardest_and_equal_lines_once(sections):
    section = sections["What surprises it"]
    markup = everything(section)
    order = [markup.index(f"<h3>{title}</h3>") for title in ("Easiest", "Median", "Hardest")]
    assert order == sorted(order)
    (lines,) = tables(section)
    assert len(lines.rows) == len({row[0] for row in lines.rows})
    bits = [float(row[2]) for row in lines.rows]
    assert bits == sorted(bits, reverse=True)
    assert "0.5 to 1 bits: 0 %" in markup


def test_guesses_mark_what_came(sections):
    (table,) = tables(sections["What it expects next"])
    assert table.columns == ["after", "came", "bits", "likeliest", "2.", "3."]
    first = [str(cell) for cell in table.rows[0]]
    assert first[0] == '<code class="nowrap">…Fetch¶it</code>'
    assert first[3] == "<code>e</code> 60.0"
    assert first[4] == '<span class="mark right-mark"><code>␣</code></span> 30.0'
    assert first[5] == "<code>¶</code> 5.0"
    assert "The likeliest came at 1 of 2 places, one of those shown at 2." in table.caption


def test_notes_close_the_report(sections):
    assert sections["How to read these figures"].prose.endswith("PPMd has order 6.")


def test_foreign_text_is_escaped(sections):
    markup = "".join(map(everything, sections.values()))
    for foreign in ("<b>", "<i>", "<play>"):
        assert foreign not in markup
    assert "&lt;i&gt;" in markup


def test_bytes_are_shown_as_the_characters_they_spell():
    text = ScoredText(0, "", "né!", ("n", "\ufffd", "\ufffd", "!"), np.array([1.0, 2, 3, 4]))
    assert text.by_character().tolist() == [1, 5, 4]
    tokens, bits = text.shown()
    assert "".join(tokens) == "né!"
    assert bits.tolist() == [1, 5, 4]


def test_pieces_share_their_bits_among_their_characters():
    text = ScoredText(0, "", "to be", ("to", " be"), np.array([1.0, 3.0]))
    assert text.by_character().tolist() == [0.5, 0.5, 1, 1, 1]
    assert ScoredText(0, "", "to be", ("x", "y"), np.ones(2)).by_character() is None


def test_outputs_that_do_not_fit_are_refused():
    with pytest.raises(EvaluationError, match="2 test documents; one a document is needed"):
        language_sections(ROWS, outputs_of(2.0, TEXTS[:1]), {}, evidence=Evidence())


def test_a_unit_is_not_said_twice():
    score = Score(
        name="bits_per_character", value=2.0, unit="bits", better="lower", count=9, counted="marks"
    )
    assert headline(score.as_json()) == "2.00 bits per character on 9 test marks"

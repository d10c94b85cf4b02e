import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.errors import EvaluationError
from pipelines.evaluation.attribution import Attribution, occlusion
from pipelines.evaluation.baselines import outputs_of
from pipelines.evaluation.calibration import error_by_chance
from pipelines.evaluation.classification import read_outputs
from pipelines.evaluation.classification_report import classification_sections, worst_errors
from pipelines.evaluation.confusion import confusion_block
from pipelines.evaluation.examples import SHOWN_CHARACTERS, coloured_text
from pipelines.evaluation.metrics import expected_calibration_error
from pipelines.evaluation.sections import Figure, Html, Table
from pipelines.evaluation.slices import quantile_slices, share_slices

LABELS = ["bad", "good"]


def count_good(texts):
    """A model that believes in the word "good"."""
    good = np.array([0.5 + 0.1 * text.count("good") - 0.1 * text.count("bad") for text in texts])
    return np.column_stack([1 - good, good])


def case(rows=200, seed=1):
    random = np.random.default_rng(seed)
    texts = [" ".join(random.choice(["good", "bad", "so", "<b>"], 5)) for _ in range(rows)]
    gold = random.integers(0, 2, rows)
    return gold, outputs_of(count_good(texts), LABELS), texts


def test_sections_cover_what_a_reader_asks():
    gold, predictions, texts = case()
    baselines = {"first": predictions, "last": predictions}
    sections = classification_sections(
        gold,
        predictions,
        LABELS,
        baselines,
        iter(texts),
        predict=count_good,
        unknown_share=np.linspace(0, 0.5, 200),
    )
    assert [section.title for section in sections] == [
        "Confusion and labels",
        "Calibration",
        "By length of the text",
        "By share of unknown words",
        "Worst errors",
    ]
    drawn = [block for section in sections for block in section.blocks if isinstance(block, Figure)]
    assert len(drawn) == 3
    assert all(figure.alt and figure.caption for figure in drawn)


def test_unknown_words_and_attributions_are_optional():
    gold, predictions, texts = case()
    sections = classification_sections(gold, predictions, LABELS, {}, texts)
    assert len(sections) == 4
    assert "left out" not in sections[-1].prose
    assert 'class="token' not in sections[-1].blocks[0].markup


def test_texts_are_escaped_and_read_once():
    gold, predictions, texts = case()
    sections = classification_sections(
        gold, predictions, LABELS, {}, iter(texts), predict=count_good
    )
    markup = "".join(block.markup for block in sections[-1].blocks)
    assert "&lt;" in markup
    assert "<b>" not in markup


def test_as_many_texts_as_rows():
    gold, predictions, texts = case()
    for wrong in (texts[:-1], [*texts, "more"]):
        with pytest.raises(
            EvaluationError, match=r"texts of the report: 200 rows against (199|201)"
        ):
            classification_sections(gold, predictions, LABELS, {}, wrong)


def test_no_error_is_said_plainly():
    gold = np.array([0, 1])
    predictions = outputs_of(np.array([[0.9, 0.1], [0.2, 0.8]]), LABELS)
    sections = classification_sections(gold, predictions, LABELS, {}, ["a", "b c"])
    assert sections[-1].prose == "Every test row was answered rightly."


def test_worst_errors_are_the_surest_wrong_ones():
    probabilities = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.05, 0.95]])
    model = read_outputs(outputs_of(probabilities, LABELS), LABELS, 4, "model")
    assert worst_errors(np.array([0, 0, 0, 1]), model).tolist() == [2, 1]
    assert worst_errors(np.array([0, 0, 0, 1]), model, most=1).tolist() == [2]


def test_slices_show_model_and_last_baseline_with_counts():
    gold, predictions, texts = case()
    sections = classification_sections(
        gold, predictions, LABELS, {"weak": predictions, "strong": predictions}, texts
    )
    (table,) = [block for block in sections[2].blocks if isinstance(block, Table)]
    assert list(table.columns) == ["words in the text", "rows", "model", "strong"]
    assert sum(int(row[1]) for row in table.rows) == 200


def test_chance_level_explains_a_calibrated_model_and_not_an_overconfident_one():
    random = np.random.default_rng(1)
    confidence = random.uniform(0.5, 1, 2000)
    chance = error_by_chance(confidence, seed=1)
    calibrated = expected_calibration_error(confidence, random.random(2000) < confidence)
    overconfident = expected_calibration_error(confidence, random.random(2000) < confidence - 0.2)
    assert calibrated == pytest.approx(chance, abs=0.012)
    assert overconfident > chance + 0.1


@given(st.lists(st.integers(0, 500), min_size=1, max_size=300))
@settings(max_examples=60, deadline=None)
def test_length_slices_part_the_rows(lengths):
    slices = quantile_slices(np.array(lengths))
    assert (sum(part.rows.astype(int) for part in slices) == 1).all()
    assert len({part.name for part in slices}) == len(slices)


def test_share_slices_by_hand():
    slices = share_slices(np.array([0, 0, 0.05, 0.051, 0.4, 1.0]))
    assert [(part.name, int(part.rows.sum())) for part in slices] == [
        ("none", 2),
        ("≤ 5 %", 1),
        ("5–10 %", 1),
        ("> 35 %", 2),
    ]


def test_confusion_of_few_labels_is_a_shaded_table():
    block = confusion_block(np.array([[3, 1], [0, 2]]), ["<x>", "y"])
    assert isinstance(block, Html)
    assert "&lt;x&gt;" in block.markup
    assert '--share:0.750">3<small>75%' in block.markup


def test_confusion_of_many_labels_lists_the_frequent_pairs():
    matrix = np.eye(30, dtype=int) * 10
    matrix[3, 7] = 5
    block = confusion_block(matrix, [f"c{n}" for n in range(30)])
    assert isinstance(block, Table)
    assert [list(row) for row in block.rows] == [["c3", "c7", "5", "33.3%"]]


def test_occlusion_finds_the_words_that_matter():
    text = "a good, good day not bad"
    found = {
        (entry.start, text[entry.start : entry.end]): entry.effect
        for entry in occlusion(text, count_good)
    }
    assert found[2, "good"] == pytest.approx(0.1)
    assert found[8, "good"] == pytest.approx(0.1)
    assert found[21, "bad"] == pytest.approx(-0.1)
    assert found[0, "a"] == pytest.approx(0)
    assert found[6, ","] == pytest.approx(0)


def test_occlusion_follows_the_predicted_class():
    (entry,) = occlusion("bad", count_good)
    assert entry.effect == pytest.approx(0.1)


def test_occlusion_bounds_its_work_on_long_texts():
    asked = []

    def predict(texts):
        asked.append(len(texts))
        return count_good(texts)

    found = occlusion("good " * 5000, predict, max_spans=100, batch_rows=32)
    assert len(found) == 100
    assert sum(asked) == 101
    assert max(asked) == 32
    assert found[-1].end == len("good " * 5000) - 1


def test_nothing_to_occlude():
    assert occlusion("  ", count_good) == []


def test_coloured_text_scales_by_the_strongest_and_leaves_faint_words_plain():
    text = "good <i> so"
    markup = coloured_text(
        text, [Attribution(0, 4, 0.2), Attribution(5, 8, -0.1), Attribution(9, 11, 0.001)]
    )
    assert '<span class="token for" style="--weight:1.00" title="+0.200">good</span>' in markup
    assert 'class="token against" style="--weight:0.50"' in markup
    assert "&lt;i&gt;" in markup
    assert markup.endswith(" so")


def test_long_texts_are_cut_and_say_so():
    markup = coloured_text("x" * (SHOWN_CHARACTERS + 1200), [])
    assert markup.endswith(" … (1,200 more characters)")

import io
from dataclasses import replace

import numpy as np
from rich.console import Console

from pipelines.datasets.rows import Rows
from pipelines.datasets.splits import DataCard, Splits
from pipelines.datasets.tagged import TaggedSentence
from tasks.ner import Ner, NerConfig
from tasks.pos import Pos, PosConfig

ROW = {
    "tokens": np.array(["Ann", "Lee", "saw", "Rome", ""], object),
    "tags": np.array(["B-person", "I-person", "O", "B-place", ""], object),
    "confidences": np.array([0.9, 0.8, 0.99, 0.7, 0.0]),
    "char_starts": np.array([0, 4, 8, 13, 0]),
    "char_limits": np.array([3, 7, 11, 17, 0]),
    "byte_starts": np.array([0, 4, 8, 13, 0]),
    "span_types": np.array(["person", "place", ""], object),
    "span_starts": np.array([0, 3, 0]),
    "span_limits": np.array([2, 4, 0]),
    "span_texts": np.array(["Ann Lee", "Rome", ""], object),
    "span_confidences": np.array([0.75, 0.7, 0.0]),
}


def printed(task, answer, *, terminal):
    stream = io.StringIO()
    system = "standard" if terminal else "auto"
    console = Console(file=stream, force_terminal=terminal, color_system=system, width=99)
    console.print(task.render_prediction(answer, None), highlight=False)
    return stream.getvalue().rstrip("\n")


def test_an_answer_has_no_padding_and_lists_its_spans():
    answer = Ner(NerConfig()).answer(ROW)
    assert list(answer["tokens"]) == ["Ann", "Lee", "saw", "Rome"]
    assert list(answer["tags"]) == ["B-person", "I-person", "O", "B-place"]
    assert answer["spans"] == [
        {"type": "person", "first_token": 0, "limit_token": 2, "text": "Ann Lee", "start": 0,
         "limit": 7, "confidence": 0.75},
        {"type": "place", "first_token": 3, "limit_token": 4, "text": "Rome", "start": 13,
         "limit": 17, "confidence": 0.7},
    ]  # fmt: skip


def test_entities_are_marked_in_the_text_as_written():
    task = Ner(NerConfig())
    answer = {"text": "Ann Lee saw, Rome.", **task.answer(ROW)}
    assert printed(task, answer, terminal=False) == (
        "[Ann Lee](person 0.75) saw, [Rome](place 0.70)."
    )
    coloured = printed(task, answer, terminal=True)
    assert "\x1b[" in coloured
    assert coloured.count("[Rome]") == 1


def test_a_text_that_looks_like_markup_is_shown_as_it_is():
    task = Ner(NerConfig())
    row = {**ROW, "span_types": np.array([""], object)}
    answer = {"text": "[bold]a[/bold]", **task.answer(row)}
    assert printed(task, answer, terminal=False) == "[bold]a[/bold]"


def test_words_are_shown_with_their_parts_of_speech():
    task = Pos(PosConfig())
    row = {name: ROW[name] for name in ("tokens", "confidences")}
    row["tags"] = np.array(["PROPN", "PROPN", "VERB", "PROPN", ""], object)
    answer = {"text": "Ann Lee saw Rome", **task.answer(row)}
    assert printed(task, answer, terminal=False) == "Ann/PROPN  Lee/PROPN  saw/VERB  Rome/PROPN"


def test_a_text_without_tokens_says_so():
    task = Pos(PosConfig())
    row = {"tokens": np.array([""], object), "tags": np.array([""], object)}
    assert printed(task, {"text": " ", **task.answer(row)}, terminal=False) == "(no tokens)"


def test_scoring_leaves_out_what_the_model_learned_from():
    def rows(*sentences):
        return Rows.of(
            TaggedSentence,
            [TaggedSentence(tuple(it.split()), ("X",) * len(it.split())) for it in sentences],
        )  # fmt: skip

    nothing = rows()
    training = Splits(rows("a b", "c d"), rows("e f"), nothing, DataCard(source="x"))
    training = replace(training, extra=rows("g h"))
    given = Splits(nothing, nothing, rows("A b", "e f", "g h", "i j"), DataCard(source="y"))
    kept = Pos(PosConfig()).without_known(given, training)
    assert [row.tokens for row in kept.test] == [("g", "h"), ("i", "j")]
    assert kept.card.dropped == {"sentence the model was trained on": 2}

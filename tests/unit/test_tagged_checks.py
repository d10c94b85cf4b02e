"""Checks of tagged sentences: each fault is found, and clean data is left in peace."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from pipelines.datasets.findings import Finding, render_findings
from pipelines.datasets.rows import Rows
from pipelines.datasets.splits import DataCard, Splits
from pipelines.datasets.storage import DataFolders
from pipelines.datasets.tagged import TaggedSentence, load_tagged
from pipelines.datasets.tagged_checks import check_tagged


def sentence(text: str, place: str = "a.conll:1") -> TaggedSentence:
    pairs = [pair.rsplit("/", 1) for pair in text.split(" ")]
    tokens, tags = zip(*pairs, strict=True)
    return TaggedSentence(tokens, tags, place=place)


CLEAN = {
    name: [f"{name}{n}/B-x is/O in/O {name}town{n}/B-y" for n in range(count)]
    for name, count in (("train", 600), ("valid", 50), ("test", 200))
}


def check(*, spans: bool = True, notes=(), dropped=None, **extra: list[str]) -> dict[str, Finding]:
    """Check clean sentences with some more in the splits named."""
    parts = [
        Rows.of(TaggedSentence, [sentence(text) for text in [*CLEAN[name], *extra.get(name, [])]])
        for name in CLEAN
    ]
    card = DataCard(source="a", counts={"train": 600}, notes=notes, dropped=dropped or {})
    findings = check_tagged(Splits(*parts, card), spans=spans)
    render_findings(findings, Console(file=io.StringIO()))
    return {it.title: it for it in findings}


def test_clean_sentences_raise_no_warning() -> None:
    found = check()
    graver = {title for title, it in found.items() if it.level in ("warning", "error")}
    assert graver == {"Unknown words"}  # every name of the test sentences is new
    assert "on 400 test spans a score near 0.5 is known to within ±0.049" in found["Sizes"].detail
    assert found["Tags"].table[1] == ("x", "600", "50", "200", "50.0%")
    assert "2 types, 1,200 training spans" in found["Tags"].detail
    assert "50.0% of the training words are inside spans" in found["Spans among words"].detail
    assert "50.0% of the test words are in no training" in found["Unknown words"].detail


def test_tags_of_words() -> None:
    found = check(spans=False)
    assert found["Tags"].table[1] == ("O", "1,200", "100", "400", "50.0%")
    assert "Tag scheme" not in found and "Spans of signs only" not in found


def test_one_tag_only() -> None:
    rows = Rows.of(TaggedSentence, [sentence("a/N")])
    found = check_tagged(Splits(rows, rows, rows, DataCard(source="a")), spans=False)
    (tags,) = [it for it in found if it.title == "Tags"]
    assert tags.level == "warning" and "there is nothing to tell apart" in tags.detail
    found = check_tagged(Splits(rows, rows, rows, DataCard(source="a")), spans=False)
    outside = Rows.of(TaggedSentence, [sentence("a/O")])
    found = check_tagged(Splits(outside, outside, outside, DataCard(source="a")), spans=True)
    assert any(it.level == "error" and "no spans in the training" in it.detail for it in found)


def test_tags_that_train_or_test_lack() -> None:
    found = check(train=["q/B-rare"], test=["p/B-novel"])["Tags in every split"]
    assert found.level == "warning"
    assert "no training sentence has 'novel' (1 in test)" in found.detail
    assert "no test sentence has 'rare'" in found.detail
    assert "fewer than 20 training spans of 'rare' (1)" in found.detail


def test_tag_spelling() -> None:
    found = check(train=["q/B-X"])["Tag spelling"]
    assert found.level == "warning" and "'X' = 'x'" in found.detail


def test_repairs_and_crossings_of_the_card_are_shown(tmp_path) -> None:
    path = tmp_path / "a.conll"
    path.write_text("\n".join(f"w{n}\tO\n" for n in range(30)) + "\nA\tB-x\n\nB\tI-x\nc\tO\n")
    splits = load_tagged(str(path), folders=DataFolders(tmp_path, tmp_path), spans=True)
    found = {it.title: it for it in check_tagged(splits, spans=True)}
    assert found["Tag scheme"].level == "warning"
    assert "1 tag(s) that BIO does not allow there, mended" in found["Tag scheme"].detail
    assert f"{path}:63" in found["Tag scheme"].detail
    assert found["Spans that cross"].level == "warning"
    assert "are blank lines where sentences end?" in found["Spans that cross"].detail
    assert "mended" not in found["Sentences left out"].detail


def test_sentences_left_out() -> None:
    found = check(dropped={"duplicate sentence with other tags": 20})["Sentences left out"]
    assert found.level == "warning"
    assert "20 of 620 sentences (3.2%)" in found.detail and "annotators disagree" in found.detail
    assert check(dropped={"duplicate sentence": 2})["Sentences left out"].level == "note"


def test_leakage() -> None:
    found = check(test=[CLEAN["train"][3], "TRAIN4/B-x is/O in/O traintown4/B-y"])["Leakage"]
    assert found.level == "error"
    assert "2 test sentences are also training sentences (1 to the letter)" in found.detail


def test_lengths() -> None:
    long = " ".join(["w/O"] * 300)
    found = check(train=[long])
    assert found["Very long"].level == "warning"
    assert found["Very long"].table[1][1] == "300"
    differ = check(test=[" ".join(["w/O"] * 20)] * 201)["Lengths"]
    assert differ.level == "warning" and "may not come from the same source" in differ.detail


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("New\u00a0York", "white space inside"),
        ("\u00a0", "white space only"),
        ("\u200d", "white space only"),
        ("a\x07", "control character inside"),
    ],
)
def test_odd_words(word: str, kind: str) -> None:
    found = check(train=[f"{word}/O"])["Odd words"]
    assert found.level == "warning" and found.table[1][0] == kind
    assert found.table[1][2] == f"a.conll:1: {word!r}"


def test_emoji_and_combined_letters_are_not_odd() -> None:
    train = ["\U0001f469\u200d\U0001f4bb/O e\u0301/O \u05e9\u05dc/O"]
    assert check(train=train)["Odd words"].level == "ok"


def test_spans_of_signs_only() -> None:
    found = check(train=["at/O ./B-x !/I-x"])["Spans of signs only"]
    assert found.level == "warning"
    assert found.table[1] == ("a.conll:1, word 2", "x", "'. !'")


def test_conflicting_labels_of_spans() -> None:
    train = ["Paris/B-loc"] * 3 + ["Paris/B-per", "to/O Paris/O", "New/B-loc York/I-loc"]
    found = check(train=[*train, "New/O York/O"])["Conflicting labels"]
    assert found.level == "note"
    assert found.table[1:] == (
        ("Paris", "loc 3, per 1, outside 1"),
        ("New York", "loc 1, outside 1"),
    )
    many = [text for text in train for _ in range(400)]
    assert check(train=many)["Conflicting labels"].level == "warning"


def test_conflicting_labels_of_words() -> None:
    found = check(spans=False, train=["run/V"] * 3 + ["run/N"])["Conflicting labels"]
    assert found.level == "note" and found.table[1] == ("run", "V 3, N 1")
    assert "1 of 1,203 words have more than one label" in found.detail


def test_a_column_of_word_classes_given_as_spans() -> None:
    found = check(train=["a/B-N b/B-V c/B-N"] * 900)["Spans among words"]
    assert found.level == "warning" and "rather than of spans?" in found.detail

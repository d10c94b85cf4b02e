"""Checks: each one must speak when its fault is planted, and keep still when it is not."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from pipelines.datasets.checks import check_labelled_text
from pipelines.datasets.findings import Finding, render_findings
from pipelines.datasets.labelled_text import LabelledText
from pipelines.datasets.rows import Rows
from pipelines.datasets.splits import DataCard, Splits

WORDS = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa"]


def plain_rows(start: int, count: int) -> list[LabelledText]:
    """Rows of six words, all different, labels in turn."""
    rows = []
    for number in range(start, start + count):
        words = [WORDS[(number // 10**place) % 10] for place in range(6)]
        rows.append(LabelledText(" ".join(words), ("good", "bad")[number % 2]))
    return rows


def splits_of(train=None, valid=None, test=None, **card) -> Splits[LabelledText]:
    parts = [
        train if train is not None else plain_rows(0, 800),
        valid if valid is not None else plain_rows(10_000, 300),
        test if test is not None else plain_rows(20_000, 300),
    ]
    stored = [Rows.of(LabelledText, rows) for rows in parts]
    return Splits(*stored, card=DataCard(source="planted", **card))


def found(splits: Splits[LabelledText], title: str, **options) -> Finding:
    (finding,) = [it for it in check_labelled_text(splits, **options) if it.title == title]
    return finding


def test_sound_data_gives_only_ok() -> None:
    assert {finding.level for finding in check_labelled_text(splits_of())} == {"ok"}


def test_sizes_say_how_well_a_score_is_known() -> None:
    finding = found(splits_of(test=plain_rows(20_000, 64)), "Sizes")
    assert finding.level == "warning" and "±0.098" in finding.detail
    assert finding.table[3] == ("test", "64", "5.5%", "64")


def test_imbalance() -> None:
    train = [row for row in plain_rows(0, 800) if row.label == "good" or len(row.text) % 16 == 0]
    finding = found(splits_of(train=train), "Labels")
    assert finding.level in ("note", "warning") and "always answering 'good'" in finding.detail


def test_label_absent_from_test_and_rare_in_train() -> None:
    train = [*plain_rows(0, 800), LabelledText("something else entirely", "mixed")]
    finding = found(splits_of(train=train), "Labels in every split")
    assert finding.level == "warning"
    assert "'mixed' in valid, 'mixed' in test" in finding.detail
    assert "fewer than 20 training rows of 'mixed' (1)" in finding.detail


def test_labels_that_differ_in_case() -> None:
    train = [*plain_rows(0, 800), LabelledText("something else entirely", "Good")]
    finding = found(splits_of(train=train), "Label spelling")
    assert finding.level == "warning" and "'Good' = 'good'" in finding.detail
    signed = [*plain_rows(0, 800), LabelledText("a", "+1"), LabelledText("b", "-1")]
    assert found(splits_of(train=signed), "Label spelling").level == "ok"


def test_left_out_rows_are_shown_and_weighed() -> None:
    dropped = {"empty text": 3, "duplicate text with another label": 40}
    card = {"dropped": dropped, "counts": {"train": 800}, "notes": ("a note",)}
    finding = found(splits_of(**card), "Rows left out")
    assert finding.level == "warning" and "40 repeat a text under another label" in finding.detail
    assert finding.detail.endswith("a note") and ("empty text", "3") in finding.table


@pytest.mark.parametrize("change", [str, str.upper, lambda text: f"RT @user: {text}!"])
def test_test_text_in_train_is_an_error_that_names_the_row(change) -> None:
    test = plain_rows(20_000, 300)
    test[7] = LabelledText(change(plain_rows(5, 1)[0].text), "good")
    finding = found(splits_of(test=test), "Leakage")
    assert finding.level == "error" and "the first is test row 8" in finding.detail
    assert ("(1 to the letter)" in finding.detail) == (change is str)


def test_absurd_length_names_the_row() -> None:
    train = plain_rows(0, 800)
    train[41] = LabelledText("word " * 30_000, "good")
    finding = found(splits_of(train=train), "Absurd lengths")
    assert finding.level == "warning" and finding.table[1][:2] == ("train row 42", "150,000")


def test_splits_of_different_lengths() -> None:
    test = [LabelledText(row.text * 3, row.label) for row in plain_rows(20_000, 300)]
    finding = found(splits_of(test=test), "Lengths")
    assert finding.level == "warning" and "may not come from the same source" in finding.detail


def test_very_short_texts() -> None:
    train = [*plain_rows(0, 800), *(LabelledText(f"so{n} so", "bad") for n in range(200))]
    finding = found(splits_of(train=train), "Very short texts")
    assert finding.level == "warning" and "200 training texts (20.0%)" in finding.detail


def test_chinese_texts_are_not_called_short() -> None:
    train = [*plain_rows(0, 800), LabelledText("\u8fd9\u90e8\u7535\u5f71\u5f88\u597d", "good")]
    assert found(splits_of(train=train), "Very short texts").level == "ok"


def test_unknown_words() -> None:
    test = [LabelledText(f"alpha new{n} beta", "good") for n in range(300)]
    finding = found(splits_of(test=test), "Unknown words")
    assert finding.level == "warning" and "33.3% of the test words" in finding.detail


@pytest.mark.parametrize(
    ("debris", "kind", "level"),
    [
        ("caf\u00e9 noir".encode().decode("latin-1"), "misread UTF-8", "warning"),
        ("don\u2019t".encode().decode("cp1252"), "misread UTF-8", "warning"),
        ("caf\ufffd", "replacement or control characters", "warning"),
        ("one &amp; two", "HTML entities", "note"),
        ("one<br />two", "HTML tags", "note"),
    ],
)
def test_encoding_debris(debris: str, kind: str, level: str) -> None:
    train = plain_rows(0, 800)
    train[:20] = [LabelledText(f"{row.text} {debris}", row.label) for row in train[:20]]
    finding = found(splits_of(train=train), "Encoding")
    assert finding.level == level
    assert finding.table[1][:3] == (kind, "20", "2.50%")


def test_accents_read_rightly_are_no_debris() -> None:
    train = [
        *plain_rows(0, 800),
        LabelledText("\u00c0 la carte, na\u00efve, \u00c3o", "good"),
    ]
    assert found(splits_of(train=train), "Encoding").level == "ok"


def test_second_script() -> None:
    train = plain_rows(0, 800)
    russian = "\u0445\u043e\u0440\u043e\u0448\u0438\u0439"
    train[:40] = [LabelledText(f"{russian} {n}", "good") for n in range(40)]
    finding = found(splits_of(train=train), "Scripts")
    assert finding.level == "note" and "Cyrillic in 5.0% of the rows" in finding.detail


def test_token_that_tells_the_label() -> None:
    train = [
        LabelledText(f"{row.text} {'stars:5' if row.label == 'good' else ''}", row.label)
        for row in plain_rows(0, 800)
    ]
    finding = found(splits_of(train=train), "Telltale tokens")
    assert finding.level == "warning"
    assert ("stars", "good", "50.0%", "100.0%") in finding.table


def test_large_splits_are_sampled() -> None:
    splits = splits_of(train=plain_rows(0, 5000))
    finding = found(splits, "Sizes", sample_rows=300)
    assert finding.table[1] == ("train", "5,000", "89.3%", "300")


def test_rendering_takes_brackets_in_data_as_they_are() -> None:
    console = Console(file=io.StringIO(), width=100)
    render_findings(
        [
            Finding("warning", "Labels", "label [bold] is odd", (("label", "rows"), ("[/x]", "3"))),
            Finding("ok", "Sizes", "fine"),
        ],
        console,
    )
    shown = console.file.getvalue()
    assert "warning Labels: label [bold] is odd" in shown and "[/x]" in shown
    assert shown.endswith("checks: 1 ok, 1 warning\n")
